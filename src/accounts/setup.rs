//! The first start: an empty database gets one organization, one project, one client key and one token, so that the first upload
//! needs no further step. A database that has an organization is never touched.

use super::dsn::issue_project_key;
use super::token::{NewSecret, TokenOrder, issue_token};
use crate::clock::Clock;
use crate::db::{Db, DbError};
use crate::types::{Organization, Project, ProjectKey, Scope, Scopes};

/// What the first start made.
#[derive(Clone, Debug)]
pub struct FirstStart {
    /// The organization `default`.
    pub organization: Organization,
    /// Its project `default`.
    pub project: Project,
    /// A key with which clients send events to it.
    pub key: ProjectKey,
    /// A token that may upload, with the only copy of its text.
    pub token: NewSecret,
}

/// Makes `default/default` and a token if there is no organization yet.
pub async fn set_up(db: &Db, clock: &Clock, public_url: &str) -> Result<Option<FirstStart>, DbError> {
    if !db.is_empty().await? {
        return Ok(None);
    }
    let now = clock.now();
    // Several servers may start at once; one of them was the first.
    let Some(organization) = db.create_first_organization("default", now).await? else { return Ok(None) };
    let project = db.create_project(organization.id, "default", now).await?;
    let order = TokenOrder {
        name: "first start".to_owned(),
        scopes: Scopes(vec![Scope::OrgCi]),
        project_ids: Vec::new(),
        expires_at: None,
    };
    let token = issue_token(db, clock, public_url, &organization, order).await?;
    let key = issue_project_key(db, clock, project.id, "first start").await?;
    Ok(Some(FirstStart { organization, project, key, token }))
}
