//! The section `blobs`: where bytes live, and how they stand there.

use serde::{Deserialize, Serialize};

/// Where bytes live.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Blobs {
    /// `file://<path>` or `memory`; empty means `file://<data_dir>/blobs`. `SYMDEPOT_BLOBS__URL`
    pub url: String,
    /// How chunks stand at rest when that saves more than a tenth. `SYMDEPOT_BLOBS__COMPRESSION`
    pub compression: Compression,
}

/// How chunks stand at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// One zstd frame per chunk where that saves more than a tenth.
    Zstd,
    /// As they are.
    None,
}

impl Default for Blobs {
    fn default() -> Self {
        Self { url: String::new(), compression: Compression::Zstd }
    }
}
