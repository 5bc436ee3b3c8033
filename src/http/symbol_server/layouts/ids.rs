//! Ids as they stand in paths: hexadecimal digits in either case. It never looks at names.

use crate::debug_files::WantedId;
use crate::types::DebugId;

/// Digits of a UUID.
const UUID: usize = 32;

/// Most digits of a debug id with its age.
const WITH_AGE: usize = UUID + 8;

/// Fewest and most digits of a code id.
const CODE_ID: std::ops::RangeInclusive<usize> = 4..=128;

/// The digits in lower case, if there is nothing else.
pub fn hex(text: &str) -> Option<String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| text.to_ascii_lowercase())
}

/// The digits of a whole number of bytes that may be a code id.
pub fn code(text: &str) -> Option<String> {
    hex(text).filter(|digits| CODE_ID.contains(&digits.len()) && digits.len().is_multiple_of(2))
}

/// A UUID without an age.
pub fn uuid(text: &str) -> Option<DebugId> {
    hex(text).filter(|digits| digits.len() == UUID).and_then(|digits| named(&digits))
}

/// A UUID and an age of one to eight digits, as Breakpad and the stores of PDBs write them.
pub fn with_age(text: &str) -> Option<DebugId> {
    hex(text).filter(|digits| (UUID + 1..=WITH_AGE).contains(&digits.len())).and_then(|digits| named(&digits))
}

/// A time stamp of eight digits and the size of an image without leading zeros: the code id of a PE file.
pub fn time_stamp_and_size(text: &str) -> Option<String> {
    let digits = hex(text)?;
    let (time_stamp, size) = digits.split_at_checked(8)?;
    let size = size.trim_start_matches('0');
    (!size.is_empty() && size.len() <= 8).then(|| format!("{time_stamp}{size}"))
}

/// What a path may mean that does not say which sort of id it has: a debug id with or without its age, a code id, or
/// a build id whose file is known by the debug id made of it.
pub fn any(text: &str) -> Option<WantedId> {
    let code_id = code(text);
    let debug_ids = [uuid(text), with_age(text), code_id.as_deref().and_then(of_build_id)];
    let debug_ids: Vec<_> = debug_ids.into_iter().flatten().collect();
    let code_ids: Vec<_> = code_id.into_iter().collect();
    (!debug_ids.is_empty() || !code_ids.is_empty()).then_some(WantedId::AnyOf { debug_ids, code_ids })
}

/// The debug id of the ELF file with this build id: its first 16 bytes, taken for a UUID of a little-endian machine.
fn of_build_id(digits: &str) -> Option<DebugId> {
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let padded = format!("{digits:0<UUID$}");
    let bytes: String = ORDER.iter().filter_map(|byte| padded.get(byte * 2..byte * 2 + 2)).collect();
    named(&bytes)
}

/// The debug id, unless it is the one that names nothing.
fn named(digits: &str) -> Option<DebugId> {
    digits.parse().ok().filter(|id: &DebugId| !id.is_nil())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(id: Option<DebugId>) -> String {
        id.map_or_else(|| "none".to_owned(), String::from)
    }

    #[test]
    fn a_debug_id_is_written_with_and_without_its_age() {
        let canonical = "3249d99d-0c40-4931-8610-f4e4fb0b6936";
        for (written, expected) in [
            ("3249D99D0C4049318610F4E4FB0B69361", format!("{canonical}-1")),
            ("3249d99d0c4049318610f4e4fb0b69360", canonical.to_owned()),
            ("3249d99d0c4049318610f4e4fb0b6936fffffffe", format!("{canonical}-fffffffe")),
            ("3249d99d0c4049318610f4e4fb0b69360000002A", format!("{canonical}-2a")),
            ("3249d99d0c4049318610f4e4fb0b6936", "none".to_owned()),
            ("3249d99d0c4049318610f4e4fb0b6936000000001", "none".to_owned()),
            ("3249d99d-0c40-4931-8610-f4e4fb0b6936-1", "none".to_owned()),
            ("000000000000000000000000000000001", "none".to_owned()),
        ] {
            assert_eq!(text(with_age(written)), expected, "{written}");
        }
        assert_eq!(text(uuid("3249D99D0C4049318610F4E4FB0B6936")), canonical);
        assert_eq!(text(uuid("3249D99D0C4049318610F4E4FB0B69361")), "none");
    }

    #[test]
    fn the_code_id_of_a_pe_file_has_one_spelling() {
        for (written, expected) in [
            ("5AB380779000", Some("5ab380779000")),
            ("5ab3807700009000", Some("5ab380779000")),
            ("000000008000", Some("000000008000")),
            ("5AB38077", None),
            ("5AB380770", None),
            ("5AB38077123456789", None),
            ("5AB38077g000", None),
        ] {
            assert_eq!(time_stamp_and_size(written).as_deref(), expected, "{written}");
        }
    }

    #[test]
    fn an_id_of_no_said_sort_means_whatever_has_it() {
        let meanings = |written: &str| match any(written) {
            Some(WantedId::AnyOf { debug_ids, code_ids }) => {
                debug_ids.into_iter().map(String::from).chain(code_ids).collect::<Vec<_>>()
            }
            _ => Vec::new(),
        };
        let swapped = "9dd94932-400c-3149-8610-f4e4fb0b6936";
        assert_eq!(
            meanings("3249D99D0C4049318610F4E4FB0B6936"),
            ["3249d99d-0c40-4931-8610-f4e4fb0b6936", swapped, "3249d99d0c4049318610f4e4fb0b6936"]
        );
        assert_eq!(meanings("3249d99d0c4049318610f4e4fb0b69361"), ["3249d99d-0c40-4931-8610-f4e4fb0b6936-1"]);
        assert_eq!(
            meanings("3249d99d0c4049318610f4e4fb0b6936deadbeef"),
            ["3249d99d-0c40-4931-8610-f4e4fb0b6936-deadbeef", swapped, "3249d99d0c4049318610f4e4fb0b6936deadbeef"]
        );
        assert_eq!(meanings("3249d99d0c404931"), ["9dd94932-400c-3149-0000-000000000000", "3249d99d0c404931"]);
        for nothing in ["", "abc", "12", "3249d99d0c4049318610f4e4fb0b693g", "12 4"] {
            assert_eq!(meanings(nothing), Vec::<String>::new(), "{nothing}");
        }
    }
}
