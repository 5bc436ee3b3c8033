//! Whole answers as one value, for snapshots: status, headers that mean something, body.

use reqwest::Response;
use serde_json::{Map, Value, json};

/// The whole answer. Headers that change with every run (`date`, `x-request-id`) are left out.
pub async fn whole(response: Response) -> Value {
    let status = response.status().as_u16();
    let mut headers: Vec<_> = response
        .headers()
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "date" | "x-request-id"))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    let headers: Map<_, _> = headers.into_iter().map(|(name, value)| (name, Value::from(value))).collect();
    json!({ "status": status, "headers": headers, "body": body(&response.bytes().await.unwrap()) })
}

/// JSON as such, other text as text, anything else by its length.
fn body(bytes: &[u8]) -> Value {
    if let Ok(value) = serde_json::from_slice(bytes) {
        return value;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => format!("<{} bytes>", bytes.len()).into(),
    }
}
