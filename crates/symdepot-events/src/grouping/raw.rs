//! The text of a native stack by its addresses alone, which is the same before and after its frames have names.

use std::collections::BTreeMap;

use serde_json::Value;

use super::fields::{GROUP, RECORD, text};
use super::frames::{Family, base_name};
use super::stacks::Stack;
use crate::Object;

/// The images of an event by where they begin.
pub struct Images(BTreeMap<u64, Image>);

struct Image {
    /// Behind its last byte; none for one without a size.
    end: Option<u64>,
    name: String,
}

impl Images {
    /// Reads them.
    pub fn of(event: &Object) -> Self {
        let images = event.get("debug_meta").and_then(|meta| meta.get("images")).and_then(Value::as_array);
        let images = images.into_iter().flatten().filter_map(Value::as_object).filter_map(|image| {
            let begin = address(image.get("image_addr")?)?;
            let size = image.get("image_size").and_then(address).filter(|size| *size > 0);
            let debug_id = text(image, "debug_id").to_lowercase();
            let name = match debug_id.is_empty() {
                true => base_name(&text(image, "code_file"), Family::Native),
                false => debug_id,
            };
            Some((begin, Image { end: size.map(|size| begin.saturating_add(size)), name }))
        });
        Self(images.collect())
    }

    fn place(&self, address: u64) -> Option<String> {
        let (begin, image) = self.0.range(..=address).next_back()?;
        let is_inside = image.end.is_none_or(|end| address < end) && !image.name.is_empty();
        is_inside.then(|| format!("{}+{:#x}", image.name, address - begin))
    }
}

/// The text of several stacks; `None` unless each has one.
pub fn raw<'a>(stacks: impl Iterator<Item = &'a Stack<'a>>, images: &Images) -> Option<String> {
    let texts = stacks.map(|stack| of_stack(stack, images)).collect::<Option<Vec<_>>>()?;
    (!texts.is_empty()).then(|| texts.join(&GROUP.to_string()))
}

fn of_stack(stack: &Stack<'_>, images: &Images) -> Option<String> {
    if stack.frames.is_empty() || stack.frames.iter().any(|frame| frame.family != Family::Native) {
        return None;
    }
    let (mut places, mut before, mut is_known) = (Vec::new(), None, false);
    for frame in &stack.frames {
        let Some(address) = frame.sent.get("instruction_addr").and_then(address) else { continue };
        if before.replace(address) == Some(address) {
            continue;
        }
        let place = images.place(address);
        is_known |= place.is_some();
        places.push(place.unwrap_or_else(|| "?".to_owned()));
    }
    is_known.then(|| places.join(&RECORD.to_string()))
}

/// An address as hex or decimal text, or as a number.
fn address(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => {
            let text = text.trim();
            match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
                Some(hex) => u64::from_str_radix(hex, 16).ok(),
                None => text.parse().ok(),
            }
        }
        _ => None,
    }
}
