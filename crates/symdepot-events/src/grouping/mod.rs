//! Grouping `symdepot:1`: from an event and the rules of its project to the hashes by which it belongs with others.
//!
//! A pure function: it reads no clock, no database and no order of keys, and the same event with the same rules has the same
//! hashes in every process.

mod fields;
mod fingerprint;
mod fingerprint_rules;
mod frames;
mod globs;
mod info;
mod native_names;
mod parameterise;
mod raw;
mod rules;
mod security;
mod stack_rules;
mod stacks;
mod strategies;

use md5::{Digest as _, Md5};
use serde_json::Value;

use crate::Object;
pub use globs::TextGlob;
pub use info::grouping_info;
pub use parameterise::parameterise;
pub use rules::{RuleError, Rules};
pub use security::host as host_of;
use stacks::Stacks;

/// The name of the algorithm, which is stored with each event.
pub const CONFIG: &str = "symdepot:1";

/// By which hashes events are grouped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// By those of whole stacks.
    Flat,
    /// By those of the last frames, from few to many.
    Hierarchical,
}

/// One way to look at an event, and the hash of what is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// Such as `app`, `system`, `raw`, `default`.
    pub key: String,
    /// Such as `component` or `custom_fingerprint`.
    pub kind: &'static str,
    /// Whether its hash is one of the event.
    pub contributes: bool,
    /// Why it is not.
    pub hint: Option<String>,
    /// MD5 of the text; a checksum is its own.
    pub hash: String,
    /// What the hash is taken of.
    pub text: String,
    /// What is looked at.
    pub description: &'static str,
    /// Values of a fingerprint, with variables filled in.
    pub values: Option<Vec<String>>,
    /// The rule that gave the fingerprint.
    pub matched_rule: Option<String>,
    /// The fingerprint that the client sent.
    pub client_values: Option<Value>,
}

/// The hashes of an event, and how they came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping {
    /// All ways to look at it.
    pub variants: Vec<Variant>,
    /// Flat hashes, in order.
    pub hashes: Vec<String>,
    /// Hierarchical ones, from few frames to many; empty in flat mode.
    pub hierarchical: Vec<String>,
    /// The title that a fingerprint rule gives.
    pub title: Option<String>,
    /// The hash of its addresses.
    pub raw: Option<String>,
    /// Whether a native stack waits for names.
    pub waiting: bool,
}

impl Grouping {
    /// The hash that decides first.
    pub fn primary(&self) -> &str {
        let first = self.hierarchical.first().or_else(|| self.hashes.first());
        first.map_or("d41d8cd98f00b204e9800998ecf8427e", String::as_str)
    }
}

impl Variant {
    /// A component with its text.
    fn component(key: impl Into<String>, text: String, description: &'static str) -> Self {
        let hash = md5(&text);
        let (contributes, hint) = (true, None);
        let (values, matched_rule, client_values) = (None, None, None);
        let key = key.into();
        Self { key, kind: "component", contributes, hint, hash, text, description, values, matched_rule, client_values }
    }

    /// The same, not contributing.
    fn without(mut self, hint: &str) -> Self {
        self.contributes = false;
        self.hint = Some(hint.to_owned());
        self
    }
}

/// MD5 in lower-case hex.
fn md5(text: &str) -> String {
    hex::encode(Md5::digest(text.as_bytes()))
}

/// Groups an event. Fields of a wrong type are as if they were absent.
pub fn group(event: &Object, rules: &Rules, mode: Mode) -> Grouping {
    if let Some(grouping) = fingerprint::by_checksum(event) {
        return grouping;
    }
    let mut stacks = Stacks::of(event);
    stacks.apply(rules);
    let components = strategies::components(event, &stacks, mode);
    fingerprint::applied(event, &stacks, rules, components)
}

/// Writes into each frame whether it is the application's own after all rules, and keeps what the client said beside it, so
/// that grouping the event again gives the same hashes.
pub fn apply_in_app(event: &mut Object, rules: &Rules) {
    let mut stacks = Stacks::of(event);
    stacks.apply(rules);
    let decided = stacks.in_app();
    stacks::write_in_app(event, &decided);
}

/// The variant of a problem that another program found.
pub fn occurrence(kind: &str, fingerprint: &[String]) -> Variant {
    let mut text = fields::clean(kind);
    for value in fingerprint {
        text.push(fields::UNIT);
        text.push_str(&fields::clean(value));
    }
    Variant { kind: "occurrence", ..Variant::component("occurrence", text, "type and fingerprint of an occurrence") }
}
