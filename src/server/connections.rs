//! [`serve`]: accepts connections up to a number, and serves each until its end. It never waits for a client without a limit
//! of time, and knows no route but those of health.
//!
//! Above the number a few more are accepted all the same, so that a client receives a reason and the health checks of an
//! orchestrator an answer: such a connection carries one request, and anything but health is answered 503 (reset on the
//! paths of debuginfod, whose clients would remember it). At that moment connections without a request are asked to close.
//! Beyond these few, new connections wait in the kernel.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::timed_stream::{Activity, InFlight, TimedStream};
use crate::config::Http;
use crate::http::{Door, Doors, HangUp, PeerAddress, no_connection_left};

/// Connections above the maximum that receive an answer.
const RESERVE: usize = 32;

/// How often connections without a request are asked to close.
const ASKED_TO_CLOSE: Duration = Duration::from_secs(1);

/// Serves until `stop`, and then until the requests in flight have ended. When the future is dropped, all connections end.
pub(super) async fn serve(mut listener: Doors, router: Router, settings: Http, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    let make_room = Arc::new(Notify::new());
    let mut asked_to_close: Option<Instant> = None;
    let most = settings.max_connections;
    loop {
        let has_room = connections.len() < most.saturating_add(RESERVE);
        let (door, hang_up) = tokio::select! {
            () = stop.cancelled() => break,
            Some(_ended) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept(), if has_room => accepted,
        };
        let above = connections.len() >= most;
        if above && asked_to_close.is_none_or(|at| at.elapsed() >= ASKED_TO_CLOSE) {
            asked_to_close = Some(Instant::now());
            make_room.notify_waiters();
            tracing::warn!(
                most,
                "all connections are in use; further ones are refused (setting `http.max_connections`)"
            );
        }
        let connection = Connection {
            router: router.clone(),
            peer: PeerAddress(door.peer()),
            hang_up,
            activity: Activity::default(),
            above,
            make_room: Arc::clone(&make_room),
            stop: stop.clone(),
        };
        connections.spawn(connection.serve(door, settings.clone()));
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// One connection.
struct Connection {
    router: Router,
    peer: PeerAddress,
    hang_up: HangUp,
    activity: Activity,
    /// Whether there were as many as there may be before it.
    above: bool,
    make_room: Arc<Notify>,
    stop: CancellationToken,
}

impl Connection {
    async fn serve(self, door: Door, settings: Http) {
        let stream = TimedStream::new(door, self.activity.clone(), &settings);
        let service = service_fn(|request| self.respond(request));
        let mut builder = http1::Builder::new();
        // The stream has its own limits of time, which tell an idle connection from a header that does not arrive.
        builder.header_read_timeout(None).keep_alive(!self.above);
        let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut closing = false;
        loop {
            tokio::select! {
                served = serving.as_mut() => {
                    if let Err(error) = served {
                        tracing::trace!(%error, "a connection ended early");
                    }
                    return;
                }
                () = self.stop.cancelled(), if !closing => closing = true,
                () = self.make_room.notified(), if !closing => closing = self.activity.is_idle(),
            }
            if closing {
                serving.as_mut().graceful_shutdown();
            }
        }
    }

    async fn respond(&self, request: Request<Incoming>) -> Result<Response<Answering>, Infallible> {
        let in_flight = self.activity.begin();
        let mut request = request.map(Body::new);
        let response = if self.above && !request.uri().path().starts_with("/health/") {
            no_connection_left(request.uri().path(), &self.hang_up)
        } else {
            request.extensions_mut().insert(ConnectInfo(self.hang_up.clone()));
            request.extensions_mut().insert(self.peer);
            self.router.clone().oneshot(request).await.unwrap_or_else(|never| match never {})
        };
        Ok(response.map(|body| Answering { body, _in_flight: in_flight }))
    }
}

/// A body behind whose end its connection is idle.
struct Answering {
    body: Body,
    _in_flight: InFlight,
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
