//! Storing objects: in one request, or in parts where they are large.
//!
//! Each request carries the checksum of its bytes, and each object one of the whole, by which a try whose answer was
//! lost is known again. What is at a key is never replaced.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::Path;

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::{ByteStream, Length};
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sha2::{Digest as _, Sha256};

use super::errors::{fault, status};
use super::read::size;
use super::{BlobError, BlobKey, Inner, Spool, blocking};
use crate::config::PARTS_AT_A_TIME;

/// Name under which an object carries the checksum of its content.
const CHECKSUM: &str = "content-sha256";

/// Most parts that an upload may have.
const MOST_PARTS: u64 = 10_000;
/// Bytes read from a spool at a time.
const BUFFER: usize = 256 << 10;

/// Refusals after which another try may do better.
const TRY_AGAIN: &[&str] = &[
    "ConditionalRequestConflict",
    "OperationAborted",
    "InvalidPart",
    "InvalidPartOrder",
    "EntityTooSmall",
    "NoSuchUpload",
    "BadDigest",
    "XAmzContentChecksumMismatch",
    "IncompleteBody",
    "InternalError",
    "SlowDown",
];

/// A spool that is about to be sent.
struct Content {
    size: u64,
    parts: Vec<Part>,
    /// Of the only part, or of the checksums of all.
    checksum: String,
}

#[derive(Clone)]
struct Part {
    offset: u64,
    size: u64,
    sha256: [u8; 32],
}

/// Why bytes were not stored.
enum Refusal {
    /// Another try may do better.
    Passing(BlobError),
    Final(BlobError),
}

/// What stands at a key.
enum Standing {
    Nothing,
    /// The same bytes.
    Ours,
    /// Some of them: the server lost others on the way.
    Torn,
    /// Something else.
    Another,
}

impl Inner {
    pub(super) async fn put(&self, key: &BlobKey, spool: Spool) -> Result<(), BlobError> {
        let name = self.name_of(key)?;
        let (file, path) = spool.into_parts();
        // Keeps the temp file in use until it was sent.
        let _held = file.try_clone().map_err(|error| BlobError::io("read a temp file", error))?;
        let (threshold, part_size) = (self.settings.multipart_threshold, self.settings.part_size);
        let what = format!("store blob {key}");
        let content = blocking(move || {
            Content::read(file, threshold, part_size).map_err(|error| BlobError::io("read a temp file", error))
        })
        .await?;
        if !self.settings.conditional_put && !matches!(self.standing(key, &content).await?, Standing::Nothing) {
            return Err(BlobError::io(what, io::ErrorKind::AlreadyExists.into()));
        }
        let mut tried = 0;
        loop {
            let sent = match content.parts.as_slice() {
                [part] => self.put_whole(&name, &path, part, &content).await,
                _ => self.put_in_parts(&name, &path, &content).await,
            };
            let refusal = match (sent, content.parts.len()) {
                (Ok(()), 1) => return Ok(()),
                // What was put together is looked at once more.
                (Ok(()), _) => Refusal::Passing(cannot(&what, "the server lost it after it was sent")),
                (Err(refusal), _) => refusal,
            };
            // The answer may have been lost after the bytes were stored, and what another try then hears is a refusal.
            match self.standing(key, &content).await {
                Ok(Standing::Ours) => return Ok(()),
                Ok(Standing::Another) => return Err(BlobError::io(what, io::ErrorKind::AlreadyExists.into())),
                Ok(Standing::Torn) => self.delete(std::slice::from_ref(key)).await?,
                Ok(Standing::Nothing) => {}
                Err(error) => tracing::debug!(%key, %error, "it is unknown whether a blob was stored"),
            }
            tried += 1;
            match refusal {
                Refusal::Passing(error) if tried < self.settings.attempts => {
                    tracing::debug!(%key, %error, "a blob is sent again");
                    tokio::time::sleep(self.back_off(tried - 1)).await;
                }
                Refusal::Passing(error) | Refusal::Final(error) => return Err(error),
            }
        }
    }

    async fn standing(&self, key: &BlobKey, content: &Content) -> Result<Standing, BlobError> {
        let Some(head) = self.head(key).await? else { return Ok(Standing::Nothing) };
        let checksum = head.metadata().and_then(|metadata| metadata.get(CHECKSUM));
        let whole = size(&head) == Some(content.size);
        Ok(match (checksum == Some(&content.checksum), whole) {
            (true, true) => Standing::Ours,
            (true, false) => Standing::Torn,
            (false, _) => Standing::Another,
        })
    }

    fn condition(&self) -> Option<String> {
        self.settings.conditional_put.then(|| "*".to_owned())
    }

    async fn put_whole(&self, name: &str, path: &Path, part: &Part, content: &Content) -> Result<(), Refusal> {
        let request = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(name)
            .metadata(CHECKSUM, &content.checksum)
            .checksum_sha256(part.checksum())
            .set_if_none_match(self.condition())
            .content_length(part.length())
            .body(part.body(path).await?);
        match request.send().await {
            // An error in a body of status 200 has none.
            Ok(output) if output.e_tag().is_some() => Ok(()),
            Ok(_) => Err(Refusal::Passing(cannot(&format!("store object {name}"), "the server does not confirm it"))),
            Err(error) => Err(refusal(error.code(), status(&error), fault(format!("store object {name}"), &error))),
        }
    }

