//! [`Record`]: one accepted request as the spool keeps it, and the bytes in which it is written.
//!
//! It never looks into the payload.

use std::net::IpAddr;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::types::BlobRef;

/// What was accepted with one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// For whom.
    pub organization_id: i64,
    /// In which project.
    pub project_id: i64,
    /// Id of the event, 32 lower-case hex digits; empty if the request has nothing that belongs to an event.
    pub event_id: String,
    /// When it came.
    pub received_at: DateTime<Utc>,
    /// When the sender says that it sent it.
    pub sent_at: Option<DateTime<Utc>>,
    /// The address from which it came.
    pub client_ip: Option<IpAddr>,
    /// Whether there is an event, whose JSON is the payload.
    pub is_event: bool,
    /// What made it a crash: the type of the attachment that is the dump or the report.
    pub crash: Option<String>,
    /// Files that came with it; their bytes are stored.
    pub attachments: Vec<NewAttachment>,
    /// What a user wrote.
    pub user_report: Option<UserReport>,
    /// What was dropped, here or by the client.
    pub outcomes: Vec<RecordedOutcome>,
    /// The JSON of the event, as it was sent.
    #[serde(skip)]
    pub payload: Bytes,
}

/// A file that came with an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAttachment {
    /// Such as `event.attachment` or `event.minidump`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What the sender says it is.
    pub content_type: String,
    /// Checksum of its content, in hex.
    pub sha1: String,
    /// Where its bytes are.
    pub blob: BlobRef,
}

/// What a user wrote about an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserReport {
    /// Of which event.
    pub event_id: String,
    /// Who.
    pub name: String,
    /// Where to answer.
    pub email: String,
    /// The text.
    pub comments: String,
}

/// Something that did not become an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedOutcome {
    /// `not_supported`, `too_large`, `rate_limited`, or `client` for what clients report of themselves.
    pub kind: String,
    /// What the client gives as reason.
    pub reason: String,
    /// Of what.
    pub category: String,
    /// How many.
    pub quantity: i64,
}

/// The bytes of a record are not one.
#[derive(Debug, thiserror::Error)]
#[error("a spooled record cannot be read: {0}")]
pub struct BadRecord(String);

impl Record {
    /// The record in bytes: length of the head as four bytes, head as JSON, payload.
    pub fn encode(&self) -> Vec<u8> {
        let head = serde_json::to_vec(self).expect("texts, numbers and times are JSON");
        let mut bytes = Vec::with_capacity(4 + head.len() + self.payload.len());
        bytes.extend_from_slice(&u32::try_from(head.len()).expect("the head is small").to_le_bytes());
        bytes.extend_from_slice(&head);
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// Reads it back.
    pub fn decode(bytes: &Bytes) -> Result<Self, BadRecord> {
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(|| BadRecord("it is too short".to_owned()))?;
        let length = u32::from_le_bytes(*length) as usize;
        let head = rest.get(..length).ok_or_else(|| BadRecord("its head is cut off".to_owned()))?;
        let mut record: Self = serde_json::from_slice(head).map_err(|error| BadRecord(error.to_string()))?;
        record.payload = bytes.slice(4 + length..);
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_as_it_was() {
        let record = Record {
            organization_id: 1,
            project_id: 2,
            event_id: "0".repeat(32),
            received_at: DateTime::UNIX_EPOCH,
            sent_at: None,
            client_ip: Some(IpAddr::from([127, 0, 0, 1])),
            is_event: true,
            crash: None,
            attachments: Vec::new(),
            user_report: None,
            outcomes: Vec::new(),
            payload: Bytes::from_static(b"{\"message\":\"\0\"}"),
        };
        let bytes = Bytes::from(record.encode());
        assert_eq!(Record::decode(&bytes).unwrap(), record);
        for cut in 0..bytes.len() - record.payload.len() {
            assert!(Record::decode(&bytes.slice(..cut)).is_err(), "{cut}");
        }
    }
}
