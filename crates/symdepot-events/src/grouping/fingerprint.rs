//! Checksums and fingerprints: what a client or a rule says about where an event belongs, instead of or beside what is seen of it.

use serde_json::Value;

use super::fields::{self, UNIT, clean, scalar, some_text, tag, text};
use super::rules::Rules;
use super::stacks::Stacks;
use super::strategies::Components;
use super::{Grouping, Variant, md5};
use crate::Object;

/// Most characters of a checksum that is a hash itself.
const LONGEST_HASH: usize = 32;

/// The grouping of an event with a checksum. Nothing else of it is looked at.
pub fn by_checksum(event: &Object) -> Option<Grouping> {
    let checksum = event.get("checksum").and_then(Value::as_str).map(clean).filter(|text| !text.is_empty())?;
    let own = || Variant {
        kind: "checksum",
        hash: checksum.clone(),
        ..Variant::component("checksum", checksum.clone(), "checksum of the client")
    };
    let is_md5 = checksum.len() == 32 && checksum.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut variants = Vec::new();
    if !is_md5 {
        let text = checksum.clone();
        let hashed = Variant::component("hashed-checksum", text, "hash of the checksum of the client");
        variants.push(Variant { kind: "hashed_checksum", ..hashed });
    }
    if is_md5 || checksum.chars().count() <= LONGEST_HASH {
        variants.push(own());
    }
    Some(finished(variants, Vec::new(), None, false))
}

/// The grouping of an event by what is seen of it and by its fingerprint.
pub fn applied(event: &Object, stacks: &Stacks<'_>, rules: &Rules, components: Components) -> Grouping {
    let rule = rules.fingerprints.iter().find(|rule| rule.matches(event, stacks));
    let client = entries(event.get("fingerprint"));
    let variables = Variables { event, stacks };
    let title = rule.and_then(|rule| rule.title.as_deref()).map(|title| variables.filled_in(title));
    let values = rule.map_or(client, |rule| rule.values.clone());
    let client_values = event.get("fingerprint").filter(|value| !value.is_null()).cloned();
    let mark = |variant: &mut Variant, values: Vec<String>| {
        variant.values = Some(values);
        variant.matched_rule = rule.map(|rule| rule.text.clone());
        variant.client_values = client_values.clone();
    };
    let Components { mut flat, mut deep, waiting } = components;
    let defaults = values.iter().filter(|value| is_default(value)).count();
    if values.is_empty() || values.len() == 1 && defaults == 1 {
        return finished(flat, deep, title, waiting);
    }
    if defaults == 0 {
        let values: Vec<String> = values.iter().map(|value| variables.value(value)).collect();
        for variant in flat.iter_mut().chain(&mut deep) {
            variant.contributes = false;
            variant.hint = Some("custom fingerprint takes precedence".to_owned());
        }
        let text = values.join(&UNIT.to_string());
        let description = if rule.is_some() { "fingerprint of a rule" } else { "fingerprint of the client" };
        let mut custom = Variant::component("custom-fingerprint", text, description);
        custom.kind = "custom_fingerprint";
        mark(&mut custom, values);
        flat.push(custom);
        return finished(flat, deep, title, waiting);
    }
    for variant in flat.iter_mut().chain(&mut deep).filter(|variant| variant.contributes) {
        let salted = values.iter().map(|value| match is_default(value) {
            true => variant.hash.clone(),
            false => variables.value(value),
        });
        let salted: Vec<String> = salted.collect();
        variant.text = salted.join(&UNIT.to_string());
        variant.hash = md5(&variant.text);
        variant.kind = "salted_component";
        mark(variant, salted);
    }
    finished(flat, deep, title, waiting)
}

/// The grouping of these variants, or the fallback if none contributes.
fn finished(flat: Vec<Variant>, deep: Vec<Variant>, title: Option<String>, waiting: bool) -> Grouping {
    let hashes = |variants: &[Variant]| {
        let mut hashes: Vec<String> = Vec::new();
        for variant in variants.iter().filter(|variant| variant.contributes) {
            if !hashes.contains(&variant.hash) {
                hashes.push(variant.hash.clone());
            }
        }
        hashes
    };
    let (mut own, hierarchical) = (hashes(&flat), hashes(&deep));
    let raw = flat.iter().find(|variant| variant.key == "raw").map(|variant| variant.hash.clone());
    let mut variants = deep;
    variants.extend(flat);
    if own.is_empty() && hierarchical.is_empty() {
        let fallback = Variant::component("fallback", String::new(), "nothing to group by");
        own.push(fallback.hash.clone());
        variants.push(Variant { kind: "fallback", ..fallback });
    }
    Grouping { variants, hashes: own, hierarchical, title, raw, waiting }
}

/// The usable entries of a client's fingerprint.
fn entries(fingerprint: Option<&Value>) -> Vec<String> {
    let list = match fingerprint {
        Some(Value::Array(list)) => list.as_slice(),
        Some(single) => std::slice::from_ref(single),
        None => &[],
    };
    list.iter().filter_map(scalar).filter(|entry| !entry.is_empty()).collect()
}

/// Whether an entry stands for the components.
fn is_default(entry: &str) -> bool {
    variable_name(entry) == Some("default")
}

/// The name in `{{ name }}`, if the entry is that as a whole.
fn variable_name(entry: &str) -> Option<&str> {
    let inner = entry.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    Some(inner.trim()).filter(|name| !name.contains(['{', '}']))
}

/// The values of variables.
struct Variables<'a> {
    event: &'a Object,
    stacks: &'a Stacks<'a>,
}

impl Variables<'_> {
    /// An entry with its variable filled in.
    fn value(&self, entry: &str) -> String {
        match variable_name(entry) {
            Some(name) => self.variable(name),
            None => clean(entry),
        }
    }

    /// A text with all variables in it filled in.
    fn filled_in(&self, text: &str) -> String {
        let (mut written, mut rest) = (String::new(), text);
        while let Some((before, behind)) = rest.split_once("{{") {
            let Some((name, after)) = behind.split_once("}}") else { break };
            written.push_str(before);
            written.push_str(&self.variable(name.trim()));
            rest = after;
        }
        written + rest
    }

    fn variable(&self, name: &str) -> String {
        if let Some(key) = name.strip_prefix("tags.") {
            return tag(self.event, key).unwrap_or_else(|| format!("<no-value-for-tag-{key}>"));
        }
        let last = name.rsplit('.').next().unwrap_or(name);
        let found = match name {
            "transaction" | "level" | "logger" | "release" | "environment" => some_text(self.event, name),
            "message" => Some(fields::message(self.event)).filter(|message| !message.is_empty()),
            "type" | "error.type" => self.exception("type"),
            "value" | "error.value" => self.exception("value"),
            "function" | "stack.function" | "path" | "stack.abs_path" | "module" | "stack.module" | "package"
            | "stack.package" => self.frame(last),
            _ => return format!("{{{{ {name} }}}}"),
        };
        found.unwrap_or_else(|| format!("<no-{last}>"))
    }

    fn exception(&self, key: &str) -> Option<String> {
        let (exception, _) = self.stacks.exceptions.last()?;
        Some(text(exception, key)).filter(|text| !text.is_empty())
    }

    fn frame(&self, name: &str) -> Option<String> {
        let frames = &self.stacks.main()?.frames;
        let frame = frames.iter().rev().find(|frame| frame.in_app).or_else(|| frames.last())?;
        frame.variable(name)
    }
}
