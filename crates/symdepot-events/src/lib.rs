//! What an event is, from the bytes that an SDK sends to the hashes by which it is grouped, as pure functions: the grammar of
//! envelopes, credentials, normalizing, inbound filters, scrubbing, what a list shows, and grouping.
//!
//! It never does I/O, keeps no state and knows no database: the same input gives the same output in every process.

pub mod crash;
pub mod credentials;
pub mod envelope;
pub mod filter;
pub mod grouping;
pub mod normalize;
pub mod scrub;
pub mod security;
pub mod summary;

/// A JSON object, with its keys in the order in which they came.
pub type Object = serde_json::Map<String, serde_json::Value>;
