//! Reading a `multipart/form-data` body part by part, while it arrives and without a copy.
//!
//! It never holds more than the buffer that came last: a general library would read ahead whatever the sender has,
//! and keep headers of any length.

mod parser;

use std::time::Duration;

use axum::body::{BodyDataStream, Bytes};
use axum::http::{HeaderMap, header};
use futures_util::StreamExt as _;

use super::rated_body::too_slow;

pub use parser::{Event, Malformed, Parser, PartHead};

/// The parts of one body.
#[derive(Debug)]
pub struct Multipart<'a> {
    body: &'a mut BodyDataStream,
    parser: Parser,
    /// Bytes that the body may still have.
    left: u64,
    begun: bool,
    in_part: bool,
}

/// Why a body cannot be read. Each says what its sender can do.
#[derive(Debug, thiserror::Error)]
pub enum MultipartError {
    /// The content type is another one.
    #[error("The body must be multipart/form-data with a boundary.")]
    NotMultipart,
    /// The body is not written as its content type says.
    #[error("The multipart body is malformed: {0}.")]
    Malformed(#[from] Malformed),
    /// The body ended, or its sender went away, before its last delimiter.
    #[error("The request ended before its body was complete. Send it again.")]
    Cut,
    /// Nothing came for a long time.
    #[error("The request stopped arriving. Send it again.")]
    Stalled,
    /// The body is slower than it may be.
    #[error("{0}")]
    TooSlow(String),
    /// The body has more bytes than any honest one.
    #[error("Request too large")]
    TooLarge,
}

/// Longer than the standard allows, and short enough to be held.
const LONGEST_BOUNDARY: usize = 200;
/// Longest time without a byte.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest time for reading on when the answer is clear already.
const DRAIN_TIME: Duration = Duration::from_secs(10);

impl<'a> Multipart<'a> {
    /// Begins to read a body of at most `limit` bytes.
    pub fn open(headers: &HeaderMap, body: &'a mut BodyDataStream, limit: u64) -> Result<Self, MultipartError> {
        let boundary = boundary(headers).ok_or(MultipartError::NotMultipart)?;
        Ok(Self { body, parser: Parser::new(&boundary), left: limit, begun: false, in_part: false })
    }

    /// The next part, or `None` behind the last one. What was not read of the part before is passed over.
    pub async fn next_part(&mut self) -> Result<Option<PartHead>, MultipartError> {
        while self.in_part {
            self.content().await?;
        }
        match self.event().await? {
            Some(Event::Part(head)) => {
                self.in_part = true;
                Ok(Some(head))
            }
            _ => Ok(None),
        }
    }

    /// The next bytes of the part, or `None` at its end.
    pub async fn content(&mut self) -> Result<Option<Bytes>, MultipartError> {
        if !self.in_part {
            return Ok(None);
        }
        match self.event().await? {
            Some(Event::Content(bytes)) => Ok(Some(bytes)),
            _ => {
                self.in_part = false;
                Ok(None)
            }
        }
    }

    /// The next event but hunger; `None` for a body without a single byte.
    async fn event(&mut self) -> Result<Option<Event>, MultipartError> {
        loop {
            match self.parser.next_event()? {
                Event::Hungry => {}
                event => return Ok(Some(event)),
            }
            let read = tokio::time::timeout(PATIENCE, self.body.next()).await;
            match read.map_err(|_| MultipartError::Stalled)? {
                Some(Ok(bytes)) => {
                    self.left = self.left.checked_sub(bytes.len() as u64).ok_or(MultipartError::TooLarge)?;
                    self.begun |= !bytes.is_empty();
                    self.parser.feed(bytes);
                }
                Some(Err(error)) => return Err(cut_or_too_slow(&error)),
                None if self.begun => return Err(MultipartError::Cut),
                None => return Ok(None),
            }
        }
    }
}

fn cut_or_too_slow(error: &axum::Error) -> MultipartError {
    too_slow(error).map_or(MultipartError::Cut, |slow| MultipartError::TooSlow(slow.to_string()))
}

impl MultipartError {
    /// Whether its sender is so slow that nothing more is read from it.
    pub fn is_too_slow(&self) -> bool {
        matches!(self, Self::Stalled | Self::TooSlow(_))
    }
}

/// Reads what is left of a body of which nothing is wanted any more, so that its sender gets to hear the answer.
pub async fn drain(body: &mut BodyDataStream) {
    let reading = async { while let Some(Ok(_)) = body.next().await {} };
    // A sender that takes longer does without the answer.
    let _ = tokio::time::timeout(DRAIN_TIME, reading).await;
}

/// The boundary that the content type names.
fn boundary(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let kind = value.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let (_, boundary) = parser::parameters(value).into_iter().find(|(name, _)| name == "boundary")?;
    (1..=LONGEST_BOUNDARY).contains(&boundary.len()).then_some(boundary)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boundary_in(value: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, value.parse().unwrap());
        boundary(&headers)
    }

    #[test]
    fn the_boundary_is_found_with_and_without_quotes() {
        for value in [
            "multipart/form-data; boundary=--x'y",
            "Multipart/Form-Data;charset=utf-8;Boundary=\"--x'y\"",
            "multipart/form-data ; boundary=--x'y ; more=1",
        ] {
            assert_eq!(boundary_in(value).as_deref(), Some("--x'y"), "{value}");
        }
        let long = format!("multipart/form-data; boundary={}", "x".repeat(LONGEST_BOUNDARY + 1));
        for value in ["application/json", "multipart/mixed; boundary=x", "multipart/form-data", &long] {
            assert_eq!(boundary_in(value), None, "{value}");
        }
    }
}
