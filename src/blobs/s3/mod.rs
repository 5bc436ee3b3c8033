//! [`S3`]: blobs as objects of one bucket, below one prefix, on any server that speaks S3.
//!
//! Spools are files of this machine. An object appears whole or not at all, and none is ever written over.

mod connect;
mod errors;
mod listing;
mod put;
mod read;

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};

use super::{BlobError, BlobKey, BlobReader, BlobStore, Listed, Spool, SweepMode, TempSweep, blocking, sweep_folder};
use crate::config;
use errors::fault;

/// Objects that one request may delete.
const DELETED_AT_ONCE: usize = 1000;

/// How long a URL that was given away leads to bytes.
const SIGNED_FOR: Duration = Duration::from_secs(15 * 60);

/// Blobs in a bucket. A clone is the same store.
#[derive(Clone)]
pub struct S3 {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    bucket: String,
    /// What every object's name begins with: nothing, or something that ends with a slash.
    prefix: String,
    spools: PathBuf,
    settings: config::S3,
}

impl S3 {
    /// The store at `place`, a bucket and perhaps a prefix, which is asked once whether it can be used.
    pub async fn open(place: &str, settings: &config::S3, spools: PathBuf) -> Result<Self, BlobError> {
        std::fs::create_dir_all(&spools)
            .map_err(|error| BlobError::io(format!("make the folder {}", spools.display()), error))?;
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let prefix = match prefix.trim_end_matches('/') {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        let client = connect::client(settings).await?;
        let inner = Inner { client, bucket: bucket.to_owned(), prefix, spools, settings: settings.clone() };
        connect::check(&inner).await?;
        Ok(Self { inner: Arc::new(inner) })
    }
}

#[async_trait]
impl BlobStore for S3 {
    async fn spool(&self) -> Result<Spool, BlobError> {
        let spools = self.inner.spools.clone();
        blocking(move || Spool::create_in(&spools)).await
    }

    async fn put(&self, key: &BlobKey, spool: Spool) -> Result<(), BlobError> {
        self.inner.put(key, spool).await
    }

    async fn open(&self, key: &BlobKey, range: Option<Range<u64>>) -> Result<BlobReader, BlobError> {
        read::open(&self.inner, key, range).await
    }

    async fn elsewhere(&self, key: &BlobKey) -> Result<Option<String>, BlobError> {
        if !self.inner.settings.redirect {
            return Ok(None);
        }
        let what = format!("sign a URL of blob {key}");
        let period = PresigningConfig::expires_in(SIGNED_FOR)
            .map_err(|error| BlobError::io(&*what, std::io::Error::other(errors::chain(&error))))?;
        let request = self.inner.client.get_object().bucket(&self.inner.bucket).key(self.inner.name_of(key)?);
        let signed = request.presigned(period).await.map_err(|error| fault(what, &error))?;
        Ok(Some(signed.uri().to_owned()))
    }

    async fn stored_size(&self, key: &BlobKey) -> Result<Option<u64>, BlobError> {
        if !key.is_ours() {
            return Ok(None);
        }
        self.inner.size_of(key).await
    }

    async fn delete(&self, keys: &[BlobKey]) -> Result<(), BlobError> {
        if let Some(foreign) = keys.iter().find(|key| !key.is_ours()) {
            return Err(BlobError::Missing(foreign.to_string()));
        }
        for keys in keys.chunks(DELETED_AT_ONCE) {
            self.inner.delete(keys).await?;
        }
        Ok(())
    }

    async fn list(&self, after: Option<&BlobKey>, limit: usize) -> Result<Vec<Listed>, BlobError> {
        self.inner.list(after, limit).await
    }

    async fn sweep_temp(&self, sweep: &TempSweep) -> Result<u64, BlobError> {
        let files = sweep_folder(&self.inner.spools, sweep).await?;
        let uploads = if sweep.uploads { self.inner.sweep_uploads(sweep.mode, sweep.any_before).await? } else { 0 };
        Ok(files + uploads)
    }
}

impl Inner {
    /// Name of the object with the blob's bytes.
    fn name_of(&self, key: &BlobKey) -> Result<String, BlobError> {
        match key.is_ours() {
            true => Ok(format!("{}{key}", self.prefix)),
            false => Err(BlobError::Missing(key.to_string())),
        }
    }

    /// How long to wait before the try after `tried` ones.
    fn back_off(&self, tried: u32) -> Duration {
        self.settings.back_off.saturating_mul(1 << tried.min(6))
    }

    async fn delete(&self, keys: &[BlobKey]) -> Result<(), BlobError> {
        let failed = |said: String| BlobError::io("delete blobs", std::io::Error::other(said));
        let mut objects = Vec::with_capacity(keys.len());
        for key in keys {
            let object = ObjectIdentifier::builder().key(self.name_of(key)?).build();
            objects.push(object.map_err(|error| failed(error.to_string()))?);
        }
        let delete = Delete::builder().set_objects(Some(objects)).quiet(true).build();
        let delete = delete.map_err(|error| failed(error.to_string()))?;
        let deleted = self.client.delete_objects().bucket(&self.bucket).delete(delete).send().await;
        let deleted = deleted.map_err(|error| fault("delete blobs", &error))?;
        match deleted.errors().iter().find(|error| error.code() != Some("NoSuchKey")) {
            None => Ok(()),
            Some(error) => {
                let (key, code) = (error.key().unwrap_or_default(), error.code().unwrap_or("an error without a name"));
                Err(failed(format!("{key}: {code}: {}", error.message().unwrap_or_default())))
            }
        }
    }
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3").field("bucket", &self.inner.bucket).field("prefix", &self.inner.prefix).finish()
    }
}
