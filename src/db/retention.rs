//! Files that go: which ones a rule applies to, their end in batches, and the note that is left of them.
//!
//! Nothing goes that was renewed since it was found: the row is looked at again under the lock that deletes it.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sqlx::{query, query_as, query_scalar};

use super::debug_files::delete_files;
use super::engine::Tx;
use super::rows::{fitted, json, parse, size};
use super::sql::{Sql, on_db, on_tx, sql};
use super::{Db, DbError};
use crate::types::limits;
use crate::types::{DebugId, Retention, Sha1};

const TABLE: &str = "debug_files";

/// A file that was found to go, as it stood then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// Row id.
    pub id: i64,
    /// How often it had been renewed.
    pub renewals: i64,
    /// The time that the rule goes by, for the next page.
    pub at: DateTime<Utc>,
}

/// Why files go, and what must still be so when they do.
#[derive(Clone, Debug)]
pub struct Reason<'a> {
    /// Words that are kept with what went.
    pub words: &'a str,
    /// They must have been uploaded before.
    pub uploaded_before: DateTime<Utc>,
    /// They must have been used before.
    pub used_before: DateTime<Utc>,
    /// The project must still have these rules; `None` if its rules do not matter.
    pub retention: Option<&'a Retention>,
}

/// A chunk of files that go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedChunk {
    /// Row id.
    pub id: i64,
    /// Size at rest in bytes.
    pub stored_size: u64,
    /// How many of these files have it.
    pub here: u64,
    /// How many files have it at all, counted up to a thousand and one.
    pub everywhere: u64,
}

/// What files weigh that go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Bytes at rest of what was made from them.
    pub made: u64,
    /// Their chunks.
    pub chunks: Vec<SharedChunk>,
}

/// A file that went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepartedFile {
    /// Its former row id.
    pub id: i64,
    /// Checksum of its content.
    pub sha1: Sha1,
    /// Its debug id.
    pub debug_id: DebugId,
}

/// What became of files that were to go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Departed {
    /// Those that went.
    pub files: Vec<DepartedFile>,
    /// Keys of bytes that no row speaks of any more.
    pub keys: Vec<String>,
    /// What they weighed.
    pub weight: Weight,
}

impl Weight {
    /// Bytes at rest that nobody needs without these files.
    pub fn freed(&self) -> u64 {
        let own = self.chunks.iter().filter(|chunk| chunk.here == chunk.everywhere);
        self.made + own.map(|chunk| chunk.stored_size).sum::<u64>()
    }
}

#[derive(sqlx::FromRow)]
struct LeavingRow {
    id: i64,
    renewals: i64,
    at: DateTime<Utc>,
}

fn leaving(rows: Vec<LeavingRow>) -> Vec<Leaving> {
    rows.into_iter().map(|LeavingRow { id, renewals, at }| Leaving { id, renewals, at }).collect()
}

