//! `POST /api/{id}/minidump/` and `POST /api/{id}/unreal/{key}/`: dumps of crash uploaders, with what came with them.

use std::io::Write as _;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header;
use symdepot_events::crash::unreal::{self, UnrealKind};
use symdepot_events::crash::{DumpFault, Form, dump};
use symdepot_events::envelope::EventId;
use symdepot_events::{Object, crash};

use super::answer::{Answer, Refusal, crash_accepted};
use super::body::{Fault, Part, Sink, Whole, inflated, received};
use super::envelope::outcome;
use super::files::{FileHead, store};
use super::{Call, Sender, fresh_event_id};
use crate::app::App;
use crate::events::{NewAttachment, Record, RecordedOutcome};
use crate::http::error::ApiError;
use crate::http::multipart::{Multipart, MultipartError};

/// The part that is the dump.
const DUMP: &str = "upload_file_minidump";
/// Its type once it is an attachment.
const DUMP_KIND: &str = "event.minidump";
/// Bytes of all fields together.
const MAX_FIELDS: usize = 1 << 20;

/// A dump, bare or in a form.
pub async fn minidump(call: Call, body: Body) -> Answer {
    let sender = call.authenticated().await?;
    let kind = call.header(header::CONTENT_TYPE.as_str()).unwrap_or_default().to_ascii_lowercase();
    let parts = if kind.starts_with("multipart/") {
        parts(&call, &sender, body, Some(DUMP)).await?
    } else {
        let whole = received(&call.app, sender.key.organization_id, &call.headers, body).await?;
        Parts { dump: Some(stored_dump(&call, "minidump.dmp", whole).await?), ..Parts::default() }
    };
    let dump = parts.dump.ok_or_else(|| Refusal::bad("The part `upload_file_minidump` with the dump is missing."))?;
    let event = parts.form.event();
    let mut attachments = vec![dump];
    attachments.extend(parts.attachments);
    accepted_crash(&call, &sender, event, attachments, parts.outcomes).await
}

/// A container of Unreal's crash reporter.
pub async fn unreal(call: Call, body: Body) -> Answer {
    let sender = call.authenticated().await?;
    let whole = received(&call.app, sender.key.organization_id, &call.headers, body).await?;
    let settings = &call.app.config.events;
    let container = Arc::new(inflated(&call.app, whole).await?);
    let files = unreal::files(&container).map_err(unreal_fault)?;
    let (mut attachments, mut outcomes, mut context) = (Vec::new(), Vec::new(), None);
    for file in files {
        let data = part_of(&container, file.data);
        let kind = match file.kind {
            UnrealKind::Minidump => {
                attachments.insert(0, stored_dump(&call, &file.name, data.clone()).await?);
                continue;
            }
            UnrealKind::AppleCrashReport => "event.applecrashreport",
            UnrealKind::Context => {
                context = unreal::context(&data);
                "unreal.context"
            }
            UnrealKind::Log => "unreal.logs",
            UnrealKind::Other => "event.attachment",
        };
        if data.len() as u64 > settings.max_attachment {
            outcomes.push(outcome("too_large", "attachment", 1));
            continue;
        }
        attachments.push(store(&call.app, FileHead::new(Some(kind), Some(&file.name), None), data.clone()).await?);
    }
    let mut event = Object::new();
    if let Some(context) = &context {
        unreal::event_fields(context, &mut event);
    }
    let kind = attachments.iter().find(|file| file.kind == DUMP_KIND || file.kind == "event.applecrashreport");
    crash::mark_crash(&mut event, kind.map_or("unreal", |file| file.kind.trim_start_matches("event.")));
    accepted_crash(&call, &sender, event, attachments, outcomes).await
}

/// A file within a container.
fn part_of(container: &Arc<Whole>, data: &[u8]) -> Part {
    let begin = data.as_ptr().addr() - container.as_ptr().addr();
    Part::of(container, begin..begin + data.len())
}

fn unreal_fault(fault: unreal::Fault) -> Refusal {
    match fault {
        unreal::Fault::TooLarge => Refusal::too_large("The container is larger than the server accepts."),
        other => Refusal::bad(format!("The body is no crash container of Unreal: {other}.")),
    }
}

/// Makes a crash durable, or drops it if the project sends more than its rate.
async fn accepted_crash(
    call: &Call,
    sender: &Sender,
    event: Object,
    attachments: Vec<NewAttachment>,
    outcomes: Vec<RecordedOutcome>,
) -> Answer {
    let id = match event.get("event_id").and_then(serde_json::Value::as_str).filter(|id| !id.is_empty()) {
        Some(text) => text.parse::<EventId>().map_err(|_| Refusal::bad("The event id is not 32 hex digits."))?,
        None => fresh_event_id(&call.app),
    };
    let payload = serde_json::Value::Object(event).to_string();
    if payload.len() as u64 > call.app.config.events.max_event {
        return Err(Refusal::too_large("The fields of the form are larger than the server accepts."));
    }
    let mut record = Record { outcomes, ..call.record(sender) };
    // Uploaders send again for days after any other answer.
    if call.app.events.admit(&sender.key, &sender.treatment, record.received_at).is_err() {
        record.outcomes.push(outcome("rate_limited", "error", 1));
        call.app.events.accept(&record).await?;
        return Ok(crash_accepted(id.hyphenated()));
    }
    let crash = attachments.iter().find(|file| matches!(file.kind.as_str(), DUMP_KIND | "event.applecrashreport"));
    record.crash = crash.map(|file| file.kind.clone());
    (record.event_id, record.is_event, record.payload) = (id.to_string(), true, payload.into());
    record.attachments = attachments;
    call.app.events.accept(&record).await?;
    Ok(crash_accepted(id.hyphenated()))
}

