//! Debug file -> table of call frame information. What cannot be read of a file costs that part and nothing else.

use std::io;

use symbolic::cfi::AsciiCfiWriter;

use symdepot_types::DebugId;

use super::ends::signals_and_ends;
use super::table::{Block, Parts};
use crate::convert::wanted_object;

/// Writes the table of the object `debug_id` in `bytes`, or says why there is none.
pub fn build(
    bytes: &[u8],
    debug_id: &DebugId,
    memory: u64,
    output: &mut impl io::Write,
) -> Result<io::Result<()>, String> {
    let object = wanted_object(bytes, debug_id, None, memory)?;
    let mut text = Vec::new();
    // What could be read is of use although the rest could not.
    let written = AsciiCfiWriter::new(&mut text).process(&object);
    let mut parts = parts(&String::from_utf8_lossy(&text));
    (parts.signals, parts.ends) = signals_and_ends(&object);
    if parts.cfi.is_empty() && parts.win.is_empty() && parts.ends.is_empty() {
        return Err(match written {
            Ok(()) => "it has no call frame information".to_owned(),
            Err(error) => format!("its call frame information cannot be read: {error}"),
        });
    }
    Ok(parts.write(output))
}

/// The records of a text by the range that they apply to.
fn parts(text: &str) -> Parts {
    let mut parts = Parts::default();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("STACK CFI INIT ") {
            let mut numbers = rest.split(' ').map(|word| u64::from_str_radix(word, 16));
            let (Some(Ok(begin)), Some(Ok(size))) = (numbers.next(), numbers.next()) else { continue };
            let end = begin.saturating_add(size);
            parts.cfi.push(Block { begin, end, text: format!("{line}\n") });
        } else if line.starts_with("STACK CFI ") {
            if let Some(block) = parts.cfi.last_mut() {
                block.text.push_str(line);
                block.text.push('\n');
            }
        } else if let Some(rest) = line.strip_prefix("STACK WIN ") {
            let mut numbers = rest.split(' ').skip(1).map(|word| u64::from_str_radix(word, 16));
            let (Some(Ok(begin)), Some(Ok(size))) = (numbers.next(), numbers.next()) else { continue };
            let end = begin.saturating_add(size);
            parts.win.push(Block { begin, end, text: format!("{line}\n") });
        }
    }
    parts
}
