//! What is wrong with a setting, in a sentence.

use crate::types::{mask_url, mask_urls_in};

/// A setting that cannot be used. Names the key, the value and what is allowed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A source could not be read or has a value of the wrong form.
    #[error("{}", sentence(.0))]
    Unreadable(Box<figment::Error>),
    /// A value is of the right form and yet not allowed.
    #[error("setting `{key}` is {value:?}; allowed: {allowed}")]
    NotAllowed {
        /// The key as in the file.
        key: &'static str,
        /// The value found.
        value: String,
        /// What would do.
        allowed: &'static str,
    },
}

/// Refuses a value that is of the right form. Secrets of a URL are masked.
pub(super) fn refuse(key: &'static str, value: String, allowed: &'static str) -> Result<(), ConfigError> {
    Err(ConfigError::NotAllowed { key, value: mask_url(&value), allowed })
}

/// Which setting cannot be read, where it stands, and what is wrong with it.
fn sentence(error: &figment::Error) -> String {
    let place = error.metadata.as_ref().map_or_else(String::new, |metadata| match &metadata.source {
        Some(source) => format!(" ({source})"),
        None => format!(" ({})", metadata.name),
    });
    match error.path.join(".").to_lowercase().as_str() {
        "" => format!("the settings{place} cannot be read: {}", mask_urls_in(&error.kind.to_string())),
        key => format!("setting `{key}`{place} cannot be read: {}", mask_urls_in(&error.kind.to_string())),
    }
}
