//! `UuidMap`: the property list that leads from a rewritten dSYM to the id it had before. Its name is its id.

use symbolic::debuginfo::macho::UuidMapping;

use super::chain;
use super::name_map::name_map;
use symdepot_types::child_protocol::{Hints, ObjectInfo};
use symdepot_types::{DebugId, Features, Format};

/// The longest property list that is read; real ones have a few hundred bytes.
const LONGEST: usize = 1 << 20;

/// What an XML file is. Its second id is the one it leads to.
pub(super) fn read(bytes: &[u8], hints: &Hints) -> Result<ObjectInfo, String> {
    let debug_id = own_id(hints).ok_or("Invalid UuidMap: invalid debug identifier")?;
    if bytes.len() > LONGEST {
        return Err(format!("Invalid UuidMap: {} bytes are too many for a property list with one id", bytes.len()));
    }
    let parsed = UuidMapping::parse_plist(symbolic::common::DebugId::nil(), bytes)
        .map_err(|error| format!("Invalid UuidMap: {}", chain(&error)))?;
    let original = parsed.original_uuid().to_string().parse().ok();
    let map = name_map(Format::UuidMap, debug_id, Features::default());
    Ok(ObjectInfo { debug_id_alias: original, ..map })
}

/// The id of the request, or else the one that the file is named after.
fn own_id(hints: &Hints) -> Option<DebugId> {
    let given = hints.debug_id.as_deref().and_then(|id| id.parse::<DebugId>().ok());
    let named = || {
        let base = hints.name.rsplit('/').next()?;
        base.strip_suffix(".plist").unwrap_or(base).parse::<DebugId>().ok()
    };
    given.or_else(named).filter(|id| !id.is_nil())
}
