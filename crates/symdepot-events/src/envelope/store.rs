//! The body of `/store/`: an event, or base64 of zlib of one.
//!
//! It never inflates more than one byte above the limit of an event.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::{Decompress, FlushDecompress, Status};

use super::Fault;
use super::payload::check_size;

/// Base64 whose padding may be absent, as some clients send it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// How much is inflated at a time, in bytes.
const STEP: usize = 64 << 10;

/// The event in a body of `/store/`. `max` is its largest size in bytes.
pub fn store_body(body: &[u8], max: u64) -> Result<Cow<'_, [u8]>, Fault> {
    if body.first() == Some(&b'{') {
        check_size(body.len(), max)?;
        return Ok(Cow::Borrowed(body));
    }
    let neither = || Fault::grammar("The body is neither a JSON object nor base64 of zlib of one.");
    let text: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let compressed = BASE64.decode(text).map_err(|_| neither())?;
    let limit = usize::try_from(max).unwrap_or(usize::MAX).saturating_add(1);
    let event = inflate(&compressed, limit).ok_or_else(neither)?;
    check_size(event.len(), max)?;
    Ok(Cow::Owned(event))
}

/// Inflates zlib up to `limit` bytes. `None` if the data is broken, cut off, or followed by other bytes.
fn inflate(compressed: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut inflater = Decompress::new(true);
    let mut out = Vec::new();
    loop {
        let read = usize::try_from(inflater.total_in()).ok()?;
        if out.len() == out.capacity() {
            out.reserve_exact(STEP.max(out.len()).min(limit - out.len()));
        }
        let before = out.len();
        let status = inflater.decompress_vec(compressed.get(read..)?, &mut out, FlushDecompress::None).ok()?;
        if out.len() >= limit {
            return Some(out);
        }
        let total = usize::try_from(inflater.total_in()).ok()?;
        match status {
            Status::StreamEnd => return (total == compressed.len()).then_some(out),
            Status::Ok | Status::BufError if out.len() == before && total == read => return None,
            Status::Ok | Status::BufError => {}
        }
    }
}
