//! [`S3Proxy`]: stands before the S3 server and breaks what it is told to. It never changes a byte of a request that it
//! passes on.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A proxy that goes when this is dropped.
pub struct S3Proxy {
    /// Where it listens: `http://127.0.0.1:<port>`.
    pub endpoint: String,
    plan: Arc<Mutex<Plan>>,
    task: JoinHandle<()>,
}

/// What breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum S3Fault {
    /// This status with this code, and nothing is done.
    Refused(u16, &'static str),
    /// The same without a word on what is wrong, as one who stands in between answers.
    Bare(u16),
    /// Status 200 with an error inside, and nothing is done.
    ErrorInside,
    /// It is done, and half of the answer's body comes before the connection ends.
    Truncated,
    /// It is done, half of the answer's body comes, and then nothing more.
    Stalled,
    /// The connection is reset before anything is done.
    Reset,
    /// It is done, and then the connection is reset.
    LostAnswer,
    /// Nothing is done and nothing is answered.
    Silent,
    /// The server says that it was done and has lost it.
    Swallowed,
}

#[derive(Default)]
struct Plan {
    faults: Vec<(&'static str, S3Fault, u32)>,
    seen: Vec<&'static str>,
}

/// A request, whole.
struct Asked {
    operation: &'static str,
    head: String,
    body: Vec<u8>,
}

/// More often than anything is tried.
pub const ALWAYS: u32 = u32::MAX;

impl S3Proxy {
    /// Before the server at `endpoint`.
    pub async fn before(endpoint: &str) -> Self {
        let server = endpoint.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let plan = Arc::<Mutex<Plan>>::default();
        let known = Arc::clone(&plan);
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (server, plan) = (server.clone(), Arc::clone(&known));
                // A client that goes away in the middle is none of our business.
                tokio::spawn(async move { serve(client, &server, &plan).await.ok() });
            }
        });
        Self { endpoint, plan, task }
    }

    /// Breaks the next so many requests of an operation (`PutObject`), or of `any`.
    pub fn inject(&self, operation: &'static str, fault: S3Fault, times: u32) {
        self.plan.lock().unwrap().faults.push((operation, fault, times));
    }

    /// Breaks nothing any more.
    pub fn heal(&self) {
        self.plan.lock().unwrap().faults.clear();
    }

    /// How often an operation was asked for by now.
    pub fn seen(&self, operation: &str) -> usize {
        self.plan.lock().unwrap().seen.iter().filter(|seen| **seen == operation).count()
    }
}

impl Drop for S3Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request per connection.
async fn serve(mut client: TcpStream, server: &str, plan: &Mutex<Plan>) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let Some(asked) = read(&mut client).await? else { return Ok(()) };
    let fault = due(&mut plan.lock().unwrap(), asked.operation);
    let answer = match fault {
        Some(S3Fault::Reset) => return reset(client),
        Some(S3Fault::Silent) => return silence(client).await,
        Some(S3Fault::Refused(status, code)) => error(status, code),
        Some(S3Fault::Bare(status)) => format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\n{CLOSE}").into_bytes(),
        Some(S3Fault::ErrorInside) => error(200, "InternalError"),
        Some(S3Fault::Swallowed) => {
            format!("HTTP/1.1 200 OK\r\netag: \"swallowed\"\r\ncontent-length: 0\r\n{CLOSE}").into_bytes()
        }
        _ => forward(server, &asked).await?,
    };
    if fault == Some(S3Fault::LostAnswer) {
        return reset(client);
    }
    let body = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
    let half = body + (answer.len() - body) / 2;
    match fault {
        Some(S3Fault::Truncated) => client.write_all(&answer[..half]).await?,
        Some(S3Fault::Stalled) => {
            client.write_all(&answer[..half]).await?;
            return silence(client).await;
        }
        _ => client.write_all(&answer).await?,
    }
    client.shutdown().await
}

const CLOSE: &str = "connection: close\r\n\r\n";

/// What is to break now, if anything is.
fn due(plan: &mut Plan, operation: &'static str) -> Option<S3Fault> {
    plan.seen.push(operation);
    let fits =
        |(wanted, _, times): &&mut (&str, S3Fault, u32)| *times > 0 && (*wanted == "any" || *wanted == operation);
    let (_, fault, times) = plan.faults.iter_mut().find(fits)?;
    *times -= 1;
    Some(*fault)
}

fn error(status: u16, code: &str) -> Vec<u8> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>on purpose</Message></Error>"
    );
    let length = body.len();
    format!("HTTP/1.1 {status} No\r\ncontent-type: application/xml\r\ncontent-length: {length}\r\n{CLOSE}{body}")
        .into_bytes()
}

fn reset(client: TcpStream) -> std::io::Result<()> {
    // Closed with bytes on their way, the connection is reset and not ended.
    client.set_zero_linger()
}

/// Says nothing until the client gives up.
async fn silence(mut client: TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 1024];
    while tokio::time::timeout(Duration::from_secs(60), client.read(&mut buffer))
        .await
        .is_ok_and(|read| matches!(read, Ok(length) if length > 0))
    {}
    Ok(())
}

async fn read(client: &mut TcpStream) -> std::io::Result<Option<Asked>> {
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        match client.read(&mut buffer).await? {
            0 => return Ok(None),
            read => bytes.extend_from_slice(&buffer[..read]),
        }
    };
    let mut body = bytes.split_off(end);
    let head = String::from_utf8(bytes).unwrap();
    let length = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    if header(&head, "expect").is_some() {
        client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    while body.len() < length {
        match client.read(&mut buffer).await? {
            0 => return Ok(None),
            read => body.extend_from_slice(&buffer[..read]),
        }
    }
    Ok(Some(Asked { operation: operation(&head), head, body }))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let line = |line: &'a str| line.split_once(": ").filter(|(found, _)| found.eq_ignore_ascii_case(name));
    Some(head.split("\r\n").find_map(line)?.1)
}

/// The name that S3 has for a request.
fn operation(head: &str) -> &'static str {
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    match method {
        "PUT" if has("partNumber") => "UploadPart",
        "PUT" => "PutObject",
        "POST" if has("uploads") => "CreateMultipartUpload",
        "POST" if has("uploadId") => "CompleteMultipartUpload",
        "POST" if has("delete") => "DeleteObjects",
        "GET" if has("list-type") => "ListObjectsV2",
        "GET" if has("uploads") => "ListMultipartUploads",
        "GET" => "GetObject",
        "HEAD" => "HeadObject",
        "DELETE" if has("uploadId") => "AbortMultipartUpload",
        _ => "another",
    }
}

/// The server's whole answer, on a connection that ends with it.
async fn forward(server: &str, asked: &Asked) -> std::io::Result<Vec<u8>> {
    let mut server = TcpStream::connect(server).await?;
    server.set_nodelay(true)?;
    let (first, rest) = asked.head.split_once("\r\n").unwrap();
    server.write_all(format!("{first}\r\nconnection: close\r\n{rest}").as_bytes()).await?;
    server.write_all(&asked.body).await?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await?;
    Ok(answer)
}
