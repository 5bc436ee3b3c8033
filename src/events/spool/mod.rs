//! Where accepted events wait until they are digested: segments on disk, or rows. What was appended is durable, and stays
//! until the transaction that digests it.
//!
//! It never looks into a record.

pub mod frame;
mod reader;
mod rows;
mod writer;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::clock::Clock;
use crate::config::{Config, SpoolKind};
use crate::db::{Db, DbError};

pub use reader::{DiskReader, Taken};
pub use rows::RowWriter;
pub use writer::Writer;

/// The end of the name of a segment.
const SEGMENT: &str = "seg";

/// Why a record was not appended.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// As much waits as may wait, or the volume is full.
    #[error("the spool of events is full")]
    Full,
    /// No record is that large.
    #[error("the event is larger than a record of the spool")]
    TooLarge,
    /// What the machine said.
    #[error("the spool of events cannot be written: {0}")]
    Io(io::Error),
    /// What the database said.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<io::Error> for SpoolError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io(error),
        }
    }
}

impl SpoolError {
    /// The same for another of those that failed together.
    fn again(&self) -> Self {
        match self {
            Self::Full => Self::Full,
            Self::TooLarge => Self::TooLarge,
            Self::Io(error) => Self::Io(io::Error::new(error.kind(), error.to_string())),
            Self::Db(error) => Self::Io(io::Error::other(error.to_string())),
        }
    }
}

/// The spool of this process. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Spool {
    /// Segments below the data folder.
    Disk(Writer),
    /// Rows.
    Rows(RowWriter),
}

impl Spool {
    /// The folder of the segments.
    pub fn folder(config: &Config) -> PathBuf {
        config.data_dir.join("spool")
    }

    /// Opens the spool that the settings name.
    pub fn open(config: &Config, db: &Db, clock: &Clock, wake: &Arc<Notify>) -> io::Result<Self> {
        match config.events.spool {
            SpoolKind::Database => Ok(Self::Rows(RowWriter::start(db, clock, wake))),
            SpoolKind::Disk => {
                let folder = Self::folder(config);
                std::fs::create_dir_all(&folder)?;
                Ok(Self::Disk(Writer::start(&folder, config.events.spool_max, clock.clone())?))
            }
        }
    }

    /// Appends a record. It is durable when this returns.
    pub async fn append(&self, record: Vec<u8>, organization_id: i64) -> Result<(), SpoolError> {
        match self {
            Self::Disk(writer) => writer.append(record, organization_id).await,
            Self::Rows(writer) => writer.append(record, organization_id).await,
        }
    }
}
