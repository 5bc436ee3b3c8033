//! [`Door`]: stands in front of a server, as a load balancer would, and remembers who came. It can keep a client
//! waiting at the step where the test wants the server to die. It never changes a byte.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// A listener that passes connections on to a server.
#[derive(Debug)]
pub struct Door {
    /// Where clients knock, without a slash at the end.
    pub url: String,
    listener: TcpListener,
}

/// What the test does with an open door: sees who came, waits for somebody to be held, lets them in.
#[derive(Debug)]
pub struct Doorkeeper {
    server: Mutex<String>,
    came: Mutex<Vec<String>>,
    hold: Option<(&'static str, usize)>,
    held: Notify,
    opened: Notify,
}

impl Door {
    /// A door on a free port, in front of nothing yet.
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { url: format!("http://{}", listener.local_addr().unwrap()), listener }
    }

    /// Passes everything on to `server`.
    pub fn lead_to(self, server: &str) -> Arc<Doorkeeper> {
        self.open(server, None)
    }

    /// The same, except that the `nth` request for a path with `part` in it is held until the doorkeeper lets it in.
    pub fn hold(self, part: &'static str, nth: usize, server: &str) -> Arc<Doorkeeper> {
        self.open(server, Some((part, nth)))
    }

    fn open(self, server: &str, hold: Option<(&'static str, usize)>) -> Arc<Doorkeeper> {
        let server = Mutex::new(server.to_owned());
        let (held, opened) = (Notify::new(), Notify::new());
        let keeper = Arc::new(Doorkeeper { server, came: Mutex::default(), hold, held, opened });
        let shared = Arc::clone(&keeper);
        tokio::spawn(async move {
            while let Ok((client, _)) = self.listener.accept().await {
                tokio::spawn(pass(client, Arc::clone(&shared)));
            }
        });
        keeper
    }
}

impl Doorkeeper {
    /// Waits until the request is held. Nothing of it has reached the server, and every one before has its answer.
    pub async fn held(&self) {
        self.held.notified().await;
    }

    /// Lets everybody in, to `server` from now on.
    pub fn let_in(&self, server: &str) {
        server.clone_into(&mut self.server.lock().unwrap());
        self.opened.notify_one();
    }

    /// How many requests began so, such as `POST /api/`, with `part` in the rest of their first line.
    pub fn count(&self, start: &str, part: &str) -> usize {
        self.came.lock().unwrap().iter().filter(|line| line.starts_with(start) && line.contains(part)).count()
    }
}

async fn pass(mut client: TcpStream, keeper: Arc<Doorkeeper>) {
    // The clients make one connection per request.
    let Some(head) = first_line(&mut client).await else { return };
    let line = String::from_utf8_lossy(&head).trim().to_owned();
    keeper.came.lock().unwrap().push(line.clone());
    if let Some((part, nth)) = keeper.hold
        && line.contains(part)
        && keeper.count("", part) == nth
    {
        keeper.held.notify_one();
        keeper.opened.notified().await;
    }
    let address = keeper.server.lock().unwrap().trim_start_matches("http://").to_owned();
    let mut server = TcpStream::connect(address).await.unwrap();
    server.write_all(&head).await.unwrap();
    // Either side may hang up as it likes.
    let _ended = copy_bidirectional(&mut client, &mut server).await;
}

/// Reads to the end of the request line, byte by byte, so that everything after it is still to come.
async fn first_line(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        line.push(client.read_u8().await.ok()?);
    }
    Some(line)
}
