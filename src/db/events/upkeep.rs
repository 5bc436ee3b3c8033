//! Rows of events that go by age or by number, and counts held against what they count. What a rule says is decided elsewhere.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as, query_scalar};

use crate::db::rows::json;
use crate::db::sql::{Sql, on_db, on_tx, sql};
use crate::db::{Db, DbError};

/// What is true of every counted event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountFault {
    /// Row id of the issue.
    pub issue_id: i64,
    /// Its count.
    pub event_count: i64,
    /// The sum over its hashes.
    pub by_hash: i64,
    /// Its stored events.
    pub stored: i64,
}

impl Db {
    /// Deletes attachments whose event did not come since `before`. Returns the keys of their bytes.
    #[tracing::instrument(level = "debug", skip_all, name = "db.attachments.delete_orphans")]
    pub async fn delete_orphaned_attachments(&self, before: DateTime<Utc>, limit: i64) -> Result<Vec<String>, DbError> {
        const SQL: Sql = sql!("
            delete from attachments where id in (
                select a.id from attachments a where a.created_at < $1
                    and not exists (select 1 from events e where e.project_id = a.project_id and e.event_id = a.event_id)
                    and not exists (
                        select 1 from sampled_events s where s.project_id = a.project_id and s.event_id = a.event_id
                    )
                order by a.created_at limit $2
            ) returning blob_key
        ");
        Ok(on_db!(write self, SQL, |sql, on| query_scalar(sql).bind(before).bind(limit).fetch_all(on).await)?)
    }

    /// How many attachments have no event since `before`.
    #[tracing::instrument(level = "debug", skip_all, name = "db.attachments.orphans")]
    pub async fn orphaned_attachments(&self, before: DateTime<Utc>) -> Result<u64, DbError> {
        const SQL: Sql = sql!(
            "
            select count(*) from attachments a where a.created_at < $1
                and not exists (select 1 from events e where e.project_id = a.project_id and e.event_id = a.event_id)
                and not exists (
                    select 1 from sampled_events s where s.project_id = a.project_id and s.event_id = a.event_id
                )
        "
        );
        let count: i64 = on_db!(read self, SQL, |sql, on| query_scalar(sql).bind(before).fetch_one(on).await)?;
        Ok(count.unsigned_abs())
    }

    /// Events of a project that were received before `before`, oldest first, with their bytes, but for those that must stay: the
    /// first of each issue.
    #[tracing::instrument(level = "debug", skip_all, name = "db.events.older")]
    pub async fn events_received_before(
        &self,
        project_id: i64,
        before: DateTime<Utc>,
    ) -> Result<Vec<(i64, i64)>, DbError> {
        const SQL: Sql = sql!(
            "
            select e.id, e.stored_size from events e where e.project_id = $1 and e.received_at < $2
                and e.id <> (select min(f.id) from events f where f.issue_id = e.issue_id)
            order by e.received_at, e.id
        "
        );
        Ok(on_db!(read self, SQL, |sql, on| query_as(sql).bind(project_id).bind(before).fetch_all(on).await)?)
    }

    /// Events of a project behind its newest `keep`, but for those that must stay.
    #[tracing::instrument(level = "debug", skip_all, name = "db.events.behind_newest")]
    pub async fn events_behind_newest(&self, project_id: i64, keep: i64) -> Result<Vec<i64>, DbError> {
        const SQL: Sql = sql!(
            "
            select id from (
                select e.id, e.issue_id, row_number() over (order by e.received_at desc, e.id desc) as place
                from events e where e.project_id = $1
            ) numbered
            where place > $2 and id <> (select min(f.id) from events f where f.issue_id = numbered.issue_id)
        "
        );
        Ok(on_db!(read self, SQL, |sql, on| query_scalar(sql).bind(project_id).bind(keep).fetch_all(on).await)?)
    }

    /// Events of a project behind the newest `keep` of their issue, but for those that must stay.
    #[tracing::instrument(level = "debug", skip_all, name = "db.events.behind_newest_of_issue")]
    pub async fn events_behind_newest_of_issue(&self, project_id: i64, keep: i64) -> Result<Vec<i64>, DbError> {
        const SQL: Sql = sql!(
            "
            select id from (
                select e.id, e.issue_id,
                    row_number() over (partition by e.issue_id order by e.received_at desc, e.id desc) as place
                from events e where e.project_id = $1
            ) numbered
            where place > $2 and id <> (select min(f.id) from events f where f.issue_id = numbered.issue_id)
        "
        );
        Ok(on_db!(read self, SQL, |sql, on| query_scalar(sql).bind(project_id).bind(keep).fetch_all(on).await)?)
    }

    /// Stored events of a project and their bytes.
    #[tracing::instrument(level = "debug", skip_all, name = "db.events.weight")]
    pub async fn stored_events(&self, project_id: i64) -> Result<(i64, i64), DbError> {
        const SQL: Sql = sql!(
            "
            select count(*), cast(coalesce(sum(stored_size), 0) as bigint) from events where project_id = $1
        "
        );
        Ok(on_db!(read self, SQL, |sql, on| query_as(sql).bind(project_id).fetch_one(on).await)?)
    }

    /// Deletes events with their attachments and reports. Counts stay. Returns how many, and the keys of bytes.
    #[tracing::instrument(level = "debug", skip_all, name = "db.events.delete")]
    pub async fn delete_events(&self, ids: &[i64]) -> Result<(u64, Vec<String>), DbError> {
        const ATTACHMENTS: Sql = sql!("
            delete from attachments where id in (
                select a.id from attachments a join events e on e.project_id = a.project_id and e.event_id = a.event_id
                where e.id " [in_numbers "$1"] " and not exists (
                    select 1 from events o where o.project_id = e.project_id and o.event_id = e.event_id and o.id <> e.id
                )
            ) returning blob_key
        ");
        const REPORTS: Sql = sql!("
            delete from user_reports where exists (
                select 1 from events e where e.project_id = user_reports.project_id
                    and e.event_id = user_reports.event_id and e.id " [in_numbers "$1"] " and not exists (
                        select 1 from events o
                        where o.project_id = e.project_id and o.event_id = e.event_id and o.id <> e.id
                    )
            )
        ");
        const EVENTS: Sql = sql!("delete from events where id " [in_numbers "$1"]);
        let list = json(ids);
        let mut tx = self.begin().await?;
        let keys: Vec<String> =
            on_tx!(&mut tx, ATTACHMENTS, |sql, on| query_scalar(sql).bind(list.as_str()).fetch_all(on).await)?;
        on_tx!(&mut tx, REPORTS, |sql, on| query(sql).bind(list.as_str()).execute(on).await.map(drop))?;
        let events = on_tx!(&mut tx, EVENTS, |sql, on| query(sql).bind(list).execute(on).await?.rows_affected());
        tx.commit().await?;
        Ok((events, keys))
    }

    /// Projects whose settings of events have been changed, which are those that may limit what is kept.
    #[tracing::instrument(level = "debug", skip_all, name = "db.event_settings.projects")]
    pub async fn projects_with_event_settings(&self) -> Result<Vec<i64>, DbError> {
        const SQL: Sql = sql!("select project_id from project_event_settings order by project_id");
        Ok(on_db!(read self, SQL, |sql, on| query_scalar(sql).fetch_all(on).await)?)
    }

    /// Issues whose count is not the sum over their hashes, or is less than their stored events.
    #[tracing::instrument(level = "debug", skip_all, name = "db.issues.miscounted")]
    pub async fn miscounted_issues(&self) -> Result<Vec<CountFault>, DbError> {
        const SQL: Sql = sql!(
            "
            select id, event_count, by_hash, stored from (
                select i.id, i.event_count,
                    cast(coalesce((
                        select sum(h.events) from hash_hours h join group_hashes g on g.id = h.hash_id
                        where g.issue_id = i.id
                    ), 0) as bigint) as by_hash,
                    (select count(*) from events e where e.issue_id = i.id) as stored
                from issues i
            ) counted where event_count <> by_hash or by_hash < stored order by id limit 1000
        "
        );
        let rows: Vec<(i64, i64, i64, i64)> = on_db!(read self, SQL, |sql, on| query_as(sql).fetch_all(on).await)?;
        Ok(rows
            .into_iter()
            .map(|(issue_id, event_count, by_hash, stored)| CountFault { issue_id, event_count, by_hash, stored })
            .collect())
    }

    /// Sets the counts of issues to the sums over their hashes. Returns how many were changed.
    #[tracing::instrument(level = "debug", skip_all, name = "db.issues.recount")]
    pub async fn recount_issues(&self, ids: &[i64]) -> Result<u64, DbError> {
        const SQL: Sql = sql!("
            update issues set version = version + 1, event_count = cast(coalesce((
                select sum(h.events) from hash_hours h join group_hashes g on g.id = h.hash_id
                where g.issue_id = issues.id
            ), 0) as bigint) where id " [in_numbers "$1"]);
        Ok(on_db!(write self, SQL, |sql, on| query(sql).bind(json(ids)).execute(on).await?.rows_affected()))
    }

    /// Events whose own hash belongs to another issue than they do.
    #[tracing::instrument(level = "debug", skip_all, name = "db.events.misplaced")]
    pub async fn misplaced_events(&self) -> Result<Vec<i64>, DbError> {
        const SQL: Sql = sql!(
            "
            select e.id from events e join group_hashes g on g.id = e.hash_id
            where g.issue_id is null or g.issue_id <> e.issue_id order by e.id limit 1000
        "
        );
        Ok(on_db!(read self, SQL, |sql, on| query_scalar(sql).fetch_all(on).await)?)
    }
}
