//! Counts of events by hash, issue, tag and user, within a unit of work. Every one is an addition in a statement; none is read,
//! changed and written back.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::query;

use super::UnitOfWork;
use crate::db::DbError;
use crate::db::rows::{json, time};
use crate::db::sql::{Sql, on_tx, sql};

/// Events under a hash in an hour, more or fewer than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashHours {
    /// Row id of the hash.
    pub hash_id: i64,
    /// Hour of receipt since 1970.
    pub hour: i64,
    /// How many more.
    pub events: i64,
}

/// When events of a hash happened and were received: the first and the last of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashSeen {
    /// Row id of the hash.
    pub hash_id: i64,
    /// When the first happened.
    pub first_at: DateTime<Utc>,
    /// When the last happened.
    pub last_at: DateTime<Utc>,
    /// When the first was received.
    pub first_received_at: DateTime<Utc>,
    /// When the last was received.
    pub last_received_at: DateTime<Utc>,
}

/// Events of an issue, more or fewer than before, and when they happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IssueCount {
    /// Row id of the issue.
    pub issue_id: i64,
    /// How many more.
    pub events: i64,
    /// When the first and the last of the batch happened, and when the last was received, if there are any.
    pub seen: Option<(DateTime<Utc>, DateTime<Utc>, DateTime<Utc>)>,
}

/// The event that was last processed under a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatestEvent<'a> {
    /// In which project.
    pub project_id: i64,
    /// Row id of the hash.
    pub hash_id: i64,
    /// The event.
    pub event_id: &'a str,
    /// When it was processed.
    pub processed_at: DateTime<Utc>,
}

/// Events of an issue with a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagCount<'a> {
    /// Row id of the issue.
    pub issue_id: i64,
    /// Name of the tag.
    pub key: &'a str,
    /// Its value.
    pub value: &'a str,
    /// How many more.
    pub events: i64,
    /// When the last happened.
    pub last_seen: DateTime<Utc>,
}

/// Where the row of a hash is in the table of latest events.
pub(super) fn bucket(hash_id: i64) -> i64 {
    hash_id.rem_euclid(16)
}

