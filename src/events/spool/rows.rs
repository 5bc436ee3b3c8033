//! The writer of a spool in the database: what has arrived is inserted by one statement, and then all who wait are told.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot};

use super::SpoolError;
use crate::clock::Clock;
use crate::db::{Db, NewSpooled};
use crate::types::SpoolStage;

/// Requests that wait for the writer.
const QUEUE: usize = 1024;
/// Bytes that are inserted together at most, unless one record alone has more.
const INSERT: usize = 8 << 20;

struct Append {
    row: NewSpooled,
    done: oneshot::Sender<Result<(), SpoolError>>,
}

/// Inserts records. Cheap to clone; the task ends with the last one.
#[derive(Clone, Debug)]
pub struct RowWriter {
    requests: mpsc::Sender<Append>,
}

impl RowWriter {
    /// Inserts into the database, and rings `wake` for the digest of this process.
    pub fn start(db: &Db, clock: &Clock, wake: &Arc<Notify>) -> Self {
        let (requests, received) = mpsc::channel(QUEUE);
        tokio::spawn(run(db.clone(), clock.clone(), Arc::clone(wake), received));
        Self { requests }
    }

    /// Appends a record. It is durable when this returns.
    pub async fn append(&self, record: Vec<u8>, organization_id: i64) -> Result<(), SpoolError> {
        let (done, result) = oneshot::channel();
        let row = NewSpooled { organization_id, stage: SpoolStage::New, record };
        let ended = || SpoolError::Io(std::io::Error::other("the writer of the spool has ended"));
        self.requests.send(Append { row, done }).await.map_err(|_| ended())?;
        result.await.map_err(|_| ended())?
    }
}

async fn run(db: Db, clock: Clock, wake: Arc<Notify>, mut requests: mpsc::Receiver<Append>) {
    while let Some(first) = requests.recv().await {
        let mut bytes = first.row.record.len();
        let (mut rows, mut waiting) = (vec![first.row], vec![first.done]);
        while bytes < INSERT {
            let Ok(next) = requests.try_recv() else { break };
            bytes += next.row.record.len();
            rows.push(next.row);
            waiting.push(next.done);
        }
        let now = clock.now();
        let result = db.insert_spooled(&rows, now, now).await.map_err(SpoolError::Db);
        if result.is_ok() {
            wake.notify_one();
        }
        for done in waiting {
            // One who does not wait any more hears nothing.
            let _gone = done.send(result.as_ref().copied().map_err(SpoolError::again));
        }
    }
}
