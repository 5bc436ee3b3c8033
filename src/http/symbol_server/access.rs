//! The base of a symbol URL: which organization and project it names, which credential came with it, and what is left
//! of the path. A credential never gets from here into a log, and a refusal never says why.
//!
//! The word behind the organization may be both the slug of a project and the beginning of a request to all projects
//! (`calc/elf-buildid-…/calc` beside a project `calc`). It is a project unless only the other reading is a request.

use std::borrow::Cow;

use axum::http::{HeaderMap, header};

use crate::accounts::{KEY_START, Reach, ReadableProjects, Shown, reach};
use crate::app::App;
use crate::http::auth::presented_token;
use crate::http::error::{ApiError, ApiResult};

/// Where the symbol server begins.
const BASE: &str = "/symbols/";

/// Longest path that is looked at; source files have the longest.
const LONGEST: usize = 4096;

/// What the asker may read, and what it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Row ids of the projects to look into; at least one.
    pub project_ids: Vec<i64>,
    /// Whether they are public, so that any cache may keep what is answered.
    pub public: bool,
    /// The organization.
    pub organization_id: i64,
    /// Whether a credential of the client opens them. Without one nothing may be caused that costs much.
    pub authenticated: bool,
    /// The path behind the base, its escapes undone, without a slash at its beginning.
    pub rest: String,
}

/// The parts of a path, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parts<'a> {
    organization: &'a str,
    /// The slug of a project, or the first word of what is asked of a whole organization.
    word: &'a str,
    key: Option<&'a str>,
    /// Behind the organization.
    of_organization: &'a str,
    /// Behind the project, and its key.
    of_project: &'a str,
}

impl Access {
    /// What whoever sent `headers` may read at `path`. A refusal is a 404 like any other, and one line in the log.
    pub async fn of(app: &App, path: &str, headers: &HeaderMap) -> ApiResult<Self> {
        let parts = Parts::of(path).map(Parts::resolved).ok_or(ApiError::NotFound)?;
        let token = match headers.contains_key(header::AUTHORIZATION) {
            true => presented_token(headers).map(Some),
            false => Ok(None),
        };
        let shown = match &token {
            Ok(token) => Shown { token: token.as_deref(), key: parts.key },
            // A header that cannot be read is the wrong token.
            Err(_) => Shown { token: Some(""), key: parts.key },
        };
        let reach = reach(&app.db, &app.callers, &app.clock, (parts.organization, parts.word), shown).await?;
        let (readable, rest) = match reach {
            Reach::Project(project, authenticated) => {
                let readable = ReadableProjects {
                    organization_id: project.organization_id,
                    project_ids: vec![project.id],
                    public: project.public_symbols && parts.key.is_none(),
                    authenticated,
                };
                (readable, parts.of_project)
            }
            Reach::Organization(readable) => (readable, parts.of_organization),
            Reach::Nothing(reason) => {
                tracing::info!(reason, "a symbol client was refused, and told that there is no such file");
                return Err(ApiError::NotFound);
            }
        };
        let rest = decoded(rest.trim_start_matches('/')).ok_or(ApiError::NotFound)?;
        let ReadableProjects { organization_id, project_ids, public, authenticated } = readable;
        Ok(Self { project_ids, public, organization_id, authenticated, rest })
    }
}

impl Access {
    /// For whom work is counted: the organization, or the clients without a credential of its public projects, which
    /// compete with its own work as another organization does.
    pub fn fairness_key(&self) -> i64 {
        if self.authenticated { self.organization_id } else { -self.organization_id }
    }
}

impl<'a> Parts<'a> {
    /// The same without a project, if the path is a request to all projects of the organization and to no single one.
    fn resolved(self) -> Self {
        let is_request =
            |rest: &str| decoded(rest.trim_start_matches('/')).is_some_and(|rest| super::is_request(&rest));
        let to_all = self.key.is_none() && !is_request(self.of_project) && is_request(self.of_organization);
        if to_all { Self { word: "", ..self } } else { self }
    }