impl UnitOfWork {
    /// Adds to the counts of hashes, each hour of each once.
    #[tracing::instrument(level = "debug", skip_all, name = "db.hash_hours.add")]
    pub async fn count_hashes(&mut self, counts: &[HashHours], seen: &[HashSeen]) -> Result<(), DbError> {
        const HOURS: Sql = sql!("
            insert into hash_hours (hash_id, hour, events)
            select cast(value ->> 0 as bigint), cast(value ->> 1 as bigint), cast(value ->> 2 as bigint)
            from " [rows "$1"] " where true
            on conflict (hash_id, hour) do update set events = hash_hours.events + excluded.events
        ");
        const SEEN: Sql = sql!("
            update group_hashes set
                first_at = case when first_at < " [time "item.value ->> 1"] " then first_at
                    else " [time "item.value ->> 1"] " end,
                last_at = case when last_at > " [time "item.value ->> 2"] " then last_at
                    else " [time "item.value ->> 2"] " end,
                first_received_at = case when first_received_at < " [time "item.value ->> 3"] " then first_received_at
                    else " [time "item.value ->> 3"] " end,
                last_received_at = case when last_received_at > " [time "item.value ->> 4"] " then last_received_at
                    else " [time "item.value ->> 4"] " end
            from " [rows "$1"] " as item where group_hashes.id = cast(item.value ->> 0 as bigint)
        ");
        if !counts.is_empty() {
            let list: Vec<_> = counts.iter().map(|count| (count.hash_id, count.hour, count.events)).collect();
            on_tx!(&mut self.tx, HOURS, |sql, on| query(sql).bind(json(&list)).execute(on).await.map(drop))?;
        }
        if !seen.is_empty() {
            let list: Vec<_> = seen
                .iter()
                .map(|seen| {
                    let times = [seen.first_at, seen.last_at, seen.first_received_at, seen.last_received_at].map(time);
                    json!([seen.hash_id, times[0], times[1], times[2], times[3]])
                })
                .collect();
            on_tx!(&mut self.tx, SEEN, |sql, on| query(sql).bind(json(&list)).execute(on).await.map(drop))?;
        }
        Ok(())
    }

    /// Adds to the counts of issues, each once.
    #[tracing::instrument(level = "debug", skip_all, name = "db.issues.count")]
    pub async fn count_issues(&mut self, counts: &[IssueCount]) -> Result<(), DbError> {
        const SQL: Sql = sql!("
            update issues set event_count = event_count + cast(item.value ->> 1 as bigint), version = version + 1,
                first_seen = case when item.value ->> 2 is null or first_seen < " [time "item.value ->> 2"] "
                    then first_seen else " [time "item.value ->> 2"] " end,
                last_seen = case when item.value ->> 3 is null or last_seen > " [time "item.value ->> 3"] "
                    then last_seen else " [time "item.value ->> 3"] " end,
                last_received_at = case
                    when item.value ->> 4 is null or last_received_at > " [time "item.value ->> 4"] "
                    then last_received_at else " [time "item.value ->> 4"] " end
            from " [rows "$1"] " as item where issues.id = cast(item.value ->> 0 as bigint)
        ");
        if counts.is_empty() {
            return Ok(());
        }
        let list: Vec<_> = counts
            .iter()
            .map(|count| {
                let seen = count.seen.map(|(first, last, received)| [first, last, received].map(time));
                let [first, last, received] = seen.map_or([None, None, None], |seen| seen.map(Some));
                json!([count.issue_id, count.events, first, last, received])
            })
            .collect();
        on_tx!(&mut self.tx, SQL, |sql, on| query(sql).bind(json(&list)).execute(on).await.map(drop))?;
        Ok(())
    }

    /// Notes which event was last processed under each hash; an older one changes nothing.
    #[tracing::instrument(level = "debug", skip_all, name = "db.hash_latest.set")]
    pub async fn set_latest(&mut self, latest: &[LatestEvent<'_>]) -> Result<(), DbError> {
        const SQL: Sql = sql!("
            insert into hash_latest (project_id, bucket, hash_id, event_id, processed_at)
            select cast(value ->> 0 as bigint), cast(value ->> 1 as bigint), cast(value ->> 2 as bigint),
                value ->> 3, " [time "value ->> 4"] " from " [rows "$1"] " where true
            on conflict (project_id, bucket, hash_id) do update
                set event_id = excluded.event_id, processed_at = excluded.processed_at
                where excluded.processed_at >= hash_latest.processed_at
        ");
        if latest.is_empty() {
            return Ok(());
        }
        let list: Vec<_> = latest
            .iter()
            .map(|latest| {
                let at = time(latest.processed_at);
                (latest.project_id, bucket(latest.hash_id), latest.hash_id, latest.event_id, at)
            })
            .collect();
        on_tx!(&mut self.tx, SQL, |sql, on| query(sql).bind(json(&list)).execute(on).await.map(drop))?;
        Ok(())
    }

    /// Adds to the counts of tags, each value of each key of an issue once. Behind 500 values of a key the rest is `other`.
    #[tracing::instrument(level = "debug", skip_all, name = "db.issue_tags.add")]
    pub async fn count_tags(&mut self, counts: &[TagCount<'_>]) -> Result<(), DbError> {
        const SQL: Sql = sql!("
            insert into issue_tags (issue_id, key, value, events, last_seen)
            select issue_id, key, named, sum(events), max(last_seen) from (
                select w.issue_id, w.key, w.events, w.last_seen, case
                    when exists (
                        select 1 from issue_tags t
                        where t.issue_id = w.issue_id and t.key = w.key and t.value = w.value
                    ) then w.value
                    when (
                        select count(*) from (
                            select 1 from issue_tags t where t.issue_id = w.issue_id and t.key = w.key limit 500
                        ) known
                    ) < 500 then w.value else 'other' end as named
                from (
                    select cast(value ->> 0 as bigint) as issue_id, value ->> 1 as key, value ->> 2 as value,
                        cast(value ->> 3 as bigint) as events, " [time "value ->> 4"] " as last_seen
                    from " [rows "$1"] "
                ) w
            ) n where true group by issue_id, key, named
            on conflict (issue_id, key, value) do update set events = issue_tags.events + excluded.events,
                last_seen = case when issue_tags.last_seen > excluded.last_seen then issue_tags.last_seen
                    else excluded.last_seen end
        ");
        if counts.is_empty() {
            return Ok(());
        }
        let list: Vec<_> = counts
            .iter()
            .map(|count| (count.issue_id, count.key, count.value, count.events, time(count.last_seen)))
            .collect();
        on_tx!(&mut self.tx, SQL, |sql, on| query(sql).bind(json(&list)).execute(on).await.map(drop))?;
        Ok(())
    }

    /// Notes users of issues.
    #[tracing::instrument(level = "debug", skip_all, name = "db.issue_users.add")]
    pub async fn count_users(&mut self, users: &[(i64, &str)]) -> Result<(), DbError> {
        const SQL: Sql = sql!("
            insert into issue_users (issue_id, user_key)
            select cast(value ->> 0 as bigint), value ->> 1 from " [rows "$1"] " where true on conflict do nothing
        ");
        if !users.is_empty() {
            on_tx!(&mut self.tx, SQL, |sql, on| query(sql).bind(json(users)).execute(on).await.map(drop))?;
        }
        Ok(())
    }
}
