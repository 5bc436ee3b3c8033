//! [`Quotas`]: whether an organization or a project may have as much as somebody is about to give it.
//!
//! What is used is summed up by the database and remembered for a few seconds, together with what was let in since. Close
//! to a limit, and before anything is refused, it is summed up again for each request. So one process never lets in more
//! than the quota, and several exceed it at most by what the others have under way just then. A new quota holds from the
//! next request on, another one a few seconds later. A refusal is never remembered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::db::{Db, DbError, Limits, Owner};
use crate::types::{Quota, Usage};

/// How long a sum is believed far from a limit.
const BELIEVED: Duration = Duration::from_secs(5);

/// How close to a limit is close, in bytes and in files.
const CLOSE: (u64, u64) = (64 << 20, 64);

/// The ledgers of everybody. A clone is the same.
#[derive(Clone, Debug)]
pub struct Quotas {
    db: Db,
    ledgers: Arc<Mutex<HashMap<Owner, Arc<Ledger>>>>,
}

/// What one request may add to its organization and the projects of it.
#[derive(Clone, Debug)]
pub struct Allowance {
    quotas: Quotas,
    organization_id: i64,
    since: Instant,
}

/// What is about to be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addition {
    /// The bytes of a chunk.
    Chunk(u64),
    /// So many files, which have so many bytes together.
    Files(u64, u64),
}

/// Why it may not.
#[derive(Debug, thiserror::Error)]
pub enum QuotaError {
    /// It would be more than the quota; the sentence is for the uploader.
    #[error("{0}")]
    Over(String),
    /// Rows.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Room that is taken until what it was taken for stands in the rows, or is given up. Then this is dropped.
#[derive(Debug, Default)]
#[must_use = "room is given back when this is dropped"]
pub struct Room(Vec<(Arc<Ledger>, u64)>);

/// What one owner has.
#[derive(Debug)]
struct Ledger {
    owner: Owner,
    /// Held by whoever sums up.
    reading: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: Option<Known>,
    /// How many sums were begun.
    sums: u64,
    next: u64,
    taken: HashMap<u64, Taken>,
    /// What all of it comes to, so that a batch of thousands never adds it up for each of its files.
    taken_sum: TakenSum,
}

/// Sums of what was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct TakenSum {
    chunk_bytes: u64,
    files: u64,
    file_bytes: u64,
}

#[derive(Debug)]
struct Known {
    limits: Limits,
    usage: Usage,
    begun: Instant,
}

/// Room that was taken, and how many sums had been begun when its rows were written. Later sums have it in them.
#[derive(Debug)]
struct Taken {
    addition: Addition,
    settled: Option<u64>,
}

/// What a ledger says.
enum Verdict {
    Granted(Option<u64>),
    Refused(String),
    /// It must be summed up anew, not longer ago than this.
    Unknown(Instant),
}

impl Quotas {
    /// Nothing is summed up yet.
    pub fn new(db: &Db) -> Self {
        Self { db: db.clone(), ledgers: Arc::default() }
    }

    /// What a request that comes now may add.
    pub fn allowance(&self, organization_id: i64) -> Allowance {
        Allowance { quotas: self.clone(), organization_id, since: Instant::now() }
    }

    fn ledger(&self, owner: Owner) -> Arc<Ledger> {
        let mut ledgers = self.ledgers.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Ledger { owner, reading: tokio::sync::Mutex::default(), state: Mutex::default() });
        Arc::clone(ledgers.entry(owner).or_insert_with(new))
    }
}

impl Allowance {
    /// The organization.
    pub fn organization_id(&self) -> i64 {
        self.organization_id
    }

    /// Whether there is room for a chunk at all, however small.
    pub async fn may_send(&self) -> Result<(), QuotaError> {
        self.ask(Owner::Organization(self.organization_id), Addition::Chunk(1), false).await.map(drop)
    }

    /// Room for a chunk of so many bytes.
    pub async fn chunk(&self, bytes: u64) -> Result<Room, QuotaError> {
        self.ask(Owner::Organization(self.organization_id), Addition::Chunk(bytes), true).await
    }

    /// Whether there is room for so many files in a project, which have at least so many bytes together.
    pub async fn may_add(&self, project_id: i64, files: u64, bytes: u64) -> Result<(), QuotaError> {
        let addition = Addition::Files(files, bytes);
        self.ask(Owner::Project(project_id), addition, false).await.map(drop)?;
        self.ask(Owner::Organization(self.organization_id), addition, false).await.map(drop)
    }

