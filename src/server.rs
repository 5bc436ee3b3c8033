//! The listener, the order of the middleware and a shutdown in two phases. It prints nothing and installs no signal
//! handler: who runs it decides that.

mod connections;
mod descriptors;
mod timed_stream;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Response};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};
use tower_http::trace::TraceLayer;
use tracing::Span;

use crate::app::App;
use crate::clock::Clock;
use crate::http::{self, Doors};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How long requests in flight may go on once no new ones are taken.
const GRACE: Duration = Duration::from_secs(25);

/// How often what clients used and what they looked for in vain is written.
const NOTES_WRITTEN: Duration = Duration::from_secs(5);

/// An open door that nobody stands behind yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    url: String,
}

impl Server {
    /// Listens on `listen`, where port 0 takes a free one.
    pub async fn bind(listen: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let host = listen.rsplit_once(':').map_or(listen, |(host, _)| host);
        Ok(Self { listener, address, url: format!("http://{host}:{}", address.port()) })
    }

    /// The address listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as the setting wrote it, with the port that was taken.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Serves until `stop`, and then until every request in flight has ended. Those that outlast the grace, or are
    /// still there at `cancel`, are dropped.
    pub async fn run(self, app: App, stop: CancellationToken, cancel: CancellationToken) -> io::Result<()> {
        let notes = app.clone();
        let settings = descriptors::fitting(&app.config.http);
        let serve = connections::serve(Doors(self.listener), stack(app), settings, stop.clone());
        let too_late = async {
            stop.cancelled().await;
            // Whichever comes first ends the wait.
            let _elapsed = tokio::time::timeout(GRACE, cancel.cancelled()).await;
        };
        tokio::select! {
            () = serve => {}
            () = too_late => tracing::warn!("requests that were still running have been dropped"),
            () = write_notes(&notes) => {}
        }
        flush(&notes).await;
        Ok(())
    }
}

/// Writes what clients used and what they looked for in vain, again and again.
async fn write_notes(app: &App) {
    loop {
        tokio::time::sleep(NOTES_WRITTEN).await;
        flush(app).await;
    }
}

async fn flush(app: &App) {
    if let Err(error) = app.misses.flush().await {
        tracing::warn!(%error, "what clients looked for in vain could not be written");
    }
    if let Err(error) = app.uses.flush().await {
        tracing::warn!(%error, "which files are used could not be written");
    }
}

/// The routes inside their middleware: id, span, panic catcher, from the outside in.
fn stack(app: App) -> Router {
    let trace = TraceLayer::new_for_http()
        .make_span_with(request_span)
        .on_request(())
        .on_response(|response: &Response<_>, took: Duration, _: &Span| {
            tracing::debug!(http.status = response.status().as_u16(), took = ?took, "answered");
        })
        .on_failure(());
    let ids = FreshId(app.clock.clone());
    http::routes(app)
        .layer(CatchPanicLayer::custom(http::panic_response))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(trace)
        .layer(SetRequestIdLayer::new(REQUEST_ID, ids))
}

/// The span of a request. The query stays out of it: clients put long lists there. So do keys in the path.
fn request_span(request: &Request) -> Span {
    let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
    let path = http::logged_path(request.uri().path());
    tracing::info_span!("request", request.id = id, http.method = %request.method(), http.path = &*path)
}

#[derive(Clone, Debug)]
struct FreshId(Clock);

impl MakeRequestId for FreshId {
    fn make_request_id<B>(&mut self, _: &axum::http::Request<B>) -> Option<RequestId> {
        let mut text = [0; 32];
        let text = self.0.fresh_id().simple().encode_lower(&mut text);
        HeaderValue::from_str(text).ok().map(RequestId::new)
    }
}
