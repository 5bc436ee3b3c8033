//! The section `database`: where rows live.

use serde::{Deserialize, Serialize};

/// Where rows live.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// `sqlite://<path>` or `postgres://…`; empty means `sqlite://<data_dir>/symdepot.db`. `SYMDEPOT_DATABASE__URL`
    pub url: String,
}
