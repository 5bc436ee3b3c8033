//! [`Door`]: the only way out of the house. One file is asked for at an address that is checked before each connection
//! is made, and what comes is bounded in size, time and redirects.
//!
//! Proxies and cookies are never used, and a password goes to the host it was given for and to no other.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::Seek as _;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, LOCATION, TRANSFER_ENCODING};
use reqwest::{Client, Response, StatusCode, Url};
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use super::Need;
use super::base::{Allowed, credentials, not_asked, redirected};
use super::paths::is_ordinary;
use crate::config::Upstreams as Settings;

/// What debuginfod says that a file is called.
const FILE: &str = "x-debuginfod-file";

/// The way out.
#[derive(Debug)]
pub(super) struct Door {
    settings: Settings,
    allowed: Arc<Allowed>,
    temp_dir: PathBuf,
    /// Made at the first use: without any certificates on this machine there is no client, and a server all the same.
    client: OnceLock<Result<Client, String>>,
}

/// A body that came whole.
#[derive(Debug)]
pub(super) struct Received {
    /// The bytes, as they were sent, in a nameless file at its beginning.
    pub file: File,
    /// How they are packed, as the answer says.
    pub encodings: Vec<String>,
    /// What the file is called, as the answer says.
    pub name: Option<String>,
}

/// Why nothing came, in a sentence without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The upstream does not have it, or has nothing that can be taken.
    No(String),
    /// Another time it may be different.
    Trouble(String),
    /// We are in trouble ourselves.
    Ours(String),
    /// It has the file, and there is no room for it.
    NoRoom(String, Need),
}

impl Door {
    pub fn new(settings: &Settings, temp_dir: PathBuf) -> Self {
        let allowed = Allowed { private: settings.allow_private, ..Allowed::default() };
        Self { settings: settings.clone(), allowed: Arc::new(allowed), temp_dir, client: OnceLock::new() }
    }

    /// The same, taking an address for public.
    pub fn with_exemption(&self, address: std::net::SocketAddr) -> Self {
        let mut allowed = (*self.allowed).clone();
        allowed.as_if_public.push(address);
        Self {
            settings: self.settings.clone(),
            allowed: Arc::new(allowed),
            temp_dir: self.temp_dir.clone(),
            client: OnceLock::new(),
        }
    }

    /// What is at `path` behind `base`.
    pub async fn get(&self, base: &Url, path: &str) -> Result<Received, Refusal> {
        let limit = self.settings.total_timeout;
        let too_slow =
            || Refusal::Trouble(format!("it took longer than {limit:?} (setting `upstreams.total_timeout`)"));
        timeout(limit, self.follow(base, path)).await.unwrap_or_else(|_| Err(too_slow()))
    }

    async fn follow(&self, base: &Url, path: &str) -> Result<Received, Refusal> {
        let client = self.client.get_or_init(|| client(&self.settings, &self.allowed));
        let client = client.as_ref().map_err(|reason| Refusal::Ours(reason.clone()))?;
        let mut url = base.clone();
        let credentials = credentials(&mut url);
        url.set_path(&format!("{}{path}", base.path()));
        self.allowed.check(&url).map_err(Refusal::No)?;
        for _ in 0..=self.settings.max_redirects {
            let mut request = client.get(url.clone()).header(ACCEPT_ENCODING, "gzip, zstd");
            if let Some((user, password)) = credentials.as_ref().filter(|_| url.origin() == base.origin()) {
                request = request.basic_auth(user, password.as_ref());
            }
            let limit = self.settings.head_timeout;
            let response = match timeout(limit, request.send()).await {
                Ok(sent) => sent.map_err(|error| told(&error))?,
                Err(_) => return Err(Refusal::Trouble(format!("it did not answer within {limit:?}"))),
            };
            match location(&response) {
                Some(location) => url = redirected(&url, &location, &self.allowed).map_err(Refusal::No)?,
                None => return self.receive(response).await,
            }
        }
        Err(Refusal::No(format!("it redirects more than {} times", self.settings.max_redirects)))
    }

    async fn receive(&self, mut response: Response) -> Result<Received, Refusal> {
        let max_size = self.settings.max_size;
        let too_large =
            || Refusal::No(format!("the file is larger than {max_size} bytes (setting `upstreams.max_size`)"));
        wanted(response.status())?;
        let chunked = response.headers().contains_key(TRANSFER_ENCODING);
        match response.content_length() {
            Some(0) => return Err(Refusal::No("it sent nothing".to_owned())),
            Some(size) if size > max_size => return Err(too_large()),
            None if !chunked => return Err(Refusal::No("it does not say where its file ends".to_owned())),
            _ => {}
        }
        let (encodings, name) = (encodings(response.headers()), file_name(response.headers()));
        let cannot = |error: std::io::Error| Refusal::Ours(format!("a temp file cannot be written: {error}"));
        let mut file = tokio::fs::File::from_std(tempfile::tempfile_in(&self.temp_dir).map_err(cannot)?);
        let mut size = 0;
        while let Some(bytes) = response.chunk().await.map_err(|error| told(&error))? {
            size += bytes.len() as u64;
            if size > max_size {
                return Err(too_large());
            }
            file.write_all(&bytes).await.map_err(cannot)?;
        }
        file.flush().await.map_err(cannot)?;
        let mut file = file.into_std().await;
        file.rewind().map_err(cannot)?;
        Ok(Received { file, encodings, name })
    }
}

