//! Other symbol servers of a project, and what they could not bring, each with the time before which nobody asks again.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as, query_scalar};

use super::engine::Tx;
use super::rows::{fitted, json, number, parse, size, text};
use super::sql::{Sql, on_db, on_tx, sql};
use super::{Db, DbError};
use crate::types::limits;
use crate::types::{NewDebugFile, Upstream, UpstreamAnswer, UpstreamKind};

#[derive(sqlx::FromRow)]
struct UpstreamRow {
    id: i64,
    project_id: i64,
    kind: String,
    url: String,
    created_at: DateTime<Utc>,
}

#[derive(sqlx::FromRow)]
struct AnswerRow {
    upstream_id: i64,
    path: String,
    file_id: String,
    trouble: i64,
    reason: String,
    misses: i64,
    asked_at: DateTime<Utc>,
    next_at: DateTime<Utc>,
}

impl TryFrom<UpstreamRow> for Upstream {
    type Error = DbError;

    fn try_from(row: UpstreamRow) -> Result<Self, DbError> {
        let UpstreamRow { id, project_id, kind, url, created_at } = row;
        Ok(Self { id, project_id, kind: parse("upstreams", &kind)?, url, created_at })
    }
}

impl TryFrom<AnswerRow> for UpstreamAnswer {
    type Error = DbError;

    fn try_from(row: AnswerRow) -> Result<Self, DbError> {
        let AnswerRow { upstream_id, path, file_id, trouble, reason, misses, asked_at, next_at } = row;
        let misses = size("upstream_answers", misses)?;
        Ok(Self { upstream_id, path, file_id, trouble: trouble != 0, reason, misses, asked_at, next_at })
    }
}

/// The columns of an [`AnswerRow`].
macro_rules! answer_columns {
    () => {
        "a.upstream_id, a.path, a.file_id, a.trouble, a.reason, a.misses, a.asked_at, a.next_at"
    };
}

impl Db {
    /// Names an upstream of a project; returns its row id, that of before if it was named before.
    #[tracing::instrument(level = "debug", skip_all, name = "db.upstreams.add")]
    pub async fn add_upstream(
        &self,
        project_id: i64,
        kind: UpstreamKind,
        url: &str,
        now: DateTime<Utc>,
    ) -> Result<i64, DbError> {
        const SQL: Sql = sql!(
            "
            insert into upstreams (project_id, kind, url, created_at) values ($1, $2, $3, $4)
            on conflict (project_id, kind, url) do update set url = excluded.url
            returning id
        "
        );
        let id: Option<i64> = on_db!(write self, SQL, |sql, on| {
            query_scalar(sql).bind(project_id).bind(kind.as_str()).bind(text(url)).bind(now).fetch_all(on).await?.pop()
        });
        Ok(id.ok_or(sqlx::Error::RowNotFound)?)
    }

