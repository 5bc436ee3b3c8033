//! What was looked for and was not there, so that people see what to upload. It is counted in memory and written every
//! few seconds: a client that misses everything does not keep the database busy.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};

use super::WantedId;
use crate::clock::Clock;
use crate::db::{Db, DbError};
use crate::types::{CodeId, DebugId, Miss, MissedId, RequestedKinds};

/// Misses that wait to be written at most; further ones are not counted.
const MOST_WAITING: usize = 10_000;

/// The same of clients without a credential, who cost the database little and push out no other misses.
const MOST_ANONYMOUS: usize = 1_000;

/// Most names of one id.
const MOST_NAMES: i64 = 4;

/// Digits of a build id.
const BUILD_ID: usize = 40;

/// Digits of a UUID.
const UUID: usize = 32;

type Waiting = HashMap<(i64, MissedId), Miss>;

/// Longest name that is kept.
const LONGEST_NAME: usize = 255;

/// Counts misses. A clone counts into the same.
#[derive(Clone, Debug)]
pub struct Misses {
    db: Db,
    clock: Clock,
    /// Of clients with a credential, and of those without one.
    waiting: Arc<Mutex<[Waiting; 2]>>,
    anonymous: bool,
}

impl Misses {
    /// Nothing was missed yet.
    pub fn new(db: &Db, clock: &Clock) -> Self {
        Self { db: db.clone(), clock: clock.clone(), waiting: Arc::default(), anonymous: false }
    }

    /// The same, counting what a client missed that sent a credential or did not.
    #[must_use]
    pub fn of_client(&self, authenticated: bool) -> Self {
        Self { anonymous: !authenticated, ..self.clone() }
    }

    /// Counts that `asker`, a kind of client, did not find a file of these kinds under an id in a project.
    pub fn note(&self, project_id: i64, id: &WantedId, kinds: RequestedKinds, name: Option<&str>, asker: &str) {
        let Some(id) = missed_id(id) else { return };
        let now = self.clock.now();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let most = if self.anonymous { MOST_ANONYMOUS } else { MOST_WAITING };
        let waiting = &mut waiting[usize::from(self.anonymous)];
        let full = waiting.len() >= most;
        let miss = match waiting.get_mut(&(project_id, id.clone())) {
            Some(miss) => miss,
            None if full => return,
            None => waiting.entry((project_id, id.clone())).or_insert_with(|| new_miss(project_id, id, asker, now)),
        };
        miss.times += 1;
        miss.kinds = miss.kinds.union(kinds);
        miss.last_at = now;
        asker.clone_into(&mut miss.asker);
        if let Some(name) = name.filter(|name| name.len() <= LONGEST_NAME) {
            miss.name = Some(name.to_owned());
        }
    }

    /// Writes what was counted. What cannot be written is kept for the next time, up to the number that may wait.
    pub async fn flush(&self) -> Result<(), DbError> {
        let [known, anonymous] = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let (known, anonymous): (Vec<_>, Vec<_>) = (known.into_values().collect(), anonymous.into_values().collect());
        let mut written = self.db.add_misses(&known).await;
        if written.is_err() {
            self.put_back(0, MOST_WAITING, known);
        }
        // After a failure the next one would only wait for the same database.
        if written.is_ok() {
            written = self.db.add_anonymous_misses(&anonymous).await;
        }
        if written.is_err() {
            self.put_back(1, MOST_ANONYMOUS, anonymous);
        }
        written
    }

    /// Adds counts that were not written to those that came since.
    fn put_back(&self, which: usize, most: usize, misses: Vec<Miss>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = &mut waiting[which];
        for miss in misses {
            let full = waiting.len() >= most;
            match waiting.entry((miss.project_id, miss.id.clone())) {
                Entry::Occupied(mut newer) => {
                    let newer = newer.get_mut();
                    newer.times += miss.times;
                    newer.first_at = miss.first_at;
                    newer.name = newer.name.take().or(miss.name);
                }
                Entry::Vacant(_) if full => {}
                Entry::Vacant(entry) => drop(entry.insert(miss)),
            }
        }
    }

    /// The names under which an id was missed in a project, the last first, with what was counted just now.
    pub async fn names(&self, project_id: i64, id: &WantedId) -> Result<Vec<String>, DbError> {
        self.flush().await?;
        let (debug_ids, code_ids) = counted_ids(id);
        self.db.missed_names(project_id, &debug_ids, &code_ids, MOST_NAMES).await
    }

    /// What was missed in a project, newest first, with what was counted just now.
    pub async fn list(&self, project_id: i64, limit: i64) -> Result<Vec<Miss>, DbError> {
        self.flush().await?;
        self.db.misses(project_id, limit).await
    }
}

fn new_miss(project_id: i64, id: MissedId, asker: &str, now: DateTime<Utc>) -> Miss {
    let (asker, kinds) = (asker.to_owned(), RequestedKinds::ANY);
    Miss { project_id, id, name: None, kinds, asker, times: 0, first_at: now, last_at: now, found_at: None }
}

/// The id under which a miss is counted.
fn missed_id(id: &WantedId) -> Option<MissedId> {
    let debug = |id: &crate::types::DebugId| MissedId::Debug(id.as_str().to_owned());
    match id {
        WantedId::Debug(id) | WantedId::AnyAge(id) => Some(debug(id)),
        WantedId::Code(id) | WantedId::PaddedCode(id) => Some(MissedId::Code(id.clone())),
        // Without a format the number of digits decides: a UUID has 32 and an age behind it, a build id of SHA-1 has 40.
        WantedId::AnyOf { debug_ids, code_ids } => {
            let code = code_ids.first().map(|id| MissedId::Code(id.clone()));
            let is_code = |id: &String| id.len() < UUID || id.len() == BUILD_ID;
            if code_ids.first().is_some_and(is_code) { code } else { debug_ids.first().map(debug).or(code) }
        }
    }
}

/// The ids under which an id may have been counted.
fn counted_ids(id: &WantedId) -> (Vec<DebugId>, Vec<CodeId>) {
    match id {
        WantedId::Debug(id) | WantedId::AnyAge(id) => (vec![id.clone()], Vec::new()),
        WantedId::Code(id) | WantedId::PaddedCode(id) => (Vec::new(), vec![CodeId::new(id)]),
        WantedId::AnyOf { debug_ids, code_ids } => {
            (debug_ids.clone(), code_ids.iter().map(|id| CodeId::new(id)).collect())
        }
    }
}
