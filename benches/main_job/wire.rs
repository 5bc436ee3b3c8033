//! A blocking HTTP/1.1 client that costs little beside the server it measures. It knows no TLS and no redirects.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Context as _, Result, bail};
use rustix::net::RecvFlags;

/// Most bytes thrown away at a time.
const DISCARD: usize = 1 << 20;

/// One kept-alive connection with a token.
pub struct Connection {
    stream: BufReader<TcpStream>,
    token: String,
}

/// An answer.
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Header lines, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Reply {
    /// The answer as JSON, if its status is 200.
    pub fn json(&self) -> Result<serde_json::Value> {
        if self.status != 200 {
            bail!("status {}: {}", self.status, String::from_utf8_lossy(&self.body));
        }
        Ok(serde_json::from_slice(&self.body)?)
    }
}

impl Connection {
    /// Connects to `address` (`host:port`).
    pub fn open(address: &str, token: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::with_capacity(64 << 10, stream), token: token.to_owned() })
    }

    /// Asks and reads the whole answer into memory.
    pub fn ask(&mut self, method: &str, path: &str, content_type: &str, body: &[&[u8]]) -> Result<Reply> {
        let mut reply = self.begin(method, path, content_type, body)?;
        reply.body = if let Some(length) = reply.length() {
            let mut body = vec![0; length];
            self.stream.read_exact(&mut body)?;
            body
        } else if reply.header("transfer-encoding") == Some("chunked") {
            self.chunked()?
        } else {
            Vec::new()
        };
        Ok(reply)
    }

    /// Asks and has the kernel throw the body away uncopied, so that the client's cost is not measured as the server's;
    /// returns how many bytes came.
    pub fn discard(&mut self, path: &str) -> Result<u64> {
        let reply = self.begin("GET", path, "", &[])?;
        if reply.status != 200 {
            bail!("download: status {}", reply.status);
        }
        let length = reply.length().context("an answer without length")?;
        let buffered = self.stream.buffer().len().min(length);
        self.stream.consume(buffered);
        let mut left = length - buffered;
        let mut buffer = vec![0; DISCARD];
        while left > 0 {
            let most = left.min(DISCARD);
            let (_, got) = rustix::net::recv(self.stream.get_ref(), &mut buffer[..most], RecvFlags::TRUNC)?;
            if got == 0 {
                bail!("the answer ended {left} bytes early");
            }
            left -= got;
        }
        Ok(length as u64)
    }

    /// Asks and waits for the beginning of the answer. What follows is not read: the connection is of no use after.
    pub fn first_byte(&mut self, path: &str) -> Result<()> {
        let reply = self.begin("GET", path, "", &[])?;
        if reply.status != 200 {
            bail!("{path}: status {}", reply.status);
        }
        self.stream.fill_buf()?;
        Ok(())
    }

    fn begin(&mut self, method: &str, path: &str, content_type: &str, body: &[&[u8]]) -> Result<Reply> {
        let length: usize = body.iter().map(|part| part.len()).sum();
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {}\r\n", self.token);
        if method != "GET" {
            head.push_str(&format!("Content-Type: {content_type}\r\nContent-Length: {length}\r\n"));
        }
        head.push_str("\r\n");
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes())?;
        for part in body {
            stream.write_all(part)?;
        }
        self.head()
    }

    fn head(&mut self) -> Result<Reply> {
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.with_context(|| format!("no HTTP answer: {status_line:?}"))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok(Reply { status, headers, body: Vec::new() })
    }

    fn chunked(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = usize::from_str_radix(self.line()?.trim(), 16)?;
            let start = body.len();
            body.resize(start + size, 0);
            self.stream.read_exact(&mut body[start..])?;
            self.line()?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            bail!("the server closed the connection");
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Reply {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    fn length(&self) -> Option<usize> {
        self.header("content-length")?.parse().ok()
    }
}
