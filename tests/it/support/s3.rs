//! [`S3Bucket`]: a bucket of its own on a real S3 server, which this process runs once for all tests.
//!
//! The server is `s3s-fs` on a port of the loopback: it checks signatures and checksums. It runs on a thread of its own,
//! because a runtime of a test ends with the test.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::serve::ListenerExt as _;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use symdepot::config::Config;
use tempfile::TempDir;

/// What the server lets in.
pub const ACCESS_KEY: &str = "symdepot-tests";
/// Its secret, which no answer and no log may show.
pub const SECRET: &str = "geheim/0+geheim";

/// A bucket that goes when this is dropped.
pub struct S3Bucket {
    /// Its name.
    pub name: String,
    /// Where the server listens: `http://127.0.0.1:<port>`.
    pub endpoint: String,
    folder: PathBuf,
    /// Of a server of its own.
    _root: Option<TempDir>,
}

struct Running {
    address: SocketAddr,
    folder: TempDir,
}

impl S3Bucket {
    /// A bucket with nothing in it.
    pub fn fresh() -> Self {
        let (server, name) = (server(), fresh_name());
        let folder = server.folder.path().join(&name);
        std::fs::create_dir(&folder).unwrap();
        Self { name, endpoint: format!("http://{}", server.address), folder, _root: None }
    }

    /// A bucket with nothing in it, which the server does not know: an [`S3Door`](super::s3_door::S3Door) leads to it.
    pub fn apart() -> Self {
        let (root, name) = (TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap(), fresh_name());
        let folder = root.path().join(&name);
        std::fs::create_dir(&folder).unwrap();
        Self { name, endpoint: String::new(), folder, _root: Some(root) }
    }

    /// A bucket with nothing in it on the other server, which goes with the process.
    pub async fn on_moto() -> Self {
        let (endpoint, name) = (super::moto::endpoint(), fresh_name());
        // The first of a process decides; the others are told that it is decided.
        let _decided = rustls::crypto::ring::default_provider().install_default();
        let made = reqwest::Client::new().put(format!("{endpoint}/{name}")).send().await.unwrap();
        assert_eq!(made.status(), 200, "{}", made.text().await.unwrap());
        Self { name, endpoint: endpoint.to_owned(), folder: PathBuf::new(), _root: None }
    }

    /// The same bucket, reached by another way, such as through a proxy that breaks things.
    pub fn by_way_of(mut self, endpoint: &str) -> Self {
        endpoint.clone_into(&mut self.endpoint);
        self
    }

    /// The settings as environment variables, for a process of its own.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("SYMDEPOT_BLOBS__URL", self.url()),
            ("SYMDEPOT_BLOBS__S3__ENDPOINT", self.endpoint.clone()),
            ("SYMDEPOT_BLOBS__S3__PATH_STYLE", "true".to_owned()),
            ("SYMDEPOT_BLOBS__S3__ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("SYMDEPOT_BLOBS__S3__SECRET_ACCESS_KEY", SECRET.to_owned()),
        ]
    }

    /// Points a config at it.
    pub fn settings(&self, config: &mut Config) {
        config.blobs.url = self.url();
        let s3 = &mut config.blobs.s3;
        s3.endpoint.clone_from(&self.endpoint);
        s3.path_style = true;
        s3.access_key_id = ACCESS_KEY.to_owned();
        s3.secret_access_key = SECRET.to_owned();
    }

    /// What the setting `blobs.url` takes; the prefix shows that nothing relies on having a bucket to itself.
    pub fn url(&self) -> String {
        format!("s3://{}/depot", self.name)
    }

    /// The folder in which the server keeps its objects.
    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }
}

impl Drop for S3Bucket {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.folder).ok();
    }
}

fn fresh_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("bucket-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The one server of this process.
fn server() -> &'static Running {
    static SERVER: OnceLock<Running> = OnceLock::new();
    SERVER.get_or_init(|| {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET));
        let service = builder.build();
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                // Without this every small answer waits forty milliseconds.
                let listener = listener.tap_io(|connection| connection.set_nodelay(true).unwrap());
                let app = axum::Router::new().fallback(move |request: Request| answer(service.clone(), request));
                axum::serve(listener, app).await.unwrap();
            });
        });
        Running { address: told.recv().unwrap(), folder }
    })
}

pub(super) async fn answer(service: S3Service, request: Request) -> Response {
    let answer = service.call(request.map(s3s::Body::http_body_unsync)).await;
    match answer {
        Ok(answer) => answer.map(Body::new),
        Err(error) => Response::builder().status(500).body(Body::from(format!("{error:?}"))).unwrap(),
    }
}
