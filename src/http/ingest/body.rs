//! The body of a request, received and decoded within limits: small ones in memory, large ones in nameless temp files. It never
//! holds more than a megabyte of a large one.

use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use futures_util::StreamExt as _;
use memmap2::Mmap;

use super::answer::Refusal;
use crate::app::App;
use crate::http::error::ApiError;
use crate::http::rated_body::unreadable_body;

/// What is held in memory; more goes to a file.
const IN_MEMORY: usize = 1 << 20;
/// Bodies up to this size are decoded in place, which takes less than a millisecond.
const IN_PLACE: usize = 64 << 10;
/// Bytes of a mapped body that are handed on at a time.
const STEP: usize = 256 << 10;
/// Codings of one body.
const MOST_CODINGS: usize = 3;

/// A whole body.
pub enum Whole {
    /// In memory.
    Bytes(Bytes),
    /// In a nameless file, mapped.
    Mapped(Mmap),
}

/// A part of a whole body, which is not copied.
#[derive(Clone)]
pub struct Part {
    whole: Arc<Whole>,
    range: Range<usize>,
}

impl Part {
    /// A part of it.
    pub fn of(whole: &Arc<Whole>, range: Range<usize>) -> Self {
        Self { whole: Arc::clone(whole), range }
    }
}

impl From<Whole> for Part {
    fn from(whole: Whole) -> Self {
        let range = 0..whole.len();
        Self { whole: Arc::new(whole), range }
    }
}

impl Deref for Part {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.whole[self.range.clone()]
    }
}

impl Whole {
    /// The same as a body, in steps.
    pub fn into_body(self) -> Body {
        match self {
            Self::Bytes(bytes) => Body::from(bytes),
            Self::Mapped(map) => {
                let map = Arc::new(map);
                let steps = (0..map.len().div_ceil(STEP)).map(move |step| {
                    let end = map.len().min((step + 1) * STEP);
                    Ok::<_, std::convert::Infallible>(Bytes::copy_from_slice(&map[step * STEP..end]))
                });
                Body::from_stream(futures_util::stream::iter(steps))
            }
        }
    }
}

impl Deref for Whole {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Mapped(map) => map,
        }
    }
}

/// How bytes were coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// Receives a body of an organization, 0 if that is not known yet, and decodes it.
pub async fn received(app: &App, organization_id: i64, headers: &HeaderMap, body: Body) -> Result<Whole, Refusal> {
    let codings = codings(headers)?;
    let settings = &app.config.events;
    let encoded = collected(app, organization_id, body, settings.max_request).await?;
    let limit = settings.max_envelope;
    let temp_dir = app.config.temp_dir();
    let small = encoded.size() <= IN_PLACE as u64;
    if codings.is_empty() {
        return encoded.whole(limit).map_err(Refusal::from);
    }
    let decode = move || {
        let mut encoded = encoded;
        for coding in codings.iter().rev() {
            let mut decoded = Sink::new(limit, &temp_dir);
            encoded.decode(*coding, &mut decoded)?;
            encoded = decoded;
        }
        encoded.whole(limit)
    };
    let decoded = if small { decode() } else { tokio::task::spawn_blocking(decode).await.map_err(failed)? };
    decoded.map_err(Refusal::from)
}

/// Undoes zlib.
pub async fn inflated(app: &App, packed: Whole) -> Result<Whole, Refusal> {
    let (limit, temp_dir) = (app.config.events.max_envelope, app.config.temp_dir());
    let inflate = move || {
        let mut sink = Sink::new(limit, &temp_dir);
        undo(Coding::Deflate, &packed, &mut sink)?;
        sink.whole(limit)
    };
    Ok(tokio::task::spawn_blocking(inflate).await.map_err(failed)??)
}

fn failed(error: tokio::task::JoinError) -> Refusal {
    ApiError::internal(error).into()
}

/// The codings of a body, in the order in which they were applied.
fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, Refusal> {
    let mut codings = Vec::new();
    let unsupported = |name: &str| {
        let name: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
        Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("The content encoding `{name}` is not supported. Send gzip, deflate, br, zstd or identity."),
        )
    };
    for value in headers.get_all(header::CONTENT_ENCODING) {
        let value = value.to_str().map_err(|_| unsupported("?"))?;
        for name in value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            codings.push(match name.to_ascii_lowercase().as_str() {
                "identity" => continue,
                "gzip" | "x-gzip" => Coding::Gzip,
                "deflate" => Coding::Deflate,
                "br" => Coding::Brotli,
                "zstd" => Coding::Zstd,
                _ => return Err(unsupported(name)),
            });
        }
    }
    if codings.len() > MOST_CODINGS {
        return Err(unsupported("more than three"));
    }
    Ok(codings)
}

/// Takes a body in. A large one takes a place among those until it is here, so that no number of them fills the disk.
async fn collected(app: &App, organization_id: i64, body: Body, limit: u64) -> Result<Sink, Refusal> {
    let mut sink = Sink::new(limit, &app.config.temp_dir());
    let mut body = body.into_data_stream();
    let mut place = None;
    while let Some(bytes) = body.next().await {
        let bytes = bytes.map_err(|error| unreadable_body(&error))?;
        if place.is_none() && sink.size() + bytes.len() as u64 > IN_MEMORY as u64 {
            let admitted = app.events.large.acquire(organization_id).await;
            place = Some(admitted.map_err(|_| Refusal::busy())?);
        }
        // What arrives at a time is small, and the file is in the cache of the machine.
        match sink.write_all(&bytes) {
            Ok(()) => {}
            Err(error) => return Err(Fault::from(error).into()),
        }
    }
    Ok(sink)
}

