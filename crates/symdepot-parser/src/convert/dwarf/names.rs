//! What a function is called: its linkage name, wherever the chain of its declarations has it, else its name. A symbol that
//! happens to lie at its address never decides, unless it is a longer spelling of the same name.
//!
//! Answers reports of `versioned@@V2`, `runtime.text` or `_stext` in
//! place of functions. Chains are followed a bounded number of steps, since a file may lead them in a circle.

use std::borrow::Cow;
use std::collections::HashMap;

use gimli::{AttributeValue, constants};
use symbolic::common::{Language, Name, NameMangling};
use symbolic::debuginfo::macho::BcSymbolMap;

use super::sections::Slice;
use super::units::{Entry, Program};
use crate::convert::symbols::Symbols;

/// What stands for a name that is not there.
pub(crate) const UNKNOWN: &str = "<unknown>";

/// elfutils follows as many; real chains have three links.
const LONGEST_CHAIN: usize = 16;

type Value<'d> = AttributeValue<Slice<'d>>;

/// The attributes of one entry that name it.
#[derive(Clone, Copy, Default)]
pub(super) struct Naming<'d> {
    linkage: Option<Value<'d>>,
    name: Option<Value<'d>>,
    origin: Option<Value<'d>>,
    specification: Option<Value<'d>>,
}

impl<'d> Naming<'d> {
    /// Takes an attribute if it is one of these.
    pub(super) fn take(&mut self, attribute: &gimli::Attribute<Slice<'d>>) {
        let place = match attribute.name() {
            constants::DW_AT_linkage_name | constants::DW_AT_MIPS_linkage_name => &mut self.linkage,
            constants::DW_AT_name => &mut self.name,
            constants::DW_AT_abstract_origin => &mut self.origin,
            constants::DW_AT_specification => &mut self.specification,
            _ => return,
        };
        *place = Some(attribute.value());
    }

    fn read(entry: Entry<'_, 'd>) -> gimli::Result<Self> {
        let mut naming = Self::default();
        let mut entries = entry.unit.unit.entries_raw(Some(entry.offset))?;
        if let Some(abbreviation) = entries.read_abbreviation()? {
            for attribute in abbreviation.attributes() {
                naming.take(&entries.read_attribute(*attribute)?);
            }
        }
        Ok(naming)
    }
}

/// A name as debug information has it.
#[derive(Clone, Debug)]
struct Found<'a> {
    text: Option<Cow<'a, str>>,
    /// Whether it is the linkage name.
    linkage: bool,
    language: Language,
}

/// Names of the functions of one unit; those of inlined functions are asked for again and again.
pub(super) struct Names<'a, 'd> {
    program: &'a Program<'d>,
    symbols: &'a Symbols<'a>,
    hidden: Option<&'a BcSymbolMap<'a>>,
    known: HashMap<(bool, usize), Found<'a>>,
}

impl<'a, 'd> Names<'a, 'd> {
    pub(super) fn new(program: &'a Program<'d>, symbols: &'a Symbols<'a>, hidden: Option<&'a BcSymbolMap<'a>>) -> Self {
        Self { program, symbols, hidden, known: HashMap::new() }
    }

