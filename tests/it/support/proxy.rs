//! [`Proxy`]: what stands in front of several servers in a company. It hands requests out in turn, goes to the next
//! server when one is gone, and answers 502 when all are: clients see no more of a dead server than that.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A proxy that ends when this is dropped.
pub struct Proxy {
    /// Where it listens, without a slash at the end.
    pub url: String,
    state: Arc<State>,
    running: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    servers: Mutex<Vec<SocketAddr>>,
    next: AtomicUsize,
    moved: AtomicUsize,
    refused: AtomicUsize,
}

impl Proxy {
    /// A proxy in front of nobody.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State::default());
        let running = tokio::spawn({
            let state = Arc::clone(&state);
            async move {
                loop {
                    let (client, _) = listener.accept().await.unwrap();
                    let state = Arc::clone(&state);
                    tokio::spawn(async move { state.serve(client).await });
                }
            }
        });
        Self { url, state, running }
    }

    /// Hands requests to these servers from now on.
    pub fn in_front_of(&self, urls: impl IntoIterator<Item = String>) {
        let address = |url: String| url.strip_prefix("http://").unwrap().parse().unwrap();
        *self.state.servers.lock().unwrap() = urls.into_iter().map(address).collect();
    }

    /// How many requests went on to another server because the first one was gone, and how many found none.
    pub fn trouble(&self) -> (usize, usize) {
        (self.state.moved.load(Ordering::Relaxed), self.state.refused.load(Ordering::Relaxed))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl State {
    /// One connection, one request: that is how the clients do it over plain HTTP.
    async fn serve(&self, mut client: TcpStream) {
        let Some(request) = read_message(&mut client).await else { return };
        let servers = self.servers.lock().unwrap().clone();
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        for at in 0..servers.len() {
            if let Some(answer) = ask(servers[(first + at) % servers.len()], &request).await {
                client.write_all(&answer).await.ok();
                client.shutdown().await.ok();
                return;
            }
            self.moved.fetch_add(1, Ordering::Relaxed);
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        let answer = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        client.write_all(answer).await.ok();
    }
}

/// The whole answer of a server, or `None` if it was not there to give one.
async fn ask(server: SocketAddr, request: &[u8]) -> Option<Vec<u8>> {
    let mut connection = TcpStream::connect(server).await.ok()?;
    connection.write_all(request).await.ok()?;
    read_message(&mut connection).await
}

/// A request or an answer up to its end, asking the other side to close the connection after it. `None` if it broke off.
async fn read_message(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let end_of_head = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if from.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end_of_head].to_vec()).ok()?;
    let mut lines: Vec<_> = head.trim_end().split("\r\n").map(str::to_owned).collect();
    let length = lines.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
    });
    assert!(!head.to_ascii_lowercase().contains("transfer-encoding: chunked"), "this proxy cannot: {head}");
    let length = length.unwrap_or(0);
    let mut body = bytes.split_off(end_of_head);
    while body.len() < length {
        if from.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    lines.retain(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let mut message = format!("{}\r\nConnection: close\r\n\r\n", lines.join("\r\n")).into_bytes();
    message.extend(body);
    Some(message)
}
