//! A client that uploads as sentry-cli does: chunks of 8 MiB, gzip level 1, requests of 32 MiB, several at a time.
//! It never asks which chunks are missing: it sends all it is given.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};
use sha1::Digest as _;

use crate::server::Server;
use crate::wire::Connection;

/// Bytes of a chunk.
pub const CHUNK: usize = 8 << 20;
/// Chunks of a request, by its size.
const PER_REQUEST: usize = 4;
/// Chunks of a request, by their number.
const MOST_PARTS: usize = 64;
/// Where chunks go.
const CHUNKS: &str = "/api/0/organizations/default/chunk-upload/";
/// Where files are asked for.
pub const ASSEMBLE: &str = "/api/0/projects/default/default/files/difs/assemble/";
/// The type of an assemble request.
pub const JSON: &str = "application/json";
/// What stands between parts.
const BOUNDARY: &str = "------------------------benchbenchbenchbenchbe";

/// A file cut into chunks.
pub struct Cut {
    path: PathBuf,
    /// Checksum of the whole.
    pub sha1: String,
    /// Checksums of the chunks.
    pub chunks: Vec<String>,
}

impl Cut {
    /// Reads and hashes a file.
    pub fn of(path: &Path) -> Result<Self> {
        let mut file = std::fs::File::open(path)?;
        let (mut whole, mut chunks) = (sha1::Sha1::new(), Vec::new());
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            (&mut file).take(CHUNK as u64).read_to_end(&mut chunk)?;
            if chunk.is_empty() {
                break;
            }
            whole.update(&chunk);
            chunks.push(hex::encode(sha1::Sha1::digest(&chunk)));
        }
        Ok(Self { path: path.to_owned(), sha1: hex::encode(whole.finalize()), chunks })
    }

    /// The bytes of chunk `at` as they are sent.
    pub fn gzipped(&self, at: usize) -> Result<Vec<u8>> {
        let file = std::fs::File::open(&self.path)?;
        let mut chunk = vec![0; CHUNK];
        let from = (at * CHUNK) as u64;
        let length = CHUNK.min(file.metadata()?.len().saturating_sub(from) as usize);
        file.read_exact_at(&mut chunk[..length], from)?;
        gzip(&chunk[..length])
    }

    /// What the assemble request says of this file.
    pub fn wish(&self) -> Value {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        json!({&self.sha1: {"name": name, "chunks": self.chunks}})
    }
}

/// Sends all chunks of a file over `concurrency` connections.
pub fn upload(server: &Server, cut: &Cut, concurrency: usize) -> Result<()> {
    let next = AtomicUsize::new(0);
    let send = || -> Result<()> {
        let mut connection = server.connect()?;
        loop {
            let from = next.fetch_add(PER_REQUEST, Ordering::Relaxed);
            if from >= cut.chunks.len() {
                return Ok(());
            }
            let range = from..cut.chunks.len().min(from + PER_REQUEST);
            let parts = range.map(|at| Ok((cut.chunks[at].clone(), cut.gzipped(at)?))).collect::<Result<Vec<_>>>()?;
            send_chunks(&mut connection, &parts)?;
        }
    };
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..concurrency).map(|_| scope.spawn(send)).collect();
        senders.into_iter().try_for_each(|sender| sender.join().unwrap_or_else(|_| bail!("a sender panicked")))
    })
}

/// Sends many small files, each one chunk; returns their checksums.
pub fn upload_small(server: &Server, files: &[String]) -> Result<Vec<String>> {
    let mut connection = server.connect()?;
    let mut sums = Vec::with_capacity(files.len());
    for batch in files.chunks(MOST_PARTS) {
        let parts = batch.iter().map(|text| Ok((hex::encode(sha1::Sha1::digest(text)), gzip(text.as_bytes())?)));
        let parts = parts.collect::<Result<Vec<_>>>()?;
        send_chunks(&mut connection, &parts)?;
        sums.extend(parts.into_iter().map(|(sum, _)| sum));
    }
    Ok(sums)
}

/// Asks until every file of the request is `ok`; returns the seconds from the first ask to the last answer, and the
/// last answer.
pub fn assemble(
    server: &Server,
    wish: &Value,
    look_again: Duration,
    limit: Duration,
) -> Result<(f64, Map<String, Value>)> {
    let mut connection = server.connect()?;
    let body = serde_json::to_vec(wish)?;
    let begin = Instant::now();
    loop {
        let reply = connection.ask("POST", ASSEMBLE, JSON, &[&body])?.json()?;
        let states = reply.as_object().context("an assemble answer is an object")?;
        if states.values().all(|entry| entry["state"] == "ok") {
            return Ok((begin.elapsed().as_secs_f64(), states.clone()));
        }
        if let Some(bad) = states.values().find(|entry| entry["state"] == "error" || entry["state"] == "not_found") {
            bail!("not assembled: {bad}");
        }
        if begin.elapsed() > limit {
            bail!("not assembled within {limit:?}");
        }
        std::thread::sleep(look_again);
    }
}

/// Uploads small files and waits until they are known; returns the request that asks for all of them, and the answer.
pub fn register_small(server: &Server, files: &[String]) -> Result<(Value, Map<String, Value>)> {
    register_sent(server, upload_small(server, files)?)
}

/// The same with files of one chunk each that were sent already.
pub fn register_sent(server: &Server, sums: Vec<String>) -> Result<(Value, Map<String, Value>)> {
    let wish: Map<_, _> =
        sums.into_iter().map(|sum| (sum.clone(), json!({"name": "bench.sym", "chunks": [sum]}))).collect();
    let wish = Value::Object(wish);
    let (_, answer) = assemble(server, &wish, Duration::from_millis(200), Duration::from_secs(240))?;
    Ok((wish, answer))
}

fn send_chunks(connection: &mut Connection, parts: &[(String, Vec<u8>)]) -> Result<()> {
    let heads: Vec<_> = parts
        .iter()
        .map(|(sum, _)| {
            format!(
                "\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file_gzip\"; filename=\"{sum}\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n"
            )
        })
        .collect();
    let end = format!("\r\n--{BOUNDARY}--\r\n");
    let mut pieces: Vec<&[u8]> = Vec::new();
    for (at, (head, (_, bytes))) in heads.iter().zip(parts).enumerate() {
        pieces.push(&head.as_bytes()[if at == 0 { 2 } else { 0 }..]);
        pieces.push(bytes);
    }
    pieces.push(end.as_bytes());
    let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
    let reply = connection.ask("POST", CHUNKS, &content_type, &pieces)?;
    if reply.status != 200 {
        bail!("chunk upload: status {}: {}", reply.status, String::from_utf8_lossy(&reply.body));
    }
    Ok(())
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(1));
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}
