//! Whether a file is what was asked for: the id that was wanted must be in it, whatever the path said that it came from.

use crate::debug_files::{Wanted, WantedId};
use crate::symcaches::sandbox::{Detection, ObjectInfo};
use crate::types::{CodeId, DebugId};

/// What is wrong with a file that came, as a sentence without its end; `None` if it is the wanted one.
pub(super) fn misfit(wanted: &Wanted, detection: &Detection) -> Option<String> {
    let objects = match detection {
        Detection::Objects(objects) => objects,
        Detection::Rejected(reason) => return Some(format!("what it sent cannot be taken: {reason}")),
        Detection::SomethingElse(_) => return Some("what it sent is no debug file".to_owned()),
    };
    let mut of_this_id = objects.iter().filter(|object| has(object, &wanted.id)).peekable();
    if of_this_id.peek().is_none() {
        let ids: Vec<_> = objects.iter().map(ids).collect();
        return Some(format!("what it sent has another id: {}", ids.join(", ")));
    }
    let meets = of_this_id.any(|object| wanted.what.is_met_by(object.format, object.kind, object.features));
    (!meets).then(|| "what it sent has the id and is not the sort of file that was asked for".to_owned())
}

fn has(object: &ObjectInfo, id: &WantedId) -> bool {
    let debug = |id: &DebugId| object.debug_id == *id || object.debug_id_alias.as_ref() == Some(id);
    let code = |id: &str| object.code_id.as_ref() == Some(&CodeId::new(id));
    match id {
        WantedId::Debug(id) => debug(id),
        WantedId::AnyAge(id) => object.debug_id.uuid() == id.uuid(),
        WantedId::Code(id) => code(id),
        WantedId::PaddedCode(id) => {
            let width = id.len();
            object.code_id.as_ref().is_some_and(|own| format!("{:0<width$}", own.as_str()) == *id)
        }
        WantedId::AnyOf { debug_ids, code_ids } => debug_ids.iter().any(debug) || code_ids.iter().any(|id| code(id)),
    }
}

fn ids(object: &ObjectInfo) -> String {
    match &object.code_id {
        Some(code_id) => format!("{} ({code_id})", object.debug_id),
        None => object.debug_id.to_string(),
    }
}
