//! Breakpad text as its writers meant it: a record that cannot be read costs that record, text that is no UTF-8 is replaced,
//! and what stands behind its use is brought forward. A file with no fault is never copied.
//!
//! symbolic reads the records of a kind only where it expects them and gives up at the first that it cannot read. So this
//! puts the text in order first: `MODULE`, `INFO`, `FILE`, `INLINE_ORIGIN`, functions and publics, `STACK`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// What stands for the name of an inlined function that has none.
const NAMELESS: &str = "<name omitted>";

/// Breakpad text that symbolic reads whole.
#[derive(Debug)]
pub(crate) struct Tidied<'d> {
    /// The text.
    pub text: Cow<'d, [u8]>,
    /// What was wrong with it.
    pub faults: Faults,
}

/// What was wrong with a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// Records that cannot be read.
    pub records: u64,
    /// The line of the first of them.
    first: u64,
    /// Lines that are no UTF-8.
    pub encoding: u64,
    /// Inlined functions without a name.
    pub nameless: u64,
}

impl Faults {
    /// What the uploader should know.
    pub(crate) fn note(&self) -> Option<String> {
        let Self { records, first, encoding, nameless } = *self;
        let mut note = String::new();
        let plural = |count: u64, one: &'static str, many: &'static str| if count == 1 { one } else { many };
        if records > 0 {
            let words = plural(
                records,
                "record of this file cannot be read and is",
                "records of this file cannot be read and are",
            );
            let _ = write!(note, "{records} {words} left out, the first in line {first}. ");
        }
        if encoding > 0 {
            let words = plural(encoding, "line is", "lines are");
            let _ = write!(note, "{encoding} {words} not UTF-8; what cannot be read there is shown as \u{fffd}. ");
        }
        if nameless > 0 {
            let words = plural(nameless, "inlined function has", "inlined functions have");
            let _ = write!(note, "{nameless} {words} no name. ");
        }
        let note = note.trim_end();
        (!note.is_empty()).then(|| note.to_owned())
    }
}

/// Puts Breakpad text in order. Anything else is returned as it is.
pub(crate) fn tidy(bytes: &[u8]) -> Tidied<'_> {
    if !bytes.starts_with(b"MODULE ") {
        return Tidied { text: Cow::Borrowed(bytes), faults: Faults::default() };
    }
    let mut scan = Scan::default();
    scan.all(bytes, &mut |_, _| {});
    if scan.in_order() {
        return Tidied { text: Cow::Borrowed(bytes), faults: Faults::default() };
    }
    let mut parts: [Vec<u8>; 5] = Default::default();
    let mut again = Scan::default();
    again.all(bytes, &mut |part, line| {
        let part = &mut parts[part as usize];
        part.extend_from_slice(line);
        part.push(b'\n');
    });
    again.in_order();
    for origin in again.used.difference(&again.defined) {
        parts[Part::Origins as usize].extend_from_slice(format!("INLINE_ORIGIN {origin} {NAMELESS}\n").as_bytes());
    }
    Tidied { text: Cow::Owned(parts.concat()), faults: again.faults }
}

/// Where a record belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Head,
    Files,
    Origins,
    Body,
    Stack,
}

/// What came by so far.
#[derive(Debug, Default)]
struct Scan {
    faults: Faults,
    /// The part that comes now.
    last: Option<Part>,
    /// Something stands where it is not read.
    disorder: bool,
    in_function: bool,
    defined: BTreeSet<u64>,
    used: BTreeSet<u64>,
}

