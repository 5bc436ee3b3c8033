//! Tokens and the projects they are limited to. A secret never gets here, only its hash.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{query, query_as};

use super::rows::{fitted, json, parse};
use super::sql::{Sql, on_db, on_tx, sql};
use super::{Db, DbError};
use crate::types::limits;
use crate::types::{Scopes, Token};

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

/// How exactly the last use of a token is known.
const LAST_USE: TimeDelta = TimeDelta::minutes(1);

/// A token with one of its projects, so that a look-up is one query.
#[derive(sqlx::FromRow)]
struct TokenRow {
    id: i64,
    organization_id: i64,
    name: String,
    scopes: String,
    secret_sha256: Vec<u8>,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    last_used_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
    project_id: Option<i64>,
}

/// Gathers rows of one token, which stand next to each other.
fn gather(rows: Vec<TokenRow>) -> Result<Vec<Token>, DbError> {
    let mut tokens: Vec<Token> = Vec::new();
    for row in rows {
        match tokens.last_mut().filter(|token| token.id == row.id) {
            Some(token) => token.project_ids.extend(row.project_id),
            None => tokens.push(Token {
                id: row.id,
                organization_id: row.organization_id,
                name: row.name,
                scopes: parse("tokens", &row.scopes)?,
                project_ids: row.project_id.into_iter().collect(),
                secret_sha256: row.secret_sha256,
                created_at: row.created_at,
                expires_at: row.expires_at,
                last_used_at: row.last_used_at,
                revoked_at: row.revoked_at,
            }),
        }
    }
    Ok(tokens)
}

impl Db {
    /// Stores a token and its projects, which must be of its organization; returns its row id.
    #[tracing::instrument(level = "debug", skip_all, name = "db.tokens.insert")]
    pub async fn insert_token(&self, token: &NewToken, now: DateTime<Utc>) -> Result<i64, DbError> {
        const TOKEN: Sql = sql!(
            "
            insert into tokens (organization_id, name, scopes, secret_sha256, created_at, expires_at)
            values ($1, $2, $3, $4, $5, $6) returning id
        "
        );
        const PROJECTS: Sql = sql!("
            insert into token_projects (token_id, project_id)
            select $1, id from projects where organization_id = $2 and id " [in_numbers "$3"]);
        let mut tx = self.begin().await?;
        let id: i64 = on_tx!(&mut tx, TOKEN, |sql, on| {
            sqlx::query_scalar(sql)
                .bind(token.organization_id)
                .bind(fitted(&token.name, limits::LABEL))
                .bind(token.scopes.to_string())
                .bind(token.secret_sha256.as_slice())
                .bind(now)
                .bind(token.expires_at)
                .fetch_one(on)
                .await
        })?;
        if !token.project_ids.is_empty() {
            let projects: BTreeSet<i64> = token.project_ids.iter().copied().collect();
            let rows = on_tx!(&mut tx, PROJECTS, |sql, on| {
                let projects = json(&projects);
                query(sql).bind(id).bind(token.organization_id).bind(projects).execute(on).await?.rows_affected()
            });
            // A token with fewer projects than asked for might end up with none, which would mean all.
            if rows != projects.len() as u64 {
                return Err(sqlx::Error::RowNotFound.into());
            }
        }
        tx.commit().await?;
        Ok(id)
    }

    /// The token with this hash, in whatever state it is.
    #[tracing::instrument(level = "debug", skip_all, name = "db.tokens.by_hash")]
    pub async fn token_by_hash(&self, secret_sha256: &[u8]) -> Result<Option<Token>, DbError> {
        const SQL: Sql = sql!(
            "
            select t.id, t.organization_id, t.name, t.scopes, t.secret_sha256, t.created_at, t.expires_at,
                t.last_used_at, t.revoked_at, p.project_id
            from tokens t left join token_projects p on p.token_id = t.id
            where t.secret_sha256 = $1 order by p.project_id
        "
        );
        let rows = on_db!(read self, SQL, |sql, on| query_as(sql).bind(secret_sha256).fetch_all(on).await)?;
        Ok(gather(rows)?.pop())
    }

    /// Notes that a token was presented, unless that was noted less than a minute ago.
    #[tracing::instrument(level = "debug", skip_all, name = "db.tokens.touch")]
    pub async fn touch_token(&self, id: i64, now: DateTime<Utc>) -> Result<(), DbError> {
        const SQL: Sql = sql!(
            "
            update tokens set last_used_at = $2 where id = $1 and (last_used_at is null or last_used_at <= $3)
        "
        );
        on_db!(write self, SQL, |sql, on| {
            query(sql).bind(id).bind(now).bind(now - LAST_USE).execute(on).await.map(drop)
        })?;
        Ok(())
    }

    /// All tokens of an organization, newest first.
    #[tracing::instrument(level = "debug", skip_all, name = "db.tokens.list")]
    pub async fn tokens(&self, organization_id: i64) -> Result<Vec<Token>, DbError> {
        const SQL: Sql = sql!(
            "
            select t.id, t.organization_id, t.name, t.scopes, t.secret_sha256, t.created_at, t.expires_at,
                t.last_used_at, t.revoked_at, p.project_id
            from tokens t left join token_projects p on p.token_id = t.id
            where t.organization_id = $1 order by t.id desc, p.project_id
        "
        );
        let rows = on_db!(read self, SQL, |sql, on| query_as(sql).bind(organization_id).fetch_all(on).await)?;
        gather(rows)
    }

    /// Takes a token back; false if there is none with this id.
    #[tracing::instrument(level = "debug", skip_all, name = "db.tokens.revoke")]
    pub async fn revoke_token(&self, id: i64, now: DateTime<Utc>) -> Result<bool, DbError> {
        const SQL: Sql = sql!("update tokens set revoked_at = coalesce(revoked_at, $2) where id = $1");
        let rows = on_db!(write self, SQL, |sql, on| {
            query(sql).bind(id).bind(now).execute(on).await?.rows_affected()
        });
        Ok(rows == 1)
    }
}
