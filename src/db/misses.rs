//! What was looked for and was not there: counted per project and id, and marked once an upload brought it.
//!
//! It never keeps more than a number of ids per project, whatever clients request.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{query, query_as, query_scalar};

use super::engine::Tx;
use super::rows::{fitted, json, size};
use super::sql::{Sql, on_db, on_tx, sql};
use super::{Db, DbError};
use crate::types::limits;
use crate::types::{CodeId, DebugId, Miss, MissedId, NewDebugFile, RequestedKinds};

/// Ids that are kept per project at most; those that were missed last stay.
const MOST_OF_PROJECT: i64 = 10_000;

#[derive(sqlx::FromRow)]
struct MissRow {
    project_id: i64,
    sort: String,
    file_id: String,
    name: Option<String>,
    kinds: i64,
    asker: String,
    times: i64,
    first_at: DateTime<Utc>,
    last_at: DateTime<Utc>,
    found_at: Option<DateTime<Utc>>,
}

/// A miss as one element of the list that a single statement stores.
#[derive(Serialize)]
struct Noted<'a> {
    project_id: i64,
    sort: &'static str,
    file_id: &'a str,
    name: Option<String>,
    kinds: u16,
    asker: Cow<'a, str>,
    times: u64,
}

impl TryFrom<MissRow> for Miss {
    type Error = DbError;

    fn try_from(row: MissRow) -> Result<Self, DbError> {
        let id = match row.sort.as_str() {
            "debug" => MissedId::Debug(row.file_id),
            _ => MissedId::Code(row.file_id),
        };
        Ok(Self {
            project_id: row.project_id,
            id,
            name: row.name,
            kinds: RequestedKinds::from_bits(u16::try_from(row.kinds).unwrap_or_default()),
            asker: row.asker,
            times: size("misses", row.times)?,
            first_at: row.first_at,
            last_at: row.last_at,
            found_at: row.found_at,
        })
    }
}

impl Db {
    /// Adds to what was missed before. `misses` are of different ids. One transaction for any number, which also removes
    /// what a project has too many of: ids that only anonymous clients missed first, then the oldest. An id that is longer
    /// than that of any file is passed over.
    pub async fn add_misses(&self, misses: &[Miss]) -> Result<(), DbError> {
        self.add_misses_of(misses, false).await
    }

    /// The same for ids that clients without a credential missed.
    pub async fn add_anonymous_misses(&self, misses: &[Miss]) -> Result<(), DbError> {
        self.add_misses_of(misses, true).await
    }

