//! Breadcrumbs: the last ones, with texts and data within limits.
//!
//! It never sorts them.

use serde_json::Value;

use super::limits::bound;
use super::message::as_text;
use super::values;
use crate::Object;

/// Most breadcrumbs of an event.
const MAX_BREADCRUMBS: usize = 100;

/// Normalizes the breadcrumbs of an event.
pub fn normalize(event: &mut Object) {
    values::normalize(event, "breadcrumbs");
    let Some(list) = values::of(event, "breadcrumbs") else { return };
    list.drain(..list.len().saturating_sub(MAX_BREADCRUMBS));
    for breadcrumb in list.iter_mut().filter_map(Value::as_object_mut) {
        breadcrumb.get_mut("message").into_iter().for_each(as_text);
        breadcrumb.get_mut("data").into_iter().for_each(bound);
    }
}
