//! How an event was grouped, as people read it. It never computes a hash.

use serde_json::{Map, Value, json};

use super::Grouping;

/// One entry for each variant. `stored` are the hashes that the event was stored with.
pub fn grouping_info(grouping: &Grouping, stored: &[String]) -> Value {
    let mut info = Map::new();
    for variant in &grouping.variants {
        let mut entry = json!({
            "key": variant.key,
            "type": variant.kind,
            "contributes": variant.contributes,
            "hint": variant.hint,
            "hash": variant.contributes.then_some(&variant.hash),
            "hashMismatch": variant.contributes && !stored.contains(&variant.hash),
            "text": variant.text,
            "description": variant.description,
        });
        if let Some(values) = &variant.values {
            entry["values"] = json!(values);
            entry["matched_rule"] = json!(variant.matched_rule);
            entry["client_values"] = json!(variant.client_values);
        }
        info.insert(variant.key.clone(), entry);
    }
    Value::Object(info)
}
