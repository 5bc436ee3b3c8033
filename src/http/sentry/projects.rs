//! The projects of an organization, as far as a token reaches them.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::accounts::{Read, all_projects};
use crate::app::App;
use crate::http::auth::OrganizationAccess;
use crate::http::error::ApiResult;

/// `GET /api/0/organizations/{org}/projects/`.
pub async fn list(access: OrganizationAccess<Read>, State(app): State<App>) -> ApiResult<Json<Value>> {
    let projects = all_projects(&app.db, access.organization.id).await?;
    let visible = projects.into_iter().filter(|project| access.caller.may_see_project(project.id));
    let visible = visible.map(|project| {
        json!({
            "id": project.id.to_string(),
            "slug": project.slug,
            "name": project.slug,
            "dateCreated": project.created_at,
            "platform": null,
            "team": null,
            "teams": [],
        })
    });
    Ok(Json(visible.collect()))
}
