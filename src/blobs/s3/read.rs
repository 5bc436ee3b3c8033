//! Reading objects, whole or in ranges, and going on where a body broke off.
//!
//! It never passes on a byte too few or too many: the length that the answer promised must have come.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use super::errors::{chain, fault, status};
use super::{BlobError, BlobKey, BlobReader, Inner};

/// An object on its way.
struct Reading {
    store: Arc<Inner>,
    key: BlobKey,
    /// What the object is known by, so that a body is continued by the same one.
    etag: String,
    /// Where in the object the next byte stands, and where it ends.
    left: Range<u64>,
    body: ByteStream,
    /// How often it may still be continued.
    tries: u32,
}

/// What a server said to a request for an object.
struct Answer {
    etag: String,
    /// Bytes of the whole object.
    size: u64,
    /// The part of it that comes.
    range: Range<u64>,
    body: ByteStream,
}

pub(super) async fn open(
    store: &Arc<Inner>,
    key: &BlobKey,
    range: Option<Range<u64>>,
) -> Result<BlobReader, BlobError> {
    if let Some(range) = range.as_ref().filter(|range| range.start >= range.end) {
        // S3 has no words for a range without bytes.
        let size = store.size_of(key).await?.ok_or_else(|| BlobError::Missing(key.to_string()))?;
        within(key, range, size)?;
        return Ok(stream::empty().boxed());
    }
    let answer = store.fetch(key, range.as_ref(), None).await?;
    let left = range.unwrap_or(0..answer.size);
    within(key, &left, answer.size)?;
    if answer.range != left {
        return Err(broken("open", key, "the server sends another range than it was asked for"));
    }
    let tries = store.settings.attempts;
    let reading =
        Reading { store: Arc::clone(store), key: key.clone(), etag: answer.etag, left, body: answer.body, tries };
    let buffers = stream::unfold(Some(reading), |reading| async move {
        let mut reading = reading?;
        match reading.next().await {
            Ok(Some(bytes)) => Some((Ok(bytes), Some(reading))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(buffers.boxed())
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>, BlobError> {
        loop {
            let stall: Duration = self.store.settings.stall_timeout;
            let reason = match tokio::time::timeout(stall, self.body.next()).await {
                Ok(Some(Ok(bytes))) if bytes.is_empty() => continue,
                Ok(Some(Ok(bytes))) if bytes.len() as u64 > self.left.end - self.left.start => {
                    return Err(self.damaged("more bytes come than the server promised"));
                }
                Ok(Some(Ok(bytes))) => {
                    self.left.start += bytes.len() as u64;
                    return Ok(Some(bytes));
                }
                Ok(None) if self.left.is_empty() => return Ok(None),
                // Every byte has come, so what follows the last one is the checksum of them all.
                Ok(Some(Err(error))) if self.left.is_empty() => return Err(self.damaged(&chain(&error))),
                Ok(None) => "it ended early".to_owned(),
                Ok(Some(Err(error))) => chain(&error),
                Err(_) => format!("no byte came for {stall:?}"),
            };
            self.go_on(&reason).await?;
        }
    }

    /// Asks for the bytes that did not come.
    async fn go_on(&mut self, reason: &str) -> Result<(), BlobError> {
        if self.tries == 0 {
            return Err(broken("read", &self.key, reason));
        }
        tracing::debug!(key = %self.key, reason, "a body broke off and is continued");
        let (store, tried) = (Arc::clone(&self.store), self.store.settings.attempts - self.tries);
        self.tries -= 1;
        tokio::time::sleep(store.back_off(tried)).await;
        let answer = store.fetch(&self.key, Some(&self.left), Some(&self.etag)).await?;
        if answer.range != self.left || answer.etag != self.etag {
            return Err(self.damaged("it became another object while it was read"));
        }
        self.body = answer.body;
        Ok(())
    }

    fn damaged(&self, reason: &str) -> BlobError {
        BlobError::Damaged { key: self.key.to_string(), reason: reason.to_owned() }
    }
}

impl Inner {
    /// Asks for an object or a range of it, which is not empty, if it is the one that `etag` names.
    async fn fetch(
        &self,
        key: &BlobKey,
        range: Option<&Range<u64>>,
        etag: Option<&String>,
    ) -> Result<Answer, BlobError> {
        for tried in 0..self.settings.attempts {
            if let Some(answer) = self.fetch_once(key, range, etag).await? {
                return Ok(answer);
            }
            tokio::time::sleep(self.back_off(tried)).await;
        }
        Err(broken("open", key, "the server answers with something else"))
    }

    /// The same, or `None` where the answer has status 200 and is no object.
    async fn fetch_once(
        &self,
        key: &BlobKey,
        range: Option<&Range<u64>>,
        etag: Option<&String>,
    ) -> Result<Option<Answer>, BlobError> {
        let request = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(self.name_of(key)?)
            .set_range(range.map(|range| format!("bytes={}-{}", range.start, range.end - 1)))
            .set_if_match(etag.cloned());
        match request.send().await {
            Ok(output) => Ok(answer(output)),
            Err(error) if error.code() == Some("NoSuchKey") => Err(BlobError::Missing(key.to_string())),
            Err(error) if status(&error) == Some(412) => {
                let reason = "it became another object while it was read".to_owned();
                Err(BlobError::Damaged { key: key.to_string(), reason })
            }
            Err(error) => {
                if let (Some(416), Some(range)) = (status(&error), range) {
                    within(key, range, self.head(key).await?.and_then(|head| size(&head)).unwrap_or_default())?;
                }
                Err(fault(format!("open blob {key}"), &error))
            }
        }
    }

    /// Size of a blob, if it is there.
    pub(super) async fn size_of(&self, key: &BlobKey) -> Result<Option<u64>, BlobError> {
        if let Some(head) = self.head(key).await? {
            return size(&head).map(Some).ok_or_else(|| broken("look at", key, "the server does not tell its size"));
        }
        // Such an answer has no body, so whoever stands between us and the server could have given it. The server
        // itself has to say which object it lacks before anybody is told that bytes are lost.
        let first = 0..1;
        match self.fetch(key, Some(&first), None).await {
            Err(BlobError::Missing(_)) => Ok(None),
            Err(error) => Err(error),
            Ok(answer) => Ok(Some(answer.size)),
        }
    }

    /// What the server says of an object, or `None` where it answers that there is nothing.
    pub(super) async fn head(&self, key: &BlobKey) -> Result<Option<HeadObjectOutput>, BlobError> {
        for tried in 0..self.settings.attempts {
            match self.client.head_object().bucket(&self.bucket).key(self.name_of(key)?).send().await {
                // Every object has one, and what is none has not.
                Ok(head) if head.e_tag().is_some() => return Ok(Some(head)),
                Ok(_) => tokio::time::sleep(self.back_off(tried)).await,
                Err(error) if status(&error) == Some(404) => return Ok(None),
                Err(error) => return Err(fault(format!("look at blob {key}"), &error)),
            }
        }
        Err(broken("look at", key, "the server answers with something else"))
    }
}

/// Size of an object.
pub(super) fn size(head: &HeadObjectOutput) -> Option<u64> {
    u64::try_from(head.content_length()?).ok()
}

/// The parts of an answer, unless it is none of S3's: each of them names the object and its length.
fn answer(output: GetObjectOutput) -> Option<Answer> {
    let etag = output.e_tag()?.to_owned();
    let length = u64::try_from(output.content_length()?).ok()?;
    let (range, size) = match output.content_range() {
        Some(told) => content_range(told)?,
        None => (0..length, length),
    };
    (range.end - range.start == length).then_some(Answer { etag, size, range, body: output.body })
}

/// What `bytes 2-6/7` says: the range, and the size of the whole.
fn content_range(told: &str) -> Option<(Range<u64>, u64)> {
    let (range, size) = told.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first..last.checked_add(1)?, size.parse().ok()?))
}

fn within(key: &BlobKey, range: &Range<u64>, size: u64) -> Result<(), BlobError> {
    if range.start <= range.end && range.end <= size {
        return Ok(());
    }
    let reason = format!("it has {size} bytes and {} to {} are wanted", range.start, range.end);
    Err(BlobError::Damaged { key: key.to_string(), reason })
}

fn broken(verb: &str, key: &BlobKey, reason: &str) -> BlobError {
    BlobError::io(format!("{verb} blob {key}"), io::Error::new(io::ErrorKind::NotConnected, reason.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_is_read_or_refused() {
        assert_eq!(content_range("bytes 2-6/7"), Some((2..7, 7)));
        for wrong in ["", "bytes */7", "bytes 2-6/*", "bytes 6-2/7", "lines 2-6/7", "bytes 0-18446744073709551615/1"] {
            assert_eq!(content_range(wrong), None, "{wrong}");
        }
    }
}
