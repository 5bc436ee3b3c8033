//! What a round of events adds to the counts of hashes, issues, tags and users, summed up before it is written.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::assign::{Assigned, Fate, Placement, hour};
use super::prepare::Prepared;
use crate::db::{DbError, HashHours, HashSeen, IssueCount, LatestEvent, TagCount, UnitOfWork};

/// Everything that is counted of a round.
pub async fn count_round(
    work: &mut UnitOfWork,
    placed: &[(&Prepared, &Placement)],
    assigned: &Assigned,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let mut hours: BTreeMap<(i64, i64), i64> = BTreeMap::new();
    let mut seen: BTreeMap<i64, HashSeen> = BTreeMap::new();
    let mut issues: BTreeMap<i64, IssueCount> = BTreeMap::new();
    let mut tags: BTreeMap<(i64, &str, &str), (i64, DateTime<Utc>)> = BTreeMap::new();
    let mut users: BTreeSet<(i64, &str)> = BTreeSet::new();
    for (event, placement) in placed {
        let (new, is_counted) = (&event.new, matches!(placement.fate, Fate::Stored | Fate::Sampled));
        if let Some((issue, hash, at)) = placement.before {
            *hours.entry((hash, at)).or_default() -= 1;
            issue_count(&mut issues, issue).events -= 1;
        }
        if !is_counted && placement.before.is_none() {
            continue;
        }
        *hours.entry((placement.hash_id, hour(new.received_at))).or_default() += 1;
        see(&mut seen, placement.hash_id, new.happened_at, new.received_at);
        let count = issue_count(&mut issues, placement.issue_id);
        count.events += 1;
        let (at, received) = (new.happened_at, new.received_at);
        let (first, last, newest) = count.seen.unwrap_or((at, at, received));
        count.seen = Some((first.min(at), last.max(at), newest.max(received)));
        for (key, value) in &event.tags {
            let (events, last_seen) = tags.entry((placement.issue_id, key, value)).or_insert((0, at));
            *events += 1;
            *last_seen = (*last_seen).max(at);
        }
        users.extend(event.user_key.as_deref().map(|user| (placement.issue_id, user)));
    }
    let hours: Vec<_> =
        hours.into_iter().map(|((hash_id, hour), events)| HashHours { hash_id, hour, events }).collect();
    work.count_hashes(&hours, &seen.into_values().collect::<Vec<_>>()).await?;
    work.count_issues(&issues.into_values().collect::<Vec<_>>()).await?;
    let tags: Vec<_> = tags
        .into_iter()
        .map(|((issue_id, key, value), (events, last_seen))| TagCount { issue_id, key, value, events, last_seen })
        .collect();
    work.count_tags(&tags).await?;
    work.count_users(&users.into_iter().collect::<Vec<_>>()).await?;
    work.set_latest(&latest(placed, assigned, now)).await
}

fn issue_count(issues: &mut BTreeMap<i64, IssueCount>, issue_id: i64) -> &mut IssueCount {
    issues.entry(issue_id).or_insert(IssueCount { issue_id, events: 0, seen: None })
}

fn see(seen: &mut BTreeMap<i64, HashSeen>, hash_id: i64, at: DateTime<Utc>, received: DateTime<Utc>) {
    let seen = seen.entry(hash_id).or_insert(HashSeen {
        hash_id,
        first_at: at,
        last_at: at,
        first_received_at: received,
        last_received_at: received,
    });
    seen.first_at = seen.first_at.min(at);
    seen.last_at = seen.last_at.max(at);
    seen.first_received_at = seen.first_received_at.min(received);
    seen.last_received_at = seen.last_received_at.max(received);
}

/// For each relevant hash the last event of the round that is stored.
fn latest<'a>(
    placed: &[(&'a Prepared, &Placement)],
    assigned: &Assigned,
    processed_at: DateTime<Utc>,
) -> Vec<LatestEvent<'a>> {
    let mut latest: BTreeMap<i64, LatestEvent<'a>> = BTreeMap::new();
    for ((event, placement), relevant) in placed.iter().zip(&assigned.relevant) {
        if !matches!(placement.fate, Fate::Stored | Fate::Replaces(_)) {
            continue;
        }
        for hash_id in relevant {
            let (project_id, event_id) = (event.new.project_id, event.new.event_id.as_str());
            latest.insert(*hash_id, LatestEvent { project_id, hash_id: *hash_id, event_id, processed_at });
        }
    }
    latest.into_values().collect()
}
