//! Which objects are there, and which uploads in parts were left behind. Everything below the prefix is taken for ours.

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::DateTime as Instant;
use chrono::{DateTime, Utc};

use super::errors::{fault, said, status};
use super::{BlobError, BlobKey, Inner, Listed, SweepMode};

/// Objects that one request may list.
const LISTED_AT_ONCE: usize = 1000;

impl Inner {
    pub(super) async fn list(&self, after: Option<&BlobKey>, limit: usize) -> Result<Vec<Listed>, BlobError> {
        let mut found: Vec<Listed> = Vec::new();
        let mut token = None;
        while found.len() < limit {
            let page = self
                .client
                .list_objects_v2()
                .bucket(&self.bucket)
                .prefix(&self.prefix)
                .set_start_after(after.map(|key| format!("{}{key}", self.prefix)))
                .set_continuation_token(token)
                .max_keys(i32::try_from((limit - found.len()).min(LISTED_AT_ONCE)).unwrap_or(1))
                .send()
                .await
                .map_err(|error| fault("list the blobs", &error))?;
            for object in page.contents() {
                let Some(key) = object.key().and_then(|name| name.strip_prefix(&self.prefix)) else { continue };
                let stored_size = u64::try_from(object.size().unwrap_or_default()).unwrap_or_default();
                let modified = object.last_modified().and_then(when).unwrap_or(DateTime::UNIX_EPOCH);
                found.push(Listed { key: BlobKey::from_row(key), stored_size, modified });
            }
            token = page.next_continuation_token().map(str::to_owned);
            if page.is_truncated() != Some(true) || token.is_none() {
                break;
            }
        }
        Ok(found)
    }

    /// Aborts uploads in parts that began before `before`, whose process must be dead, or only counts them. Says how many.
    ///
    /// A server that cannot list them, or does not let us, keeps them; its bucket then needs a rule for them.
    pub(super) async fn sweep_uploads(&self, mode: SweepMode, before: DateTime<Utc>) -> Result<u64, BlobError> {
        let (mut key, mut id, mut left_over) = (None, None, 0);
        loop {
            let listed = self
                .client
                .list_multipart_uploads()
                .bucket(&self.bucket)
                .prefix(&self.prefix)
                .set_key_marker(key)
                .set_upload_id_marker(id)
                .send()
                .await;
            let page = match listed {
                Ok(page) => page,
                Err(error) if cannot_list(error.code(), status(&error)) => {
                    tracing::debug!(error = said(&error), "unfinished uploads cannot be listed");
                    return Ok(left_over);
                }
                Err(error) => return Err(fault("list unfinished uploads", &error)),
            };
            for upload in page.uploads() {
                let old = upload.initiated().and_then(when).is_some_and(|begun| begun < before);
                let (Some(name), Some(id), true) = (upload.key(), upload.upload_id(), old) else { continue };
                if mode == SweepMode::Remove {
                    self.abort(name, id).await?;
                }
                left_over += 1;
            }
            key = page.next_key_marker().map(str::to_owned);
            id = page.next_upload_id_marker().map(str::to_owned);
            if page.is_truncated() != Some(true) || key.is_none() {
                return Ok(left_over);
            }
        }
    }

    /// Gives an upload in parts up. One that is over already is no error.
    pub(super) async fn abort(&self, name: &str, id: &str) -> Result<(), BlobError> {
        let request = self.client.abort_multipart_upload().bucket(&self.bucket).key(name).upload_id(id);
        match request.send().await {
            Err(error) if error.code() != Some("NoSuchUpload") => Err(fault("abort an unfinished upload", &error)),
            _ => Ok(()),
        }
    }
}

fn cannot_list(code: Option<&str>, status: Option<u16>) -> bool {
    matches!(code, Some("NotImplemented" | "AccessDenied" | "MethodNotAllowed")) || matches!(status, Some(405 | 501))
}

/// A time of the server's as one of ours.
fn when(at: &Instant) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(at.secs(), at.subsec_nanos())
}
