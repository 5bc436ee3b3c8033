//! What an S3 server says when it refuses, or does not answer, as a [`BlobError`]. It never holds a credential.

use std::error::Error;
use std::io;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::BlobError;

/// Words of different servers for a bucket or a disk without space.
const FULL: &[&str] = &["QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"];

/// What became of `what`; a bucket without space is told apart.
pub(super) fn fault<E>(what: impl Into<String>, error: &SdkError<E, HttpResponse>) -> BlobError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let full = error.code().is_some_and(|code| FULL.contains(&code)) || status(error) == Some(507);
    let away = matches!(error, SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) | SdkError::ResponseError(_))
        || status(error).is_some_and(|status| !(300..500).contains(&status));
    match full {
        true => BlobError::Full("blobs"),
        // Whoever asked may come again.
        false if away => BlobError::io(what, io::Error::new(io::ErrorKind::NotConnected, said(error))),
        false => BlobError::io(what, io::Error::other(said(error))),
    }
}

/// Status of the answer, if there was one.
pub(super) fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    Some(error.raw_response()?.status().as_u16())
}

/// What the server said, or else why there is no answer of it.
pub(super) fn said<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => match status(error) {
            Some(status) => format!("status {status}: {}", chain(error)),
            None => chain(error),
        },
    }
}

/// An error and its causes, each said once.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !text.is_empty() && !said.ends_with(&text) {
            said.push_str(": ");
            said.push_str(&text);
        }
        cause = error.source();
    }
    said
}
