//! Which projects a client of the symbol server may read. What it may not read is not there, and why is for the log
//! alone: it never becomes part of an answer.

use std::sync::Arc;

use super::access::{AccessClass as _, Symbols, organization_named, project_named};
use super::symbol_key::project_of_key;
use super::{AuthError, Caller, authenticate};
use crate::cache::CallerCache;
use crate::clock::Clock;
use crate::db::{Db, DbError};
use crate::types::{Organization, Project};

/// What a client shows to be let in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown<'a> {
    /// A token, from the header.
    pub token: Option<&'a str>,
    /// A symbol key, from the path.
    pub key: Option<&'a str>,
}

/// What it may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// This project, which it named, and whether a credential of its opens it. A public project needs none.
    Project(Arc<Project>, bool),
    /// Projects of an organization: it named none.
    Organization(ReadableProjects),
    /// Nothing, and why.
    Nothing(&'static str),
}

/// Projects of an organization that a client may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadableProjects {
    /// The organization.
    pub organization_id: i64,
    /// At least one.
    pub project_ids: Vec<i64>,
    /// Whether all are public.
    pub public: bool,
    /// Whether a credential opens the organization.
    pub authenticated: bool,
}

/// What a client that shows `shown` may read at a path that begins with an organization and a further word.
///
/// The word is the slug of a project, or something else, which means all projects. An id is no name here, because a
/// path of symbols may begin with any digits.
pub async fn reach(
    db: &Db,
    cache: &CallerCache,
    clock: &Clock,
    (organization, word): (&str, &str),
    shown: Shown<'_>,
) -> Result<Reach, DbError> {
    let Some(organization) = organization_named(db, cache, organization).await? else {
        return Ok(Reach::Nothing("there is no such organization"));
    };
    let caller = match shown.token {
        Some(token) => caller(db, cache, clock, &organization, token).await?,
        None => Err("no credential was sent"),
    };
    let named = match word {
        "" => None,
        word => project_named(db, cache, &organization, word).await?.filter(|project| project.slug == word),
    };
    match (named, shown.key) {
        (Some(project), key) if project.public_symbols => {
            let by_token = caller.is_ok_and(|caller| caller.may_see_project(project.id));
            let by_key = match key {
                Some(key) if !by_token => project_of_key(db, cache, clock, key).await? == Some(project.id),
                _ => false,
            };
            Ok(Reach::Project(project, by_token || by_key))
        }
        (Some(project), Some(key)) => match project_of_key(db, cache, clock, key).await? {
            Some(id) if id == project.id => Ok(Reach::Project(project, true)),
            _ => Ok(Reach::Nothing("the symbol key is unknown, revoked or of another project")),
        },
        (Some(project), None) => Ok(match caller {
            Ok(caller) if caller.may_see_project(project.id) => Reach::Project(project, true),
            Ok(_) => Reach::Nothing("the token does not reach this project"),
            Err(reason) => Reach::Nothing(reason),
        }),
        (None, Some(_)) => Ok(Reach::Nothing("there is no such project")),
        (None, None) => all(db, &organization, caller).await,
    }
}

/// All projects that the caller may read, and those that everybody may.
async fn all(db: &Db, organization: &Organization, caller: Result<Caller, &'static str>) -> Result<Reach, DbError> {
    let mut projects = db.symbol_projects(organization.id).await?;
    projects.retain(|(id, public)| *public || caller.as_ref().is_ok_and(|caller| caller.may_see_project(*id)));
    if projects.is_empty() {
        return Ok(Reach::Nothing(caller.err().unwrap_or("the organization has no project that the token reaches")));
    }
    Ok(Reach::Organization(ReadableProjects {
        organization_id: organization.id,
        public: projects.iter().all(|(_, public)| *public),
        project_ids: projects.into_iter().map(|(id, _)| id).collect(),
        authenticated: caller.is_ok(),
    }))
}

/// The caller that a token stands for, if it opens this organization.
async fn caller(
    db: &Db,
    cache: &CallerCache,
    clock: &Clock,
    organization: &Organization,
    token: &str,
) -> Result<Result<Caller, &'static str>, DbError> {
    Ok(match authenticate(db, cache, clock, token).await {
        Ok(caller) if caller.organization_id != organization.id => Err("the token belongs to another organization"),
        Ok(caller) if !caller.scopes.has_any(Symbols::ENOUGH) => Err("the token lacks the scope symbols:read"),
        Ok(caller) => Ok(caller),
        Err(AuthError::Invalid) => Err("the token is unknown or revoked"),
        Err(AuthError::Expired) => Err("the token has expired"),
        Err(AuthError::Db(error)) => return Err(error),
    })
}
