//! Organizations, projects and tokens.

use chrono::{DateTime, Utc};

use super::{Db, DbError};
use crate::types::{Organization, Project, Scopes, Token};

/// A token about to be stored.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// The organization it belongs to.
    pub organization_id: i64,
    /// A name for people.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// The projects it is limited to; empty means all.
    pub project_ids: Vec<i64>,
    /// SHA-256 of the whole token text.
    pub secret_sha256: Vec<u8>,
    /// When it stops working.
    pub expires_at: Option<DateTime<Utc>>,
}

#[expect(unused_variables, reason = "stubs")]
impl Db {
    /// Whether there is no organization yet.
    pub async fn is_empty(&self) -> Result<bool, DbError> {
        todo!()
    }
    /// The organization `slug`, made now if it was not there. Race-free.
    pub async fn create_organization(&self, slug: &str, now: DateTime<Utc>) -> Result<Organization, DbError> {
        todo!()
    }
    /// The organization whose slug, or else whose id in decimal, is `slug_or_id`.
    pub async fn organization(&self, slug_or_id: &str) -> Result<Option<Organization>, DbError> {
        todo!()
    }
    /// The organization with this row id.
    pub async fn organization_by_id(&self, id: i64) -> Result<Option<Organization>, DbError> {
        todo!()
    }
    /// The project `slug` of an organization, made now if it was not there. Race-free.
    pub async fn create_project(
        &self,
        organization_id: i64,
        slug: &str,
        now: DateTime<Utc>,
    ) -> Result<Project, DbError> {
        todo!()
    }
    /// The project of an organization whose slug, or else whose id in decimal, is `slug_or_id`.
    pub async fn project(&self, organization_id: i64, slug_or_id: &str) -> Result<Option<Project>, DbError> {
        todo!()
    }
    /// Projects of an organization in id order, after `after_id`.
    pub async fn projects(&self, organization_id: i64, after_id: i64, limit: i64) -> Result<Vec<Project>, DbError> {
        todo!()
    }
    /// Stores a token and its projects; returns its row id.
    pub async fn insert_token(&self, token: &NewToken, now: DateTime<Utc>) -> Result<i64, DbError> {
        todo!()
    }
    /// The token with this hash, in whatever state it is.
    pub async fn token_by_hash(&self, secret_sha256: &[u8]) -> Result<Option<Token>, DbError> {
        todo!()
    }
    /// Notes that a token was presented, unless that was noted less than a minute ago.
    pub async fn touch_token(&self, id: i64, now: DateTime<Utc>) -> Result<(), DbError> {
        todo!()
    }
    /// All tokens of an organization, newest first.
    pub async fn tokens(&self, organization_id: i64) -> Result<Vec<Token>, DbError> {
        todo!()
    }
    /// Takes a token back; false if there is none with this id.
    pub async fn revoke_token(&self, id: i64, now: DateTime<Utc>) -> Result<bool, DbError> {
        todo!()
    }
}
