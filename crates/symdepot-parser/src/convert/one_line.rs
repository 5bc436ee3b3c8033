//! Names and paths stay on their line: what would end it, or steer a terminal, is replaced before anything is written, so that
//! a symcache and Breakpad text show the same. It never changes any other text.

use std::borrow::Cow;

use symbolic::symcache::transform::{Function, SourceLocation, Transformer};

/// The text with `_` for every control character.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    // Those beyond ASCII begin with one of two bytes.
    if !text.bytes().any(|byte| byte < b' ' || matches!(byte, 0x7f | 0xc2 | 0xe2)) {
        return Cow::Borrowed(text);
    }
    let ends = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if text.contains(ends) { Cow::Owned(text.replace(ends, "_")) } else { Cow::Borrowed(text) }
}

/// Does that to everything that goes into a symcache.
pub(super) struct OneLine;

impl Transformer for OneLine {
    fn transform_function<'f>(&'f mut self, mut function: Function<'f>) -> Function<'f> {
        function.name = clean(function.name);
        function
    }

    fn transform_source_location<'f>(&'f mut self, mut location: SourceLocation<'f>) -> SourceLocation<'f> {
        let file = &mut location.file;
        file.name = clean(std::mem::take(&mut file.name));
        file.directory = file.directory.take().map(clean);
        file.comp_dir = file.comp_dir.take().map(clean);
        location
    }
}

fn clean(text: Cow<'_, str>) -> Cow<'_, str> {
    match one_line(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(text) => Cow::Owned(text),
    }
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn control_characters_are_replaced_and_nothing_else() {
        for (text, expected) in [
            ("evil\nFUNC 0 1 0 x\r", "evil_FUNC 0 1 0 x_"),
            ("a\tb\u{7f}\u{85}\u{2028}\u{9b}", "a_b____"),
            ("l\u{e4}ngsma\u{df} \u{20ac} \u{a0}", "l\u{e4}ngsma\u{df} \u{20ac} \u{a0}"),
            ("", ""),
        ] {
            assert_eq!(one_line(text), expected);
        }
    }
}
