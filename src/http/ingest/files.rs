//! Files that come with events: stored under fresh keys before anything refers to them.

use std::io::Write as _;

use super::body::Part;
use crate::app::App;
use crate::blobs::{BlobError, BlobKey, SpoolWriter, Spooled};
use crate::events::NewAttachment;
use crate::types::{BlobRef, Sha1};

/// What is known of a file beside its content.
#[derive(Clone, Debug)]
pub struct FileHead {
    /// Such as `event.attachment`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What the sender says it is.
    pub content_type: String,
}

impl FileHead {
    /// A head with what is usual in place of what is missing.
    pub fn new(kind: Option<&str>, name: Option<&str>, content_type: Option<&str>) -> Self {
        let or = |value: Option<&str>, usual: &str| {
            value.map(str::trim).filter(|value| !value.is_empty()).unwrap_or(usual).replace('\0', "\u{fffd}")
        };
        Self {
            kind: or(kind, "event.attachment"),
            name: or(name, "unnamed"),
            content_type: or(content_type, "application/octet-stream"),
        }
    }
}

/// Stores a file. Its bytes are durable when this returns.
pub async fn store(app: &App, head: FileHead, content: impl Into<Part>) -> Result<NewAttachment, BlobError> {
    let content = content.into();
    let spool = app.events.blobs().spool().await?;
    let compression = app.config.blobs.compression;
    let writing = tokio::task::spawn_blocking(move || {
        let mut writer = SpoolWriter::new(spool, compression)?;
        writer.write_all(&content).map_err(|error| BlobError::io("write a temp file", error))?;
        Ok::<_, BlobError>((writer.finish()?, Sha1::of(&content)))
    });
    let (spooled, sha1) =
        writing.await.map_err(|error| BlobError::io("store a file", std::io::Error::other(error)))??;
    let Spooled { spool, encoding, size, stored_size } = spooled;
    let key = BlobKey::fresh("attachments", app.events.fresh_id());
    app.events.blobs().put(&key, spool).await?;
    let blob = BlobRef { key: key.to_string(), encoding, size, stored_size };
    let FileHead { kind, name, content_type } = head;
    Ok(NewAttachment { kind, name, content_type, sha1: sha1.to_string(), blob })
}
