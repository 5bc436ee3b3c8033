//! Which keys name secrets. Keys are compared in lower case and without all but letters and digits.
//!
//! It never looks at values.

use std::collections::HashSet;

/// A key that contains one of these names a secret.
const PARTS: &[&str] = &[
    "password",
    "passwd",
    "mysqlpwd",
    "secret",
    "apikey",
    "privatekey",
    "accesskey",
    "authorization",
    "credential",
    "bearer",
    "token",
    "csrf",
    "xsrf",
    "cookie",
    "sessionid",
    "cardnumber",
];
/// [`PARTS`] with the letters of each.
const PARTS_BY_LETTERS: [(u32, &str); PARTS.len()] = {
    let mut parts = [(0, ""); PARTS.len()];
    let mut at = 0;
    while at < PARTS.len() {
        parts[at] = (letters(PARTS[at].as_bytes()), PARTS[at]);
        at += 1;
    }
    parts
};
/// Keys that are equal to one of these name a secret.
const WHOLE: &[&str] = &["auth", "pwd", "pin", "cvv", "cvc", "ssn"];

/// The names of secrets of a project.
#[derive(Clone, Debug)]
pub struct Names {
    defaults: bool,
    sensitive: HashSet<String>,
    safe: HashSet<String>,
}

impl Names {
    /// Names of a project, which are folded. `defaults` adds those that every project has.
    pub fn new(defaults: bool, sensitive: HashSet<String>, safe: HashSet<String>) -> Self {
        Self { defaults, sensitive, safe }
    }

    /// Whether values of this folded key are never scrubbed.
    pub fn is_safe(&self, key: &str) -> bool {
        !self.safe.is_empty() && self.safe.contains(key)
    }

    /// Whether this folded key names a secret.
    pub fn is_secret(&self, key: &str) -> bool {
        if !self.sensitive.is_empty() && self.sensitive.contains(key) {
            return true;
        }
        // Most keys lack a letter of each part, which is quicker to see than to search for the part.
        let present = letters(key.as_bytes());
        let has_part = |(needed, part): &(u32, &str)| present & needed == *needed && key.contains(part);
        self.defaults && (WHOLE.contains(&key) || PARTS_BY_LETTERS.iter().any(has_part))
    }

    /// A key in the form in which it is compared.
    pub fn folded(key: &str) -> String {
        let mut folded = String::with_capacity(key.len());
        Self::fold(key, &mut folded);
        folded
    }

    /// Writes a key in the form in which it is compared into a buffer, which is emptied first.
    pub fn fold(key: &str, into: &mut String) {
        into.clear();
        if key.is_ascii() {
            let kept = key.chars().filter(char::is_ascii_alphanumeric);
            into.extend(kept.map(|c| c.to_ascii_lowercase()));
        } else {
            into.extend(key.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase));
        }
    }
}

/// The set of ASCII letters in a folded key, one bit each.
const fn letters(key: &[u8]) -> u32 {
    let (mut set, mut at) = (0, 0);
    while at < key.len() {
        let index = key[at].wrapping_sub(b'a');
        if index < 26 {
            set |= 1 << index;
        }
        at += 1;
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_contain_or_equal_a_name_are_secret() {
        let names = |names: &[&str]| names.iter().map(|name| Names::folded(name)).collect::<HashSet<_>>();
        let project = Names::new(true, names(&["Internal-Id", "größe"]), names(&["token_count"]));
        for (key, expected) in [
            ("password", true),
            ("DB_PASSWORD", true),
            ("PassWd", true),
            ("MYSQL_PWD", true),
            ("client-secret", true),
            ("api.key", true),
            ("X-Api-Key", true),
            ("PRIVATE KEY", true),
            ("AccessKeyId", true),
            ("Proxy-Authorization", true),
            ("credentials", true),
            ("bearer", true),
            ("SENTRY_AUTH_TOKEN", true),
            ("x-csrf", true),
            ("XSRF", true),
            ("Set-Cookie", true),
            ("session_id", true),
            ("card_number", true),
            ("auth", true),
            ("Pwd", true),
            ("PIN", true),
            ("cvv", true),
            ("c-v-c", true),
            ("ssn", true),
            ("internal_id", true),
            ("GRÖSSE", false),
            ("Größe", true),
            ("author", false),
            ("pins", false),
            ("oldpwd", false),
            ("key", false),
            ("", false),
            ("ⓟassword", false),
            ("pass word", true),
        ] {
            assert_eq!(project.is_secret(&Names::folded(key)), expected, "{key}");
        }
        assert!(project.is_safe("tokencount"));
        let without = Names::new(false, names(&["pin"]), HashSet::new());
        assert!(without.is_secret("pin") && !without.is_secret("password"));
    }
}
