//! Dart symbol maps: one flat list of obfuscated and real names in turn. The names themselves are never kept.

use std::fmt;

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};

use super::name_map::{given_id, name_map};
use symdepot_types::child_protocol::{Hints, ObjectInfo};
use symdepot_types::{Features, Format};

/// What a JSON list is.
pub(super) fn read(bytes: &[u8], hints: &Hints) -> Result<ObjectInfo, String> {
    let debug_id = given_id(hints, "dartsymbolmap")?;
    let names: Names = serde_json::from_slice(bytes).map_err(|error| format!("Invalid dartsymbolmap: {error}"))?;
    if !names.0.is_multiple_of(2) {
        return Err("dartsymbolmap array must have an even number of elements".to_owned());
    }
    Ok(name_map(Format::DartSymbolMap, debug_id, Features::MAPPING))
}

/// How many names there are, counted without keeping them.
struct Names(usize);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Counter)
    }
}

struct Counter;

impl<'de> Visitor<'de> for Counter {
    type Value = Names;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of names")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Names, A::Error> {
        let mut count = 0;
        while names.next_element::<String>()?.is_some() {
            count += 1;
        }
        Ok(Names(count))
    }
}