    /// Takes a path apart at its slashes; escapes stay, so that none of them can become a slash.
    fn of(path: &'a str) -> Option<Self> {
        let path = path.strip_prefix(BASE).filter(|path| path.len() <= LONGEST)?;
        let (organization, of_organization) = path.split_once('/')?;
        let (word, behind) = of_organization.split_once('/').unwrap_or((of_organization, ""));
        let (key, of_project) = match behind.strip_prefix("key/") {
            Some(behind) => {
                let (key, behind) = behind.split_once('/').unwrap_or((behind, ""));
                (Some(key), behind)
            }
            None => (None, behind),
        };
        Some(Self { organization, word, key, of_organization, of_project })
    }
}

/// The path as logs may have it: with a mask where a key is, or may be meant to be.
pub fn logged_path(path: &str) -> Cow<'_, str> {
    let place = Parts::of(path).and_then(|parts| parts.key).filter(|key| !key.is_empty());
    if place.is_none() && !path.contains(KEY_START) {
        return Cow::Borrowed(path);
    }
    let place = place.map(|key| key.as_ptr());
    let mask = |part: &str| part.contains(KEY_START) || Some(part.as_ptr()) == place;
    let parts: Vec<_> = path.split('/').map(|part| if mask(part) { "***" } else { part }).collect();
    Cow::Owned(parts.join("/"))
}

/// The text with its escapes undone, unless it then is no text or has a zero in it.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digit = |at: usize| behind.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        bytes.push(u8::try_from(digit(0)? * 16 + digit(1)?).ok()?);
        rest = &behind[2..];
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_apart_at_its_slashes() {
        let parts = |path| Parts::of(path).map(|p| (p.organization, p.word, p.key, p.of_organization, p.of_project));
        assert_eq!(
            parts("/symbols/acme/app/buildid/ab/debuginfo"),
            Some(("acme", "app", None, "app/buildid/ab/debuginfo", "buildid/ab/debuginfo"))
        );
        assert_eq!(
            parts("/symbols/acme/app/key/sdkey_x/a.pdb/1/a.pdb"),
            Some(("acme", "app", Some("sdkey_x"), "app/key/sdkey_x/a.pdb/1/a.pdb", "a.pdb/1/a.pdb"))
        );
        assert_eq!(parts("/symbols/acme/"), Some(("acme", "", None, "", "")));
        assert_eq!(parts("/symbols/acme/app%2fx/y"), Some(("acme", "app%2fx", None, "app%2fx/y", "y")));
        assert_eq!(parts("/symbols/acme"), None);
        assert_eq!(parts("/other/acme/app/x"), None);
        assert_eq!(parts(&format!("/symbols/acme/app/{}", "x".repeat(LONGEST))), None);
    }

    #[test]
    fn no_key_gets_into_a_log() {
        for (path, logged) in [
            (
                "/symbols/acme/app/key/sdkey_secret/buildid/ab/debuginfo",
                "/symbols/acme/app/key/***/buildid/ab/debuginfo",
            ),
            ("/symbols/acme/app/key/mistyped/x", "/symbols/acme/app/key/***/x"),
            ("/symbols/acme/app/key/mistyped", "/symbols/acme/app/key/***"),
            ("/symbols/acme/key/sdkey_secret/x", "/symbols/acme/key/***/x"),
            ("/symbols/acme/app/x%2fsdkey_secret", "/symbols/acme/app/***"),
            ("/elsewhere/sdkey_secret", "/elsewhere/***"),
            ("/symbols/acme/app/buildid/ab/debuginfo", "/symbols/acme/app/buildid/ab/debuginfo"),
        ] {
            assert_eq!(logged_path(path), logged, "{path}");
        }
    }

    #[test]
    fn escapes_are_undone_once_and_nothing_else_is() {
        for (text, expected) in [
            ("a/b.c", Some("a/b.c")),
            ("p%2B%2Br%24%23o%5e%5Eg.c", Some("p++r$#o^^g.c")),
            ("a+b%20c", Some("a+b c")),
            ("%252e%252e", Some("%2e%2e")),
            ("%2e%2e%2fx", Some("../x")),
            ("%c3%a4", Some("ä")),
            ("a%00b", None),
            ("%ff", None),
            ("%", None),
            ("%4", None),
            ("%zz", None),
            ("%+1", None),
        ] {
            assert_eq!(decoded(text).as_deref(), expected, "{text}");
        }
    }
}