    async fn put_in_parts(&self, name: &str, path: &Path, content: &Content) -> Result<(), Refusal> {
        let what = format!("store object {name}");
        let begun = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(name)
            .metadata(CHECKSUM, &content.checksum)
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .send()
            .await
            .map_err(|error| refusal(error.code(), status(&error), fault(&what, &error)))?;
        let Some(id) = begun.upload_id() else { return Err(Refusal::Passing(cannot(&what, "it gets no upload id"))) };
        let sent = self.put_parts(name, id, path, content).await;
        if sent.is_err() {
            // Whatever this leaves behind is swept.
            if let Err(error) = self.abort(name, id).await {
                tracing::debug!(name, %error, "an unfinished upload is left behind");
            }
        }
        sent
    }

    async fn put_parts(&self, name: &str, id: &str, path: &Path, content: &Content) -> Result<(), Refusal> {
        let what = format!("store object {name}");
        let numbered = content.parts.iter().cloned().zip(1..);
        let parts = stream::iter(numbered).map(|(part, number)| self.put_part(name, id, path, part, number));
        let parts: Vec<_> = parts.buffered(PARTS_AT_A_TIME as usize).try_collect().await?;
        let ended = self
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(name)
            .upload_id(id)
            .set_if_none_match(self.condition())
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
            .send()
            .await
            // Servers have many words for an upload that lost a part or that a former try has ended.
            .map_err(|error| match fault(&what, &error) {
                full @ BlobError::Full(_) => Refusal::Final(full),
                other => Refusal::Passing(other),
            })?;
        match ended.e_tag() {
            Some(_) => Ok(()),
            None => Err(Refusal::Passing(cannot(&what, "the server does not confirm it"))),
        }
    }

    async fn put_part(
        &self,
        name: &str,
        id: &str,
        path: &Path,
        part: Part,
        number: i32,
    ) -> Result<CompletedPart, Refusal> {
        let what = format!("store part {number} of object {name}");
        let request = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(name)
            .upload_id(id)
            .part_number(number)
            .checksum_sha256(part.checksum())
            .content_length(part.length())
            .body(part.body(path).await?);
        let sent = request.send().await;
        let sent = sent.map_err(|error| refusal(error.code(), status(&error), fault(&what, &error)))?;
        let Some(etag) = sent.e_tag() else {
            return Err(Refusal::Passing(cannot(&what, "the server does not confirm it")));
        };
        Ok(CompletedPart::builder().part_number(number).e_tag(etag).checksum_sha256(part.checksum()).build())
    }
}

impl Content {
    /// Reads a spool through, to know its checksums before it is sent; blocks.
    fn read(mut file: File, threshold: u64, part_size: u64) -> io::Result<Self> {
        let size = file.metadata()?.len();
        let part_size = match size <= threshold {
            true => size,
            false => part_size.max(size.div_ceil(MOST_PARTS)),
        };
        file.rewind()?;
        let (mut parts, mut offset) = (Vec::new(), 0);
        while offset < size || parts.is_empty() {
            let part = Part::read(&mut file, offset, part_size.min(size - offset))?;
            offset += part.size;
            parts.push(part);
        }
        let checksum = match parts.as_slice() {
            [part] => hex::encode(part.sha256),
            _ => hex::encode(parts.iter().fold(Sha256::new(), |all, part| all.chain_update(part.sha256)).finalize()),
        };
        Ok(Self { size, parts, checksum })
    }
}

impl Part {
    fn read(file: &mut File, offset: u64, size: u64) -> io::Result<Self> {
        let (mut hash, mut buffer, mut left) = (Sha256::new(), vec![0; BUFFER], size);
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
            file.read_exact(&mut buffer[..wanted])?;
            hash.update(&buffer[..wanted]);
            left -= wanted as u64;
        }
        Ok(Self { offset, size, sha256: hash.finalize().into() })
    }

    fn checksum(&self) -> String {
        BASE64_STANDARD.encode(self.sha256)
    }

    fn length(&self) -> i64 {
        i64::try_from(self.size).unwrap_or(i64::MAX)
    }

    /// The bytes, read from the file again for each try.
    async fn body(&self, path: &Path) -> Result<ByteStream, Refusal> {
        let body = ByteStream::read_from()
            .path(path)
            .offset(self.offset)
            .length(Length::Exact(self.size))
            .buffer_size(BUFFER)
            .build()
            .await;
        body.map_err(|error| Refusal::Final(BlobError::io("read a temp file", io::Error::other(error))))
    }
}

fn refusal(code: Option<&str>, status: Option<u16>, error: BlobError) -> Refusal {
    let passing = code.is_some_and(|code| TRY_AGAIN.contains(&code)) || matches!(status, Some(409 | 412));
    match passing && !matches!(error, BlobError::Full(_)) {
        true => Refusal::Passing(error),
        false => Refusal::Final(error),
    }
}

fn cannot(what: &str, reason: &str) -> BlobError {
    BlobError::io(what, io::Error::new(io::ErrorKind::NotConnected, reason.to_owned()))
}
