//! What a request hears of the upstreams of a project. It never waits longer than they may take.

use std::time::Duration;

use chrono::SecondsFormat;
use serde_json::{Value, json};

use super::error::{ApiError, ApiResult};
use crate::app::App;
use crate::debug_files::Wanted;
use crate::upstreams::{Brought, Said};

/// Whether an upstream has just brought what a project did not have, within `wait`. As long as nobody knows, the client
/// is sent away for now. What has no room is not there, and the sentence says why.
pub async fn brought(app: &App, project_id: i64, wanted: &Wanted, wait: Duration) -> ApiResult<bool> {
    match app.upstreams.bring(project_id, wanted, wait).await? {
        Brought::Stored => Ok(true),
        Brought::Nothing => Ok(false),
        Brought::UnderWay => Err(unknown("an upstream is still sending it")),
        Brought::Unknown(reason) => Err(unknown(&reason)),
        Brought::NoRoom(reason) => Err(no_room(&reason)),
    }
}

/// What is told while it is not known whether a file can be had.
pub fn unknown(reason: &str) -> ApiError {
    ApiError::Busy(format!("Whether there is such a file is not known: {reason}. Ask again."))
}

/// What is told of a file that could be had if there was room for it.
pub fn no_room(reason: &str) -> ApiError {
    ApiError::NotFoundBecause(format!(
        "The project does not have this file, and no room for what its upstreams have. {reason}"
    ))
}

/// What an upstream said, in the words of `explain`.
pub fn said(said: &Said) -> Value {
    let time = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
    json!({
        "kind": said.kind,
        "url": said.url,
        "reason": said.reason,
        "misses": said.misses,
        "askedAt": time(said.asked_at),
        "nextAt": time(said.next_at),
    })
}
