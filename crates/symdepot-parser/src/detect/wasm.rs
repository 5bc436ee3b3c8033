//! The two spellings of a WASM id. wasm-ld writes the id with its length in front, and tools differ in whether the
//! length belongs to it; a file must be found by both, so neither is ever dropped.

use symbolic::debuginfo::wasm::WasmObject;

use symdepot_types::DebugId;

/// The id without the length in front, if that is another than the one with it.
pub(super) fn alias(object: &WasmObject<'_>) -> Option<DebugId> {
    // symbolic 13 takes the whole section for the code id.
    let section = hex::decode(object.code_id()?.as_str()).ok()?;
    let payload = payload(&section)?;
    let id: DebugId = hex::encode(payload.get(..16)?).parse().ok()?;
    (!id.is_nil() && id.as_str() != object.debug_id().to_string()).then_some(id)
}

/// What follows the length. Sections of exactly 16 bytes are older than the length.
fn payload(section: &[u8]) -> Option<&[u8]> {
    if section.len() == 16 {
        return Some(section);
    }
    let mut length: u64 = 0;
    for (index, byte) in section.iter().enumerate().take(5) {
        length |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return section.get(index + 1..)?.get(..usize::try_from(length).ok()?);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::payload;

    #[test]
    fn the_length_in_front_is_skipped_unless_the_section_is_of_the_old_form() {
        let id: Vec<u8> = (1..=20).collect();
        assert_eq!(payload(&[&[20], &id[..]].concat()), Some(&id[..]));
        assert_eq!(payload(&[&[0x94, 0], &id[..]].concat()), Some(&id[..]));
        assert_eq!(payload(&id[..16]), Some(&id[..16]));
        assert_eq!(payload(&[&[21], &id[..]].concat()), None);
        assert_eq!(payload(&[0xff; 30]), None);
        assert_eq!(payload(&[]), None);
    }
}
