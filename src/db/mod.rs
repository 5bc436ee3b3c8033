//! The only SQL of the house: [`Db`] over `SQLite` and `PostgreSQL`, one file per group of tables.
//!
//! "Not found" is `Ok(None)`; a unit of work is one function with a domain name, and no transaction leaves the room.
//! Nothing here decides what a state means.

mod accounts;
mod assemblies;
mod chunks;
mod claims;
mod connect;
mod copy;
mod debug_files;
mod derived_files;
mod dry_run;
mod engine;
mod events;
mod expired;
mod file_list;
mod jobs;
mod misses;
mod policies;
mod quotas;
mod registration;
mod renewal;
mod retention;
mod rows;
mod sql;
mod stale_symcaches;
mod symbol_keys;
mod symcaches;
mod tables;
mod tokens;
mod upkeep;
mod upstreams;

pub use assemblies::NewAssembly;
pub use chunks::OwnedChunk;
pub use claims::{Claimed, HEAD_START};
pub use copy::Likeness;
pub use debug_files::KnownFile;
pub use derived_files::UnusedDerived;
pub use engine::{Db, DbError};
pub use events::{
    AttachmentRow, CountFault, EventPayload, EventRow, HashHours, HashRow, HashSeen, Issue, IssueCount, IssueHash,
    IssueState, Lacking, LackingEvent, LatestEvent, LockedHash, NewEvent, NewIssue, NewOutcome, NewSpooled,
    OccurrenceBefore, ReportRow, SpooledRow, StoredAttachment, StoredEvent, StoredOccurrence, StoredReport, TagCount,
    UnitOfWork,
};
pub use file_list::FileFilter;
pub use jobs::{JobEnd, NewJob, QueuedJob};
pub use policies::RetainingProject;
pub use quotas::{Limits, Owner};
pub use registration::{Closing, Registered};
pub use retention::{Departed, DepartedFile, Leaving, Reason, SharedChunk, Weight};
pub use stale_symcaches::StaleFiles;
pub use symcaches::{Finish, Insert, NewSymcache, SymcacheInsert, SymcacheKey};
pub use tables::TABLES;
pub use tokens::NewToken;
pub use upkeep::{OldChunk, SymcacheBytes};
