//! [`Rotation`]: the state behind a limiter. Which organization has how many permits, who waits, and who is next.
//!
//! Plain data under the lock of its limiter. It never blocks and knows no time.

use std::collections::{HashMap, VecDeque};

use tokio::sync::oneshot;

use super::Overloaded;

/// What a waiter receives: a permit that is counted as its own already, or a refusal.
pub(super) type Grant = Result<(), Overloaded>;

/// Permits and waiters of all organizations.
#[derive(Debug)]
pub(super) struct Rotation {
    free: usize,
    most_waiting: usize,
    most_each: usize,
    waiting: usize,
    /// Counts grants; orders organizations by their last one, and gives each waiter its number.
    clock: u64,
    organizations: HashMap<i64, Organization>,
}

#[derive(Debug, Default)]
struct Organization {
    running: usize,
    /// In the order in which they came.
    waiters: VecDeque<Waiter>,
    /// The clock at its last grant.
    served: u64,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    granted: oneshot::Sender<Grant>,
}

impl Rotation {
    pub(super) fn new(permits: usize, most_waiting: usize, most_each: usize) -> Self {
        let organizations = HashMap::new();
        Self { free: permits, most_waiting, most_each, waiting: 0, clock: 0, organizations }
    }

    /// Takes a permit that is free, unless the organization has its share or others of it wait already.
    pub(super) fn try_take(&mut self, organization_id: i64) -> bool {
        if self.free == 0 {
            return false;
        }
        let organization = self.organizations.entry(organization_id).or_default();
        if organization.running >= self.most_each || !organization.waiters.is_empty() {
            return false;
        }
        self.grant(organization_id);
        true
    }

    /// Appends a waiter to the queue. If the queue is full, the newest waiter of the organization with the most of them
    /// makes room, unless the caller's own has as many.
    pub(super) fn enqueue(&mut self, organization_id: i64) -> Result<(u64, oneshot::Receiver<Grant>), Overloaded> {
        if self.waiting >= self.most_waiting {
            self.make_room(organization_id)?;
        }
        self.clock += 1;
        let number = self.clock;
        let (granted, receiver) = oneshot::channel();
        let organization = self.organizations.entry(organization_id).or_default();
        organization.waiters.push_back(Waiter { number, granted });
        self.waiting += 1;
        Ok((number, receiver))
    }

    fn make_room(&mut self, organization_id: i64) -> Result<(), Overloaded> {
        let own = self.organizations.get(&organization_id).map_or(0, |own| own.waiters.len());
        let longest = self.organizations.values_mut().max_by_key(|organization| organization.waiters.len());
        // Both would be as long afterwards: then who was first stays.
        let longest = longest.filter(|longest| longest.waiters.len() > own + 1).ok_or(Overloaded::QueueFull)?;
        if let Some(newest) = longest.waiters.pop_back() {
            self.waiting -= 1;
            // A waiter that is cancelled at this moment needs no answer.
            let _cancelled = newest.granted.send(Err(Overloaded::QueueFull));
        }
        Ok(())
    }

    /// Takes a waiter out of the queue; false if it was answered before.
    pub(super) fn withdraw(&mut self, organization_id: i64, number: u64) -> bool {
        let Some(organization) = self.organizations.get_mut(&organization_id) else { return false };
        let Some(at) = organization.waiters.iter().position(|waiter| waiter.number == number) else { return false };
        organization.waiters.remove(at);
        self.waiting -= 1;
        self.forget_idle(organization_id);
        true
    }

    /// Gives a permit back and hands what is free to those that wait.
    pub(super) fn release(&mut self, organization_id: i64) {
        if let Some(organization) = self.organizations.get_mut(&organization_id) {
            organization.running -= 1;
            self.free += 1;
        }
        while self.free > 0 && self.waiting > 0 {
            let Some(next) = self.next() else { break };
            self.grant_first_of(next);
        }
        self.forget_idle(organization_id);
    }

    /// Of the organizations that wait and have less than their share, the one with the fewest permits; of several, the
    /// one that was not served for longest.
    fn next(&self) -> Option<i64> {
        let eligible = self
            .organizations
            .iter()
            .filter(|(_, organization)| !organization.waiters.is_empty() && organization.running < self.most_each);
        eligible.min_by_key(|(id, organization)| (organization.running, organization.served, **id)).map(|(id, _)| *id)
    }

    fn grant_first_of(&mut self, organization_id: i64) {
        let waiters = self.organizations.get_mut(&organization_id).map(|organization| &mut organization.waiters);
        let Some(waiter) = waiters.and_then(VecDeque::pop_front) else { return };
        self.waiting -= 1;
        // One whose caller is gone gets nothing, so its permit stays free.
        if waiter.granted.send(Ok(())).is_ok() {
            self.grant(organization_id);
        }
    }

    fn grant(&mut self, organization_id: i64) {
        self.clock += 1;
        self.free -= 1;
        let organization = self.organizations.entry(organization_id).or_default();
        organization.running += 1;
        organization.served = self.clock;
    }

    /// Forgets an organization without work. While anything waits, the time of its last grant still counts.
    fn forget_idle(&mut self, organization_id: i64) {
        if self.waiting == 0 && self.organizations.len() > 1 {
            self.organizations.retain(|_, organization| organization.running > 0);
        } else if self.waiting == 0 && self.organizations.get(&organization_id).is_some_and(|one| one.running == 0) {
            self.organizations.remove(&organization_id);
        }
    }

    pub(super) fn free(&self) -> usize {
        self.free
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }
}
