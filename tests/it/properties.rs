//! What holds for every checksum and every debug id, not only for those that somebody thought of.

use proptest::prelude::*;
use symdepot::types::{CodeId, DebugId, Features, Sha1};

/// A debug id as its parts: the 32 digits and the age.
fn parts() -> impl Strategy<Value = (String, u32)> {
    ("[0-9a-f]{32}", prop_oneof![Just(0), 1..16u32, any::<u32>()])
}

/// The canonical text of a debug id.
fn canonical(digits: &str, age: u32) -> String {
    let dashed = dashed(digits);
    if age == 0 { dashed } else { format!("{dashed}-{age:x}") }
}

fn dashed(digits: &str) -> String {
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

/// Every way in which clients write a debug id.
fn spellings(digits: &str, age: u32) -> Vec<String> {
    let dashed = dashed(digits);
    let mut spellings = vec![format!("{digits}{age:x}"), format!("{dashed}-{age:x}")];
    if age == 0 {
        spellings.extend([digits.to_owned(), dashed]);
    }
    let upper: Vec<_> = spellings.iter().map(|text| text.to_uppercase()).collect();
    spellings.extend(upper);
    spellings
}

proptest! {
    #[test]
    fn a_checksum_is_read_back_as_it_was_written(bytes in any::<[u8; 20]>()) {
        let sha1 = Sha1::from_bytes(bytes);
        let text = sha1.to_string();
        prop_assert_eq!(text.parse::<Sha1>(), Ok(sha1));
        prop_assert_eq!(sha1.as_bytes(), &bytes);
        let json = serde_json::to_string(&sha1).unwrap();
        prop_assert_eq!(&json, &format!("\"{text}\""));
        prop_assert_eq!(serde_json::from_str::<Sha1>(&json).unwrap(), sha1);
    }

    #[test]
    fn checksums_sort_as_their_texts_do(one in any::<[u8; 20]>(), other in any::<[u8; 20]>()) {
        let (one, other) = (Sha1::from_bytes(one), Sha1::from_bytes(other));
        prop_assert_eq!(one.cmp(&other), one.to_string().cmp(&other.to_string()));
    }

    #[test]
    fn only_its_own_text_is_a_checksum(text in "\\PC{0,60}") {
        if let Ok(sha1) = text.parse::<Sha1>() {
            prop_assert_eq!(sha1.to_string(), text);
        }
    }

    #[test]
    fn nothing_near_a_checksum_is_one(bytes in any::<[u8; 20]>(), at in 0..40usize, wrong in "[^0-9a-f]") {
        let text = Sha1::from_bytes(bytes).to_string();
        let mut near = text.clone();
        near.replace_range(at..=at, &wrong);
        prop_assert!(near.parse::<Sha1>().is_err());
        prop_assert!(text[1..].parse::<Sha1>().is_err());
        prop_assert!((text + &wrong).parse::<Sha1>().is_err());
    }

    #[test]
    fn every_spelling_of_a_debug_id_becomes_one((digits, age) in parts()) {
        let canonical = canonical(&digits, age);
        for spelling in spellings(&digits, age) {
            let id: Result<DebugId, _> = spelling.parse();
            prop_assert_eq!(id.as_ref().map(DebugId::as_str), Ok(canonical.as_str()), "{}", spelling);
        }
        let id: DebugId = canonical.parse().unwrap();
        prop_assert_eq!(id.uuid(), &canonical[..36]);
        prop_assert_eq!(id.is_nil(), digits.bytes().all(|digit| digit == b'0'));
        prop_assert_eq!(serde_json::from_str::<DebugId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
    }

    #[test]
    fn what_is_taken_for_a_debug_id_stays_one(text in "[0-9a-fA-F{} -]{0,50}|\\PC{0,50}") {
        if let Ok(id) = text.parse::<DebugId>() {
            prop_assert_eq!(id.as_str().parse::<DebugId>(), Ok(id.clone()));
            prop_assert_eq!(id.to_string().to_lowercase(), id.to_string());
            prop_assert!(id.as_str().len() >= 36);
        }
    }

    #[test]
    fn a_code_id_is_normal_after_one_time(text in "\\PC{0,50}") {
        let id = CodeId::new(&text);
        prop_assert_eq!(&CodeId::new(id.as_str()), &id);
        prop_assert_eq!(CodeId::new(&text.to_ascii_uppercase()), id);
    }

    #[test]
    fn features_are_read_back_from_their_row(bits in 0..32u8, other in 0..32u8) {
        let (features, other) = (Features::from_bits(bits), Features::from_bits(other));
        prop_assert_eq!(features.bits(), bits);
        prop_assert_eq!(features.words().len(), bits.count_ones() as usize);
        prop_assert!(features.union(other).contains(features) && features.union(other).contains(other));
        prop_assert_eq!(features.contains(other), features.union(other) == features);
    }
}
