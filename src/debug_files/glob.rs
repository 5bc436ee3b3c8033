//! Patterns of file names as debuginfod's clients write them: `*`, `?` and sets such as `[a-z]` or `[^0-9]`. A set that
//! is never closed matches nothing. It never accepts a pattern longer than [`MAX_PATTERN`].

/// Longest pattern in characters; longer than any name of a file.
pub const MAX_PATTERN: usize = 256;

/// Whether `pattern` describes all of `text`. It looks at no more characters of the pattern than both lengths multiplied,
/// twice; a pattern that is too long describes nothing.
pub fn glob_matches(pattern: &str, text: &str) -> bool {
    matches(pattern, text).0
}

/// The same, and how many characters of the pattern were looked at.
fn matches(pattern: &str, text: &str) -> (bool, usize) {
    let pattern: Vec<_> = pattern.chars().take(MAX_PATTERN + 1).collect();
    let (text, mut looked): (Vec<_>, usize) = (text.chars().collect(), 0);
    if pattern.len() > MAX_PATTERN {
        return (false, looked);
    }
    let (mut at, mut done) = (0, 0);
    // Where to go on if it turns out that the last star has to stand for one character more.
    let mut star = None;
    while done < text.len() {
        looked += 1;
        if pattern.get(at) == Some(&'*') {
            at += 1;
            star = Some((at, done));
        } else if let Some(next) = one(&pattern, at, text[done], &mut looked) {
            (at, done) = (next, done + 1);
        } else if let Some((after, stood_for)) = star {
            star = Some((after, stood_for + 1));
            (at, done) = (after, stood_for + 1);
        } else {
            return (false, looked);
        }
    }
    (pattern[at..].iter().all(|rest| *rest == '*'), looked)
}

/// Where the pattern goes on if what stands at `at` describes `character`.
fn one(pattern: &[char], at: usize, character: char, looked: &mut usize) -> Option<usize> {
    match *pattern.get(at)? {
        '?' => Some(at + 1),
        '[' => {
            let inverted = matches!(pattern.get(at + 1), Some('^' | '!'));
            let begin = at + 1 + usize::from(inverted);
            // A bracket that comes first is a member and no end.
            let rest = pattern.get(begin + 1..)?;
            let end = rest.iter().position(|member| *member == ']');
            *looked += 2 * end.unwrap_or(rest.len());
            let length = end? + 1;
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
    fn the_worst_patterns_cost_no_more_than_both_lengths_multiplied() {
        let text = "a".repeat(255);
        let sets = MAX_PATTERN / 4 - 1;
        for pattern in [
            "*a".repeat(MAX_PATTERN / 2),
            format!("{}b", "a*".repeat(MAX_PATTERN / 2 - 1)),
            format!("*{}b", "a".repeat(MAX_PATTERN / 2)),
            format!("*{}[b]", "[a]*".repeat(sets)),
            format!("*{}b", "[a]".repeat(sets)),
            format!("*[{}]", "b".repeat(MAX_PATTERN - 3)),
            format!("*a[{}", "a".repeat(MAX_PATTERN - 3)),
            "[".repeat(MAX_PATTERN),
            format!("*{}", "[".repeat(MAX_PATTERN - 1)),
        ] {
            let (_, looked) = matches(&pattern, &text);
            assert!(looked <= 2 * (MAX_PATTERN + 1) * text.len(), "{looked}: {pattern}");
        }
        assert_eq!(matches(&"*".repeat(MAX_PATTERN + 1), &text), (false, 0));
    }
}
