//! [`WorkLimiter`]: permits, a bounded queue, a maximum wait and rotation over organizations.
//!
//! A permit is for work in hand. It is never to be held while a client's bytes are awaited.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::rotation::{Grant, Rotation};

/// Limits one kind of work. A clone is the same limiter.
#[derive(Clone, Debug)]
pub struct WorkLimiter {
    rotation: Arc<Mutex<Rotation>>,
    max_wait: Duration,
}

/// Why there is no permit. Both pass by themselves: the caller is to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Overloaded {
    /// The queue is full.
    #[error("too much of this work is waiting already")]
    QueueFull,
    /// No permit became free within the maximum wait.
    #[error("no permit became free in time")]
    WaitedTooLong,
}

/// Leave to do one piece of work. Dropping it lets the next one begin.
#[derive(Debug)]
#[must_use = "the work is limited only while the permit is held"]
pub struct WorkPermit {
    rotation: Arc<Mutex<Rotation>>,
    organization_id: i64,
}

/// A position in the queue. Dropped, it is given back, and so is a permit that arrived at the same moment.
#[derive(Debug)]
pub struct QueueSlot {
    rotation: Arc<Mutex<Rotation>>,
    organization_id: i64,
    number: u64,
    granted: oneshot::Receiver<Grant>,
    answered: bool,
}

impl WorkLimiter {
    /// A limiter of `permits` at a time, beside which `queue` callers wait for up to `max_wait`.
    pub fn new(permits: usize, queue: usize, max_wait: Duration) -> Self {
        Self::with_share(permits, usize::MAX, queue, max_wait)
    }

    /// The same, where one organization has at most `share` of the permits, so that others find some free.
    pub fn with_share(permits: usize, share: usize, queue: usize, max_wait: Duration) -> Self {
        Self { rotation: Arc::new(Mutex::new(Rotation::new(permits, queue, share))), max_wait }
    }

    /// A permit for work of an organization, at once or after waiting. Dropping the future gives everything back.
    pub async fn acquire(&self, organization_id: i64) -> Result<WorkPermit, Overloaded> {
        match self.begin(organization_id)? {
            Begun::Permit(permit) => Ok(permit),
            Begun::Queued(slot) => {
                tokio::time::timeout(self.max_wait, slot.wait()).await.unwrap_or(Err(Overloaded::WaitedTooLong))
            }
        }
    }

    /// A permit if one is free for the organization now.
    pub fn try_acquire(&self, organization_id: i64) -> Option<WorkPermit> {
        let taken = lock(&self.rotation).try_take(organization_id);
        taken.then(|| WorkPermit { rotation: Arc::clone(&self.rotation), organization_id })
    }

    fn begin(&self, organization_id: i64) -> Result<Begun, Overloaded> {
        let mut locked = lock(&self.rotation);
        let rotation = Arc::clone(&self.rotation);
        if locked.try_take(organization_id) {
            return Ok(Begun::Permit(WorkPermit { rotation, organization_id }));
        }
        let (number, granted) = locked.enqueue(organization_id)?;
        Ok(Begun::Queued(QueueSlot { rotation, organization_id, number, granted, answered: false }))
    }

    /// Permits that nothing has.
    pub fn free(&self) -> usize {
        lock(&self.rotation).free()
    }

    /// Callers in the queue.
    pub fn waiting(&self) -> usize {
        lock(&self.rotation).waiting()
    }
}

enum Begun {
    Permit(WorkPermit),
    Queued(QueueSlot),
}

impl QueueSlot {
    async fn wait(mut self) -> Result<WorkPermit, Overloaded> {
        let granted = (&mut self.granted).await;
        self.answered = true;
        match granted {
            Ok(Ok(())) => {
                Ok(WorkPermit { rotation: Arc::clone(&self.rotation), organization_id: self.organization_id })
            }
            Ok(Err(overloaded)) => Err(overloaded),
            // The sender is dropped only with its waiter, which is answered before.
            Err(_) => Err(Overloaded::QueueFull),
        }
    }
}

