//! The one form of `exception`, `threads` and `breadcrumbs`: `{"values":[…]}` with objects in the list.
//!
//! It never looks into the entries.

use serde_json::Value;

use super::types;
use crate::Object;

/// Brings a field into its one form. An object without `values` is an entry of its own; null and what is not an object are left
/// out of the list. A field without entries is removed.
pub fn normalize(event: &mut Object, key: &str) {
    let (mut list, mut others) = (Vec::new(), Object::new());
    let mut invalid = Value::Null;
    match event.get_mut(key).map(Value::take) {
        None => return,
        Some(Value::Array(entries)) => list = entries,
        Some(Value::Object(mut object)) if object.contains_key("values") => {
            match object.shift_remove("values") {
                Some(Value::Array(entries)) => list = entries,
                Some(entry @ Value::Object(_)) => list.push(entry),
                other => invalid = other.unwrap_or_default(),
            }
            others = object;
        }
        Some(Value::Object(object)) if !object.is_empty() => list.push(Value::Object(object)),
        Some(_) => {}
    }
    list.retain(Value::is_object);
    if list.is_empty() {
        event.shift_remove(key);
        types::record(event, key, invalid);
        return;
    }
    let mut field = Object::new();
    field.insert("values".to_owned(), Value::Array(list));
    field.extend(others);
    event.insert(key.to_owned(), Value::Object(field));
}

/// The entries of a field in its one form.
pub fn of<'a>(event: &'a mut Object, key: &str) -> Option<&'a mut Vec<Value>> {
    event.get_mut(key)?.get_mut("values")?.as_array_mut()
}
