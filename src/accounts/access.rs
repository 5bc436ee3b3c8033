//! What a scope allows, and which organization or project a URL means. What a caller may not see is not there.

use std::sync::Arc;

use super::Caller;
use crate::cache::CallerCache;
use crate::db::{Db, DbError};
use crate::types::{Organization, Project, Scope};

/// A kind of access, and the scopes of which one is enough for it.
pub trait AccessClass: Send + Sync + 'static {
    /// One of these is enough. The first is the one to recommend.
    const ENOUGH: &'static [Scope];
}

/// Reading debug files, symcaches and lists.
#[derive(Clone, Copy, Debug)]
pub struct Read;
/// Uploading chunks and asking for files to be assembled.
#[derive(Clone, Copy, Debug)]
pub struct Upload;
/// Deleting debug files.
#[derive(Clone, Copy, Debug)]
pub struct Delete;
/// Reading from the symbol-server and symcache paths.
#[derive(Clone, Copy, Debug)]
pub struct Symbols;

/// Reading issues and events.
#[derive(Clone, Copy, Debug)]
pub struct ReadEvents;
/// Acting on issues, and writing occurrences.
#[derive(Clone, Copy, Debug)]
pub struct ActOnIssues;
/// Deleting issues, events and attachments.
#[derive(Clone, Copy, Debug)]
pub struct DeleteEvents;
/// Reading settings of a project.
#[derive(Clone, Copy, Debug)]
pub struct ReadSettings;
/// Changing settings of a project, and making and revoking client keys.
#[derive(Clone, Copy, Debug)]
pub struct ChangeSettings;

impl AccessClass for ReadEvents {
    const ENOUGH: &'static [Scope] = &[
        Scope::EventRead,
        Scope::EventWrite,
        Scope::EventAdmin,
        Scope::ProjectRead,
        Scope::ProjectWrite,
        Scope::ProjectAdmin,
    ];
}

impl AccessClass for ActOnIssues {
    const ENOUGH: &'static [Scope] = &[Scope::EventWrite, Scope::EventAdmin, Scope::ProjectWrite, Scope::ProjectAdmin];
}

impl AccessClass for DeleteEvents {
    const ENOUGH: &'static [Scope] = &[Scope::EventAdmin, Scope::ProjectAdmin];
}

impl AccessClass for ReadSettings {
    const ENOUGH: &'static [Scope] = &[Scope::ProjectRead, Scope::ProjectWrite, Scope::ProjectAdmin];
}

impl AccessClass for ChangeSettings {
    const ENOUGH: &'static [Scope] = &[Scope::ProjectWrite, Scope::ProjectAdmin];
}

impl AccessClass for Read {
    const ENOUGH: &'static [Scope] =
        &[Scope::ProjectRead, Scope::ProjectWrite, Scope::ProjectAdmin, Scope::ProjectReleases, Scope::OrgCi];
}

impl AccessClass for Upload {
    const ENOUGH: &'static [Scope] = &[Scope::OrgCi, Scope::ProjectWrite, Scope::ProjectReleases, Scope::ProjectAdmin];
}

impl AccessClass for Delete {
    const ENOUGH: &'static [Scope] = &[Scope::ProjectReleases, Scope::ProjectAdmin];
}

impl AccessClass for Symbols {
    const ENOUGH: &'static [Scope] = &[
        Scope::SymbolsRead,
        Scope::ProjectRead,
        Scope::ProjectWrite,
        Scope::ProjectAdmin,
        Scope::ProjectReleases,
        Scope::OrgCi,
    ];
}

/// The caller's organization, if that is the one written `slug_or_id`.
pub async fn find_organization(
    db: &Db,
    cache: &CallerCache,
    caller: &Caller,
    slug_or_id: &str,
) -> Result<Option<Arc<Organization>>, DbError> {
    let found = organization_named(db, cache, slug_or_id).await?;
    Ok(found.filter(|organization| organization.id == caller.organization_id))
}

/// The organization written `slug_or_id`, whoever asks.
pub(super) async fn organization_named(
    db: &Db,
    cache: &CallerCache,
    slug_or_id: &str,
) -> Result<Option<Arc<Organization>>, DbError> {
    if let Some(organization) = cache.organization(slug_or_id).await {
        return Ok(Some(organization));
    }
    let Some(organization) = db.organization(slug_or_id).await? else { return Ok(None) };
    let organization = Arc::new(organization);
    cache.keep_organization(slug_or_id, &organization).await;
    Ok(Some(organization))
}

/// All projects of an organization, oldest first.
pub async fn all_projects(db: &Db, organization_id: i64) -> Result<Vec<Project>, DbError> {
    const AT_A_TIME: i64 = 500;
    let mut all: Vec<Project> = Vec::new();
    loop {
        let after = all.last().map_or(0, |project| project.id);
        let page = db.projects(organization_id, after, AT_A_TIME).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

/// The project written `slug_or_id` of an organization, if the caller's token reaches it.
pub async fn find_project(
    db: &Db,
    cache: &CallerCache,
    caller: &Caller,
    organization: &Organization,
    slug_or_id: &str,
) -> Result<Option<Arc<Project>>, DbError> {
    let found = project_named(db, cache, organization, slug_or_id).await?;
    Ok(found.filter(|project| caller.may_see_project(project.id)))
}

/// The project written `slug_or_id` of an organization, whoever asks.
pub(super) async fn project_named(
    db: &Db,
    cache: &CallerCache,
    organization: &Organization,
    slug_or_id: &str,
) -> Result<Option<Arc<Project>>, DbError> {
    if let Some(project) = cache.project(organization.id, slug_or_id).await {
        return Ok(Some(project));
    }
    let Some(project) = db.project(organization.id, slug_or_id).await? else { return Ok(None) };
    let project = Arc::new(project);
    cache.keep_project(slug_or_id, &project).await;
    Ok(Some(project))
}
