//! Rows of events: keys of clients, settings, the spool, and the unit of work in which a batch of events is digested.
//!
//! Nothing here decides to which issue an event belongs.

mod assign;
mod counters;
mod insert;
mod keys;
mod outcomes;
mod spooled;
mod unit;

pub use assign::{HashRow, IssueState, NewIssue};
pub use counters::{HashHours, HashSeen, IssueCount, LatestEvent, TagCount};
pub use insert::{EventRow, NewEvent};
pub use outcomes::{AttachmentRow, NewOutcome, ReportRow};
pub use spooled::{NewSpooled, SpooledRow};
pub use unit::UnitOfWork;
