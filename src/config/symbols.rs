//! The section `symbols`: what debuggers fetch.

use serde::{Deserialize, Serialize};

/// What debuggers fetch.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Symbols {
    /// Requests a second of each symbol key, on average; further ones wait. 0 means any number.
    /// `SYMDEPOT_SYMBOLS__KEY_RATE`
    pub key_rate: u32,
}

impl Default for Symbols {
    fn default() -> Self {
        Self { key_rate: 100 }
    }
}
