//! House extractors: their refusals are bodies that clients can read, never the framework's own text.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse as _;
use serde::de::DeserializeOwned;

use super::error::{ApiError, ApiResult};
use super::rated_body::too_slow;
use crate::app::App;

/// A JSON body, whatever content type it claims.
#[derive(Clone, Debug)]
pub struct JsonBody<T>(pub T);

/// The whole body as it is, up to the limit of the route.
#[derive(Clone, Debug)]
pub struct RawBody(pub Bytes);

/// The pairs of the query in order; a name may come several times.
#[derive(Clone, Debug, Default)]
pub struct QueryPairs(Vec<(String, String)>);

impl<T: DeserializeOwned> FromRequest<App> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> ApiResult<Self> {
        let RawBody(body) = RawBody::from_request(request, app).await?;
        let value = serde_json::from_slice(&body).map_err(|error| {
            ApiError::BadRequest(format!("The body cannot be read as JSON of the right form: {error}"))
        })?;
        Ok(Self(value))
    }
}

impl FromRequest<App> for RawBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> ApiResult<Self> {
        let body = Bytes::from_request(request, app).await;
        let body = body.map_err(|rejection| match too_slow(&rejection) {
            Some(slow) => ApiError::TooSlow(slow.to_string()),
            None => refused(rejection),
        })?;
        Ok(Self(body))
    }
}

fn refused(rejection: BytesRejection) -> ApiError {
    match rejection.into_response().status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::TooLarge("The body of the request is too large.".to_owned()),
        _ => ApiError::BadRequest("The body of the request broke off.".to_owned()),
    }
}

impl FromRequestParts<App> for QueryPairs {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> ApiResult<Self> {
        Self::of(&parts.uri)
    }
}

impl QueryPairs {
    /// The pairs in the query of `uri`.
    pub fn of(uri: &Uri) -> ApiResult<Self> {
        let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
        let query = query.map_err(|_| ApiError::BadRequest("The query of the address cannot be read.".to_owned()))?;
        Ok(Self(query.0))
    }

    /// The first value of `name`.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Every value of `name`, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The pairs in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}