/// What was in a form.
#[derive(Default)]
pub struct Parts {
    /// Its fields.
    pub form: Form,
    /// Its dump.
    pub dump: Option<NewAttachment>,
    /// Its other files.
    pub attachments: Vec<NewAttachment>,
    /// What was dropped.
    pub outcomes: Vec<RecordedOutcome>,
}

/// Reads a form. `dump` is the name of the part that is the dump; without it every file is an attachment.
pub async fn parts(call: &Call, sender: &Sender, body: Body, dump: Option<&str>) -> Result<Parts, Refusal> {
    let organization_id = sender.key.organization_id;
    let settings = &call.app.config.events;
    // Crashpad compresses the whole form.
    let is_coded = call.headers.contains_key(header::CONTENT_ENCODING);
    let body =
        if is_coded { received(&call.app, organization_id, &call.headers, body).await?.into_body() } else { body };
    let mut stream = body.into_data_stream();
    let limit = settings.max_envelope.max(settings.max_dump);
    let mut multipart = Multipart::open(&call.headers, &mut stream, limit).map_err(unreadable)?;
    let (mut parts, mut fields) = (Parts::default(), 0);
    while let Some(head) = multipart.next_part().await.map_err(unreadable)? {
        let is_dump = dump == Some(head.name.as_str());
        let is_special = dump.is_some() && head.name.starts_with("__sentry-");
        let is_file = head.filename.is_some() || is_dump || is_special;
        let most = match is_file && !is_special {
            true if is_dump => settings.max_dump,
            true => settings.max_attachment,
            false => (MAX_FIELDS - fields) as u64,
        };
        let Some(content) = content(&call.app, &mut multipart, most).await? else {
            match (is_dump, is_file && !is_special) {
                (true, _) => return Err(Refusal::too_large("The dump is larger than the server accepts.")),
                (_, true) => parts.outcomes.push(outcome("too_large", "attachment", 1)),
                _ => return Err(Refusal::too_large("The fields of the form are larger than the server accepts.")),
            }
            continue;
        };
        if is_dump {
            let name = head.filename.as_deref().unwrap_or("minidump.dmp");
            parts.dump = Some(stored_dump(call, name, content).await?);
        } else if is_special {
            fields += content.len();
            match head.name.as_str() {
                "__sentry-event" => parts.form.msgpack_event(&content),
                _ => parts.form.breadcrumbs(&content),
            }
        } else if is_file {
            let head = FileHead::new(None, head.filename.as_deref(), None);
            parts.attachments.push(store(&call.app, head, content).await?);
        } else {
            fields += content.len();
            parts.form.field(&head.name, &String::from_utf8_lossy(&content));
        }
    }
    Ok(parts)
}

/// The content of a part; `None` if it is longer than `most`.
async fn content(app: &App, multipart: &mut Multipart<'_>, most: u64) -> Result<Option<Whole>, Refusal> {
    let mut sink = Sink::new(most, &app.config.temp_dir());
    let mut is_within = true;
    while let Some(bytes) = multipart.content().await.map_err(unreadable)? {
        // What arrives at a time is small, and the file is in the cache of the machine.
        if is_within && let Err(error) = sink.write_all(&bytes) {
            match Fault::from(error) {
                Fault::TooLarge => is_within = false,
                other => return Err(other.into()),
            }
        }
    }
    if is_within { Ok(Some(sink.whole(most)?)) } else { Ok(None) }
}

/// Stores a dump, unpacked.
async fn stored_dump(call: &Call, name: &str, content: impl Into<Part>) -> Result<NewAttachment, Refusal> {
    let content = content.into();
    let (limit, temp_dir) = (call.app.config.events.max_dump, call.app.config.temp_dir());
    let unpacking = tokio::task::spawn_blocking(move || {
        let mut unpacked = Sink::new(limit, &temp_dir);
        dump::unpack(&*content, &mut unpacked, limit).map(|_| unpacked)
    });
    let unpacked = unpacking.await.map_err(ApiError::internal)?.map_err(|fault| match fault {
        DumpFault::TooLarge => Refusal::too_large("The dump is larger than the server accepts."),
        other => Refusal::bad(format!("The dump cannot be read: {other}.")),
    })?;
    let head = FileHead::new(Some(DUMP_KIND), Some(name), Some("application/x-dmp"));
    Ok(store(&call.app, head, unpacked.whole(limit)?).await?)
}

fn unreadable(error: MultipartError) -> Refusal {
    match error {
        MultipartError::TooLarge => Refusal::too_large("The request is larger than the server accepts."),
        error if error.is_too_slow() => ApiError::TooSlow(error.to_string()).into(),
        error => Refusal::bad(error.to_string()),
    }
}