    /// Room for so many files in a project, which have so many bytes together.
    pub async fn files(&self, project_id: i64, files: u64, bytes: u64) -> Result<Room, QuotaError> {
        let addition = Addition::Files(files, bytes);
        let mut room = self.ask(Owner::Project(project_id), addition, true).await?;
        let further = match self.ask(Owner::Organization(self.organization_id), addition, true).await {
            Ok(mut further) => std::mem::take(&mut further.0),
            Err(error) => {
                room.give_back();
                return Err(error);
            }
        };
        room.0.extend(further);
        Ok(room)
    }

    async fn ask(&self, owner: Owner, addition: Addition, take: bool) -> Result<Room, QuotaError> {
        let ledger = self.quotas.ledger(owner);
        loop {
            let verdict = ledger.state().judge(addition, take, self.since);
            match verdict {
                Verdict::Granted(number) => {
                    return Ok(Room(number.map(|number| (ledger, number)).into_iter().collect()));
                }
                Verdict::Refused(sentence) => return Err(QuotaError::Over(sentence)),
                Verdict::Unknown(since) => ledger.sum_up(&self.quotas.db, since).await?,
            }
        }
    }
}

impl Ledger {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sums up what is used, unless somebody else began to after `since`.
    async fn sum_up(&self, db: &Db, since: Instant) -> Result<(), DbError> {
        let _turn = self.reading.lock().await;
        if self.state().known.as_ref().is_some_and(|known| known.begun >= since) {
            return Ok(());
        }
        let begun = Instant::now();
        let number = {
            let mut state = self.state();
            state.sums += 1;
            state.sums
        };
        let limits = db.limits(self.owner).await?;
        let limits = limits.unwrap_or_else(|| Limits { name: String::new(), quota: Quota::default() });
        let usage = match limits.quota {
            Quota { bytes: None, files: None } => Usage::default(),
            _ => db.usage(self.owner).await?,
        };
        let mut state = self.state();
        state.known = Some(Known { limits, usage, begun });
        state.forget_settled(number);
        Ok(())
    }
}

impl State {
    /// Whether there is room, which is taken if asked for.
    fn judge(&mut self, addition: Addition, take: bool, since: Instant) -> Verdict {
        let now = Instant::now();
        let Some(known) = &self.known else { return Verdict::Unknown(since) };
        if now.duration_since(known.begun) >= BELIEVED {
            return Verdict::Unknown(now);
        }
        let Quota { bytes, files } = known.limits.quota;
        let fresh = known.begun >= since;
        if bytes.is_none() && files.is_none() {
            // To look whether there is a quota by now costs next to nothing.
            return if fresh { Verdict::Granted(None) } else { Verdict::Unknown(since) };
        }
        let (used_files, used_bytes) = self.used(addition, &known.usage);
        let (more_files, more_bytes) = match addition {
            Addition::Chunk(bytes) => (0, bytes),
            Addition::Files(files, bytes) => (files, bytes),
        };
        let over =
            |limit: Option<u64>, used: u64, more: u64| limit.is_some_and(|limit| used.saturating_add(more) > limit);
        let close = over(bytes, used_bytes, more_bytes.saturating_add(CLOSE.0))
            || more_files > 0 && over(files, used_files, more_files.saturating_add(CLOSE.1));
        if close && !fresh {
            return Verdict::Unknown(since);
        }
        let name = &known.limits.name;
        if over(bytes, used_bytes, more_bytes) {
            return Verdict::Refused(too_many_bytes(name, bytes.unwrap_or_default(), used_bytes));
        }
        if more_files > 0 && over(files, used_files, more_files) {
            return Verdict::Refused(too_many_files(name, files.unwrap_or_default()));
        }
        if !take {
            return Verdict::Granted(None);
        }
        Verdict::Granted(Some(self.take(addition)))
    }

    fn take(&mut self, addition: Addition) -> u64 {
        let number = self.next;
        self.next += 1;
        self.taken.insert(number, Taken { addition, settled: None });
        self.taken_sum.add(addition);
        number
    }

    fn give_back(&mut self, number: u64) {
        if let Some(taken) = self.taken.remove(&number) {
            self.taken_sum.subtract(taken.addition);
        }
    }

