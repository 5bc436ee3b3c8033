//! What a slug may look like: short, lower-case and never only digits, because digits alone are an id in a URL. The slug of
//! a new project is not the first word of a symbol-server path either.

use crate::types::limits;

/// Longest slug.
const LONGEST: usize = limits::SLUG;
/// Longest name of a token or a key.
const LONGEST_LABEL: usize = limits::LABEL;

/// First words of paths below `/symbols/ORG/`, which mean all projects of the organization.
const SYMBOL_WORDS: [&str; 9] =
    ["buildid", "debuginfo", "executable", "file", "key", "metadata", "section", "source", "symbolicate"];

/// A name that cannot be a slug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Wrong letters or length.
    #[error(
        "`{0}` cannot be a slug: use 1 to {LONGEST} lower-case letters, digits, `-` and `_`, beginning with a letter or digit"
    )]
    BadSlug(String),
    /// Only digits.
    #[error("`{0}` cannot be a slug: digits alone would be taken for an id, so add a letter")]
    OnlyDigits(String),
    /// The first word of a symbol-server path.
    #[error(
        "`{0}` cannot be the slug of a project: symbol-server paths below the organization begin with it, so choose another name"
    )]
    SymbolWord(String),
    /// Not `ORG/PROJECT`.
    #[error("`{0}` does not name a project: write ORG/PROJECT")]
    NotAProject(String),
    /// A name for people with more bytes than a row holds.
    #[error("the name has {0} bytes: use {LONGEST_LABEL} at most")]
    LongLabel(usize),
}

/// Refuses a name for people that no row holds.
pub fn check_label(text: &str) -> Result<(), NameError> {
    if text.len() > LONGEST_LABEL { Err(NameError::LongLabel(text.len())) } else { Ok(()) }
}

/// Refuses what cannot be a slug.
pub fn check_slug(text: &str) -> Result<(), NameError> {
    let letters = text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
    let begins = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if !letters || !begins || text.len() > LONGEST {
        return Err(NameError::BadSlug(text.to_owned()));
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NameError::OnlyDigits(text.to_owned()));
    }
    Ok(())
}

/// Refuses what cannot be the slug of a new project.
pub fn check_project_slug(text: &str) -> Result<(), NameError> {
    check_slug(text)?;
    if SYMBOL_WORDS.contains(&text) {
        return Err(NameError::SymbolWord(text.to_owned()));
    }
    Ok(())
}

/// The two halves of `ORG/PROJECT`.
pub fn split_project(text: &str) -> Result<(&str, &str), NameError> {
    match text.split_once('/') {
        Some((organization, project)) if !organization.is_empty() && !project.is_empty() && !project.contains('/') => {
            Ok((organization, project))
        }
        _ => Err(NameError::NotAProject(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_short_lower_case_and_not_only_digits() {
        for good in ["a", "acme", "my-app_2", "0x", &"a".repeat(50)] {
            assert_eq!(check_slug(good), Ok(()), "{good}");
        }
        for bad in ["", "Acme", "a b", "-a", "a/b", "ä", "12", &"a".repeat(51)] {
            assert!(check_slug(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_new_project_is_not_called_like_a_word_of_symbol_server_paths() {
        for good in ["app", "buildids", "key-2", "a", "ab", "67e9"] {
            assert_eq!(check_project_slug(good), Ok(()), "{good}");
        }
        for bad in SYMBOL_WORDS {
            assert_eq!(check_project_slug(bad), Err(NameError::SymbolWord(bad.to_owned())), "{bad}");
        }
    }

    #[test]
    fn a_project_is_named_with_its_organization() {
        assert_eq!(split_project("acme/app"), Ok(("acme", "app")));
        for bad in ["acme", "/app", "acme/", "a/b/c", ""] {
            assert!(split_project(bad).is_err(), "{bad}");
        }
    }
}
