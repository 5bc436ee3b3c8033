//! [`UnitOfWork`]: a transaction whose statements are named, so that the domain can decide between them. Dropped without
//! [`UnitOfWork::commit`], it leaves nothing behind.
//!
//! It never shows the transaction itself.

use crate::db::engine::Tx;
use crate::db::{Db, DbError};

/// A transaction of which others see all or nothing.
///
/// Lock order in every one: hashes by project and hash, projects by id, issues by id, everything else.
pub struct UnitOfWork {
    pub(super) tx: Tx,
}

impl std::fmt::Debug for UnitOfWork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UnitOfWork")
    }
}

impl Db {
    /// Begins a unit of work.
    #[tracing::instrument(level = "debug", skip_all, name = "db.begin")]
    pub async fn unit_of_work(&self) -> Result<UnitOfWork, DbError> {
        Ok(UnitOfWork { tx: self.begin().await? })
    }
}

impl UnitOfWork {
    /// Makes the work durable.
    #[tracing::instrument(level = "debug", skip_all, name = "db.commit")]
    pub async fn commit(self) -> Result<(), DbError> {
        self.tx.commit().await
    }
}
