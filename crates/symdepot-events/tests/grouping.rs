//! Worked cases of grouping: hashes, texts, messages, names.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use serde_json::Value;
use symdepot_events::grouping::{Mode, Rules, apply_in_app, group, grouping_info, parameterise};

const CASES: &str = include_str!("../../../fixtures/events/grouping-cases.json");

fn cases() -> Value {
    serde_json::from_str(CASES).unwrap()
}

/// Every case with its event, rules and mode.
fn each(check: impl Fn(&str, &serde_json::Map<String, Value>, &Rules, Mode, &Value)) {
    for case in cases()["cases"].as_array().unwrap() {
        let text = |key: &str| case["options"][key].as_str().unwrap_or_default();
        let rules = Rules::parse(text("stack_rules"), text("fingerprint_rules")).unwrap();
        let mode = if case["options"]["hierarchical"] == true { Mode::Hierarchical } else { Mode::Flat };
        check(case["name"].as_str().unwrap(), case["event"].as_object().unwrap(), &rules, mode, &case["expect"]);
    }
}

#[test]
fn every_case_has_its_hashes_variants_and_title() {
    each(|name, event, rules, mode, expect| {
        let grouping = group(event, rules, mode);
        for variant in &grouping.variants {
            let wanted = &expect["variants"][&variant.key];
            assert_eq!(wanted["text"], variant.text, "{name} {}", variant.key);
            assert_eq!(wanted["type"], variant.kind, "{name} {}", variant.key);
            assert_eq!(wanted["hash"], variant.hash, "{name} {}", variant.key);
            assert_eq!(wanted["contributes"], variant.contributes, "{name} {}", variant.key);
            assert_eq!(wanted["hint"].as_str(), variant.hint.as_deref(), "{name} {}", variant.key);
        }
        assert_eq!(grouping.variants.len(), expect["variants"].as_object().unwrap().len(), "{name}");
        assert_eq!(expect["hashes"], serde_json::json!(grouping.hashes), "{name}");
        assert_eq!(expect["hierarchicalHashes"], serde_json::json!(grouping.hierarchical), "{name}");
        assert_eq!(expect["primaryHash"], grouping.primary(), "{name}");
        assert_eq!(expect["title"].as_str(), grouping.title.as_deref(), "{name}");
    });
}

#[test]
fn an_event_that_keeps_the_decisions_about_its_frames_has_the_same_hashes() {
    each(|name, event, rules, mode, _| {
        let mut decided = event.clone();
        apply_in_app(&mut decided, rules);
        let once = decided.clone();
        apply_in_app(&mut decided, rules);
        assert_eq!(decided, once, "{name}");
        let (before, after) = (group(event, rules, mode), group(&decided, rules, mode));
        assert_eq!(before, after, "{name}");
        let info = grouping_info(&after, &before.hashes);
        for hash in &before.hashes {
            let of_hash = info.as_object().unwrap().values().find(|variant| variant["hash"] == hash.as_str()).unwrap();
            assert_eq!(of_hash["hashMismatch"], false, "{name}");
        }
    });
}

#[test]
fn messages_lose_what_differs_from_event_to_event() {
    for pair in cases()["parameterise"].as_array().unwrap() {
        let (message, expected) = (pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
        assert_eq!(parameterise(message), expected, "{message}");
    }
}

#[test]
fn names_of_native_functions_lose_arguments_and_suffixes() {
    for pair in cases()["native_functions"].as_array().unwrap() {
        let (name, expected) = (pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
        let event = serde_json::json!({
            "platform": "native",
            "exception": { "values": [{ "type": "E", "stacktrace": { "frames": [{ "function": name }] } }] },
        });
        let grouping = group(event.as_object().unwrap(), &Rules::builtin(), Mode::Flat);
        let system = grouping.variants.iter().find(|variant| variant.key == "system").unwrap();
        assert_eq!(system.text, format!("E\u{1c}\u{1f}{expected}\u{1f}"), "{name}");
    }
}

#[test]
fn the_builtin_rules_are_those_of_the_page() {
    let rules: Vec<&str> = include_str!("../src/grouping/builtin_rules.txt").lines().collect();
    assert_eq!(cases()["builtin_rules"], serde_json::json!(rules));
}

#[test]
fn a_rule_that_cannot_be_read_is_named_with_its_line() {
    for (stack, fingerprint, sentence) in [
        ("# ours\nfunction:a", "", "groupingEnhancements, line 2: there is no action, such as `-app` or `-group`"),
        ("nonsense:a -app", "", "groupingEnhancements, line 1: the matcher `nonsense` is not known"),
        ("function:a -nothing", "", "groupingEnhancements, line 1: the action `-nothing` is not known"),
        ("", "type:A\n", "fingerprintingRules, line 1: `->` between matchers and values is missing"),
        ("", "type:A -> a\nfoo:B -> b", "fingerprintingRules, line 2: the matcher `foo` is not known"),
        ("", "type:\"A -> a", "fingerprintingRules, line 1: quotes are not closed"),
    ] {
        assert_eq!(Rules::parse(stack, fingerprint).unwrap_err().to_string(), sentence);
    }
}

#[test]
fn hostile_events_are_grouped_in_bounded_time() {
    let many =
        vec![serde_json::json!({ "function": "a<b<c(", "package": "/lib/x", "instruction_addr": "0x1" }); 100_000];
    let long = "<".repeat(1_000_000);
    for event in [
        serde_json::json!({ "platform": "native", "exception": { "values": [{ "stacktrace": { "frames": many } }] } }),
        serde_json::json!({ "platform": "native", "stacktrace": { "frames": [{ "function": long }] } }),
        serde_json::json!({ "message": "1.".repeat(1_000_000) }),
        serde_json::json!({ "exception": 1, "threads": "x", "stacktrace": [], "tags": 4, "fingerprint": {}, "csp": 1 }),
        serde_json::json!({ "exception": [null, 1, { "type": [], "value": {}, "stacktrace": { "frames": [1, {}] } }] }),
    ] {
        let grouping = group(event.as_object().unwrap(), &Rules::builtin(), Mode::Hierarchical);
        assert!(!grouping.primary().is_empty());
    }
}
