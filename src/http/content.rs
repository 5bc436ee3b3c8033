//! Answering with stored bytes: validators, ranges and lengths, for every path that serves a file. It never holds a
//! file in memory and never answers 200 for bytes that cannot be opened.

use std::ops::Range;
use std::pin::Pin;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::stream::{self, Stream};
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::error::{ApiError, ApiResult};
use crate::blobs::BlobError;
use crate::types::Sha1;

/// How HTTP writes a time.
const HTTP_DATE: &str = "%a, %d %b %Y %H:%M:%S GMT";

/// What the asker wants to have of the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing: what it has is still right.
    NotModified,
    /// All of it.
    Whole,
    /// A part that lies inside.
    Part(Range<u64>),
    /// A part that lies outside.
    Outside,
}

/// A file about to be answered.
#[derive(Clone, Debug)]
pub struct Content {
    size: u64,
    wish: Wish,
    head: bool,
    etag: HeaderValue,
    changed: Option<HeaderValue>,
}

impl Content {
    /// What `method` and `headers` wish of a file of this size, whose checksum is its `ETag`.
    pub fn asked(method: &Method, headers: &HeaderMap, sha1: Sha1, size: u64) -> Self {
        Self::tagged(method, headers, format!("\"{sha1}\""), size)
    }

    /// The same for bytes that have an `ETag` of their own.
    pub fn tagged(method: &Method, headers: &HeaderMap, etag: String, size: u64) -> Self {
        let head = method == Method::HEAD;
        let wish = match wish(headers, &etag, size) {
            // Parts are for `GET` alone.
            Wish::Part(_) | Wish::Outside if head => Wish::Whole,
            wish => wish,
        };
        let etag = HeaderValue::from_str(&etag).expect("hexadecimal digits and quotes are a header value");
        Self { size, wish, head, etag, changed: None }
    }

    /// The same, for clients that go by the time of the last change. The checksum says more, so it goes first.
    #[must_use]
    pub fn changed_at(mut self, headers: &HeaderMap, at: DateTime<Utc>) -> Self {
        let text = at.format(HTTP_DATE).to_string();
        let known = headers.get(header::IF_MODIFIED_SINCE).filter(|_| !headers.contains_key(header::IF_NONE_MATCH));
        let known = known.and_then(|known| DateTime::parse_from_rfc2822(known.to_str().ok()?).ok());
        if known.is_some_and(|known| at.timestamp() <= known.timestamp()) {
            self.wish = Wish::NotModified;
        }
        self.changed = HeaderValue::try_from(text).ok();
        self
    }

    /// Whether the asker wants all of it, in whichever words.
    pub fn is_whole(&self) -> bool {
        self.wish == Wish::Whole || self.wish == Wish::Part(0..self.size)
    }

    /// Whether the answer is all bytes of the file and nothing less, so that another place may give it.
    pub fn may_be_elsewhere(&self) -> bool {
        self.wish == Wish::Whole && !self.head && self.size > 0
    }

    /// The bytes that must be read for the answer, if any.
    pub fn needed(&self) -> Option<Range<u64>> {
        match &self.wish {
            _ if self.head => None,
            Wish::Whole => Some(0..self.size),
            Wish::Part(range) => Some(range.clone()),
            Wish::NotModified | Wish::Outside => None,
        }
    }

    /// The answer with `body`, which has the needed bytes.
    pub fn answer(&self, body: Body) -> Response {
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(header::ETAG, self.etag.clone());
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if let Some(changed) = &self.changed {
            headers.insert(header::LAST_MODIFIED, changed.clone());
        }
        let (status, length) = match &self.wish {
            Wish::NotModified => (StatusCode::NOT_MODIFIED, None),
            Wish::Outside => {
                headers.insert(header::CONTENT_RANGE, range_value(format!("bytes */{}", self.size)));
                (StatusCode::RANGE_NOT_SATISFIABLE, Some(0))
            }
            Wish::Whole => (StatusCode::OK, Some(self.size)),
            Wish::Part(part) => {
                let value = format!("bytes {}-{}/{}", part.start, part.end - 1, self.size);
                headers.insert(header::CONTENT_RANGE, range_value(value));
                (StatusCode::PARTIAL_CONTENT, Some(part.end - part.start))
            }
        };
        if let Some(length) = length {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        }
        *response.status_mut() = status;
        response
    }

    /// The answer with the bytes that `open` reads. It is opened only if the answer needs bytes, and the first of
    /// them are read before the answer begins.
    pub async fn stream<S>(&self, open: impl FnOnce(Range<u64>) -> S) -> ApiResult<Response>
    where
        S: Stream<Item = Result<Bytes, BlobError>> + Send + 'static,
    {
        let body = match self.needed().filter(|range| !range.is_empty()) {
            Some(range) => begun(Box::pin(open(range))).await?,
            None => Body::empty(),
        };
        Ok(self.answer(body))
    }

