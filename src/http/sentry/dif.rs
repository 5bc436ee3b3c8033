//! How a debug file is written on Sentry's wire. It never asks the database.

use serde_json::{Value, json};

use crate::types::DebugFile;

/// The object that clients call `dif`: ids are strings, words are those that sentry-cli knows.
pub fn dif(file: &DebugFile) -> Value {
    json!({
        "id": file.id.to_string(),
        "uuid": file.debug_id.uuid(),
        "debugId": file.debug_id.as_str(),
        "codeId": file.code_id.as_ref().map(|id| id.as_str()),
        "cpuName": file.cpu_name,
        "objectName": file.object_name,
        "symbolType": file.format.as_str(),
        "headers": {"Content-Type": file.format.content_type()},
        "size": file.size,
        "sha1": file.sha1.to_string(),
        "dateCreated": file.created_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
        "data": {"type": file.kind.as_str(), "features": file.features.words()},
    })
}
