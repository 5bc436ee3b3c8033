//! The section `blobs`: where bytes live, and how they stand there.

use serde::{Deserialize, Serialize};

use super::{ConfigError, S3, refuse};

/// Where bytes live.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Blobs {
    /// `file://<path>`, `s3://<bucket>/<prefix>` or `memory`; empty means `file://<data_dir>/blobs`.
    /// `SYMDEPOT_BLOBS__URL`
    pub url: String,
    /// How chunks stand at rest when that saves more than a tenth. `SYMDEPOT_BLOBS__COMPRESSION`
    pub compression: Compression,
    /// How the bucket of an `s3://` URL is reached.
    pub s3: S3,
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
        Self { url: String::new(), compression: Compression::Zstd, s3: S3::default() }
    }
}

impl Blobs {
    /// Refuses a place that no store is for; `url` is the setting with its default filled in.
    pub(super) fn check(&self, url: &str) -> Result<(), ConfigError> {
        let known = match url.strip_prefix("s3://") {
            Some(place) => !place.is_empty() && !place.starts_with('/') && !place.contains("//"),
            None => url == "memory" || url.starts_with("file://"),
        };
        if !known {
            return refuse("blobs.url", url.to_owned(), "`file://<path>`, `s3://<bucket>/<prefix>` or `memory`");
        }
        self.s3.check()
    }
}
