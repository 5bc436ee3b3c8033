//! The section `symbols`: what debuggers fetch.

use serde::{Deserialize, Serialize};

/// What debuggers fetch.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Symbols {
    /// Requests a second of each symbol key, on average; further ones wait. 0 means any number.
    /// `SYMDEPOT_SYMBOLS__KEY_RATE`
    pub key_rate: u32,
    /// Requests a second to `symbolicate/v5`, and fetches from upstreams if `upstreams.anonymous` allows them, of all clients
    /// without a credential in one organization; further ones wait. 0 means any number. `SYMDEPOT_SYMBOLS__ANONYMOUS_RATE`
    pub anonymous_rate: u32,
    /// Whether files of Windows are also answered in cabinets, under names such as `calc.pd_`. `SYMDEPOT_SYMBOLS__CAB`
    pub cab: bool,
}

impl Default for Symbols {
    fn default() -> Self {
        Self { key_rate: 100, anonymous_rate: 10, cab: false }
    }
}