fn client(settings: &Settings, allowed: &Arc<Allowed>) -> Result<Client, String> {
    // Whoever comes second finds one standing, which is as good.
    let _standing = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("symdepot/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .connect_timeout(settings.connect_timeout)
        .pool_max_idle_per_host(settings.parallel)
        .dns_resolver(Checked(Arc::clone(allowed)))
        .build()
        .map_err(|error| format!("nothing can be asked from this machine: {}", cause(&error)))
}

/// Looks names up and gives back the addresses that may be asked. A connection is made to these very addresses: there is
/// no second look-up that could say something else.
struct Checked(Arc<Allowed>);

/// A name has addresses and none that may be asked.
#[derive(Debug)]
struct NotPublic(String);

impl fmt::Display for NotPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for NotPublic {}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = Arc::clone(&self.0);
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let refusal = |address: &std::net::SocketAddr| allowed.refusal(address.ip(), None);
            let public: Vec<_> = found.iter().copied().filter(|address| refusal(address).is_none()).collect();
            match found.iter().find_map(refusal) {
                Some(why) if public.is_empty() => Err(NotPublic(not_asked(name.as_str(), why)).into()),
                _ => Ok(Box::new(public.into_iter()) as Addrs),
            }
        })
    }
}

/// Where an answer redirects to.
fn location(response: &Response) -> Option<String> {
    let redirects = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers().get(LOCATION).filter(|_| redirects)?;
    Some(String::from_utf8_lossy(location.as_bytes()).into_owned())
}

/// Whether a file comes with this status.
fn wanted(status: StatusCode) -> Result<(), Refusal> {
    match status.as_u16() {
        200 => Ok(()),
        404 | 410 => Err(Refusal::No("it does not have the file".to_owned())),
        401 | 403 => Err(Refusal::No(format!("it answers {}: it may want another user or password", status.as_u16()))),
        408 | 425 | 429 | 500.. => Err(Refusal::Trouble(format!("it answers {}", status.as_u16()))),
        other => Err(Refusal::No(format!("it answers {other}"))),
    }
}

/// How a body is packed, the last layer first.
fn encodings(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all(CONTENT_ENCODING).into_iter().filter_map(|line| line.to_str().ok());
    let words = lines.flat_map(|line| line.split(',')).map(|word| word.trim().to_ascii_lowercase());
    let mut encodings: Vec<_> = words.filter(|word| !matches!(word.as_str(), "" | "identity")).collect();
    encodings.reverse();
    encodings
}

/// The last name in the path that debuginfod has for a file.
fn file_name(headers: &HeaderMap) -> Option<String> {
    let name = headers.get(FILE)?.to_str().ok()?.rsplit('/').next()?;
    is_ordinary(name).then(|| name.to_owned())
}

/// What a failed request means.
fn told(error: &reqwest::Error) -> Refusal {
    let mut source: Option<&(dyn Error + 'static)> = error.source();
    while let Some(one) = source {
        if let Some(NotPublic(sentence)) = one.downcast_ref() {
            return Refusal::No(sentence.clone());
        }
        source = one.source();
    }
    let what = match () {
        () if error.is_timeout() => "it takes too long",
        () if error.is_connect() => "it cannot be reached",
        () => "the connection broke off",
    };
    Refusal::Trouble(format!("{what}: {}", cause(error)))
}

/// What lies at the bottom of an error. It never has a URL in it.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = match error.source() {
        Some(source) => source,
        None => return "no reason is known".to_owned(),
    };
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    fn headers(name: &str, value: &str) -> HeaderMap {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn a_name_is_one_name_and_layers_are_taken_off_from_the_outside() {
        let name = |value| file_name(&headers(FILE, value));
        assert_eq!(name("/usr/lib/debug/libm.so").as_deref(), Some("libm.so"));
        for nothing in ["", "/", "a/..", "a/."] {
            assert_eq!(name(nothing), None, "{nothing:?}");
        }
        assert_eq!(encodings(&headers("content-encoding", "GZIP, identity, zstd")), ["zstd", "gzip"]);
        assert!(encodings(&HeaderMap::new()).is_empty());
    }
}
