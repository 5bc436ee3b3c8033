//! The section `events`: what clients may send, where accepted events wait, and how they are digested.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ConfigError, MIB, refuse};

/// Events of clients.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Events {
    /// Largest body as it is sent, in bytes. `SYMDEPOT_EVENTS__MAX_REQUEST`
    pub max_request: u64,
    /// Largest body once it is decoded, in bytes. `SYMDEPOT_EVENTS__MAX_ENVELOPE`
    pub max_envelope: u64,
    /// Largest event, in bytes of JSON. `SYMDEPOT_EVENTS__MAX_EVENT`
    pub max_event: u64,
    /// Largest attachment, in bytes. `SYMDEPOT_EVENTS__MAX_ATTACHMENT`
    pub max_attachment: u64,
    /// Largest dump, in bytes once it is unpacked. `SYMDEPOT_EVENTS__MAX_DUMP`
    pub max_dump: u64,
    /// Where accepted events wait until they are digested: `disk` or `database`. `SYMDEPOT_EVENTS__SPOOL`
    pub spool: SpoolKind,
    /// Bytes of waiting events above which none is accepted. `SYMDEPOT_EVENTS__SPOOL_MAX`
    pub spool_max: u64,
    /// Events that are digested in one transaction. `SYMDEPOT_EVENTS__BATCH_EVENTS`
    pub batch_events: usize,
    /// Bytes of events that are digested in one transaction. `SYMDEPOT_EVENTS__BATCH_BYTES`
    pub batch_bytes: u64,
    /// How long an event waits for the names of its frames before it is grouped without. `SYMDEPOT_EVENTS__SYMBOLICATION_WAIT`
    #[serde(with = "humantime_serde")]
    pub symbolication_wait: Duration,
    /// Whether dumps are kept as attachments. `SYMDEPOT_EVENTS__KEEP_DUMPS`
    pub keep_dumps: bool,
    /// Events that one new debug file has processed again at most; 0 for none. `SYMDEPOT_EVENTS__REPROCESS_MAX`
    pub reprocess_max: u64,
    /// Days back from which events are processed again; 0 for none. `SYMDEPOT_EVENTS__REPROCESS_DAYS`
    pub reprocess_days: u32,
    /// How long an attachment waits for its event. `SYMDEPOT_EVENTS__ATTACHMENT_GRACE`
    #[serde(with = "humantime_serde")]
    pub attachment_grace: Duration,
}

/// Where accepted events wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpoolKind {
    /// In files of this machine.
    Disk,
    /// In rows.
    Database,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            max_request: 40 * MIB,
            max_envelope: 200 * MIB,
            max_event: MIB,
            max_attachment: 100 * MIB,
            max_dump: 256 * MIB,
            spool: SpoolKind::Disk,
            spool_max: 10_240 * MIB,
            batch_events: 256,
            batch_bytes: 4 * MIB,
            symbolication_wait: Duration::from_secs(30),
            keep_dumps: true,
            reprocess_max: 10_000,
            reprocess_days: 30,
            attachment_grace: Duration::from_secs(24 * 60 * 60),
        }
    }
}

impl Events {
    /// Refuses what would accept or digest no event.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (key, value) in [
            ("events.max_request", self.max_request),
            ("events.max_envelope", self.max_envelope),
            ("events.max_event", self.max_event),
            ("events.batch_events", self.batch_events as u64),
            ("events.batch_bytes", self.batch_bytes),
        ] {
            if value == 0 {
                return refuse(key, "0".to_owned(), "at least 1");
            }
        }
        Ok(())
    }
}
