//! il2cpp line mappings: which C# line a line of generated C++ came from. Only their being JSON is checked.

use serde::de::IgnoredAny;

use super::name_map::{given_id, name_map};
use symdepot_types::child_protocol::{Hints, ObjectInfo};
use symdepot_types::{Features, Format};

/// What a JSON object is.
pub(super) fn read(bytes: &[u8], hints: &Hints) -> Result<ObjectInfo, String> {
    let debug_id = given_id(hints, "il2cpp")?;
    serde_json::from_slice::<IgnoredAny>(bytes).map_err(|error| format!("Invalid il2cpp: {error}"))?;
    Ok(name_map(Format::Il2Cpp, debug_id, Features::default()))
}
