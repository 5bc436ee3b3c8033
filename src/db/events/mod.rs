//! Rows of events: keys of clients, settings, the spool, and the unit of work in which a batch of events is digested.
//!
//! Nothing here decides to which issue an event belongs.

mod assign;
mod counters;
mod insert;
mod issues;
mod keys;
mod moves;
mod outcomes;
mod reading;
pub(super) mod reprocess;
mod spooled;
mod unit;
mod upkeep;

pub use assign::{HashRow, IssueState, NewIssue};
pub use counters::{HashHours, HashSeen, IssueCount, LatestEvent, TagCount};
pub use insert::{EventRow, NewEvent};
pub use issues::{Issue, IssueHash, StoredOccurrence};
pub use moves::{LockedHash, OccurrenceBefore};
pub use outcomes::{AttachmentRow, NewOutcome, ReportRow};
pub use reading::{StoredAttachment, StoredEvent, StoredReport};
pub use reprocess::{EventPayload, Lacking, LackingEvent};
pub use spooled::{NewSpooled, SpooledRow};
pub use unit::UnitOfWork;
pub use upkeep::CountFault;