    /// The name of the function `entry`, which begins at `offset` from the image base.
    pub(super) fn function(&mut self, entry: Entry<'_, 'd>, naming: Naming<'d>, offset: u64) -> Name<'a> {
        let found = self.find(entry, naming);
        let symbol = match &found.text {
            Some(_) if found.linkage => None,
            Some(text) => self.symbols.at(offset).find(|symbol| spells(symbol, text)),
            None => self.symbols.at(offset).next(),
        };
        match symbol {
            Some(symbol) => Name::new(self.shown(Cow::Borrowed(symbol)), NameMangling::Unknown, found.language),
            None => self.name(found),
        }
    }

    /// The name of a function that was inlined at `entry`.
    pub(super) fn inlined(&mut self, entry: Entry<'_, 'd>, naming: Naming<'d>) -> Name<'a> {
        let found = self.find(entry, naming);
        self.name(found)
    }

    /// A text of the file, brought back if it was hidden.
    pub(super) fn shown(&self, text: Cow<'a, str>) -> Cow<'a, str> {
        let Some(map) = self.hidden else { return text };
        match text {
            Cow::Borrowed(text) => match map.resolve(text) {
                same if same == text => Cow::Borrowed(text),
                // The map has names as the linker does, with the underscore of Mach-O.
                resolved => Cow::Borrowed(resolved.strip_prefix('_').unwrap_or(resolved)),
            },
            Cow::Owned(text) => Cow::Owned(text),
        }
    }

    fn name(&self, found: Found<'a>) -> Name<'a> {
        let mangling = if found.linkage { NameMangling::Mangled } else { NameMangling::Unmangled };
        match found.text {
            Some(text) => Name::new(self.shown(text), mangling, found.language),
            None => Name::new(UNKNOWN, NameMangling::Unmangled, found.language),
        }
    }

    fn find(&mut self, entry: Entry<'_, 'd>, naming: Naming<'d>) -> Found<'a> {
        // Inlined calls of one function have its entry as their origin and nothing else to say.
        let Some(origin) = naming.origin.filter(|_| naming.linkage.is_none() && naming.name.is_none()) else {
            return self.walk(entry, naming);
        };
        let key = match origin {
            AttributeValue::UnitRef(offset) => (false, offset.to_unit_section_offset(&entry.unit.unit.header).0),
            AttributeValue::DebugInfoRef(offset) => (false, offset.0),
            AttributeValue::DebugInfoRefSup(offset) => (true, offset.0),
            _ => return self.walk(entry, naming),
        };
        if let Some(found) = self.known.get(&key) {
            return found.clone();
        }
        let found = self.walk(entry, naming);
        self.known.insert(key, found.clone());
        found
    }

    fn walk(&self, start: Entry<'_, 'd>, naming: Naming<'d>) -> Found<'a> {
        let own = start.unit.language.unwrap_or(Language::Unknown);
        let mut found = Found { text: None, linkage: false, language: own };
        let (mut entry, mut naming) = (start, naming);
        for _ in 0..LONGEST_CHAIN {
            let dwarf = &entry.units.dwarf;
            let text = |value| text(dwarf, &entry.unit.unit, value);
            // Units that link-time optimization makes have a language of their own; that of the origin is right.
            let language = entry.unit.language.unwrap_or(found.language);
            if let Some(name) = naming.linkage.and_then(text) {
                return Found { text: Some(name), linkage: true, language };
            }
            found.language = language;
            if found.text.is_none() {
                found.text = naming.name.and_then(text);
            }
            let Some(next) = naming.origin.or(naming.specification) else { break };
            let Some(next) = self.program.follow(entry, next) else { break };
            let Ok(read) = Naming::read(next) else { break };
            (entry, naming) = (next, read);
        }
        found
    }
}

fn text<'d>(dwarf: &gimli::Dwarf<Slice<'d>>, unit: &gimli::Unit<Slice<'d>>, value: Value<'d>) -> Option<Cow<'d, str>> {
    let slice = dwarf.attr_string(unit, value).ok()?.slice();
    // Where ranges may not be said (DWARF 2), GCC makes a function of its own of the unlikely part.
    let slice = slice.strip_prefix(b"__second_sect_of_").unwrap_or(slice);
    (!slice.is_empty()).then(|| String::from_utf8_lossy(slice))
}

/// Whether a symbol is the mangled form of a plain name, and so says more than it.
fn spells(symbol: &str, name: &str) -> bool {
    let plain = name.split('<').next().unwrap_or(name);
    let mangled = ["_Z", "__Z", "_R", "__R", "?", "$s", "_$s"].iter().any(|prefix| symbol.starts_with(prefix));
    if !mangled || plain.is_empty() || symbol.len() <= plain.len() {
        return false;
    }
    let counted = format!("{}{plain}", plain.len());
    if symbol.contains(&counted) {
        return true;
    }
    // Operators and destructors are abbreviated in mangled names.
    !plain.chars().all(|c| c.is_alphanumeric() || c == '_') && {
        let readable = symbolic::demangle::demangle(symbol);
        readable != symbol && readable.contains(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_says_more_only_if_it_is_the_same_name_mangled() {
        assert!(spells("_ZN4deep2er4leafEi", "leaf"));
        assert!(spells("_ZN6CircleD2Ev", "~Circle"));
        assert!(spells("_Z3maxIiET_S0_S0_", "max<int>"));
        for (symbol, name) in [("versioned@@V2", "versioned"), ("runtime.text", "main.main"), ("_Z4leafi", "other")] {
            assert!(!spells(symbol, name), "{symbol} {name}");
        }
    }
}
