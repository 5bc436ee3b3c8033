//! [`TimedStream`]: a connection that ends when its client does nothing for too long: sends no header, no further request,
//! or does not take its response. While a request is in flight it never limits the time until the response begins.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::config::Http;

/// Whether a request of a connection is in flight. A clone is of the same connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Activity(Arc<AtomicBool>);

/// A request in flight, until this is dropped.
#[derive(Debug)]
pub(super) struct InFlight(Activity);

impl Activity {
    /// A request has arrived; a connection carries one at a time.
    pub(super) fn begin(&self) -> InFlight {
        self.0.store(true, Ordering::Release);
        InFlight(self.clone())
    }

    pub(super) fn is_idle(&self) -> bool {
        !self.0.load(Ordering::Acquire)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Release);
    }
}

/// What is awaited from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    /// The rest of a header, or the first one.
    Header,
    /// The next request, if there is one.
    Request,
    /// Nothing: the server is at work.
    Nothing,
}

/// A stream with limits of time.
#[derive(Debug)]
pub(super) struct TimedStream<S> {
    stream: S,
    activity: Activity,
    header_timeout: Duration,
    idle_timeout: Duration,
    write_timeout: Duration,
    awaited: Awaited,
    read_deadline: Instant,
    read_alarm: Pin<Box<Sleep>>,
    /// Set while the client takes nothing.
    write_alarm: Option<Pin<Box<Sleep>>>,
}

impl<S> TimedStream<S> {
    pub(super) fn new(stream: S, activity: Activity, settings: &Http) -> Self {
        let read_deadline = Instant::now() + settings.header_timeout;
        Self {
            stream,
            activity,
            header_timeout: settings.header_timeout,
            idle_timeout: settings.idle_timeout,
            write_timeout: settings.write_timeout,
            awaited: Awaited::Header,
            read_deadline,
            read_alarm: Box::pin(sleep_until(read_deadline)),
            write_alarm: None,
        }
    }

    fn await_until(&mut self, awaited: Awaited, timeout: Duration) {
        self.awaited = awaited;
        self.read_deadline = Instant::now() + timeout;
        self.read_alarm.as_mut().reset(self.read_deadline);
    }

    /// What a write came to, or an error once the client took nothing for too long.
    fn watched<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write_alarm = None;
            return written;
        }
        let timeout = self.write_timeout;
        let alarm = self.write_alarm.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + timeout)));
        ready!(alarm.as_mut().poll(context));
        tracing::debug!("a connection was closed, because its client did not take the response");
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedStream<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let timed = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut timed.stream).poll_read(context, buffer);
        if !timed.activity.is_idle() {
            timed.awaited = Awaited::Nothing;
            return read;
        }
        if timed.awaited == Awaited::Nothing {
            timed.await_until(Awaited::Request, timed.idle_timeout);
        }
        if read.is_ready() {
            if timed.awaited == Awaited::Request && buffer.filled().len() > before {
                timed.await_until(Awaited::Header, timed.header_timeout);
            }
            return read;
        }
        ready!(timed.read_alarm.as_mut().poll(context));
        tracing::debug!(awaited = ?timed.awaited, "a connection was closed, because its client sent nothing");
        // The end of the stream, as if the client had closed it.
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimedStream<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let timed = self.get_mut();
        let written = Pin::new(&mut timed.stream).poll_write(context, bytes);
        timed.watched(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let timed = self.get_mut();
        let written = Pin::new(&mut timed.stream).poll_write_vectored(context, slices);
        timed.watched(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
