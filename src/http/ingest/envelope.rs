//! `POST /api/{id}/envelope/` and `POST /api/{id}/store/`.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use symdepot_events::credentials::parse_dsn;
use symdepot_events::envelope::{
    self as grammar, Envelope, EventId, Item, check_event, client_report, store_body, user_report,
};

use super::answer::{Answer, Refusal, accepted};
use super::body::{Part, Whole, received};
use super::files::{FileHead, store as store_file};
use super::{Call, Sender, fresh_event_id, no_key};
use crate::events::{Record, RecordedOutcome, UserReport};

/// Types of attachments that make an event a crash.
const CRASHES: &[&str] = &["event.minidump", "event.applecrashreport"];

/// An envelope: grammar first, then each item on its own.
pub async fn envelope(call: Call, body: Body) -> Answer {
    let presented = call.presented()?;
    let mut sender = match &presented {
        Some(key) => Some(call.sender(key).await?),
        None => None,
    };
    let organization = sender.as_ref().map_or(0, |sender| sender.key.organization_id);
    let body = Arc::new(received(&call.app, organization, &call.headers, body).await?);
    let parsed = grammar::parse(&body)?;
    if let Some(dsn) = &parsed.header.dsn {
        let contradicts =
            || Refusal::new(axum::http::StatusCode::UNAUTHORIZED, "The `dsn` of the envelope is another one.");
        let dsn = parse_dsn(dsn).ok_or_else(contradicts)?;
        let is_other = |key: &String| *key != dsn.key;
        if dsn.project != call.project || presented.as_ref().is_some_and(is_other) {
            return Err(contradicts());
        }
        if sender.is_none() {
            sender = Some(call.sender(&dsn.key).await?);
        }
    }
    let sender = sender.ok_or_else(no_key)?;
    taken(&call, &sender, &parsed, &body).await
}

/// Makes durable what is in an envelope.
async fn taken(call: &Call, sender: &Sender, parsed: &Envelope, body: &Arc<Whole>) -> Answer {
    let max_event = call.app.config.events.max_event;
    let event = parsed.items.iter().find(|item| item.kind == "event");
    let in_payload = match event {
        Some(item) => check_event(&body[item.payload.clone()], max_event)?,
        None => None,
    };
    let crash = parsed.items.iter().find(|item| is_crash(item)).and_then(|item| item.attachment_type.clone());
    let has_event = event.is_some() || crash.is_some();
    let mut record = call.record(sender);
    record.sent_at = parsed.header.sent_at;
    if has_event && let Err(seconds) = call.app.events.admit(&sender.key, &sender.treatment, record.received_at) {
        record.outcomes = reported(parsed, body);
        record.outcomes.push(outcome("rate_limited", "error", 1));
        call.app.events.accept(&record).await?;
        return Err(Refusal::rated(seconds));
    }
    let id = parsed.header.event_id.or(in_payload);
    let id = if has_event { Some(id.unwrap_or_else(|| fresh_event_id(&call.app))) } else { id };
    record.event_id = id.map(|id| id.to_string()).unwrap_or_default();
    record.is_event = event.is_some();
    record.payload = event.map(|item| Bytes::copy_from_slice(&body[item.payload.clone()])).unwrap_or_default();
    fill(call, &mut record, parsed, body).await?;
    record.crash = crash.filter(|kind| record.attachments.iter().any(|file| file.kind == *kind));
    if has_event && !record.is_event && record.crash.is_none() {
        return Err(Refusal::too_large("The crash is larger than the server accepts."));
    }
    let is_empty =
        !record.is_event && record.attachments.is_empty() && record.user_report.is_none() && record.outcomes.is_empty();
    if !is_empty {
        call.app.events.accept(&record).await?;
    }
    Ok(accepted(id.filter(|_| has_event || parsed.header.event_id.is_some()).map(|id| id.to_string()).as_deref()))
}

