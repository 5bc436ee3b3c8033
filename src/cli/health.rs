//! `health`: asks a server whether it is ready. It speaks plain HTTP and nothing more, because it asks its own server: the
//! one that last started on the same data folder.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::say;
use crate::config::Config;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longest answer that is read.
const LONGEST: u64 = 64 << 10;

/// Whether a server is ready.
#[derive(Debug, clap::Args)]
pub struct Health {
    /// The server's address, such as `http://127.0.0.1:8000`; without it that of the server on the same data folder, or
    /// else the setting `listen`.
    url: Option<String>,
}

impl Health {
    /// Prints `ready`, or fails with the reason.
    pub async fn run(self, config: &Config) -> anyhow::Result<()> {
        let url = self.url.unwrap_or_else(|| own_server(config));
        let Some(address) = url.strip_prefix("http://") else {
            bail!("`{url}` cannot be asked: give the server's own address, http://HOST:PORT");
        };
        let address = address.split('/').next().unwrap_or_default();
        let address = if address.contains(':') { address.to_owned() } else { format!("{address}:80") };
        let answer = tokio::time::timeout(PATIENCE, ask(&address)).await;
        let answer = answer.with_context(|| format!("{url} does not answer"))?;
        let answer = answer.with_context(|| format!("{url} cannot be reached"))?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).unwrap_or_default();
        if status != "200" {
            bail!("{url} is not ready: status {status} {body}");
        }
        say("ready");
        Ok(())
    }
}

async fn ask(address: &str) -> std::io::Result<String> {
    let mut connection = TcpStream::connect(address).await?;
    let request = format!("GET /health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    connection.take(LONGEST).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The URL of the server on the data folder, wherever it came to listen.
fn own_server(config: &Config) -> String {
    let noted = std::fs::read_to_string(config.listener_note()).ok();
    let noted = noted.filter(|address| address.parse::<SocketAddr>().is_ok());
    format!("http://{}", reachable(&noted.unwrap_or_else(|| config.listen.clone())))
}

/// An address that listens everywhere is reached here.
fn reachable(listen: &str) -> String {
    match listen.rsplit_once(':') {
        Some(("0.0.0.0", port)) => format!("127.0.0.1:{port}"),
        Some(("[::]", port)) => format!("[::1]:{port}"),
        _ => listen.to_owned(),
    }
}