/// Why a body could not be decoded.
pub enum Fault {
    /// It is larger than the limit.
    TooLarge,
    /// It is not what it should be.
    Broken(String),
    /// There is no room on the disk.
    Temp(io::Error),
}

/// The error by which a sink says that it is full.
const FULL: &str = "the limit is reached";

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::Other if error.to_string() == FULL => Self::TooLarge,
            io::ErrorKind::StorageFull => Self::Temp(error),
            _ => Self::Broken(error.to_string()),
        }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::TooLarge => Self::too_large("The request is larger than the server accepts."),
            Fault::Broken(reason) => Self::bad(format!("The body cannot be decoded: {reason}.")),
            Fault::Temp(error) => ApiError::Full(error.into()).into(),
        }
    }
}

/// Takes bytes up to a limit, in memory or in a file.
pub struct Sink {
    limit: u64,
    temp_dir: PathBuf,
    bytes: Vec<u8>,
    file: Option<(File, u64)>,
}

impl Sink {
    /// Takes up to `limit` bytes.
    pub fn new(limit: u64, temp_dir: &Path) -> Self {
        Self { limit, temp_dir: temp_dir.to_owned(), bytes: Vec::new(), file: None }
    }

    fn size(&self) -> u64 {
        self.file.as_ref().map_or(self.bytes.len() as u64, |(_, size)| *size)
    }

    /// Undoes one coding.
    fn decode(self, coding: Coding, to: &mut Self) -> Result<(), Fault> {
        let whole = self.whole(u64::MAX)?;
        undo(coding, &whole, to)
    }

    /// What was taken, if it is not more than `limit`.
    pub fn whole(self, limit: u64) -> Result<Whole, Fault> {
        if self.size() > limit {
            return Err(Fault::TooLarge);
        }
        match self.file {
            None => Ok(Whole::Bytes(self.bytes.into())),
            Some((file, _)) => Ok(Whole::Mapped(mapped(&file).map_err(Fault::Temp)?)),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.size() + bytes.len() as u64 > self.limit {
            return Err(io::Error::other(FULL));
        }
        match &mut self.file {
            Some((file, size)) => {
                file.write_all(bytes)?;
                *size += bytes.len() as u64;
            }
            None if self.bytes.len() + bytes.len() <= IN_MEMORY => self.bytes.extend_from_slice(bytes),
            None => {
                let mut file = tempfile::tempfile_in(&self.temp_dir)?;
                file.write_all(&self.bytes)?;
                file.write_all(bytes)?;
                let size = (self.bytes.len() + bytes.len()) as u64;
                (self.bytes, self.file) = (Vec::new(), Some((file, size)));
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[expect(unsafe_code, reason = "the file has no name and is not written any more")]
fn mapped(file: &File) -> io::Result<Mmap> {
    // SAFETY: nothing else has this file, and nothing writes to it while it is mapped.
    unsafe { Mmap::map(file) }
}

/// Undoes one coding.
fn undo(coding: Coding, mut input: &[u8], to: &mut Sink) -> Result<(), Fault> {
    match coding {
        Coding::Gzip => gzip(&mut input, to)?,
        Coding::Deflate => deflate(&mut input, to)?,
        // Its reader takes more than it needs, and does not say what is left.
        Coding::Brotli => {
            copy(&mut brotli_decompressor::Decompressor::new(&mut input, 4096), to)?;
            return Ok(());
        }
        Coding::Zstd => {
            let mut reader = zstd::stream::read::Decoder::with_buffer(&mut input)?;
            reader.window_log_max(27)?;
            copy(&mut reader, to)?;
        }
    }
    match input.is_empty() {
        true => Ok(()),
        false => Err(Fault::Broken("bytes follow its end".to_owned())),
    }
}

fn copy(from: &mut impl Read, to: &mut Sink) -> Result<(), Fault> {
    io::copy(from, to).map(drop).map_err(Fault::from)
}

/// One member after the other.
fn gzip(input: &mut &[u8], to: &mut Sink) -> Result<(), Fault> {
    loop {
        let mut reader = flate2::bufread::GzDecoder::new(&mut *input);
        copy(&mut reader, to)?;
        if !input.starts_with(&[0x1f, 0x8b]) {
            return Ok(());
        }
    }
}

/// With the header of zlib, or without any.
fn deflate(input: &mut &[u8], to: &mut Sink) -> Result<(), Fault> {
    let is_zlib = matches!(**input, [first, second, ..]
        if first & 0x0f == 8 && (u16::from(first) << 8 | u16::from(second)) % 31 == 0);
    match is_zlib {
        true => copy(&mut flate2::bufread::ZlibDecoder::new(&mut *input), to),
        false => copy(&mut flate2::bufread::DeflateDecoder::new(&mut *input), to),
    }
}