    /// The upstreams of a project in the order in which they are asked.
    #[tracing::instrument(level = "debug", skip_all, name = "db.upstreams.of_project")]
    pub async fn upstreams(&self, project_id: i64) -> Result<Vec<Upstream>, DbError> {
        const SQL: Sql = sql!(
            "
            select id, project_id, kind, url, created_at from upstreams where project_id = $1 order by id
        "
        );
        let rows: Vec<UpstreamRow> =
            on_db!(read self, SQL, |sql, on| query_as(sql).bind(project_id).fetch_all(on).await)?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Takes an upstream away, with everything it said; false if there is none with this id.
    #[tracing::instrument(level = "debug", skip_all, name = "db.upstreams.remove")]
    pub async fn remove_upstream(&self, id: i64) -> Result<bool, DbError> {
        const SQL: Sql = sql!("delete from upstreams where id = $1");
        let rows = on_db!(write self, SQL, |sql, on| query(sql).bind(id).execute(on).await?.rows_affected());
        Ok(rows == 1)
    }

    /// What upstreams said of these paths, whether it still holds or not. Any pair of the two lists.
    #[tracing::instrument(level = "debug", skip_all, name = "db.upstream_answers.of_paths")]
    pub async fn upstream_answers(&self, upstream_ids: &[i64], paths: &[&str]) -> Result<Vec<UpstreamAnswer>, DbError> {
        const SQL: Sql = sql!("
            select " (answer_columns) " from upstream_answers a
            where a.upstream_id " [in_numbers "$1"] " and a.path " [in_texts "$2"]);
        let rows: Vec<AnswerRow> = on_db!(read self, SQL, |sql, on| {
            query_as(sql).bind(json(upstream_ids)).bind(json(paths)).fetch_all(on).await
        })?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// What the upstreams of a project said of these ids of files, the last answer first.
    #[tracing::instrument(level = "debug", skip_all, name = "db.upstream_answers.of_files")]
    pub async fn upstream_answers_of_files(
        &self,
        project_id: i64,
        file_ids: &[&str],
    ) -> Result<Vec<UpstreamAnswer>, DbError> {
        const SQL: Sql = sql!("
            select " (answer_columns) " from upstream_answers a join upstreams u on u.id = a.upstream_id
            where u.project_id = $1 and a.file_id " [in_texts "$2"] " order by a.asked_at desc, a.path limit 100");
        let rows: Vec<AnswerRow> = on_db!(read self, SQL, |sql, on| {
            query_as(sql).bind(project_id).bind(json(file_ids)).fetch_all(on).await
        })?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Writes down what an upstream said in place of what it said before. Nothing is written of one that was removed, nor
    /// under a path that no index holds.
    #[tracing::instrument(level = "debug", skip_all, name = "db.upstream_answers.put")]
    pub async fn put_upstream_answer(&self, answer: &UpstreamAnswer) -> Result<(), DbError> {
        const SQL: Sql = sql!(
            "
            insert into upstream_answers (upstream_id, path, file_id, trouble, reason, misses, asked_at, next_at)
            select id, $2, $3, $4, $5, $6, $7, $8 from upstreams where id = $1
            on conflict (upstream_id, path) do update set file_id = excluded.file_id, trouble = excluded.trouble,
                reason = excluded.reason, misses = excluded.misses, asked_at = excluded.asked_at,
                next_at = excluded.next_at
        "
        );
        // Cut off they would be those of another file.
        if answer.path.len() > limits::ADDRESS || answer.file_id.len() > limits::FILE_ID {
            return Ok(());
        }
        on_db!(write self, SQL, |sql, on| {
            query(sql)
                .bind(answer.upstream_id)
                .bind(text(&answer.path))
                .bind(text(&answer.file_id))
                .bind(i64::from(answer.trouble))
                .bind(fitted(&answer.reason, limits::MESSAGE))
                .bind(number(answer.misses))
                .bind(answer.asked_at)
                .bind(answer.next_at)
                .execute(on)
                .await
                .map(drop)
        })?;
        Ok(())
    }

    /// Deletes answers after which anybody might have asked again since `before`; returns how many.
    #[tracing::instrument(level = "debug", skip_all, name = "db.upstream_answers.forget")]
    pub async fn forget_upstream_answers(&self, before: DateTime<Utc>) -> Result<u64, DbError> {
        const SQL: Sql = sql!("delete from upstream_answers where next_at < $1");
        Ok(on_db!(write self, SQL, |sql, on| query(sql).bind(before).execute(on).await?.rows_affected()))
    }
}

/// Forgets what upstreams said of the ids of a file that was just uploaded: the next one to ask for what is still
/// missing of the build is not put off.
pub(super) async fn forget_answers_for(tx: &mut Tx, file: &NewDebugFile) -> Result<(), DbError> {
    const SQL: Sql = sql!(
        "
        delete from upstream_answers where file_id in ($2, $3, $4)
            and upstream_id in (select id from upstreams where project_id = $1)
    "
    );
    let alias = file.debug_id_alias.as_ref().unwrap_or(&file.debug_id);
    let code_id = file.code_id.as_ref().map_or(file.debug_id.as_str(), |id| id.as_str());
    on_tx!(tx, SQL, |sql, on| {
        query(sql)
            .bind(file.project_id)
            .bind(file.debug_id.as_str())
            .bind(alias.as_str())
            .bind(code_id)
            .execute(on)
            .await
            .map(drop)
    })?;
    Ok(())
}
