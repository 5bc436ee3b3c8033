//! What a client asks of its token and its organization. A token belongs to one organization and hears of no other.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::accounts::Caller;
use crate::app::App;
use crate::http::error::{ApiError, ApiResult};

/// `GET /api/0/`: what the token may do. There are no users, so there is no user.
pub async fn who_am_i(caller: Caller) -> Json<Value> {
    let scopes: Vec<_> = caller.scopes.0.iter().map(|scope| scope.as_str()).collect();
    Json(json!({ "version": "0", "auth": { "scopes": scopes }, "user": null }))
}

/// `GET /api/0/organizations/`: the one that the token belongs to.
pub async fn list(caller: Caller, State(app): State<App>) -> ApiResult<Json<Value>> {
    let organization = app.db.organization_by_id(caller.organization_id).await?.ok_or(ApiError::NotFound)?;
    Ok(Json(json!([{
        "id": organization.id.to_string(),
        "slug": organization.slug,
        "name": organization.slug,
        "dateCreated": organization.created_at,
        "isEarlyAdopter": false,
        "require2FA": false,
        "requireEmailVerification": false,
        "features": [],
        "status": { "id": "active", "name": "active" },
    }])))
}

/// `GET /api/0/users/me/regions/`: there is one region. Clients take a 404 for that; any other refusal stops them.
pub async fn regions() -> ApiError {
    ApiError::NotFound
}
