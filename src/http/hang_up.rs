//! Connections that can be cut without an answer, for clients that take every answer for the truth: a debuginfod
//! client that hears 503, or whose transfer ends short, believes for ten minutes that the file does not exist. A
//! connection that is reset is only tried again. It never decides which answers are trouble of the kind that passes.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::connect_info::Connected;
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use bytes::Bytes;
use futures_util::{TryStreamExt as _, stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// Cuts one connection. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct HangUp(Arc<AtomicBool>);

impl HangUp {
    /// Instead of an answer: the connection is reset before a byte of it is sent.
    pub fn now(&self) -> Response {
        self.0.store(true, Ordering::Release);
        let cut = io::Error::from(io::ErrorKind::ConnectionReset);
        Response::new(Body::from_stream(stream::iter([Err::<Bytes, _>(cut)])))
    }

    /// The same answer, except that the connection is reset if its body breaks off.
    pub fn if_it_breaks_off(&self, response: Response) -> Response {
        // What stands in memory cannot break off, and keeps its length.
        if response.body().size_hint().exact().is_some() {
            return response;
        }
        let hang_up = self.clone();
        response.map(|body| {
            let watched = body.into_data_stream().inspect_err(move |_| hang_up.0.store(true, Ordering::Release));
            Body::from_stream(watched)
        })
    }

    fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A listener whose connections can be cut.
#[derive(Debug)]
pub struct Doors(pub TcpListener);

/// A connection that can be cut.
#[derive(Debug)]
pub struct Door {
    stream: TcpStream,
    hang_up: HangUp,
}

impl Listener for Doors {
    type Io = Door;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Door, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
        (Door { stream, hang_up: HangUp::default() }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Doors>> for HangUp {
    fn connect_info(stream: IncomingStream<'_, Doors>) -> Self {
        stream.io().hang_up.clone()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // To linger for no time means to reset, and to forget what was not sent.
        if self.hang_up.is_wanted()
            && let Err(error) = rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO))
        {
            tracing::debug!(%error, "a connection is closed where it should be reset");
        }
    }
}

impl AsyncRead for Door {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Door {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let door = self.get_mut();
        // An orderly end before the reset would look like an answer that is complete or short.
        if door.hang_up.is_wanted() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut door.stream).poll_shutdown(context)
    }
}
