//! Formats whose functions symbolic's session reads right: PDB, Breakpad text, Portable PDB. Symbols name what no function
//! covers. It never cuts the name of a function: what a C compiler put in front of it stands only in tables of symbols.

use symbolic::debuginfo::{Function, Object};
use symbolic::symcache::SymCacheConverter;

use super::NAMELESS;
use super::layout::Layout;
use super::ranges::Ranges;
use super::symbols::Symbols;
use crate::detect::chain;

/// Reads all functions of an object, then its symbols. A function that cannot be read costs that function, unless it is the
/// only one.
pub(super) fn read<'c>(
    object: &Object<'_>,
    memory: u64,
    mut converter: SymCacheConverter<'c>,
) -> Result<SymCacheConverter<'c>, String> {
    let session = object.debug_session().map_err(|error| chain(&error))?;
    let mut covered = Ranges::default();
    let (mut fault, mut functions) = (None, 0_u64);
    for function in session.functions() {
        match function {
            Ok(function) => {
                converter.process_symbolic_function(&function);
                cover(&mut covered, &function);
                functions += 1;
            }
            Err(error) => fault = fault.or_else(|| Some(chain(&error))),
        }
    }
    let symbols = Symbols::read(object, &Layout::of(object), memory);
    let added = symbols.add_to(&mut converter, &covered);
    match fault {
        Some(reason) if functions + added == 0 => Err(reason),
        None if functions + added == 0 => Err(NAMELESS.to_owned()),
        _ => Ok(converter),
    }
}

fn cover(covered: &mut Ranges, function: &Function<'_>) {
    covered.insert(function.address, function.address.saturating_add(function.size));
    for line in &function.lines {
        covered.insert(line.address, line.address.saturating_add(line.size.unwrap_or(1)));
    }
}
