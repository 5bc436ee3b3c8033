//! [`RatedBody`]: a request body that fails when its sender is too slow, so that no reader of any route waits without end.
//!
//! Only time in which the client's bytes are awaited counts. It never counts the time that the server itself takes.

use std::collections::VecDeque;
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody as _};
use axum::extract::{Request, State};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::time::{Instant, Sleep, sleep_until};

use super::error::ApiError;
use crate::app::App;
use crate::config::Http;

/// Parts of the window in which bytes are counted together.
const SLOTS: u32 = 30;

/// The body was slower than it may be. Its message tells the sender what to do.
#[derive(Debug, thiserror::Error)]
pub enum BodyTooSlow {
    /// Fewer bytes a second than the setting.
    #[error("The request sent fewer than {0} bytes a second. Send it again over a faster connection.")]
    Rate(u64),
    /// It was not complete within the setting.
    #[error("The request was not complete within {0:?}. Send less in one request.")]
    Total(Duration),
}

/// Middleware for every route: from here on the body of the request is rated.
pub async fn rate_body(State(app): State<App>, request: Request) -> Request {
    if request.body().is_end_stream() {
        return request;
    }
    let settings = &app.config.http;
    request.map(|body| Body::from_stream(RatedBody::new(body.into_data_stream(), settings)))
}

/// What a handler answers when a body cannot be read to its end.
pub fn unreadable_body(error: &(dyn Error + 'static)) -> ApiError {
    match too_slow(error) {
        Some(slow) => ApiError::TooSlow(slow.to_string()),
        None => ApiError::BadRequest("The body of the request broke off.".to_owned()),
    }
}

/// The reason in the chain of an error of a body.
pub fn too_slow<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a BodyTooSlow> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(slow) = error.downcast_ref() {
            return Some(slow);
        }
        cause = error.source();
    }
    None
}

/// A body whose rate is watched.
pub struct RatedBody {
    body: BodyDataStream,
    meter: RateMeter,
    began: Instant,
    body_timeout: Duration,
    /// Since when the next bytes are awaited.
    waiting_since: Option<Instant>,
    alarm: Pin<Box<Sleep>>,
}

impl RatedBody {
    /// Watches a body from now on.
    pub fn new(body: BodyDataStream, settings: &Http) -> Self {
        let began = Instant::now();
        let meter = RateMeter::new(settings.min_rate, settings.rate_grace, settings.rate_window);
        let alarm = Box::pin(sleep_until(began));
        Self { body, meter, began, body_timeout: settings.body_timeout, waiting_since: None, alarm }
    }

    /// Counts the time since the last look as waited.
    fn count_wait(&mut self, now: Instant) {
        if let Some(since) = self.waiting_since {
            self.meter.waited(now.saturating_duration_since(since));
        }
    }

    fn failure(&self, now: Instant) -> Option<BodyTooSlow> {
        if now.saturating_duration_since(self.began) >= self.body_timeout {
            return Some(BodyTooSlow::Total(self.body_timeout));
        }
        self.meter.is_too_slow().then_some(BodyTooSlow::Rate(self.meter.min_rate))
    }
}

