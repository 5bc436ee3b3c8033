//! The form in which an event is stored: fields of the right type, in one shape, within limits, with id, times, level and platform.
//!
//! It never rejects an event: what does not fit is dropped and recorded in `errors`, and unknown fields stay. Normalizing a
//! normalized event changes nothing.

mod breadcrumbs;
mod exception;
mod frames;
mod limits;
mod message;
mod tags;
mod time;
mod types;
mod user;
mod values;

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::Object;
use crate::envelope::EventId;
pub(crate) use limits::truncated;
use limits::{bound, one_line};
pub use time::happened_at;
pub(crate) use time::read as read_time;

/// What is known of an event beside its payload.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// Id under which the event was accepted; it replaces the one in the payload.
    pub event_id: EventId,
    /// Time of receipt.
    pub received_at: DateTime<Utc>,
    /// Time of sending by the clock of the client.
    pub sent_at: Option<DateTime<Utc>>,
    /// Address of the client.
    pub client_ip: Option<IpAddr>,
}

/// Texts of one line and their most characters.
const LINES: &[(&str, usize)] =
    &[("release", 250), ("environment", 64), ("dist", 64), ("transaction", 200), ("logger", 64), ("server_name", 200)];
/// Most characters of `platform`; a longer one is unknown.
const MAX_PLATFORM: usize = 64;

/// Normalizes an event.
pub fn event(mut event: Object, receipt: &Receipt) -> Object {
    types::check(&mut event);
    event.insert("event_id".to_owned(), receipt.event_id.to_string().into());
    time::normalize(&mut event, receipt);
    level(&mut event);
    platform(&mut event);
    lines(&mut event);
    message::normalize(&mut event);
    exception::normalize(&mut event);
    breadcrumbs::normalize(&mut event);
    tags::normalize(&mut event);
    user::normalize(&mut event, receipt.client_ip);
    for key in ["extra", "contexts"] {
        event.get_mut(key).into_iter().for_each(bound);
    }
    if let Some(data) = event.get_mut("request").and_then(|request| request.get_mut("data")) {
        bound(data);
    }
    event
}

fn level(event: &mut Object) {
    let sent = event.get("level").and_then(Value::as_str).map(|level| level.trim().to_ascii_lowercase());
    let level = match sent.as_deref() {
        Some("debug") => "debug",
        Some("info" | "log") => "info",
        Some("warning" | "warn") => "warning",
        Some("fatal" | "critical") => "fatal",
        _ => "error",
    };
    event.insert("level".to_owned(), level.into());
}

fn platform(event: &mut Object) {
    let sent = event.get("platform").and_then(Value::as_str).map(|platform| one_line(platform, MAX_PLATFORM + 1));
    let platform = sent.filter(|platform| !platform.is_empty() && platform.chars().count() <= MAX_PLATFORM);
    event.insert("platform".to_owned(), platform.unwrap_or_else(|| "other".to_owned()).into());
}

fn lines(event: &mut Object) {
    for (key, max) in LINES {
        let Some(Value::String(text)) = event.get_mut(*key) else { continue };
        *text = one_line(text, *max);
        if text.is_empty() {
            event.shift_remove(*key);
        }
    }
}
