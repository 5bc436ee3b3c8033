//! Who may see an issue: callers whose token reaches its project. For all others it is not there.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::accounts::{AccessClass, Caller, find_organization};
use crate::app::App;
use crate::db::{Db, DbError, Issue};
use crate::http::auth::{path_params, require_scope};
use crate::http::error::{ApiError, ApiResult};
use crate::types::Project;

/// A caller who may use an issue in the way `C` says. Reads `{issue}` of the path, an id or a short id, and `{org}` if it is there.
#[derive(Clone, Debug)]
pub struct IssueAccess<C: AccessClass> {
    /// The issue, or the one into which it was merged.
    pub issue: Issue,
    /// Its project.
    pub project: Arc<Project>,
    /// The slug of its organization.
    pub organization: String,
    class: PhantomData<C>,
}

impl<C: AccessClass> FromRequestParts<App> for IssueAccess<C> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> ApiResult<Self> {
        let caller = Caller::from_request_parts(parts, app).await?;
        require_scope::<C>(&caller)?;
        let [org, name] = path_params(parts, ["org", "issue"]).await?;
        if !org.is_empty() {
            find_organization(&app.db, &app.callers, &caller, &org).await?.ok_or(ApiError::NotFound)?;
        }
        let issue = find(&app.db, &caller, &name).await?.ok_or(ApiError::NotFound)?;
        let found = app.db.project_with_organization(issue.project_id).await?;
        let (project, organization) = found.ok_or(ApiError::NotFound)?;
        if project.organization_id != caller.organization_id || !caller.may_see_project(project.id) {
            return Err(ApiError::NotFound);
        }
        Ok(Self { issue, project: Arc::new(project), organization, class: PhantomData })
    }
}

/// The issue with this id or short id, before access is checked.
async fn find(db: &Db, caller: &Caller, name: &str) -> Result<Option<Issue>, DbError> {
    if let Some(id) = plain_number(name) {
        return db.issue(id).await;
    }
    let Some((slug, number)) = name.rsplit_once('-') else { return Ok(None) };
    let Some(number) = plain_number(number) else { return Ok(None) };
    let slug = slug.to_lowercase();
    let project = db.project(caller.organization_id, &slug).await?.filter(|project| project.slug == slug);
    match project {
        Some(project) => db.issue_by_number(project.id, number).await,
        None => Ok(None),
    }
}

/// A number in decimal digits alone.
pub fn plain_number(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
