//! How long the files of a project are kept, and how much may be kept. It says what the words mean and decides nothing
//! about a file.

use std::fmt;
use std::str::FromStr;

/// One rule: a file that it applies to goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// `newest:<N>`: of the builds of one name, format, kind and processor only the `N` that were uploaded last stay. All
    /// files of one debug id are one build.
    Newest(u32),
    /// `<N>d`: what was not uploaded for so many days goes.
    Days(u32),
    /// `idle:<N>d`: what was neither uploaded nor used for so many days goes.
    Idle(u32),
}

/// The rules of a project, at most one of each sort. A file goes as soon as one of them applies; without rules
/// everything is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention(Vec<Rule>);

/// A text that is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RetentionError {
    /// It is none of the known ones.
    #[error(
        "`{0}` is no rule: write `keep`, `90d` (days since the last upload), `idle:30d` (days since the last use) or \
         `newest:5` (builds of each name), with a number from 1 to 36500"
    )]
    Unknown(String),
    /// It contradicts the others.
    #[error("`keep` takes all rules away, so it stands alone")]
    KeepAndMore,
}

/// Most days or builds that a rule may name.
const MOST: u32 = 36_500;

/// How much may be kept; `None` means any amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Bytes of all files, before compression.
    pub bytes: Option<u64>,
    /// Number of files.
    pub files: Option<u64>,
}

/// What holds for a project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Which files go.
    pub retention: Retention,
    /// How much may be kept.
    pub quota: Quota,
}

/// How much an organization or a project has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Debug files.
    pub files: u64,
    /// Their bytes, before compression.
    pub bytes: u64,
    /// Files that are about to be put together.
    pub open_files: u64,
    /// Their bytes.
    pub open_bytes: u64,
    /// Bytes of uploaded chunks that are part of no file yet. Only an organization has chunks.
    pub waiting_bytes: u64,
}

/// A file that is not there any more because of a rule, or because somebody took many away at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiredFile {
    /// Debug id.
    pub debug_id: String,
    /// Code id, if it had one.
    pub code_id: Option<String>,
    /// Name.
    pub object_name: String,
    /// The rule in its words, or `files delete`.
    pub rule: String,
    /// When it went.
    pub expired_at: chrono::DateTime<chrono::Utc>,
}

impl Retention {
    /// The rules that these words mean together. Of several of one sort the strictest holds.
    pub fn of(words: &[impl AsRef<str>]) -> Result<Self, RetentionError> {
        let words: Vec<_> = words.iter().map(AsRef::as_ref).collect();
        match words[..] {
            ["keep"] => return Ok(Self::default()),
            _ if words.contains(&"keep") => return Err(RetentionError::KeepAndMore),
            _ => {}
        }
        let mut rules = words.iter().map(|word| word.parse()).collect::<Result<Vec<Rule>, _>>()?;
        rules.sort_unstable();
        rules.dedup_by_key(|rule| std::mem::discriminant(rule));
        Ok(Self(rules))
    }

    /// The rules, in the order in which they are looked at.
    pub fn rules(&self) -> &[Rule] {
        &self.0
    }
}

impl FromStr for Rule {
    type Err = RetentionError;

    fn from_str(text: &str) -> Result<Self, RetentionError> {
        let number = |text: Option<&str>| {
            let digits = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
            digits.parse().ok().filter(|number| (1..=MOST).contains(number))
        };
        let rule = match text.split_once(':') {
            Some(("newest", count)) => number(Some(count)).map(Self::Newest),
            Some(("idle", days)) => number(days.strip_suffix('d')).map(Self::Idle),
            Some(_) => None,
            None => number(text.strip_suffix('d')).map(Self::Days),
        };
        rule.ok_or_else(|| RetentionError::Unknown(text.to_owned()))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newest(count) => write!(f, "newest:{count}"),
            Self::Days(days) => write!(f, "{days}d"),
            Self::Idle(days) => write!(f, "idle:{days}d"),
        }
    }
}

impl FromStr for Retention {
    type Err = RetentionError;

    /// Reads what stands in a row.
    fn from_str(text: &str) -> Result<Self, RetentionError> {
        Self::of(&text.split_whitespace().collect::<Vec<_>>())
    }
}

impl fmt::Display for Retention {
    /// As it stands in a row; nothing if everything is kept.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Result<String, String> {
        Retention::of(words).map(|rules| rules.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn rules_add_up_and_of_one_sort_the_strictest_holds() {
        assert_eq!(of(&[]), Ok(String::new()));
        assert_eq!(of(&["keep"]), Ok(String::new()));
        assert_eq!(of(&["idle:30d", "90d", "newest:5"]), Ok("newest:5 90d idle:30d".to_owned()));
        assert_eq!(of(&["90d", "7d", "idle:9d", "30d"]), Ok("7d idle:9d".to_owned()));
        assert_eq!("newest:5 90d".parse::<Retention>().unwrap().rules(), [Rule::Newest(5), Rule::Days(90)]);
    }

    #[test]
    fn what_is_no_rule_is_said_with_what_would_be() {
        for word in
            ["", "0d", "d", "-1d", "+1d", "1", "36501d", "idle:5", "newest:5d", "newest:0", "keep:1", "99999999999d"]
        {
            assert!(of(&[word]).is_err_and(|said| said.contains("write `keep`, `90d`")), "{word:?}");
        }
        assert_eq!(of(&["keep", "90d"]), Err("`keep` takes all rules away, so it stands alone".to_owned()));
    }
}
