//! A hostile or busy neighbour beside an honest client: one file for each kind of attack. What an attack may cost is
//! asserted in work done, never in time: an honest client is answered, or the wait for it has a limit and fails.

mod anonymous;
mod assemble_bodies;
mod builds;
mod connections;
mod jobs;
mod section_headers;
mod short_tasks;
mod uploads;
mod versions;

use symdepot::app::App;
use symdepot::blobs::BlobKey;
use symdepot::types::DebugFile;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::client::{Account, Client};
use crate::support::until;

/// A file with debug information that everything is known of.
const CALC: &str = "elf-x86_64-gcc-dwarf4/calc.debug";
const CALC_ID: &str = "4ec932a9-e89a-f8cd-96b5-496a980e4efe";

/// Takes the symcaches of these debug files away, row and bytes, as if they had never been made.
async fn forget_symcaches(app: &App, files: &[DebugFile]) {
    let ids: Vec<_> = files.iter().map(|file| file.id).collect();
    for row in app.db.symcaches_of(&ids).await.unwrap() {
        if let Some(key) = app.db.delete_symcache(row.id).await.unwrap() {
            app.blobs.delete(&[BlobKey::from_row(&key)]).await.unwrap();
        }
    }
    for file in files {
        app.symcaches.forget(file).await;
    }
}

/// Waits until an organization has no job any more.
async fn no_job_is_left(app: &App, organization_id: i64) {
    let none = || async { (app.db.open_jobs(organization_id, 1).await.unwrap() == 0).then_some(()) };
    until("no job is left", none).await;
}

/// A connection of a client that does as it likes.
pub struct Raw(TcpStream);

impl Raw {
    /// Connects and sends nothing.
    pub async fn connect(client: &Client) -> Self {
        Self(TcpStream::connect(client.url.trim_start_matches("http://")).await.unwrap())
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Everything that comes until the server closes the connection.
    pub async fn response(&mut self) -> String {
        let mut bytes = Vec::new();
        // A reset is an end too.
        let _reset = self.0.read_to_end(&mut bytes).await;
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whether the server has closed the connection; it never waits.
    pub fn is_closed(&self) -> bool {
        match self.0.try_read(&mut [0; 1024]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}

/// The head of a request with a body of 1 GiB, of which nothing is sent.
fn head(account: &Account, path: &str, content_type: &str) -> String {
    let token = &account.token;
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: {content_type}\r\n\
         content-length: 1073741824\r\n\r\n"
    )
}

/// The beginning of a form with one file.
fn form(field: &str, name: &str) -> String {
    format!("--x\r\ncontent-disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\r\n")
}

const MULTIPART: &str = "multipart/form-data; boundary=x";