    /// The answer from bytes that are in memory as a whole.
    pub fn bytes(&self, whole: &Bytes) -> Response {
        let slice = |range: Range<u64>| {
            let at = |position: u64| usize::try_from(position).unwrap_or(usize::MAX).min(whole.len());
            whole.slice(at(range.start)..at(range.end))
        };
        self.answer(self.needed().map_or_else(Body::empty, |range| Body::from(slice(range))))
    }
}

/// Sends the asker on to `url`, this once.
pub fn elsewhere(url: &str) -> ApiResult<Response> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, HeaderValue::try_from(url).map_err(ApiError::internal)?);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn range_value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("digits and separators are a header value")
}

/// A body whose first bytes have been read.
async fn begun<S>(mut content: Pin<Box<S>>) -> ApiResult<Body>
where
    S: Stream<Item = Result<Bytes, BlobError>> + Send + 'static,
{
    let first = match content.next().await {
        Some(Ok(first)) => first,
        Some(Err(error)) => return Err(error.into()),
        None => return Err(ApiError::internal("stored content ended before its first byte")),
    };
    let rest = content.inspect_err(|error| tracing::error!(%error, "a download broke off"));
    Ok(Body::from_stream(stream::iter([Ok(first)]).chain(rest)))
}

fn wish(headers: &HeaderMap, etag: &str, size: u64) -> Wish {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::IF_NONE_MATCH).is_some_and(|known| names_etag(known, etag)) {
        return Wish::NotModified;
    }
    // A part makes sense only for who has the rest of the same content.
    if text(header::IF_RANGE).is_some_and(|known| known.trim() != etag) {
        return Wish::Whole;
    }
    text(header::RANGE).map_or(Wish::Whole, |range| parse_range(range, size))
}

/// Whether a list of validators names `etag`, by weak comparison.
fn names_etag(list: &str, etag: &str) -> bool {
    list.split(',').map(str::trim).any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == etag)
}

/// One range of bytes. Several, or what is no range of bytes, is as if nothing had been said.
fn parse_range(text: &str, size: u64) -> Wish {
    let Some((unit, range)) = text.split_once('=') else { return Wish::Whole };
    let Some((first, last)) = range.trim().split_once('-') else { return Wish::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Wish::Whole;
    }
    let number = |text: &str| match text {
        "" => Ok(None),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => Ok(Some(digits.parse().unwrap_or(u64::MAX))),
        _ => Err(()),
    };
    match (number(first.trim()), number(last.trim())) {
        (Ok(Some(first)), Ok(last)) if last.is_none_or(|last| first <= last) => {
            let end = last.map_or(size, |last| last.saturating_add(1).min(size));
            if first < size { Wish::Part(first..end) } else { Wish::Outside }
        }
        (Ok(None), Ok(Some(0))) => Wish::Outside,
        (Ok(None), Ok(Some(_))) if size == 0 => Wish::Outside,
        (Ok(None), Ok(Some(suffix))) => Wish::Part(size.saturating_sub(suffix)..size),
        _ => Wish::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_one_part_or_nothing_was_said() {
        for (text, wish) in [
            ("bytes=0-0", Wish::Part(0..1)),
            ("bytes=2-", Wish::Part(2..10)),
            ("bytes=2-99999999999999999999999", Wish::Part(2..10)),
            ("bytes=-3", Wish::Part(7..10)),
            ("bytes=-30", Wish::Part(0..10)),
            ("Bytes = 1 - 2", Wish::Part(1..3)),
            ("bytes=10-", Wish::Outside),
            ("bytes=99999999999999999999999-", Wish::Outside),
            ("bytes=-0", Wish::Outside),
            ("bytes=0-1,3-4", Wish::Whole),
            ("bytes=3-2", Wish::Whole),
            ("bytes=-", Wish::Whole),
            ("bytes=a-b", Wish::Whole),
            ("bytes=+1-2", Wish::Whole),
            ("lines=1-2", Wish::Whole),
            ("nonsense", Wish::Whole),
        ] {
            assert_eq!(parse_range(text, 10), wish, "{text}");
        }
        assert_eq!(parse_range("bytes=0-", 0), Wish::Outside);
        assert_eq!(parse_range("bytes=-1", 0), Wish::Outside);
    }

    #[test]
    fn a_validator_is_found_in_a_list() {
        for list in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*"] {
            assert!(names_etag(list, "\"a\""), "{list}");
        }
        assert!(!names_etag("\"ab\"", "\"a\""));
    }
}
