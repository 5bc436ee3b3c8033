//! [`S3Door`]: an S3 server of one bucket, with a name, a certificate or keys of its own. It remembers who came by which
//! way, and changes nothing of what they bring.
//!
//! It is as real as the one of all tests. Two cannot share a folder, so its bucket stands [apart](S3Bucket::apart).

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use axum::serve::{Listener, ListenerExt as _};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use s3s::host::SingleDomain;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::authority::Authority;
use super::keys::Keys;
use super::s3::{ACCESS_KEY, S3Bucket, SECRET, answer};

/// A door that closes when this is dropped.
pub struct S3Door {
    /// What the setting `blobs.s3.endpoint` takes.
    pub endpoint: String,
    /// Where it is, for who does not know its name.
    pub address: SocketAddr,
    visits: Arc<Mutex<Vec<Visit>>>,
    task: JoinHandle<()>,
}

/// A request, as far as it says where it goes and who sends it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Visit {
    /// The header `Host`.
    pub host: String,
    /// The path, without what follows it.
    pub path: String,
    /// The name of the key that it is signed with.
    pub key: String,
    /// The session that goes with it.
    pub session: String,
}

impl S3Door {
    /// At which the bucket can be asked for as `bucket.<domain>`.
    pub async fn named(bucket: &S3Bucket, domain: &str) -> Self {
        Self::open(bucket, Some(domain), Keys::only(ACCESS_KEY, SECRET)).await
    }

    /// At which only these keys open.
    pub async fn with_keys(bucket: &S3Bucket, keys: Keys) -> Self {
        Self::open(bucket, None, keys).await
    }

    /// At which everything goes through TLS, and `authority` vouches for the server.
    pub async fn behind_tls(bucket: &S3Bucket, authority: &Authority) -> Self {
        let (listener, address) = listener().await;
        let chain = vec![CertificateDer::from_pem_file(authority.server_certificate()).unwrap()];
        let key = PrivateKeyDer::from_pem_file(authority.server_key()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
        let listener = Encrypted { listener, acceptor: TlsAcceptor::from(Arc::new(config)) };
        let keys = Keys::only(ACCESS_KEY, SECRET);
        let service = service(bucket, None, &keys);
        Self::serve(listener, format!("https://{address}"), address, service, keys)
    }

    async fn open(bucket: &S3Bucket, domain: Option<&str>, keys: Keys) -> Self {
        let (listener, address) = listener().await;
        let host = domain.map_or(address.to_string(), |domain| format!("{domain}:{}", address.port()));
        let service = service(bucket, domain.map(|_| host.as_str()), &keys);
        let listener = listener.tap_io(|connection| connection.set_nodelay(true).unwrap());
        Self::serve(listener, format!("http://{host}"), address, service, keys)
    }

    fn serve<L>(listener: L, endpoint: String, address: SocketAddr, service: S3Service, keys: Keys) -> Self
    where
        L: Listener<Addr = SocketAddr>,
    {
        let visits = Arc::<Mutex<Vec<Visit>>>::default();
        let known = Arc::clone(&visits);
        let app = axum::Router::new().fallback(move |request: Request| {
            let visit = Visit::of(&request);
            known.lock().unwrap().push(visit.clone());
            let (service, fits) = (service.clone(), keys.fits(&visit.key, &visit.session));
            async move { if fits { answer(service, request).await } else { stranger() } }
        });
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { endpoint, address, visits, task }
    }

    /// Everybody who came until now, each way once.
    pub fn visits(&self) -> Vec<Visit> {
        let visits: BTreeSet<_> = self.visits.lock().unwrap().iter().cloned().collect();
        visits.into_iter().collect()
    }

    /// The names of the keys that somebody came with, each once.
    pub fn keys(&self) -> Vec<String> {
        let keys: BTreeSet<_> = self.visits().into_iter().map(|visit| visit.key).collect();
        keys.into_iter().collect()
    }
}

impl Drop for S3Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Visit {
    fn of(request: &Request) -> Self {
        let headers = request.headers();
        let signed = text(headers, header::AUTHORIZATION.as_str());
        let key = signed.split_once("Credential=").and_then(|(_, scope)| scope.split_once('/'));
        Self {
            host: text(headers, header::HOST.as_str()),
            path: request.uri().path().to_owned(),
            key: key.map_or_else(String::new, |(key, _)| key.to_owned()),
            session: text(headers, "x-amz-security-token"),
        }
    }
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
}

/// What who comes with a session that is none hears from Amazon.
fn stranger() -> Response {
    let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>InvalidToken</Code>\
                <Message>The provided token is malformed or otherwise invalid.</Message></Error>";
    Response::builder().status(400).header("content-type", "application/xml").body(Body::from(body)).unwrap()
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A server of this bucket, which parses `host` and lets `keys` in.
fn service(bucket: &S3Bucket, host: Option<&str>, keys: &Keys) -> S3Service {
    let root = bucket.folder().parent().expect("a bucket is a folder of its server's");
    let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root).unwrap());
    builder.set_auth(keys.clone());
    if let Some(host) = host {
        builder.set_host(SingleDomain::new(host).unwrap());
    }
    builder.build()
}

/// Takes connections and speaks TLS on them.
struct Encrypted {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Encrypted {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (connection, address) = Listener::accept(&mut self.listener).await;
            connection.set_nodelay(true).unwrap();
            // Who does not trust the certificate goes away again.
            if let Ok(connection) = self.acceptor.accept(connection).await {
                return (connection, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