impl Drop for QueueSlot {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        // Answers are sent under this lock, so after it there is one or there will be none.
        let mut rotation = lock(&self.rotation);
        if !rotation.withdraw(self.organization_id, self.number) && matches!(self.granted.try_recv(), Ok(Ok(()))) {
            rotation.release(self.organization_id);
        }
    }
}

impl Drop for WorkPermit {
    fn drop(&mut self) {
        lock(&self.rotation).release(self.organization_id);
    }
}

fn lock(rotation: &Mutex<Rotation>) -> MutexGuard<'_, Rotation> {
    rotation.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use proptest::prelude::*;

    use super::*;

    type Acquiring = Pin<Box<dyn Future<Output = Result<WorkPermit, Overloaded>>>>;

    const LONG: Duration = Duration::from_secs(3600);

    fn acquiring(limiter: &WorkLimiter, organization_id: i64) -> Acquiring {
        let limiter = limiter.clone();
        Box::pin(async move { limiter.acquire(organization_id).await })
    }

    fn poll(acquiring: &mut Acquiring) -> Option<Result<WorkPermit, Overloaded>> {
        match acquiring.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        }
    }

    /// A request that waits.
    fn queued(limiter: &WorkLimiter, organization_id: i64) -> Acquiring {
        let mut acquiring = acquiring(limiter, organization_id);
        assert!(poll(&mut acquiring).is_none(), "it waits");
        acquiring
    }

    #[tokio::test]
    async fn a_full_queue_refuses_the_next_and_the_others_get_their_permit() {
        let limiter = WorkLimiter::new(1, 1, LONG);
        let permit = limiter.acquire(1).await.unwrap();
        let mut second = queued(&limiter, 1);
        assert_eq!(limiter.acquire(1).await.unwrap_err(), Overloaded::QueueFull);
        drop(permit);
        let second = poll(&mut second).unwrap().unwrap();
        drop(second);
        assert_eq!((limiter.free(), limiter.waiting()), (1, 0));
    }

    #[tokio::test]
    async fn a_caller_that_waited_too_long_is_refused_and_leaves_the_queue() {
        let limiter = WorkLimiter::new(1, 1, Duration::from_millis(1));
        let _permit = limiter.acquire(1).await.unwrap();
        assert_eq!(limiter.acquire(1).await.unwrap_err(), Overloaded::WaitedTooLong);
        assert_eq!(limiter.waiting(), 0);
    }

    #[tokio::test]
    async fn the_organization_with_the_fewest_permits_is_next_whatever_came_first() {
        let limiter = WorkLimiter::new(2, 100, LONG);
        let (first, second) = (limiter.acquire(1).await.unwrap(), limiter.acquire(1).await.unwrap());
        let mut busy: Vec<_> = (0..50).map(|_| queued(&limiter, 1)).collect();
        let mut quiet = queued(&limiter, 2);
        drop(first);
        let quiet = poll(&mut quiet).expect("its turn is before the fifty").unwrap();
        assert!(busy.iter_mut().all(|waiter| poll(waiter).is_none()));
        drop(second);
        let served: Vec<_> = busy.iter_mut().map(|waiter| poll(waiter).is_some()).collect();
        assert_eq!(served.iter().position(|served| *served), Some(0), "within one organization the oldest is first");
        drop(quiet);
    }

    #[tokio::test]
    async fn of_organizations_with_as_many_permits_the_one_not_served_for_longest_is_next() {
        let limiter = WorkLimiter::new(1, 100, LONG);
        let mut running = limiter.acquire(9).await.unwrap();
        let mut waiting: Vec<(i64, Acquiring)> =
            [1, 1, 1, 2, 2, 3].into_iter().map(|id| (id, queued(&limiter, id))).collect();
        let mut order = Vec::new();
        while !waiting.is_empty() {
            drop(running);
            let mut next = None;
            waiting.retain_mut(|(id, acquiring)| match poll(acquiring) {
                Some(permit) => {
                    next = Some((*id, permit.unwrap()));
                    false
                }
                None => true,
            });
            let (id, permit) = next.expect("one is served");
            order.push(id);
            running = permit;
        }
        assert_eq!(order, [1, 2, 3, 1, 2, 1]);
    }

    #[tokio::test]
    async fn a_full_queue_of_one_organization_has_room_for_another() {
        let limiter = WorkLimiter::new(1, 4, LONG);
        let permit = limiter.acquire(1).await.unwrap();
        let mut busy: Vec<_> = (0..4).map(|_| queued(&limiter, 1)).collect();
        let mut quiet = queued(&limiter, 2);
        assert_eq!(poll(&mut busy[3]).unwrap().unwrap_err(), Overloaded::QueueFull, "the newest makes room");
        let _second = queued(&limiter, 2);
        assert_eq!(limiter.acquire(2).await.unwrap_err(), Overloaded::QueueFull, "both have two now");
        drop(permit);
        assert!(poll(&mut quiet).unwrap().is_ok());
    }

    #[tokio::test]
    async fn an_organization_that_has_its_share_waits_although_permits_are_free() {
        let limiter = WorkLimiter::with_share(3, 2, 10, LONG);
        let permits = [limiter.acquire(1).await.unwrap(), limiter.acquire(1).await.unwrap()];
        let mut third = queued(&limiter, 1);
        assert!(limiter.try_acquire(1).is_none());
        let other = limiter.try_acquire(2).expect("a permit is free for another");
        drop(other);
        assert!(poll(&mut third).is_none());
        let [first, _second] = permits;
        drop(first);
        assert!(poll(&mut third).unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_permit_that_was_granted_to_a_cancelled_caller_goes_to_the_next() {
        let limiter = WorkLimiter::new(1, 10, LONG);
        let permit = limiter.acquire(1).await.unwrap();
        let (first, mut second) = (queued(&limiter, 1), queued(&limiter, 1));
        drop(permit);
        drop(first);
        assert!(poll(&mut second).unwrap().is_ok());
        assert_eq!((limiter.free(), limiter.waiting()), (1, 0));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Acquire(i64),
        Poll(usize),
        Cancel(usize),
        Release(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..4_i64).prop_map(Step::Acquire),
            any::<usize>().prop_map(Step::Poll),
            any::<usize>().prop_map(Step::Cancel),
            any::<usize>().prop_map(Step::Release),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_permit_is_lost_or_given_twice_in_any_order_of_calls(
            permits in 1..4_usize,
            share in 1..4_usize,
            queue in 0..6_usize,
            steps in prop::collection::vec(step(), 0..120),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let _entered = runtime.enter();
            let limiter = WorkLimiter::with_share(permits, share, queue, LONG);
            let mut waiting: Vec<(i64, Acquiring)> = Vec::new();
            let mut running: Vec<(i64, WorkPermit)> = Vec::new();
            for step in steps {
                match step {
                    Step::Acquire(id) => waiting.push((id, acquiring(&limiter, id))),
                    Step::Poll(at) if !waiting.is_empty() => {
                        let at = at % waiting.len();
                        match poll(&mut waiting[at].1) {
                            Some(Ok(permit)) => running.push((waiting.swap_remove(at).0, permit)),
                            Some(Err(_)) => drop(waiting.swap_remove(at)),
                            None => {}
                        }
                    }
                    Step::Cancel(at) if !waiting.is_empty() => drop(waiting.swap_remove(at % waiting.len())),
                    Step::Release(at) if !running.is_empty() => drop(running.swap_remove(at % running.len())),
                    _ => {}
                }
                let mut each: HashMap<i64, usize> = HashMap::new();
                for (id, _) in &running {
                    *each.entry(*id).or_default() += 1;
                }
                prop_assert!(running.len() <= permits);
                prop_assert!(each.values().all(|count| *count <= share));
                prop_assert!(limiter.waiting() <= queue);
            }
            drop(running);
            // Whatever still waits gets its permit, one after the other.
            for (_, acquiring) in &mut waiting {
                drop(poll(acquiring));
            }
            drop(waiting);
            prop_assert_eq!((limiter.free(), limiter.waiting()), (permits, 0));
        }
    }
}
