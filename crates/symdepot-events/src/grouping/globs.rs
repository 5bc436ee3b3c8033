//! Patterns of rules, matched against whole values. Paths ignore case, and `*` stops at `/` in them; in names `*` is any run.
//! Matching takes time in proportion to value times pattern and never more.

/// A pattern for any text: `*` is any run, and case matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextGlob(Glob);

impl TextGlob {
    /// Reads a pattern.
    pub fn new(pattern: &str) -> Self {
        Self(Glob::name(pattern))
    }

    /// Whether the whole text matches.
    pub fn matches(&self, text: &str) -> bool {
        self.0.matches(text)
    }
}

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    parts: Vec<Part>,
    is_path: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Char(char),
    /// One character, which is no `/`.
    One,
    /// Any run without `/`.
    Run,
    /// Any run.
    Any,
}

impl Glob {
    /// A pattern for paths.
    pub fn path(pattern: &str) -> Self {
        let mut parts = Vec::new();
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            parts.push(match c {
                '*' if chars.peek() == Some(&'*') => {
                    while chars.peek() == Some(&'*') {
                        chars.next();
                    }
                    Part::Any
                }
                '*' => Part::Run,
                '?' => Part::One,
                c => Part::Char(folded(c)),
            });
        }
        Self { parts, is_path: true }
    }

    /// A pattern for names and other texts.
    pub fn name(pattern: &str) -> Self {
        let part = |c| if c == '*' { Part::Any } else { Part::Char(c) };
        Self { parts: pattern.chars().map(part).collect(), is_path: false }
    }

    /// Whether the whole value matches.
    pub fn matches(&self, value: &str) -> bool {
        let fold = |c: char| if self.is_path { folded(c) } else { c };
        // Most patterns begin with a character that most values do not begin with.
        if let Some(Part::Char(first)) = self.parts.first()
            && value.chars().next().map(fold) != Some(*first)
        {
            return false;
        }
        self.matches_chars(value.chars().map(fold))
    }

    /// Follows all ways through the pattern at once, so that no value takes longer than its length times the pattern's.
    fn matches_chars(&self, value: impl Iterator<Item = char>) -> bool {
        let mut here = vec![false; self.parts.len() + 1];
        here[0] = true;
        self.pass_runs(&mut here);
        let mut next = vec![false; here.len()];
        for c in value {
            next.fill(false);
            let mut is_alive = false;
            for (at, part) in self.parts.iter().enumerate().filter(|(at, _)| here[*at]) {
                let to = match part {
                    Part::Char(wanted) if *wanted == c => at + 1,
                    Part::One if c != '/' => at + 1,
                    Part::Run if c != '/' => at,
                    Part::Any => at,
                    _ => continue,
                };
                next[to] = true;
                is_alive = true;
            }
            if !is_alive {
                return false;
            }
            std::mem::swap(&mut here, &mut next);
            self.pass_runs(&mut here);
        }
        here[self.parts.len()]
    }

    /// A run may be empty.
    fn pass_runs(&self, here: &mut [bool]) {
        for (at, part) in self.parts.iter().enumerate() {
            if here[at] && matches!(part, Part::Run | Part::Any) {
                here[at + 1] = true;
            }
        }
    }
}

/// A character of a path as it is compared.
fn folded(c: char) -> char {
    match c {
        '\\' => '/',
        c if c.is_ascii() => c.to_ascii_lowercase(),
        c => c.to_lowercase().next().unwrap_or(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_pattern_stops_at_slashes_unless_it_is_doubled() {
        for (pattern, value, matches) in [
            ("/lib/**", "/lib/x86/libc.so", true),
            ("/lib/*", "/lib/x86/libc.so", false),
            ("/lib/*", "/LIB/libc.so", true),
            ("?:/Windows/**", "C:\\WINDOWS\\System32\\ntdll.dll", true),
            ("**/vendor/**", "a/vendor/b", true),
            ("**/vendor/**", "vendor/b", false),
            ("**/a*/b", "x/ab/c/abc/b", true),
            ("linux-gate.so*", "linux-gate.so.1", true),
            ("*", "", true),
            ("", "", true),
            ("a", "", false),
        ] {
            assert_eq!(Glob::path(pattern).matches(value), matches, "{pattern} {value}");
        }
        assert!(Glob::name("std::*").matches("std::a/b"));
        assert!(!Glob::name("std::*").matches("Std::a"));
    }
}