impl Scan {
    fn all(&mut self, bytes: &[u8], keep: &mut dyn FnMut(Part, &[u8])) {
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let record = line.trim_ascii();
            if record.is_empty() {
                continue;
            }
            let text = String::from_utf8_lossy(record);
            let Some((part, text)) = self.record(text, index == 0) else {
                self.faults.records += 1;
                if self.faults.first == 0 {
                    self.faults.first = index as u64 + 1;
                }
                continue;
            };
            if let Cow::Owned(_) = text
                && std::str::from_utf8(record).is_err()
            {
                self.faults.encoding += 1;
            }
            let indented = line.first().is_some_and(u8::is_ascii_whitespace) && !is_line(&text);
            // Origins may stand among functions.
            let at = if part == Part::Origins && self.last == Some(Part::Body) { Part::Body } else { part };
            self.disorder |= indented || self.last.is_some_and(|last| last > at);
            self.last = self.last.max(Some(at));
            keep(part, text.as_bytes());
        }
    }

    /// Whether symbolic reads the text as it is.
    fn in_order(&mut self) -> bool {
        self.faults.nameless += self.used.difference(&self.defined).count() as u64;
        self.faults == Faults::default() && !self.disorder
    }

    /// Where a record belongs, and as what; `None` if it cannot be read.
    fn record<'t>(&mut self, text: Cow<'t, str>, is_first: bool) -> Option<(Part, Cow<'t, str>)> {
        let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
        let part = match word {
            "MODULE" => is_first.then_some(Part::Head)?,
            "INFO" => Part::Head,
            "FILE" => {
                let (number, path) = rest.split_once(' ')?;
                (is_decimal(number) && !path.trim().is_empty()).then_some(Part::Files)?
            }
            "INLINE_ORIGIN" => {
                let (number, name) = rest.split_once(' ').unwrap_or((rest, ""));
                let number: u64 = number.parse().ok()?;
                if name.trim().is_empty() {
                    // It is named when the whole text is known.
                    return None;
                }
                self.defined.insert(number);
                Part::Origins
            }
            "FUNC" => {
                self.in_function = false;
                let mut fields = without_mark(rest).splitn(4, ' ');
                let good = (0..3).all(|_| fields.next().is_some_and(is_hex));
                self.in_function = good;
                good.then_some(Part::Body)?
            }
            "INLINE" => {
                let mut fields = rest.split_ascii_whitespace();
                let good = self.in_function && (0..3).all(|_| fields.next().is_some_and(is_decimal));
                let origin: u64 = fields.next()?.parse().ok()?;
                let ranges: Vec<_> = fields.collect();
                let paired = !ranges.is_empty() && ranges.len() % 2 == 0 && ranges.iter().all(|field| is_hex(field));
                (good && paired).then_some(())?;
                self.disorder |= !self.defined.contains(&origin);
                self.used.insert(origin);
                Part::Body
            }
            "PUBLIC" => {
                self.in_function = false;
                let mut fields = without_mark(rest).splitn(3, ' ');
                (0..2).all(|_| fields.next().is_some_and(is_hex)).then_some(Part::Body)?
            }
            "STACK" => {
                self.in_function = false;
                (rest.starts_with("CFI ") || rest.starts_with("WIN ")).then_some(Part::Stack)?
            }
            _ => (self.in_function && is_line(&text)).then_some(Part::Body)?,
        };
        Some((part, text))
    }
}

/// Whether this is a line record: address, size, line, file.
fn is_line(text: &str) -> bool {
    let mut fields = text.split_ascii_whitespace();
    let good = (0..2).all(|_| fields.next().is_some_and(is_hex))
        && fields.next().is_some_and(|line| is_decimal(line.strip_prefix('-').unwrap_or(line)))
        && fields.next().is_some_and(is_decimal);
    good && fields.next().is_none()
}

/// Without the mark of what is there several times.
fn without_mark(rest: &str) -> &str {
    rest.strip_prefix("m ").unwrap_or(rest)
}

