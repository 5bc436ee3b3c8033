//! `BCSymbolMap`: the names that bitcode compilation hid. The file does not know its own id.

use symbolic::debuginfo::macho::BcSymbolMap;

use super::name_map::{given_id, name_map};
use symdepot_types::child_protocol::{Hints, ObjectInfo};
use symdepot_types::{Features, Format};

/// What a file that begins like a `BCSymbolMap` is.
pub(super) fn read(bytes: &[u8], hints: &Hints) -> Result<ObjectInfo, String> {
    let debug_id = given_id(hints, "BCSymbolMap")?;
    BcSymbolMap::parse(bytes).map_err(|error| format!("Invalid BCSymbolMap: {error}"))?;
    Ok(name_map(Format::BcSymbolMap, debug_id, Features::default()))
}
