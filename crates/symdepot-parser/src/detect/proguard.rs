//! `ProGuard` and R8 mappings, known by their name alone. The content is never looked at.

use super::name_map::name_map;
use symdepot_types::child_protocol::ObjectInfo;
use symdepot_types::{DebugId, Features, Format};

/// The mapping that `name` speaks of, if it ends with `/proguard/<uuid>.txt` or `/proguard/mapping-<uuid>.txt`.
pub(super) fn by_name(name: &str) -> Option<ObjectInfo> {
    let (_, last) = name.rsplit_once("/proguard/")?;
    let stem = last.strip_suffix(".txt")?;
    let uuid = stem.strip_prefix("mapping-").unwrap_or(stem);
    if !matches!(uuid.len(), 32 | 36) {
        return None;
    }
    let debug_id = uuid.parse::<DebugId>().ok().filter(|id| !id.is_nil())?;
    let mapping = name_map(Format::Proguard, debug_id, Features::MAPPING);
    Some(ObjectInfo { object_name: Some("proguard-mapping".to_owned()), ..mapping })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_two_agreed_names_make_a_mapping() {
        let id = "9d089309-27e9-5967-969a-c02c8ea5d81f";
        for name in [
            format!("/proguard/{id}.txt"),
            format!("/proguard/mapping-{id}.txt"),
            format!("some/folder/proguard/{id}.txt"),
            format!("/proguard/{}.txt", id.to_uppercase()),
            format!("/proguard/{}.txt", id.replace('-', "")),
        ] {
            assert_eq!(by_name(&name).map(|mapping| String::from(mapping.debug_id)), Some(id.to_owned()), "{name}");
        }
        for name in [
            format!("proguard/{id}.txt"),
            format!("/proguard/{id}.map"),
            format!("/proguard/x/{id}.txt"),
            format!("/proguard/{id}-1.txt"),
            format!("/other/{id}.txt"),
            "/proguard/mapping.txt".to_owned(),
        ] {
            assert_eq!(by_name(&name), None, "{name}");
        }
    }
}