fn is_hex(field: &str) -> bool {
    !field.is_empty() && field.len() <= 16 && field.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_decimal(field: &str) -> bool {
    !field.is_empty() && field.len() <= 19 && field.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "MODULE Linux x86_64 251FADD53BA4F88E3B934A49136F2D630 app\nINFO CODE_ID 25\n";

    fn tidied(rest: &[u8]) -> (String, Faults) {
        let bytes = [HEAD.as_bytes(), rest].concat();
        let Tidied { text, faults } = tidy(&bytes);
        let text = String::from_utf8(text.into_owned()).expect("tidied text is UTF-8");
        (text.strip_prefix(HEAD).expect("the head stays").to_owned(), faults)
    }

    #[test]
    fn a_text_without_a_fault_is_not_touched() {
        let text = format!(
            "{HEAD}FILE 0 a.c\r\nINLINE_ORIGIN 0 f()\nFUNC m 1000 10 0 g()\nINLINE 0 3 0 0 1000 4\n1000 10 -5 0\n\n\
             INLINE_ORIGIN 1 later\nFUNC 2000 10 0\nPUBLIC 3000 0\nSTACK CFI INIT 1000 10 .cfa: $rsp 8 +\n"
        );
        let tidied = tidy(text.as_bytes());
        assert!(matches!(tidied.text, Cow::Borrowed(_)), "{:?}", String::from_utf8_lossy(&tidied.text));
        assert_eq!(tidied.faults.note(), None);
        assert!(matches!(tidy(b"\x7fELF").text, Cow::Borrowed(_)));
    }

    #[test]
    fn a_record_that_cannot_be_read_costs_that_record() {
        let (text, faults) = tidied(
            b"FILE x a.c\nFILE 0 a.c\n1000 4 1 0\nFUNC 1000 10 0 f\n1000 4 ? 0\n1004 4 2 0\n1008 4 3\nWHAT is this\nFUNC zz 10 0 g\n\
              2000 4 5 0\nPUBLIC 3000 0 h\nPUBLIC -1 0 i\nSTACK FRAME 1\nMODULE again\n1010 4",
        );
        assert_eq!(text, "FILE 0 a.c\nFUNC 1000 10 0 f\n1004 4 2 0\nPUBLIC 3000 0 h\n");
        assert_eq!((faults.records, faults.first), (11, 3));
        let note = faults.note().expect("a note");
        assert_eq!(note, "11 records of this file cannot be read and are left out, the first in line 3.");
    }

    #[test]
    fn what_is_defined_behind_its_use_is_brought_forward() {
        let (text, faults) = tidied(
            b"FUNC 1000 10 0 f\nINLINE 0 3 7 9 1000 4\n1000 10 1 7\nSTACK CFI INIT 1000 10 .cfa: $rsp 8 +\nINLINE_ORIGIN 9 g\n\
              FILE 7 a.c\nPUBLIC 2000 0 h\n",
        );
        assert_eq!(
            text,
            "FILE 7 a.c\nINLINE_ORIGIN 9 g\nFUNC 1000 10 0 f\nINLINE 0 3 7 9 1000 4\n1000 10 1 7\nPUBLIC 2000 0 h\n\
             STACK CFI INIT 1000 10 .cfa: $rsp 8 +\n"
        );
        assert_eq!(faults, Faults::default());
    }

    #[test]
    fn an_inlined_function_without_a_name_is_called_so() {
        let (text, faults) = tidied(b"INLINE_ORIGIN 0\nFUNC 1000 10 0 f\nINLINE 0 3 7 0 1000 4\n1000 10 1 7\n");
        assert!(text.starts_with("INLINE_ORIGIN 0 <name omitted>\nFUNC "), "{text}");
        assert_eq!((faults.records, faults.nameless), (1, 1));
    }

    #[test]
    fn what_is_no_utf_8_is_replaced_where_it_must_be() {
        let (text, faults) = tidied(b"FILE 0 /src/d\xe9mo/a.c\nFUNC 1000 10 0 gr\xc3\xb6\xc3\x9fe\n");
        assert_eq!(text, "FILE 0 /src/d\u{fffd}mo/a.c\nFUNC 1000 10 0 gr\u{f6}\u{df}e\n");
        assert_eq!(
            faults.note().as_deref(),
            Some("1 line is not UTF-8; what cannot be read there is shown as \u{fffd}.")
        );
    }
}
