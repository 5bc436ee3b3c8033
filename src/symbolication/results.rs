//! Responses that name no frame: of requests that take longer than their client waits, or that end without a result.

use uuid::Uuid;

/// The response of a request that ended without one.
pub fn failed(message: &str) -> Vec<u8> {
    serde_json::json!({ "status": "failed", "message": message }).to_string().into_bytes()
}

/// The response of a request that took too long.
pub fn timed_out() -> Vec<u8> {
    br#"{"status":"timeout"}"#.to_vec()
}

/// A response that says where the real one will be.
pub fn pending(id: Uuid) -> Vec<u8> {
    serde_json::json!({ "status": "pending", "request_id": id.to_string(), "retry_after": 1 }).to_string().into_bytes()
}
