//! What became of events, by hour, and what came with them: attachments and reports of users, within a unit of work.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::query;

use super::UnitOfWork;
use crate::db::DbError;
use crate::db::rows::{fitted, json, number, time};
use crate::db::sql::{Sql, on_tx, sql};
use crate::types::{BlobRef, limits};

/// Something that became of events or of what clients reported.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NewOutcome {
    /// In which project.
    pub project_id: i64,
    /// Hour since 1970.
    pub hour: i64,
    /// `stored`, `duplicate`, `filtered`, …
    pub kind: String,
    /// Why, as a client says.
    pub reason: String,
    /// Of what, as a client says.
    pub category: String,
}

/// A file whose bytes are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentRow<'a> {
    /// In which project.
    pub project_id: i64,
    /// Of which event.
    pub event_id: &'a str,
    /// Such as `event.attachment`.
    pub kind: &'a str,
    /// Its name.
    pub name: &'a str,
    /// What the sender says it is.
    pub content_type: &'a str,
    /// Checksum of its content.
    pub sha1: &'a str,
    /// Where its bytes are.
    pub blob: &'a BlobRef,
    /// When it was received.
    pub created_at: DateTime<Utc>,
}

/// What a user wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportRow<'a> {
    /// In which project.
    pub project_id: i64,
    /// Of which event.
    pub event_id: &'a str,
    /// Who.
    pub name: &'a str,
    /// Where to answer.
    pub email: &'a str,
    /// The text.
    pub comments: &'a str,
    /// When it was received.
    pub created_at: DateTime<Utc>,
}

impl UnitOfWork {
    /// Adds to outcomes, each once.
    #[tracing::instrument(level = "debug", skip_all, name = "db.outcomes.add")]
    pub async fn count_outcomes(&mut self, outcomes: &[(NewOutcome, i64)]) -> Result<(), DbError> {
        const SQL: Sql = sql!("
            insert into outcomes (project_id, hour, kind, reason, category, quantity)
            select cast(value ->> 0 as bigint), cast(value ->> 1 as bigint), value ->> 2, value ->> 3, value ->> 4,
                cast(value ->> 5 as bigint) from " [rows "$1"] " where true
            on conflict (project_id, hour, kind, reason, category) do update
                set quantity = outcomes.quantity + excluded.quantity
        ");
        if outcomes.is_empty() {
            return Ok(());
        }
        let list: Vec<Value> = outcomes
            .iter()
            .map(|(outcome, quantity)| {
                let (reason, category) =
                    (fitted(&outcome.reason, limits::LABEL), fitted(&outcome.category, limits::LABEL));
                json!([outcome.project_id, outcome.hour, outcome.kind, reason, category, quantity])
            })
            .collect();
        on_tx!(&mut self.tx, SQL, |sql, on| query(sql).bind(json(&list)).execute(on).await.map(drop))?;
        Ok(())
    }

    /// Stores rows of attachments. One whose bytes have a row already is left as it is.
    #[tracing::instrument(level = "debug", skip_all, name = "db.attachments.insert")]
    pub async fn insert_attachments(&mut self, attachments: &[AttachmentRow<'_>]) -> Result<(), DbError> {
        const SQL: Sql = sql!("
            insert into attachments (project_id, event_id, type, name, content_type, sha1, blob_key, encoding, size,
                stored_size, created_at)
            select cast(value ->> 0 as bigint), value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
                value ->> 6, value ->> 7, cast(value ->> 8 as bigint), cast(value ->> 9 as bigint),
                " [time "value ->> 10"] " from " [rows "$1"] " where true on conflict (blob_key) do nothing
        ");
        if attachments.is_empty() {
            return Ok(());
        }
        let list: Vec<Value> = attachments
            .iter()
            .map(|row| {
                json!([
                    row.project_id,
                    row.event_id,
                    fitted(row.kind, limits::WORD),
                    fitted(row.name, limits::NAME),
                    fitted(row.content_type, limits::WORD),
                    row.sha1,
                    row.blob.key,
                    row.blob.encoding.as_str(),
                    number(row.blob.size),
                    number(row.blob.stored_size),
                    time(row.created_at),
                ])
            })
            .collect();
        on_tx!(&mut self.tx, SQL, |sql, on| query(sql).bind(json(&list)).execute(on).await.map(drop))?;
        Ok(())
    }

    /// Stores what users wrote; the newest about an event stays. Each event of a project once.
    #[tracing::instrument(level = "debug", skip_all, name = "db.user_reports.put")]
    pub async fn put_user_reports(&mut self, reports: &[ReportRow<'_>]) -> Result<(), DbError> {
        const SQL: Sql = sql!("
            insert into user_reports (project_id, event_id, name, email, comments, created_at)
            select cast(value ->> 0 as bigint), value ->> 1, value ->> 2, value ->> 3, value ->> 4,
                " [time "value ->> 5"] " from " [rows "$1"] " where true
            on conflict (project_id, event_id) do update set name = excluded.name, email = excluded.email,
                comments = excluded.comments, created_at = excluded.created_at
                where excluded.created_at >= user_reports.created_at
        ");
        if reports.is_empty() {
            return Ok(());
        }
        let list: Vec<Value> = reports
            .iter()
            .map(|row| {
                let (name, email) = (fitted(row.name, limits::LABEL), fitted(row.email, limits::LABEL));
                json!([
                    row.project_id,
                    row.event_id,
                    name,
                    email,
                    fitted(row.comments, limits::EVENT_MESSAGE),
                    time(row.created_at)
                ])
            })
            .collect();
        on_tx!(&mut self.tx, SQL, |sql, on| query(sql).bind(json(&list)).execute(on).await.map(drop))?;
        Ok(())
    }
}