/// The live files of a project by one of their times, the one that lies back the longest first.
macro_rules! files_before {
    ($time:tt) => {
        sql!("
            select id, renewals, " $time " as at from debug_files
            where project_id = $1 and retired_at is null and " $time " < $2 and (" $time ", id) > ($3, $4)
            order by " $time ", id limit $5
        ")
    };
}

/// Bytes of what was made from files.
const MADE: Sql = sql!("
    select cast(coalesce(sum(stored_size), 0) as bigint) from (
        select stored_size from symcaches where debug_file_id " [in_numbers "$1"] "
        union all
        select stored_size from derived_files where debug_file_id " [in_numbers "$1"] "
    ) made");

/// The chunks of files, and how many have each.
const CHUNKS: Sql = sql!("
    select c.id, c.stored_size,
        (select count(distinct o.debug_file_id) from debug_file_chunks o
            where o.chunk_id = c.id and o.debug_file_id " [in_numbers "$1"] "),
        (select count(*) from (
            select distinct o.debug_file_id from debug_file_chunks o where o.chunk_id = c.id limit 1001
        ) some_of_them)
    from chunks c where c.id in (
        select d.chunk_id from debug_file_chunks d where d.debug_file_id " [in_numbers "$1"] "
    ) order by c.id
");

fn weight(made: i64, chunks: Vec<(i64, i64, i64, i64)>) -> Result<Weight, DbError> {
    let read = |number| size("chunks", number);
    let chunk = |(id, stored, here, everywhere)| {
        Ok(SharedChunk { id, stored_size: read(stored)?, here: read(here)?, everywhere: read(everywhere)? })
    };
    Ok(Weight {
        made: size("symcaches", made)?,
        chunks: chunks.into_iter().map(chunk).collect::<Result<_, DbError>>()?,
    })
}

impl Db {
    /// Up to `limit` live files of a project that were uploaded last before `before`, behind `after`.
    #[tracing::instrument(level = "debug", skip_all, name = "db.retention.old")]
    pub async fn files_uploaded_before(
        &self,
        project_id: i64,
        before: DateTime<Utc>,
        after: Option<Leaving>,
        limit: i64,
    ) -> Result<Vec<Leaving>, DbError> {
        const SQL: Sql = files_before!("uploaded_at");
        self.leaving(SQL, project_id, before, after, limit).await
    }

    /// Up to `limit` live files of a project that were used last before `before`, behind `after`.
    #[tracing::instrument(level = "debug", skip_all, name = "db.retention.idle")]
    pub async fn files_used_before(
        &self,
        project_id: i64,
        before: DateTime<Utc>,
        after: Option<Leaving>,
        limit: i64,
    ) -> Result<Vec<Leaving>, DbError> {
        const SQL: Sql = files_before!("used_at");
        self.leaving(SQL, project_id, before, after, limit).await
    }

    async fn leaving(
        &self,
        statement: Sql,
        project_id: i64,
        before: DateTime<Utc>,
        after: Option<Leaving>,
        limit: i64,
    ) -> Result<Vec<Leaving>, DbError> {
        let (at, id) = after.map_or((DateTime::UNIX_EPOCH, 0), |last| (last.at, last.id));
        let rows = on_db!(read self, statement, |sql, on| {
            query_as(sql).bind(project_id).bind(before).bind(at).bind(id).bind(limit).fetch_all(on).await
        })?;
        Ok(leaving(rows))
    }

    /// Up to `limit` names of a project that more than `files` live files have, behind `after`.
    #[tracing::instrument(level = "debug", skip_all, name = "db.retention.names")]
    pub async fn crowded_names(
        &self,
        project_id: i64,
        files: u32,
        after: &str,
        limit: i64,
    ) -> Result<Vec<String>, DbError> {
        const SQL: Sql = sql!(
            "
            select object_name from debug_files where project_id = $1 and retired_at is null and object_name > $3
            group by object_name having count(*) > $2 order by object_name limit $4
        "
        );
        Ok(on_db!(read self, SQL, |sql, on| {
            query_scalar(sql).bind(project_id).bind(i64::from(files)).bind(after).bind(limit).fetch_all(on).await
        })?)
    }

    /// The live files of a project with these names that do not belong to the `builds` uploaded last of their name,
    /// format, kind and processor, of those that were uploaded before `before`.
    #[tracing::instrument(level = "debug", skip_all, name = "db.retention.older_builds")]
    pub async fn older_builds(
        &self,
        project_id: i64,
        names: &[String],
        builds: u32,
        before: DateTime<Utc>,
    ) -> Result<Vec<Leaving>, DbError> {
        // A build is as new as the newest of its files.
        const SQL: Sql = sql!("
            select id, renewals, uploaded_at as at from (
                select id, renewals, uploaded_at, dense_rank() over (
                    partition by object_name, format, kind, cpu_name order by newest desc, newest_id desc
                ) as place from (
                    select id, renewals, uploaded_at, object_name, format, kind, cpu_name,
                        max(uploaded_at) over build as newest, max(id) over build as newest_id
                    from debug_files
                    where project_id = $1 and retired_at is null and object_name " [in_texts "$2"] "
                    window build as (partition by object_name, format, kind, cpu_name, debug_id)
                ) files
            ) places where place > $3 and uploaded_at < $4 order by id
        ");
        let rows = on_db!(read self, SQL, |sql, on| {
            query_as(sql)
                .bind(project_id)
                .bind(json(names))
                .bind(i64::from(builds))
                .bind(before)
                .fetch_all(on)
                .await
        })?;
        Ok(leaving(rows))
    }

    /// What files weigh.
    #[tracing::instrument(level = "debug", skip_all, name = "db.retention.weigh")]
    pub async fn weigh_files(&self, ids: &[i64]) -> Result<Weight, DbError> {
        let ids = json(ids);
        let made = on_db!(read self, MADE, |sql, on| query_scalar(sql).bind(ids.as_str()).fetch_one(on).await)?;
        let chunks = on_db!(read self, CHUNKS, |sql, on| query_as(sql).bind(ids.as_str()).fetch_all(on).await)?;
        weight(made, chunks)
    }

    /// Deletes those of the files of a project that are as they were found and to which the reason still applies, with
    /// everything that was made from them, and leaves a note of each.
    #[tracing::instrument(level = "debug", skip_all, name = "db.retention.expire")]
    pub async fn expire_files(
        &self,
        project_id: i64,
        found: &[Leaving],
        reason: &Reason<'_>,
        now: DateTime<Utc>,
    ) -> Result<Departed, DbError> {
        const NOTE: Sql = sql!("
            insert into expired_files (project_id, debug_id, debug_id_alias, code_id, object_name, rule, expired_at)
            select project_id, debug_id, debug_id_alias, code_id, object_name, $2, $3 from debug_files
            where id " [in_numbers "$1"]);
        let mut tx = self.begin().await?;
        let files = locked(&mut tx, project_id, found, reason).await?;
        if files.is_empty() {
            return Ok(Departed::default());
        }
        let ids: Vec<_> = files.iter().map(|file| file.id).collect();
        let list = json(&ids);
        let made = on_tx!(&mut tx, MADE, |sql, on| query_scalar(sql).bind(list.as_str()).fetch_one(on).await)?;
        let chunks = on_tx!(&mut tx, CHUNKS, |sql, on| query_as(sql).bind(list.as_str()).fetch_all(on).await)?;
        on_tx!(&mut tx, NOTE, |sql, on| {
            query(sql)
                .bind(list.as_str())
                .bind(fitted(reason.words, limits::WORD))
                .bind(now)
                .execute(on)
                .await
                .map(drop)
        })?;
        let keys = delete_files(&mut tx, &ids).await?;
        tx.commit().await?;
        Ok(Departed { files, keys, weight: weight(made, chunks)? })
    }

    /// Forgets what pollers would still hear of files that went: errors of their content, and retired files of their
    /// content and their debug id. Returns the keys of bytes that no row speaks of any more.
    #[tracing::instrument(level = "debug", skip_all, name = "db.retention.forget_traces")]
    pub async fn forget_traces(&self, project_id: i64, files: &[DepartedFile]) -> Result<Vec<String>, DbError> {
        const ERRORS: Sql = sql!("
            delete from assemblies where project_id = $1 and state = 'error' and sha1 " [in_texts "$2"]);
        const RETIRED: Sql = sql!("
            select id from debug_files where retired_at is not null and id in (
                select id from debug_files where project_id = $1 and sha1 " [in_texts "$2"] "
                union all
                select id from debug_files where project_id = $1 and debug_id " [in_texts "$3"] "
            ) order by id" [lock]);
        let sha1s = json(&files.iter().map(|file| file.sha1).collect::<Vec<_>>());
        let debug_ids = json(&files.iter().map(|file| &file.debug_id).collect::<Vec<_>>());
        let mut tx = self.begin().await?;
        on_tx!(&mut tx, ERRORS, |sql, on| query(sql)
            .bind(project_id)
            .bind(sha1s.as_str())
            .execute(on)
            .await
            .map(drop))?;
        let ids: Vec<i64> = on_tx!(&mut tx, RETIRED, |sql, on| {
            query_scalar(sql).bind(project_id).bind(sha1s.as_str()).bind(debug_ids).fetch_all(on).await
        })?;
        let keys = delete_files(&mut tx, &ids).await?;
        tx.commit().await?;
        Ok(keys)
    }
}

/// Locks those of the files that are still to go, in the order in which everybody locks.
async fn locked(
    tx: &mut Tx,
    project_id: i64,
    found: &[Leaving],
    reason: &Reason<'_>,
) -> Result<Vec<DepartedFile>, DbError> {
    // Rules that change now wait for the end of this batch, so none goes by rules that were taken back.
    const RULES: Sql = sql!("select retention from projects where id = $1"[lock_shared]);
    const LOCK: Sql = sql!("
        select id, renewals, sha1, debug_id from debug_files
        where project_id = $1 and retired_at is null and uploaded_at < $3 and used_at < $4 and id " [in_numbers "$2"] "
        order by id" [lock]);
    let rules: Option<String> =
        on_tx!(&mut *tx, RULES, |sql, on| query_scalar(sql).bind(project_id).fetch_optional(on).await)?;
    if reason.retention.is_some_and(|seen| rules != Some(seen.to_string())) {
        return Ok(Vec::new());
    }
    let ids: Vec<_> = found.iter().map(|file| file.id).collect();
    let rows: Vec<(i64, i64, String, String)> = on_tx!(tx, LOCK, |sql, on| {
        query_as(sql)
            .bind(project_id)
            .bind(json(&ids))
            .bind(reason.uploaded_before)
            .bind(reason.used_before)
            .fetch_all(on)
            .await
    })?;
    let seen: HashSet<_> = found.iter().map(|file| (file.id, file.renewals)).collect();
    let still = rows.into_iter().filter(|(id, renewals, ..)| seen.contains(&(*id, *renewals)));
    let file = |(id, _, sha1, debug_id): (i64, i64, String, String)| {
        Ok(DepartedFile { id, sha1: parse(TABLE, &sha1)?, debug_id: parse(TABLE, &debug_id)? })
    };
    still.map(file).collect()
}
