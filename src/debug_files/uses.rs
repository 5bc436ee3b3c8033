//! Which files are used, so that those that nobody uses can go. It is counted in memory and written every few seconds, for
//! each file at most once an hour: a client that fetches all day does not keep the database busy.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use crate::clock::Clock;
use crate::db::{Db, DbError};

/// How often the use of one file is written. Retention allows for it.
const WRITTEN_EVERY: TimeDelta = TimeDelta::hours(1);

/// Files of whose last write we know at most; of others it is written again.
const MOST_KNOWN: usize = 100_000;

/// Files in one statement.
const BATCH: usize = 1000;

/// Notes uses. A clone notes into the same.
#[derive(Clone, Debug)]
pub struct Uses {
    db: Db,
    clock: Clock,
    noted: Arc<Mutex<Noted>>,
}

#[derive(Debug, Default)]
struct Noted {
    waiting: HashSet<i64>,
    written: HashMap<i64, DateTime<Utc>>,
}

impl Uses {
    /// Nothing was used yet.
    pub fn new(db: &Db, clock: &Clock) -> Self {
        Self { db: db.clone(), clock: clock.clone(), noted: Arc::default() }
    }

    /// Notes that these files were used just now.
    pub fn note(&self, ids: impl IntoIterator<Item = i64>) {
        let now = self.clock.now();
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            let old = noted.written.get(&id).is_none_or(|at| now - *at >= WRITTEN_EVERY);
            if old {
                noted.waiting.insert(id);
            }
        }
    }

    /// Writes what was noted. What cannot be written is kept for the next time.
    pub async fn flush(&self) -> Result<(), DbError> {
        let waiting = std::mem::take(&mut self.noted.lock().unwrap_or_else(PoisonError::into_inner).waiting);
        let mut ids: Vec<_> = waiting.into_iter().collect();
        let now = self.clock.now();
        while !ids.is_empty() {
            let batch = ids.split_off(ids.len().saturating_sub(BATCH));
            let written = self.db.touch_files(&batch, now - WRITTEN_EVERY, now).await;
            let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = written {
                noted.waiting.extend(batch.into_iter().chain(ids));
                return Err(error);
            }
            noted.written.extend(batch.into_iter().map(|id| (id, now)));
            if noted.written.len() > MOST_KNOWN {
                noted.written.retain(|_, at| now - *at < WRITTEN_EVERY);
            }
            if noted.written.len() > MOST_KNOWN {
                noted.written.clear();
            }
        }
        Ok(())
    }
}
