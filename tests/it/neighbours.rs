//! A hostile or busy neighbour beside an honest client: whatever the first does, the second is served.
//!
//! Nothing here asserts a duration: an honest client is answered, or the wait for it has a limit and fails.

mod anonymous;
mod connections;
mod uploads;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::client::{Account, Client};

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
