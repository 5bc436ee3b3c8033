//! When an event happened: as the client says, moved by what its clock is wrong, and never far from the receipt.

use chrono::{DateTime, NaiveDateTime, SecondsFormat, SubsecRound as _, TimeDelta, Utc};
use serde_json::Value;

use super::Receipt;
use crate::Object;

/// A clock that is wrong by more is set right.
const DRIFT: TimeDelta = TimeDelta::minutes(55);
/// Further ahead of the receipt no event happens.
const AHEAD: TimeDelta = TimeDelta::seconds(60);
/// Nor further before it.
const BEHIND: TimeDelta = TimeDelta::days(30);

/// Writes the time of an event and of its receipt.
pub fn normalize(event: &mut Object, receipt: &Receipt) {
    let received = receipt.received_at;
    let mut at = event.get("timestamp").and_then(read).unwrap_or(received);
    if let Some(sent) = receipt.sent_at {
        let drift = received - sent;
        if drift.abs() > DRIFT {
            at = at.checked_add_signed(drift).unwrap_or(received);
        }
    }
    if at > received + AHEAD || at < received - BEHIND {
        at = received;
    }
    event.insert("timestamp".to_owned(), text(at).into());
    event.insert("received".to_owned(), text(received).into());
}

/// When a normalized event happened.
pub fn happened_at(event: &Object) -> DateTime<Utc> {
    event.get("timestamp").and_then(read).unwrap_or(DateTime::UNIX_EPOCH)
}

fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A time as RFC 3339, with or without a zone, or in seconds since 1970.
fn read(value: &Value) -> Option<DateTime<Utc>> {
    let at = match value {
        Value::Number(number) => {
            let seconds = number.as_f64().filter(|seconds| seconds.abs() < 1e11)?;
            #[expect(clippy::cast_possible_truncation, reason = "it was compared with the limit")]
            DateTime::from_timestamp_micros((seconds * 1e6).round() as i64)?
        }
        Value::String(text) => {
            let text = text.trim();
            let with_zone = DateTime::parse_from_rfc3339(text).map(|at| at.with_timezone(&Utc));
            let forms = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
            with_zone.ok().or_else(|| {
                let naive = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
                naive
                    .map(|at| at.and_utc())
                    .or_else(|| read(&Value::Number(serde_json::Number::from_f64(text.parse().ok()?)?)))
            })?
        }
        _ => return None,
    };
    Some(at.trunc_subsecs(6))
}