    #[tracing::instrument(level = "debug", skip_all, name = "db.misses.add")]
    async fn add_misses_of(&self, misses: &[Miss], anonymous: bool) -> Result<(), DbError> {
        const SQL: Sql = sql!("
            insert into misses (project_id, sort, file_id, name, kinds, asker, times, first_at, last_at, anonymous)
            select cast(value ->> 'project_id' as bigint), value ->> 'sort', value ->> 'file_id', value ->> 'name',
                cast(value ->> 'kinds' as bigint), value ->> 'asker', cast(value ->> 'times' as bigint), $2, $2, $3
            from " [rows "$1"] " where true
            on conflict (project_id, sort, file_id) do update set
                times = misses.times + excluded.times, name = coalesce(excluded.name, misses.name),
                kinds = misses.kinds | excluded.kinds, asker = excluded.asker, last_at = excluded.last_at, found_at = null,
                anonymous = misses.anonymous * excluded.anonymous
        ");
        let Some(now) = misses.iter().map(|miss| miss.last_at).max() else { return Ok(()) };
        let mut list: Vec<_> = misses.iter().map(noted).filter(|miss| miss.file_id.len() <= limits::FILE_ID).collect();
        // In order, so that two calls never wait for each other.
        list.sort_by(|a, b| (a.project_id, a.sort, a.file_id).cmp(&(b.project_id, b.sort, b.file_id)));
        let anonymous = i64::from(anonymous);
        let mut tx = self.begin().await?;
        on_tx!(&mut tx, SQL, |sql, on| {
            query(sql).bind(json(&list)).bind(now).bind(anonymous).execute(on).await.map(drop)
        })?;
        let mut projects: Vec<_> = list.iter().map(|miss| miss.project_id).collect();
        projects.dedup();
        for project_id in projects {
            evict(&mut tx, project_id).await?;
        }
        tx.commit().await
    }

    /// The misses of a project, those that came last first.
    #[tracing::instrument(level = "debug", skip_all, name = "db.misses.list")]
    pub async fn misses(&self, project_id: i64, limit: i64) -> Result<Vec<Miss>, DbError> {
        const SQL: Sql = sql!(
            "
            select project_id, sort, file_id, name, kinds, asker, times, first_at, last_at, found_at from misses
            where project_id = $1 order by last_at desc, sort, file_id limit $2
        "
        );
        let rows: Vec<MissRow> =
            on_db!(read self, SQL, |sql, on| query_as(sql).bind(project_id).bind(limit).fetch_all(on).await)?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The names under which these ids were missed in a project, the last first.
    #[tracing::instrument(level = "debug", skip_all, name = "db.misses.names")]
    pub async fn missed_names(
        &self,
        project_id: i64,
        debug_ids: &[DebugId],
        code_ids: &[CodeId],
        limit: i64,
    ) -> Result<Vec<String>, DbError> {
        const SQL: Sql = sql!("
            select name from misses where project_id = $1 and name is not null
                and (sort = 'debug' and file_id " [in_texts "$2"] " or sort = 'code' and file_id " [in_texts "$3"] ")
            order by last_at desc, sort, file_id limit $4
        ");
        let (debug_ids, code_ids) = (json(debug_ids), json(code_ids));
        Ok(on_db!(read self, SQL, |sql, on| {
            query_scalar(sql).bind(project_id).bind(&debug_ids).bind(&code_ids).bind(limit).fetch_all(on).await
        })?)
    }

    /// Deletes misses that did not come again since `before`; returns how many.
    #[tracing::instrument(level = "debug", skip_all, name = "db.misses.forget")]
    pub async fn forget_misses(&self, before: DateTime<Utc>) -> Result<u64, DbError> {
        const SQL: Sql = sql!("delete from misses where last_at < $1");
        Ok(on_db!(write self, SQL, |sql, on| query(sql).bind(before).execute(on).await?.rows_affected()))
    }
}

/// Deletes the ids that a project has too many of.
async fn evict(tx: &mut Tx, project_id: i64) -> Result<(), DbError> {
    const COUNT: Sql = sql!("select count(*) from misses where project_id = $1");
    const DELETE: Sql = sql!(
        "
        delete from misses where project_id = $1 and (sort, file_id) in (
            select sort, file_id from misses where project_id = $1
            order by anonymous desc, last_at, sort, file_id limit $2
        )
    "
    );
    let count: i64 = on_tx!(&mut *tx, COUNT, |sql, on| query_scalar(sql).bind(project_id).fetch_one(on).await)?;
    let surplus = count - MOST_OF_PROJECT;
    if surplus > 0 {
        on_tx!(&mut *tx, DELETE, |sql, on| query(sql).bind(project_id).bind(surplus).execute(on).await.map(drop))?;
    }
    Ok(())
}

/// Removes the kinds that a file has from what is missing under its ids, and marks ids as found of which nothing is
/// missing any more. A UUID with an age of eight digits has the form of a build id.
pub(super) async fn found(tx: &mut Tx, file: &NewDebugFile, now: DateTime<Utc>) -> Result<(), DbError> {
    const SQL: Sql = sql!(
        "
        update misses set kinds = kinds & $7, found_at = case when (kinds & $7) = 0 then $6 else found_at end
        where project_id = $1 and found_at is null
            and (sort = 'debug' and file_id in ($2, $3) or sort = 'code' and file_id in ($4, $5))
    "
    );
    let digits = file.debug_id.breakpad().to_ascii_lowercase();
    let unmet = RequestedKinds::not_met_by(file.format, file.kind, file.features);
    let alias = file.debug_id_alias.as_ref().unwrap_or(&file.debug_id);
    let code_id = file.code_id.as_ref().map(|id| id.as_str()).unwrap_or_default();
    on_tx!(tx, SQL, |sql, on| {
        query(sql)
            .bind(file.project_id)
            .bind(file.debug_id.as_str())
            .bind(alias.as_str())
            .bind(code_id)
            .bind(digits.as_str())
            .bind(now)
            .bind(i64::from(unmet.bits()))
            .execute(on)
            .await
            .map(drop)
    })?;
    Ok(())
}

fn noted(miss: &Miss) -> Noted<'_> {
    let (sort, file_id) = match &miss.id {
        MissedId::Debug(id) => ("debug", id.as_str()),
        MissedId::Code(id) => ("code", id.as_str()),
    };
    let name = miss.name.as_deref().map(|name| fitted(name, limits::NAME).into_owned());
    let asker = fitted(&miss.asker, limits::WORD);
    let kinds = miss.kinds.bits();
    Noted { project_id: miss.project_id, sort, file_id, name, kinds, asker, times: miss.times }
}
