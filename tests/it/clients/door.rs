//! [`Door`]: stands in front of a server that dies, as a load balancer would, and keeps the client waiting at the step
//! where the test wants the server to die. It never changes a byte.

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

/// What the test does with a door: waits for somebody to be held, lets them in.
#[derive(Debug, Default)]
pub struct Handle {
    server: Mutex<String>,
    assembles: Mutex<usize>,
    held: Notify,
    opened: Notify,
}

impl Door {
    /// A door on a free port, in front of nothing yet.
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { url: format!("http://{}", listener.local_addr().unwrap()), listener }
    }

    /// Passes everything on to `server`, except that the `nth` request to assemble is held until the door is opened.
    pub fn hold(self, nth: usize, server: &str) -> Arc<Handle> {
        let handle = Arc::new(Handle { server: Mutex::new(server.to_owned()), ..Handle::default() });
        let shared = Arc::clone(&handle);
        tokio::spawn(async move {
            while let Ok((client, _)) = self.listener.accept().await {
                tokio::spawn(pass(client, Arc::clone(&shared), nth));
            }
        });
        handle
    }
}

impl Handle {
    /// Waits until the request is held. Nothing of it has reached the server, and every one before has its answer.
    pub async fn held(&self) {
        self.held.notified().await;
    }

    /// Lets everybody in, to `server` from now on.
    pub fn open(&self, server: &str) {
        server.clone_into(&mut self.server.lock().unwrap());
        self.opened.notify_one();
    }
}

async fn pass(mut client: TcpStream, handle: Arc<Handle>, nth: usize) {
    // The clients make one connection per request, and a request's head is more than this.
    let mut head = vec![0; 64];
    let Ok(_) = client.read_exact(&mut head).await else { return };
    if is_assemble(&mut client, &mut head).await {
        let number = {
            let mut assembles = handle.assembles.lock().unwrap();
            *assembles += 1;
            *assembles
        };
        if number == nth {
            handle.held.notify_one();
            handle.opened.notified().await;
        }
    }
    let address = handle.server.lock().unwrap().trim_start_matches("http://").to_owned();
    let mut server = TcpStream::connect(address).await.unwrap();
    server.write_all(&head).await.unwrap();
    // Either side may hang up as it likes.
    let _ended = copy_bidirectional(&mut client, &mut server).await;
}

/// Reads on to the end of the request line and says what it asks for.
async fn is_assemble(client: &mut TcpStream, head: &mut Vec<u8>) -> bool {
    while !head.contains(&b'\n') {
        let Ok(byte) = client.read_u8().await else { return false };
        head.push(byte);
    }
    let line = String::from_utf8_lossy(head);
    line.lines().next().is_some_and(|line| line.contains("/files/difs/assemble/"))
}
