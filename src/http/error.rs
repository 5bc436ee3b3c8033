//! [`ApiError`]: the only place where a failure becomes a status and a body, and where a surprise is logged, once.
//!
//! A body is one JSON object with exactly one key, because clients show the sentence only then. It never carries
//! what a machine said inside: causes go to the log.

use std::error::Error;
use std::fmt;
use std::io;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::accounts::{AuthError, QuotaError};
use crate::blobs::BlobError;
use crate::db::DbError;
use crate::symcaches::sandbox::SandboxError;
use crate::symcaches::{RegisterError, StoreError, TakeInError};
use crate::uploads::ChunkError;

/// What a handler answers when it cannot answer what was asked.
#[derive(Debug)]
pub enum ApiError {
    /// 401: nobody we know. The sentence is Sentry's.
    Unauthenticated(String),
    /// 403: somebody we know, who may not. The sentence names the scope.
    Forbidden(String),
    /// 404: not there, or not for this caller.
    NotFound,
    /// 404 with a sentence of its own.
    NotFoundBecause(String),
    /// 400 under the key `detail`.
    BadRequest(String),
    /// 400 under the key `error`, where Sentry's wire has it so: chunk upload and assemble.
    Refused(String),
    /// 400 under the key `detail`, whatever the endpoint: there is no room for what was sent.
    OverQuota(String),
    /// 408: the body arrives too slowly, and the connection is closed.
    TooSlow(String),
    /// 413: the body is larger than any honest one.
    TooLarge(String),
    /// 422: the file is there and cannot serve the wish, and why.
    Unprocessable(String),
    /// 503: come again, which clients do by themselves.
    Busy(String),
    /// 503: the database does not answer, or has no time. It is logged, and clients come again.
    NotNow(Box<dyn Error + Send + Sync>),
    /// 507: the volume is full. Clients retry this one too.
    Full(Box<dyn Error + Send + Sync>),
    /// 500: a surprise. It is logged and not told.
    Internal(Box<dyn Error + Send + Sync>),
}

/// What every handler returns.
pub type ApiResult<T> = Result<T, ApiError>;

/// Sentry's sentence for what is not there.
pub const NOT_THERE: &str = "The requested resource does not exist";

impl ApiError {
    /// A surprise.
    pub fn internal(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Internal(error.into())
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound | Self::NotFoundBecause(_) => StatusCode::NOT_FOUND,
            Self::BadRequest(_) | Self::Refused(_) | Self::OverQuota(_) => StatusCode::BAD_REQUEST,
            Self::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unprocessable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Busy(_) | Self::NotNow(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Full(_) => StatusCode::INSUFFICIENT_STORAGE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The sentence that the caller reads.
    pub fn sentence(&self) -> &str {
        match self {
            Self::NotFound => NOT_THERE,
            Self::NotNow(_) => {
                "The database of the server does not answer, or has too much to do. Try again in some seconds."
            }
            Self::Full(_) => "The disk of the server is full. Free some space there and try again.",
            Self::Internal(_) => "Something went wrong in the server. Its log says what, under the id of this request.",
            Self::Unauthenticated(sentence)
            | Self::Forbidden(sentence)
            | Self::NotFoundBecause(sentence)
            | Self::BadRequest(sentence)
            | Self::Refused(sentence)
            | Self::OverQuota(sentence)
            | Self::TooSlow(sentence)
            | Self::TooLarge(sentence)
            | Self::Unprocessable(sentence)
            | Self::Busy(sentence) => sentence,
        }
    }

    fn log(&self) {
        match self {
            Self::Internal(error) => tracing::error!(error = %Causes(error.as_ref()), "a request failed"),
            Self::Full(error) => tracing::error!(error = %Causes(error.as_ref()), "a request found the disk full"),
            Self::NotNow(error) => {
                tracing::warn!(error = %Causes(error.as_ref()), "a request was sent away, because the database has no time for it");
            }
            Self::OverQuota(sentence) => tracing::info!(reason = sentence, "an upload was over its quota"),
            Self::Busy(sentence) => tracing::warn!(reason = sentence, "a request was sent away for now"),
            _ => {}
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

/// The same failure under the key `error`, for endpoints where Sentry writes every one of them so. Quotas are not Sentry's.
#[derive(Debug)]
pub struct UnderError(pub ApiError);

impl IntoResponse for UnderError {
    fn into_response(self) -> Response {
        let key = if matches!(self.0, ApiError::OverQuota(_)) { "detail" } else { "error" };
        self.0.answer(key)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let key = if matches!(self, Self::Refused(_)) { "error" } else { "detail" };
        self.answer(key)
    }
}

impl ApiError {
    fn answer(self, key: &str) -> Response {
        self.log();
        let mut response = (self.status(), Json(json!({ key: self.sentence() }))).into_response();
        match self {
            Self::Unauthenticated(_) => {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::TooSlow(_) => {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Self::Busy(_) | Self::NotNow(_) => {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
            }
            _ => {}
        }
        response
    }
}

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        match error {
            error if error.is_full() => Self::Full(error.into()),
            error if error.is_transient() => Self::NotNow(error.into()),
            error => Self::internal(error),
        }
    }
}

impl From<BlobError> for ApiError {
    fn from(error: BlobError) -> Self {
        match error {
            full @ BlobError::Full(_) => Self::Full(full.into()),
            away if away.is_away() => {
                tracing::error!(error = %Causes(&away), "the store of bytes does not answer");
                Self::Busy("The store of the server does not answer just now. Try again.".to_owned())
            }
            other => Self::internal(other),
        }
    }
}

impl From<ChunkError> for ApiError {
    fn from(error: ChunkError) -> Self {
        match error {
            ChunkError::Db(error) => error.into(),
            ChunkError::Blob(error) => error.into(),
            ChunkError::Contested(_) => Self::Busy("Others upload the same chunk just now. Send it again.".to_owned()),
        }
    }
}

impl From<TakeInError> for ApiError {
    fn from(error: TakeInError) -> Self {
        match error {
            TakeInError::Quota(error) => error.into(),
            TakeInError::Chunk(error) => error.into(),
            TakeInError::Register(error) => error.into(),
            TakeInError::Read(_) => Self::internal(error),
        }
    }
}

impl From<RegisterError> for ApiError {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Db(error) | RegisterError::Store(StoreError::Db(error)) => error.into(),
            RegisterError::Blob(error) | RegisterError::Store(StoreError::Blob(error)) => error.into(),
            RegisterError::Lookup(error) => error.into(),
            RegisterError::Store(StoreError::Concurrency | StoreError::FileGone) => {
                Self::Busy("Others change the same file just now. Send it again.".to_owned())
            }
            RegisterError::Sandbox(error) => error.into(),
            RegisterError::Mapping(_) => Self::internal(error),
        }
    }
}

impl From<SandboxError> for ApiError {
    fn from(error: SandboxError) -> Self {
        match error {
            SandboxError::Overloaded(_) => {
                Self::Busy("The server has too many files to read just now. Try again.".to_owned())
            }
            SandboxError::Run(error) if error.kind() == io::ErrorKind::StorageFull => Self::Full(error.into()),
            other => Self::internal(other),
        }
    }
}

impl From<QuotaError> for ApiError {
    fn from(error: QuotaError) -> Self {
        match error {
            QuotaError::Over(sentence) => Self::OverQuota(sentence),
            QuotaError::Db(error) => error.into(),
        }
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Invalid | AuthError::Expired => Self::Unauthenticated(error.to_string()),
            AuthError::Db(error) => error.into(),
        }
    }
}

/// An error with everything that caused it, in one line.
struct Causes<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