impl Stream for RatedBody {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let rated = self.get_mut();
        let polled = rated.body.poll_next_unpin(context);
        let now = Instant::now();
        rated.count_wait(now);
        if let Poll::Ready(read) = polled {
            rated.waiting_since = None;
            if let Some(Ok(bytes)) = &read {
                rated.meter.received(bytes.len() as u64);
            }
            return Poll::Ready(read);
        }
        rated.waiting_since = Some(now);
        if let Some(slow) = rated.failure(now) {
            return Poll::Ready(Some(Err(axum::Error::new(slow))));
        }
        let next_look = (now + rated.meter.slot).min(rated.began + rated.body_timeout);
        rated.alarm.as_mut().reset(next_look.max(now + Duration::from_millis(1)));
        if rated.alarm.as_mut().poll(context).is_ready() {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

/// Bytes of the last window, counted in slots of waited time.
#[derive(Debug)]
struct RateMeter {
    min_rate: u64,
    grace: Duration,
    slot: Duration,
    /// The newest last.
    slots: VecDeque<u64>,
    total_waited: Duration,
    /// Of it, in the newest slot.
    in_slot: Duration,
}

impl RateMeter {
    fn new(min_rate: u64, grace: Duration, window: Duration) -> Self {
        let slot = (window / SLOTS).max(Duration::from_millis(1));
        let (total_waited, in_slot) = (Duration::ZERO, Duration::ZERO);
        Self { min_rate, grace, slot, slots: VecDeque::from([0]), total_waited, in_slot }
    }

    fn received(&mut self, bytes: u64) {
        if let Some(newest) = self.slots.back_mut() {
            *newest = newest.saturating_add(bytes);
        }
    }

    fn waited(&mut self, time: Duration) {
        self.total_waited = self.total_waited.saturating_add(time);
        self.in_slot = self.in_slot.saturating_add(time);
        if self.in_slot >= self.slot * SLOTS {
            // Longer than the window, so nothing of before counts.
            self.slots = VecDeque::from([0]);
            self.in_slot = Duration::ZERO;
        }
        while self.in_slot >= self.slot {
            self.in_slot -= self.slot;
            self.slots.push_back(0);
            if self.slots.len() > SLOTS as usize {
                self.slots.pop_front();
            }
        }
    }

    fn is_too_slow(&self) -> bool {
        if self.min_rate == 0 || self.total_waited < self.grace {
            return false;
        }
        let span = self.total_waited.min(self.slot * SLOTS);
        let bytes: u64 = self.slots.iter().sum();
        u128::from(bytes) * 1000 < u128::from(self.min_rate) * span.as_millis()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn meter() -> RateMeter {
        RateMeter::new(16 << 10, 10 * SECOND, 30 * SECOND)
    }

    /// Whether a sender of so many bytes a second is too slow at some time within ten minutes.
    fn is_cut_off(bytes_a_second: impl Fn(u64) -> u64) -> Option<u64> {
        let mut meter = meter();
        (0..600).find(|second| {
            meter.waited(SECOND);
            meter.received(bytes_a_second(*second));
            meter.is_too_slow()
        })
    }

    #[test]
    fn a_sender_at_the_least_rate_is_never_cut_off_and_a_slower_one_is() {
        assert_eq!(is_cut_off(|_| 17 << 10), None);
        assert_eq!(is_cut_off(|_| 15 << 10), Some(9), "once the grace is over");
        assert_eq!(is_cut_off(|second| u64::from(second % 20 == 0)), Some(9));
    }

    #[test]
    fn a_sender_may_pause_for_as_long_as_its_average_holds() {
        assert_eq!(is_cut_off(|second| if second % 10 == 0 { 170 << 10 } else { 0 }), None);
        let burst = is_cut_off(|second| if second == 0 { 100 << 20 } else { 0 });
        assert!(burst.is_some_and(|second| (28..=31).contains(&second)), "a burst counts for one window: {burst:?}");
    }

    #[test]
    fn time_that_the_server_takes_does_not_count() {
        let mut meter = meter();
        meter.received(1);
        assert!(!meter.is_too_slow());
    }

    #[test]
    fn a_very_long_wait_costs_one_window_of_work() {
        let mut meter = meter();
        meter.received(1 << 40);
        meter.waited(Duration::from_secs(1 << 40));
        assert!(meter.is_too_slow());
        assert!(meter.slots.len() <= SLOTS as usize);
    }

    #[test]
    fn without_a_least_rate_everything_is_fast_enough() {
        let mut meter = RateMeter::new(0, SECOND, SECOND);
        meter.waited(1000 * SECOND);
        assert!(!meter.is_too_slow());
    }
}