    /// Forgets what was settled before the sum `number` began, which has it in it.
    fn forget_settled(&mut self, number: u64) {
        let Self { taken, taken_sum, .. } = self;
        taken.retain(|_, taken| {
            let stays = taken.settled.is_none_or(|settled| settled >= number);
            if !stays {
                taken_sum.subtract(taken.addition);
            }
            stays
        });
    }

    /// Files and bytes that count when this is to be added. Chunks are counted beside the files that stand, and files
    /// beside those that are about to: what waits as chunks is not counted again as the file that it becomes.
    fn used(&self, addition: Addition, usage: &Usage) -> (u64, u64) {
        let taken = self.taken_sum;
        match addition {
            Addition::Chunk(_) => (usage.files, usage.bytes + usage.waiting_bytes + taken.chunk_bytes),
            Addition::Files(..) => {
                (usage.files + usage.open_files + taken.files, usage.bytes + usage.open_bytes + taken.file_bytes)
            }
        }
    }
}

impl TakenSum {
    fn add(&mut self, addition: Addition) {
        match addition {
            Addition::Chunk(bytes) => self.chunk_bytes += bytes,
            Addition::Files(files, bytes) => {
                self.files += files;
                self.file_bytes += bytes;
            }
        }
    }

    fn subtract(&mut self, addition: Addition) {
        match addition {
            Addition::Chunk(bytes) => self.chunk_bytes -= bytes,
            Addition::Files(files, bytes) => {
                self.files -= files;
                self.file_bytes -= bytes;
            }
        }
    }
}

impl Room {
    /// Gives the room back at once: nothing came of it.
    fn give_back(&mut self) {
        for (ledger, number) in self.0.drain(..) {
            ledger.state().give_back(number);
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        for (ledger, number) in self.0.drain(..) {
            let mut state = ledger.state();
            let sums = state.sums;
            if let Some(taken) = state.taken.get_mut(&number) {
                taken.settled = Some(sums);
            }
        }
    }
}

/// What to do about it.
const ADVICE: &str = "Delete debug files that are not needed, or ask whoever runs the server to raise the quota.";

fn too_many_bytes(name: &str, limit: u64, used: u64) -> String {
    format!(
        "The quota of {name} is used up: it may have {limit} bytes, {used} are taken, and this is too much. {ADVICE}"
    )
}

fn too_many_files(name: &str, limit: u64) -> String {
    format!("The quota of {name} is used up: it may have {limit} debug files and no more. {ADVICE}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(bytes: u64, used: u64, begun: Instant) -> State {
        let limits = Limits { name: "acme".to_owned(), quota: Quota { bytes: Some(bytes), files: None } };
        let usage = Usage { bytes: used, ..Usage::default() };
        State { known: Some(Known { limits, usage, begun }), ..State::default() }
    }

    fn granted(state: &mut State, addition: Addition, since: Instant) -> Option<bool> {
        match state.judge(addition, true, since) {
            Verdict::Granted(_) => Some(true),
            Verdict::Refused(_) => Some(false),
            Verdict::Unknown(_) => None,
        }
    }

    #[tokio::test]
    async fn what_was_let_in_counts_until_a_later_sum_has_it() {
        let now = Instant::now();
        let mut state = state(100, 40, now);
        assert_eq!(granted(&mut state, Addition::Chunk(50), now), Some(true));
        assert_eq!(granted(&mut state, Addition::Chunk(11), now), Some(false));
        assert_eq!(granted(&mut state, Addition::Chunk(10), now), Some(true));
        assert_eq!(granted(&mut state, Addition::Files(1, 60), now), Some(true), "files are counted beside chunks");
        assert_eq!(granted(&mut state, Addition::Files(1, 1), now), Some(false));
    }

    #[tokio::test]
    async fn close_to_a_limit_a_sum_of_before_the_request_does_not_do() {
        let now = Instant::now();
        let later = now + Duration::from_millis(1);
        assert_eq!(granted(&mut state(1 << 40, 0, now), Addition::Chunk(50), later), Some(true));
        assert_eq!(granted(&mut state(1 << 20, 0, now), Addition::Chunk(50), later), None);
        assert_eq!(granted(&mut state(1 << 20, 1 << 20, now), Addition::Chunk(50), later), None, "nor to refuse");
        let old = now.checked_sub(BELIEVED).unwrap();
        assert_eq!(granted(&mut state(1 << 40, 0, old), Addition::Chunk(50), old), None);
    }
}
