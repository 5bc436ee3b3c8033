//! What the name maps have in common: their id is given from outside and they fit every architecture.
//!
//! Nothing here looks at content.

use symdepot_types::child_protocol::{Hints, ObjectInfo};
use symdepot_types::{DebugId, Features, Format, Kind};

/// The id that the request gave for a file of the kind `what`, in canonical form.
pub(super) fn given_id(hints: &Hints, what: &str) -> Result<DebugId, String> {
    let given = hints.debug_id.as_deref().ok_or_else(|| format!("Missing debug_id for {what}"))?;
    let id: DebugId = given.parse().map_err(|error| format!("Invalid debug_id for {what}: {error}"))?;
    if id.is_nil() {
        return Err(format!("Invalid debug_id for {what}: the id is all zeros, which names nothing"));
    }
    Ok(id)
}

/// A name map of this identity.
pub(super) fn name_map(format: Format, debug_id: DebugId, features: Features) -> ObjectInfo {
    ObjectInfo {
        debug_id,
        debug_id_alias: None,
        code_id: None,
        cpu_name: "any".to_owned(),
        format,
        kind: Kind::None,
        features,
        object_name: None,
        note: None,
        supplement_id: None,
        is_supplement: false,
    }
}