/// Items beside the event.
async fn fill(call: &Call, record: &mut Record, parsed: &Envelope, body: &Arc<Whole>) -> Result<(), Refusal> {
    let settings = &call.app.config.events;
    for item in &parsed.items {
        let payload = &body[item.payload.clone()];
        match item.kind.as_str() {
            "event" | "client_report" => {}
            "attachment" if record.event_id.is_empty() => {
                record.outcomes.push(outcome("invalid_attachment", "attachment", 1))
            }
            "attachment" => {
                let limit = if is_crash(item) { settings.max_dump } else { settings.max_attachment };
                if payload.len() as u64 > limit {
                    record.outcomes.push(outcome("too_large", "attachment", 1));
                    continue;
                }
                let kind = item.attachment_type.as_deref();
                let head = FileHead::new(kind, item.filename.as_deref(), item.content_type.as_deref());
                record.attachments.push(store_file(&call.app, head, Part::of(body, item.payload.clone())).await?);
            }
            "user_report" => {
                if let Some(report) = user_report(payload) {
                    record.user_report = Some(UserReport {
                        event_id: report.event_id.to_string(),
                        name: report.name,
                        email: report.email,
                        comments: report.comments,
                    });
                }
            }
            _ => record.outcomes.push(outcome("not_supported", &category(&item.kind), 1)),
        }
    }
    record.outcomes.extend(reported(parsed, body));
    Ok(())
}

/// What the client says that it did not send.
fn reported(parsed: &Envelope, body: &Arc<Whole>) -> Vec<RecordedOutcome> {
    let reports = parsed.items.iter().filter(|item| item.kind == "client_report");
    let discarded = reports.flat_map(|item| client_report(&body[item.payload.clone()]));
    discarded
        .map(|entry| RecordedOutcome {
            kind: "client".to_owned(),
            reason: entry.reason,
            category: entry.category,
            quantity: entry.quantity,
        })
        .collect()
}

/// The type of an item that is not kept, as outcomes name it. Whatever a client sends, there are few of these.
fn category(kind: &str) -> String {
    const KNOWN: &[&str] = &[
        "transaction",
        "span",
        "session",
        "sessions",
        "profile",
        "profile_chunk",
        "replay_event",
        "replay_recording",
        "replay_video",
        "check_in",
        "log",
        "otel_log",
        "statsd",
        "metric_buckets",
        "trace_metric",
        "feedback",
    ];
    if KNOWN.contains(&kind) { kind.to_owned() } else { "other".to_owned() }
}

pub(super) fn outcome(kind: &str, category: &str, quantity: i64) -> RecordedOutcome {
    RecordedOutcome { kind: kind.to_owned(), reason: String::new(), category: category.to_owned(), quantity }
}

fn is_crash(item: &Item) -> bool {
    item.kind == "attachment" && item.attachment_type.as_deref().is_some_and(|kind| CRASHES.contains(&kind))
}

/// One event.
pub async fn store(call: Call, body: Body) -> Answer {
    let sender = call.authenticated().await?;
    let body = received(&call.app, sender.key.organization_id, &call.headers, body).await?;
    let max = call.app.config.events.max_event;
    let event = store_body(&body, max)?.into_owned();
    let id = check_event(&event, max)?;
    Ok(accepted(Some(&one_event(&call, &sender, id, event.into()).await?.to_string())))
}

/// Makes one event durable.
pub(super) async fn one_event(
    call: &Call,
    sender: &Sender,
    id: Option<EventId>,
    event: Bytes,
) -> Result<EventId, Refusal> {
    let mut record = call.record(sender);
    if let Err(seconds) = call.app.events.admit(&sender.key, &sender.treatment, record.received_at) {
        record.outcomes.push(outcome("rate_limited", "error", 1));
        call.app.events.accept(&record).await?;
        return Err(Refusal::rated(seconds));
    }
    let id = id.unwrap_or_else(|| fresh_event_id(&call.app));
    (record.event_id, record.is_event, record.payload) = (id.to_string(), true, event);
    call.app.events.accept(&record).await?;
    Ok(id)
}

/// An answer without an id.
pub(super) fn nothing() -> Response {
    accepted(None)
}
