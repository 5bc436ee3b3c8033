//! The peers: programs that do the bare work with the same libraries and nothing around it, each run as a child of the
//! bench so that the kernel counts its CPU and memory apart.

use std::fs::File;
use std::io::{BufWriter, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use dump_syms::dumper::Config;
use sha1::Digest as _;
use symbolic::common::ByteView;
use symbolic::debuginfo::Archive;
use symbolic::symcache::SymCacheConverter;

use crate::process;

/// Buffer of the bare programs.
const BUFFER: usize = 64 << 10;

/// What a bare program says of itself.
#[derive(serde::Serialize, serde::Deserialize)]
pub struct Report {
    /// Seconds from start to end of the work.
    pub wall: f64,
    /// CPU seconds.
    pub cpu: f64,
    /// Peak memory in MB.
    pub peak: f64,
}

/// Runs a bare program as a child and returns what it reports.
pub fn run(mode: &str, arguments: &[&Path]) -> Result<Report> {
    let mut command = Command::new(std::env::current_exe()?);
    let output = command.arg(mode).args(arguments).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("{mode} failed");
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Starts a bare server as a child; returns it and its address.
pub fn start(mode: &str, arguments: &[&Path]) -> Result<(Serving, String)> {
    let mut command = Command::new(std::env::current_exe()?);
    let mut child = command.arg(mode).args(arguments).stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().context("standard output is piped")?;
    let mut address = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut address)?;
    Ok((Serving(child), address.trim().to_owned()))
}

/// A bare server, ended when dropped.
pub struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Does what `arguments` say, if they name a bare program.
pub fn is_one(arguments: &[String]) -> Option<Result<()>> {
    let paths: Vec<_> = arguments.iter().skip(1).map(PathBuf::from).collect();
    let path = |at: usize| paths.get(at).context("a path is missing");
    match arguments.first().map(String::as_str) {
        Some("bare-chunks") => Some(reported(|| chunks(path(0)?, path(1)?))),
        Some("bare-convert") => Some(reported(|| convert(path(0)?, path(1)?))),
        Some("bare-breakpad") => Some(reported(|| breakpad(path(0)?, path(1)?))),
        Some("bare-answer") => Some(path(0).and_then(|path| answer(path))),
        Some("bare-send") => Some(path(0).and_then(|path| send(path))),
        _ => None,
    }
}

fn reported(work: impl FnOnce() -> Result<()>) -> Result<()> {
    let begin = Instant::now();
    work()?;
    let wall = begin.elapsed().as_secs_f64();
    let pid = std::process::id();
    let peak = process::memory(pid, "VmHWM").unwrap_or(f64::NAN);
    println!("{}", serde_json::to_string(&Report { wall, cpu: process::cpu(pid)?.own, peak })?);
    Ok(())
}

/// Inflates, hashes, compresses, writes and syncs every file of a folder.
fn chunks(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let mut inflated = flate2::read::GzDecoder::new(File::open(entry.path())?);
        let file = File::create(to.join(entry.file_name()))?;
        let mut stored = zstd::stream::write::Encoder::new(file, 1)?;
        let mut hash = sha1::Sha1::new();
        let mut buffer = vec![0; BUFFER];
        loop {
            let got = inflated.read(&mut buffer)?;
            if got == 0 {
                break;
            }
            hash.update(&buffer[..got]);
            stored.write_all(&buffer[..got])?;
        }
        let name = entry.file_name();
        if hex::encode(hash.finalize()) != name.to_string_lossy() {
            bail!("{} has another checksum", name.to_string_lossy());
        }
        stored.finish()?.sync_all()?;
    }
    Ok(())
}

/// Reads, hashes and converts one file.
fn convert(from: &Path, to: &Path) -> Result<()> {
    // As nice as the server's converter, or else a machine that does other things would decide the ratio.
    rustix::process::nice(5)?;
    // Hashed while reading and not in the mapping: pages that only the hash touched are not the converter's memory.
    let (mut file, mut hash, mut buffer) = (File::open(from)?, sha1::Sha1::new(), vec![0; BUFFER]);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            got => hash.update(&buffer[..got]),
        }
    }
    std::hint::black_box(hash.finalize());
    let bytes = ByteView::open(from)?;
    let archive = Archive::parse(&bytes)?;
    let object = archive.object_by_index(0)?.context("no object")?;
    let mut converter = SymCacheConverter::new();
    converter.process_object(&object)?;
    let mut file = BufWriter::new(File::create(to)?);
    converter.serialize(&mut file)?;
    file.flush()?;
    Ok(())
}

/// Has `dump_syms` write the Breakpad text of one file.
fn breakpad(from: &Path, to: &Path) -> Result<()> {
    // As nice as the server's converter.
    rustix::process::nice(5)?;
    let config = Config { check_cfi: false, ..Config::with_output(to.to_owned().into()) };
    let from = from.to_str().context("the path is no text")?;
    dump_syms::dumper::single_file(&config, from).map_err(|error| anyhow::anyhow!("{error}"))
}

/// Answers every request with the bytes of a file, from axum and nothing else.
fn answer(path: &Path) -> Result<()> {
    let body = bytes::Bytes::from(std::fs::read(path)?);
    let answer = move || std::future::ready(body.clone());
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        Ok(axum::serve(listener, axum::Router::new().fallback(answer)).await?)
    })
}

/// Answers every request with a file that the kernel copies, on a thread per connection.
fn send(path: &Path) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    let length = std::fs::metadata(path)?.len();
    for stream in listener.incoming() {
        let (mut stream, path) = (stream?, path.to_owned());
        std::thread::spawn(move || -> Result<()> {
            let mut request = [0; 4096];
            while stream.read(&mut request)? > 0 {
                stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").as_bytes())?;
                std::io::copy(&mut File::open(&path)?, &mut stream)?;
            }
            Ok(())
        });
    }
    Ok(())
}
