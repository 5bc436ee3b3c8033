//! How many children run at a time, in two classes: conversions, which take minutes, and short tasks, which a request
//! waits for. A task of one class never waits for one of the other.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::sandbox::SandboxError;
use crate::admission::{Overloaded, WorkLimiter, WorkPermit};

/// Short tasks that wait beside those that run.
const QUEUE: usize = 64;

/// How long a request waits for a short task to begin.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Permits that one organization leaves to others, where there are more.
const LEFT_TO_OTHERS: usize = 2;

/// How soon work that is not to be refused asks again for a place in the queue.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// The key of work that belongs to no organization in particular.
const NO_ORGANIZATION: i64 = 0;

/// For which work a short task is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnBehalf {
    organization_id: i64,
    may_be_refused: bool,
}

/// Leave to start a conversion, and to reassemble the file for it before.
#[derive(Debug)]
#[must_use = "the work is limited only while the permit is held"]
pub struct ConversionPermit(#[expect(dead_code, reason = "it is held and never looked at")] OwnedSemaphorePermit);

/// Leave to start short tasks one after the other.
#[derive(Debug)]
#[must_use = "the work is limited only while the permit is held"]
pub struct ShortPermit(#[expect(dead_code, reason = "it is held and never looked at")] WorkPermit);

/// The permits of both classes. A clone is the same permits.
#[derive(Clone, Debug)]
pub(super) struct Permits {
    conversions: Arc<Semaphore>,
    most_conversions: usize,
    short: WorkLimiter,
}

impl OnBehalf {
    /// A request of an organization that has done nothing yet: where too much waits, it is refused and comes again.
    pub fn request(organization_id: i64) -> Self {
        Self { organization_id, may_be_refused: true }
    }

    /// Work of an organization that was admitted before: it waits as long as it takes.
    pub fn admitted(organization_id: i64) -> Self {
        Self { organization_id, may_be_refused: false }
    }

    /// A job, of which there are no more at a time than workers: it waits as long as it takes.
    pub fn job() -> Self {
        Self::admitted(NO_ORGANIZATION)
    }
}

impl Permits {
    pub(super) fn new(conversions: usize, short: usize) -> Self {
        let share = short.saturating_sub(LEFT_TO_OTHERS).max(1);
        Self {
            conversions: Arc::new(Semaphore::new(conversions)),
            most_conversions: conversions,
            short: WorkLimiter::with_share(short, share, QUEUE, LONGEST_WAIT),
        }
    }

    pub(super) async fn conversion(&self) -> ConversionPermit {
        let permit = Arc::clone(&self.conversions).acquire_owned().await;
        ConversionPermit(permit.expect("the semaphore is never closed"))
    }

    /// Whether other conversions run beside that of the caller, who holds a permit, or all permits are taken.
    pub(super) fn others_convert(&self) -> bool {
        self.conversions.available_permits() + 1 < self.most_conversions
    }

    pub(super) async fn short(&self, on_behalf: OnBehalf) -> Result<ShortPermit, SandboxError> {
        loop {
            match self.short.acquire(on_behalf.organization_id).await {
                Ok(permit) => return Ok(ShortPermit(permit)),
                Err(overloaded) if on_behalf.may_be_refused => return Err(overloaded.into()),
                Err(Overloaded::WaitedTooLong) => {}
                Err(Overloaded::QueueFull) => tokio::time::sleep(ASK_AGAIN).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn is_ready<T>(future: impl Future<Output = T>) -> Option<T> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn a_short_task_begins_while_every_conversion_permit_is_taken() {
        let permits = Permits::new(1, 2);
        let _conversion = permits.conversion().await;
        assert!(is_ready(permits.conversion()).is_none());
        assert!(is_ready(permits.short(OnBehalf::request(1))).is_some_and(|permit| permit.is_ok()));
    }

    #[tokio::test]
    async fn a_conversion_begins_while_every_short_permit_is_taken() {
        let permits = Permits::new(1, 1);
        let _short = permits.short(OnBehalf::request(1)).await.expect("it is free");
        assert!(is_ready(permits.conversion()).is_some());
    }

    #[tokio::test]
    async fn one_organization_leaves_short_permits_to_others() {
        let permits = Permits::new(1, 4);
        let mut held = Vec::new();
        while let Some(permit) = is_ready(permits.short(OnBehalf::request(1))) {
            held.push(permit.expect("it is free"));
        }
        assert_eq!(held.len(), 2);
        assert!(is_ready(permits.short(OnBehalf::request(2))).is_some_and(|permit| permit.is_ok()));
    }

    #[tokio::test]
    async fn a_request_is_refused_where_too_many_wait_and_admitted_work_is_not() {
        let permits = Permits::new(1, 1);
        let held = permits.short(OnBehalf::request(1)).await.expect("it is free");
        let mut waiting: Vec<_> = (0..QUEUE).map(|_| Box::pin(permits.short(OnBehalf::request(1)))).collect();
        let mut context = Context::from_waker(Waker::noop());
        assert!(waiting.iter_mut().all(|waiter| waiter.as_mut().poll(&mut context).is_pending()));
        let refused = permits.short(OnBehalf::request(1)).await;
        assert!(matches!(refused, Err(SandboxError::Overloaded(Overloaded::QueueFull))));
        let mut admitted = Box::pin(permits.short(OnBehalf::admitted(1)));
        assert!(admitted.as_mut().poll(&mut context).is_pending());
        drop((held, waiting));
        assert!(admitted.await.is_ok());
    }
}
