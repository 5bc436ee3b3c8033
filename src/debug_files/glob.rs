//! Patterns of file names as debuginfod's clients write them: `*`, `?` and sets such as `[a-z]` or `[^0-9]`. A set that
//! is never closed matches nothing.

/// Whether `pattern` describes all of `text`. Takes no longer than one length times the other.
pub fn glob_matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<_>, Vec<_>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut done) = (0, 0);
    // Where to go on if it turns out that the last star has to stand for one character more.
    let mut star = None;
    while done < text.len() {
        if pattern.get(at) == Some(&'*') {
            at += 1;
            star = Some((at, done));
        } else if let Some(next) = one(&pattern, at, text[done]) {
            (at, done) = (next, done + 1);
        } else if let Some((after, stood_for)) = star {
            star = Some((after, stood_for + 1));
            (at, done) = (after, stood_for + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

/// Where the pattern goes on if what stands at `at` describes `character`.
fn one(pattern: &[char], at: usize, character: char) -> Option<usize> {
    match *pattern.get(at)? {
        '?' => Some(at + 1),
        '[' => {
            let inverted = matches!(pattern.get(at + 1), Some('^' | '!'));
            let begin = at + 1 + usize::from(inverted);
            // A bracket that comes first is a member and no end.
            let length = pattern.get(begin + 1..)?.iter().position(|member| *member == ']')? + 1;
            let found = has(&pattern[begin..begin + length], character);
            (found != inverted).then_some(begin + length + 1)
        }
        literal => (literal == character).then_some(at + 1),
    }
}

/// Whether a set has a character, alone or in a range.
fn has(mut set: &[char], character: char) -> bool {
    while let [first, rest @ ..] = set {
        set = match rest {
            ['-', last, ..] if (*first..=*last).contains(&character) => return true,
            ['-', _, rest @ ..] => rest,
            _ if *first == character => return true,
            rest => rest,
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_describes_a_whole_name() {
        for (pattern, text, expected) in [
            ("calc", "calc", true),
            ("calc", "calc.debug", false),
            ("calc*", "calc.debug", true),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("?", "", false),
            ("c?lc", "cälc", true),
            ("*.so.*", "libc.so.6", true),
            ("*.so", "libc.so.6", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("lib[a-c].so", "libb.so", true),
            ("lib[a-c].so", "libd.so", false),
            ("lib[^a-c].so", "libd.so", true),
            ("lib[!a-c].so", "libc.so", false),
            ("[]x]", "]", true),
            ("[x-]", "-", true),
            ("[abc", "a", false),
            ("[", "[", false),
            ("[]", "]", false),
        ] {
            assert_eq!(glob_matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_end_in_time() {
        assert!(!glob_matches(&"*a".repeat(500), &"a".repeat(499)));
        assert!(!glob_matches(&format!("{}b", "a*".repeat(1000)), &"a".repeat(2000)));
    }
}
