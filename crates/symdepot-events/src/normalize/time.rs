//! When an event happened: as the client states it, corrected by the error of its clock, and never far from the receipt.
//!
//! It never reads a clock.

use chrono::{DateTime, NaiveDateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::Value;

use super::Receipt;
use crate::Object;

/// A client's clock that is wrong by more is corrected.
const MAX_DRIFT: TimeDelta = TimeDelta::minutes(55);
/// Furthest time after the receipt.
const MAX_AHEAD: TimeDelta = TimeDelta::seconds(60);
/// Furthest time before the receipt.
const MAX_BEHIND: TimeDelta = TimeDelta::days(30);
/// Forms of times without a zone, which are in UTC.
const NAIVE_FORMS: &[&str] = &["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
/// Seconds since 1970 that are certainly out of range.
const MAX_SECONDS: f64 = 1e11;

/// Writes `timestamp` and `received`.
pub fn normalize(event: &mut Object, receipt: &Receipt) {
    let received = in_micros(receipt.received_at).unwrap_or(receipt.received_at);
    // An event that is normalized again, for reprocessing, was corrected before.
    let is_corrected = event.get("received").and_then(read) == Some(received);
    let sent = receipt.sent_at.filter(|_| !is_corrected);
    let stated = event.get("timestamp").and_then(read);
    let corrected = stated.and_then(|at| match sent.map(|sent| received - sent) {
        Some(drift) if drift.abs() > MAX_DRIFT => at.checked_add_signed(drift).and_then(in_micros),
        _ => Some(at),
    });
    let is_near = |at: &DateTime<Utc>| (-MAX_BEHIND..=MAX_AHEAD).contains(&(*at - received));
    let at = corrected.filter(is_near).unwrap_or(received);
    event.insert("timestamp".to_owned(), text(at).into());
    event.insert("received".to_owned(), text(received).into());
}

/// When a normalized event happened.
pub fn happened_at(event: &Object) -> DateTime<Utc> {
    event.get("timestamp").and_then(read).unwrap_or(DateTime::UNIX_EPOCH)
}

/// Reads a time: RFC 3339 with or without a zone, or seconds since 1970 as a number or a text.
pub fn read(value: &Value) -> Option<DateTime<Utc>> {
    match value {
        Value::Number(number) => from_seconds(number.as_f64()?),
        Value::String(text) => {
            let text = text.trim();
            let with_zone = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
            let naive = || NAIVE_FORMS.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
            let at = with_zone.ok().or_else(|| naive().map(|at| at.and_utc()));
            at.map_or_else(|| from_seconds(text.parse().ok()?), in_micros)
        }
        _ => None,
    }
}

fn from_seconds(seconds: f64) -> Option<DateTime<Utc>> {
    let seconds = Some(seconds).filter(|seconds| seconds.abs() < MAX_SECONDS)?;
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
    DateTime::from_timestamp_micros((seconds * 1e6).round() as i64)
}

/// The time in whole microseconds; a leap second becomes the second after it.
fn in_micros(at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(at.timestamp_micros())
}

fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}
