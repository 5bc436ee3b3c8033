//! Connections that end in a reset wherever an answer is not whole, for clients that take every answer for the truth: a
//! debuginfod client that hears 503, or whose transfer ends short, believes for ten minutes that the file does not
//! exist. A connection that is reset is only tried again. It never decides which answers are trouble of the kind that
//! passes.
//!
//! While such an answer is on its way the socket is set to linger for no time, and back once everything is handed to
//! the kernel. So the kernel itself resets it, however the answer ends early: a body that breaks off, a panic, the end
//! of a shutdown's grace, the death of the process.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{TryStreamExt as _, stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// Nothing is on its way that a reset must follow.
const QUIET: u8 = 0;
/// An answer is being made or sent.
const ANSWERING: u8 = 1;
/// The whole answer was taken, and some of it may still be on this side of the kernel.
const TAKEN: u8 = 2;
/// The answer broke off, or there is none.
const CUT: u8 = 3;

/// Wait before the next connection is accepted after one could not be.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// Says of one connection whether its end now is to be a reset. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct HangUp(Arc<AtomicU8>);

/// An answer on its way. Dropped once all of it was taken.
#[derive(Debug)]
struct OnItsWay(HangUp);

impl HangUp {
    /// From here to the end of the answer the connection ends in a reset and in no other way.
    pub fn guard(&self) {
        self.0.store(ANSWERING, Ordering::Release);
    }

    /// Instead of an answer: the connection is reset before a byte of it is sent.
    pub fn now(&self) -> Response {
        self.0.store(CUT, Ordering::Release);
        let cut = io::Error::from(io::ErrorKind::ConnectionReset);
        Response::new(Body::from_stream(stream::iter([Err::<Bytes, _>(cut)])))
    }

    /// The same answer, behind which the guard ends; the connection is reset if its body breaks off.
    pub fn if_it_breaks_off(&self, mut response: Response) -> Response {
        let length = response.body().size_hint().exact();
        if length == Some(0) {
            drop(OnItsWay(self.clone()));
            return response;
        }
        if let Some(length) = length {
            // A stream does not tell its length as bytes in memory do.
            response.headers_mut().entry(header::CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
        }
        let answer = OnItsWay(self.clone());
        response.map(|body| {
            Body::from_stream(body.into_data_stream().inspect_err(move |_| answer.0.0.store(CUT, Ordering::Release)))
        })
    }

    /// Whether the connection is to be reset if it ends now.
    fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Acquire) != QUIET
    }

    /// Whether so much is still to come that nothing may look like an orderly end.
    fn is_unfinished(&self) -> bool {
        matches!(self.0.load(Ordering::Acquire), ANSWERING | CUT)
    }

    /// Everything that was taken is with the kernel.
    fn flushed(&self) {
        // If something else stands there, it still holds.
        let _other = self.0.compare_exchange(TAKEN, QUIET, Ordering::AcqRel, Ordering::Acquire);
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        // If the answer broke off, that still holds.
        let _cut = self.0.0.compare_exchange(ANSWERING, TAKEN, Ordering::AcqRel, Ordering::Acquire);
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
    /// Whether the kernel was told to reset it at its end.
    abrupt: bool,
}

/// The address from which a connection comes; a proxy's, if there is one.
#[derive(Clone, Copy, Debug)]
pub struct PeerAddress(pub Option<IpAddr>);

impl Door {
    /// The address from which the connection comes.
    pub fn peer(&self) -> Option<IpAddr> {
        self.stream.peer_addr().ok().map(|address| address.ip())
    }

    /// What is sent now may be all that is ever sent.
    fn before_write(&mut self) {
        if self.hang_up.is_unfinished() {
            self.tell_kernel();
        }
    }

    /// Of a whole answer too, if some is left over. One that the kernel took at once needs no word to it.
    fn after_write(&mut self, written: Poll<io::Result<usize>>, length: usize) -> Poll<io::Result<usize>> {
        if !matches!(written, Poll::Ready(Ok(count)) if count == length) {
            self.tell_kernel();
        }
        written
    }

    /// Tells the kernel how the connection is to end if it ends now.
    fn tell_kernel(&mut self) {
        let abrupt = self.hang_up.is_wanted();
        if abrupt == self.abrupt {
            return;
        }
        // To linger for no time means to reset, and to forget what was not sent.
        let linger = abrupt.then_some(Duration::ZERO);
        match rustix::net::sockopt::set_socket_linger(&self.stream, linger) {
            Ok(()) => self.abrupt = abrupt,
            Err(error) => tracing::debug!(%error, "a connection may end in another way than it should"),
        }
    }
}

impl Doors {
    /// The next connection, and the handle that cuts it.
    pub async fn accept(&mut self) -> (Door, HangUp) {
        loop {
            match self.0.accept().await {
                Ok((stream, _)) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "a connection keeps its delay");
                    }
                    let hang_up = HangUp::default();
                    return (Door { stream, hang_up: hang_up.clone(), abrupt: false }, hang_up);
                }
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    // No descriptor is free, say: that passes when a connection ends.
                    tracing::error!(%error, "no connection can be accepted");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    }
}

/// Whether only the connection that was to be accepted failed.
fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

impl Drop for Door {
    fn drop(&mut self) {
        self.tell_kernel();
    }
}

impl AsyncRead for Door {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Door {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let door = self.get_mut();
        door.before_write();
        let written = Pin::new(&mut door.stream).poll_write(context, bytes);
        door.after_write(written, bytes.len())
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let door = self.get_mut();
        door.before_write();
        let written = Pin::new(&mut door.stream).poll_write_vectored(context, slices);
        door.after_write(written, slices.iter().map(|slice| slice.len()).sum())
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called once per turn of the connection, and only when everything taken so far was written.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let door = self.get_mut();
        let flushed = Pin::new(&mut door.stream).poll_flush(context);
        if matches!(flushed, Poll::Ready(Ok(()))) {
            door.hang_up.flushed();
        }
        door.tell_kernel();
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let door = self.get_mut();
        // An orderly end before the reset would look like an answer that is complete or short.
        if door.hang_up.is_unfinished() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut door.stream).poll_shutdown(context)
    }
}
