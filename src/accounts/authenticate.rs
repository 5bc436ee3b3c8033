//! From a token's text to the [`Caller`] it stands for. A token that was taken back works for at most one more second.

use std::sync::Arc;

use subtle::ConstantTimeEq as _;

use super::token::hash_token;
use crate::cache::CallerCache;
use crate::clock::Clock;
use crate::db::{Db, DbError};
use crate::types::{Scopes, Token};

/// Who calls, as far as their token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Row id of the token.
    pub token_id: i64,
    /// The one organization that the token belongs to.
    pub organization_id: i64,
    /// The projects it is limited to; empty means all of the organization.
    pub project_ids: Vec<i64>,
    /// What it may do.
    pub scopes: Scopes,
}

/// Why a token does not open the door.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// There is no such token, or it was taken back.
    #[error("Invalid token")]
    Invalid,
    /// Its time is over.
    #[error("Token expired")]
    Expired,
    /// The rows could not be asked.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Caller {
    /// Whether the token's limits let it near the project.
    pub fn may_see_project(&self, project_id: i64) -> bool {
        self.project_ids.is_empty() || self.project_ids.contains(&project_id)
    }
}

/// The caller that `text` stands for.
pub async fn authenticate(db: &Db, cache: &CallerCache, clock: &Clock, text: &str) -> Result<Caller, AuthError> {
    let hash = hash_token(text);
    let token = match cache.token(&hash).await {
        Some(token) => token,
        None => {
            let token = Arc::new(db.token_by_hash(&hash).await?.ok_or(AuthError::Invalid)?);
            if !bool::from(token.secret_sha256.ct_eq(&hash)) {
                return Err(AuthError::Invalid);
            }
            note_use(db, clock, &token).await;
            cache.keep_token(hash, &token).await;
            token
        }
    };
    if token.revoked_at.is_some() {
        return Err(AuthError::Invalid);
    }
    if token.expires_at.is_some_and(|at| at <= clock.now()) {
        return Err(AuthError::Expired);
    }
    Ok(Caller {
        token_id: token.id,
        organization_id: token.organization_id,
        project_ids: token.project_ids.clone(),
        scopes: token.scopes.clone(),
    })
}

/// Notes the last use, at most once a minute. That the note fails is no reason to refuse the caller.
async fn note_use(db: &Db, clock: &Clock, token: &Token) {
    let now = clock.now();
    let usable = token.revoked_at.is_none() && token.expires_at.is_none_or(|at| at > now);
    let noted = token.last_used_at.is_some_and(|at| now - at < chrono::TimeDelta::minutes(1));
    if usable
        && !noted
        && let Err(error) = db.touch_token(token.id, now).await
    {
        tracing::warn!(token.id, %error, "the last use of a token could not be noted");
    }
}
