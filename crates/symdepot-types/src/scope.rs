//! What a token may do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::identity::{UnknownWord, words};

words! {
    /// One permission of a token. The words are Sentry's, so that known tokens mean known things.
    Scope {
        /// Read debug files and symcaches.
        ProjectRead = "project:read",
        /// Read and upload.
        ProjectWrite = "project:write",
        /// Read, upload and delete.
        ProjectAdmin = "project:admin",
        /// Read, upload and delete.
        ProjectReleases = "project:releases",
        /// Read and upload: what a build pipeline needs.
        OrgCi = "org:ci",
        /// Read issues and events.
        EventRead = "event:read",
        /// Read issues and events, and act on issues.
        EventWrite = "event:write",
        /// Read, act on and delete issues and events.
        EventAdmin = "event:admin",
        /// Read only the symbol-server and symcache paths.
        SymbolsRead = "symbols:read",
    }
}

/// A set of scopes, kept in rows as words with spaces between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(pub Vec<Scope>);

impl Scopes {
    /// Whether one of `wanted` is here.
    pub fn has_any(&self, wanted: &[Scope]) -> bool {
        wanted.iter().any(|scope| self.0.contains(scope))
    }
}

impl FromStr for Scopes {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        text.split_whitespace().map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.0.iter().map(|scope| scope.as_str()).collect();
        f.write_str(&words.join(" "))
    }
}
