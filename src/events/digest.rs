//! A batch of records becomes rows in one transaction: events, issues, counters, outcomes, and how far the spool is digested.
//!
//! It never loses a record: what fails for a passing cause is tried again as a whole, and what fails for good is kept with the
//! reason.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::Events;
use super::assign::{Fate, Placement, assign, hour};
use super::counting::count_round;
use super::prepare::{Outcome, Prepared};
use super::record::Record;
use super::treatment::Treatment;
use crate::db::{AttachmentRow, DbError, NewOutcome, NewSpooled, ReportRow, UnitOfWork};
use crate::types::SpoolStage;

/// A record with what became of it so far.
#[derive(Debug)]
pub struct Digestible {
    /// The record.
    pub record: Record,
    /// Its bytes in the spool.
    pub bytes: bytes::Bytes,
    /// `None` if there is no event in it.
    pub outcome: Option<Outcome>,
}

/// What ends the records of a batch in their spool.
#[derive(Clone, Copy, Debug)]
pub enum Ends<'a> {
    /// Places in segments: segment, organization, offset behind the last record.
    Disk(&'a [(&'a str, i64, u64)]),
    /// Rows held under a token.
    Rows(&'a [i64], &'a str),
}

/// How often a batch is tried again when others change the same rows.
const ROUNDS: usize = 8;

impl Events {
    /// Prepares records, on the threads for work that blocks.
    pub async fn prepare(&self, records: Vec<(Record, bytes::Bytes)>) -> Result<Vec<Digestible>, DbError> {
        let mut treatments: HashMap<i64, Arc<Treatment>> = HashMap::new();
        for (record, _) in &records {
            if let Entry::Vacant(vacant) = treatments.entry(record.project_id) {
                vacant.insert(self.treatments.of(record.project_id).await?);
            }
        }
        let treatments = Arc::new(treatments);
        let share = records.len().div_ceil(self.threads).max(1);
        let mut records = records.into_iter().peekable();
        let mut running = Vec::new();
        while records.peek().is_some() {
            let part: Vec<_> = records.by_ref().take(share).collect();
            let (treatments, max_event) = (Arc::clone(&treatments), self.settings.max_event);
            running.push(tokio::task::spawn_blocking(move || {
                part.into_iter().map(|(record, bytes)| one(record, bytes, &treatments, max_event)).collect::<Vec<_>>()
            }));
        }
        let mut all = Vec::new();
        for part in running {
            all.extend(part.await.map_err(|_| DbError::Contended("events could not be prepared"))?);
        }
        Ok(all)
    }

    /// Digests records: all of them in one transaction, or those that fail for good apart.
    pub async fn digest(&self, records: &[Digestible], ends: Ends<'_>) -> Result<(), DbError> {
        let mut round = 1;
        loop {
            match self.digest_once(records, ends, None).await {
                Err(error) if is_contended(&error) && round < ROUNDS => round += 1,
                Err(error) if !error.is_transient() && !is_contended(&error) && !error.is_full() => {
                    return self.digest_apart(records, ends, &error).await;
                }
                ended => return ended,
            }
        }
    }

    /// Digests records of which at least one fails for good: finds it, keeps it with the reason, and goes on with the others.
    async fn digest_apart(&self, records: &[Digestible], ends: Ends<'_>, error: &DbError) -> Result<(), DbError> {
        let mut bad = Vec::new();
        for (number, record) in records.iter().enumerate() {
            let mut work = self.db.unit_of_work().await?;
            if let Err(error) = self.write(&mut work, std::slice::from_ref(record), None).await {
                if error.is_transient() {
                    return Err(error);
                }
                bad.push((number, error.to_string()));
            }
            // Dropped: this was a trial.
        }
        if bad.is_empty() {
            return Err(DbError::BadRow { table: "events", reason: error.to_string() });
        }
        for (number, reason) in &bad {
            let record = &records[*number].record;
            tracing::error!(
                project.id = record.project_id,
                event.id = record.event_id,
                reason,
                "an event cannot be digested and is kept aside"
            );
        }
        self.digest_once(records, ends, Some(&bad)).await
    }

    async fn digest_once(
        &self,
        records: &[Digestible],
        ends: Ends<'_>,
        bad: Option<&[(usize, String)]>,
    ) -> Result<(), DbError> {
        let mut work = self.db.unit_of_work().await?;
        self.write(&mut work, records, bad).await?;
        match ends {
            Ends::Disk(places) => work.advance_spool(places).await?,
            Ends::Rows(ids, token) => {
                if !work.end_spooled(ids, token).await? {
                    // Another process has them now, and digests them.
                    return Ok(());
                }
            }
        }
        work.commit().await
    }

    /// Writes everything of the records but how far the spool is digested.
    async fn write(
        &self,
        work: &mut UnitOfWork,
        records: &[Digestible],
        bad: Option<&[(usize, String)]>,
    ) -> Result<(), DbError> {
        let now = self.clock.now();
        let is_bad = |number: usize| bad.is_some_and(|bad| bad.iter().any(|(at, _)| *at == number));
        let mut outcomes: BTreeMap<NewOutcome, i64> = BTreeMap::new();
        let good: Vec<&Digestible> =
            records.iter().enumerate().filter(|(number, _)| !is_bad(*number)).map(|(_, record)| record).collect();
        // Hashes are locked before anything else, in every transaction.
        for round in rounds(good.iter().filter_map(|record| match &record.outcome {
            Some(Outcome::Event(event)) => Some(event.as_ref()),
            _ => None,
        })) {
            digest_round(work, round, now, &mut outcomes).await?;
        }
        for (number, reason) in bad.unwrap_or_default() {
            let Digestible { record, bytes, .. } = &records[*number];
            work.reject((record.project_id, &record.event_id), reason, bytes, now).await?;
            count(&mut outcomes, record, "invalid", now);
        }
        self.write_rest(work, &good, &mut outcomes, now).await?;
        work.count_outcomes(&outcomes.into_iter().collect::<Vec<_>>()).await
    }

    /// Attachments, reports, outcomes and what waits.
    async fn write_rest(
        &self,
        work: &mut UnitOfWork,
        records: &[&Digestible],
        outcomes: &mut BTreeMap<NewOutcome, i64>,
        now: DateTime<Utc>,
    ) -> Result<(), DbError> {
        let (mut attachments, mut waiting) = (Vec::new(), Vec::new());
        let mut reports: HashMap<(i64, &str), ReportRow<'_>> = HashMap::new();
        for Digestible { record, bytes, outcome } in records {
            match outcome {
                Some(Outcome::Waiting) => {
                    waiting.push(NewSpooled {
                        organization_id: record.organization_id,
                        stage: SpoolStage::Symbolication,
                        record: bytes.to_vec(),
                    });
                    // All that came with it is written with it.
                    continue;
                }
                Some(Outcome::Filtered(_)) => count(outcomes, record, "filtered", now),
                Some(Outcome::Invalid(reason)) => {
                    work.reject((record.project_id, &record.event_id), reason, bytes, now).await?;
                    count(outcomes, record, "invalid", now);
                }
                Some(Outcome::Event(_)) | None => {}
            }
            if !matches!(outcome, Some(Outcome::Filtered(_) | Outcome::Invalid(_))) {
                attachments.extend(record.attachments.iter().filter(|file| self.keeps(&file.kind)).map(|file| {
                    AttachmentRow {
                        project_id: record.project_id,
                        event_id: &record.event_id,
                        kind: &file.kind,
                        name: &file.name,
                        content_type: &file.content_type,
                        sha1: &file.sha1,
                        blob: &file.blob,
                        created_at: record.received_at,
                    }
                }));
            }
            if let Some(report) = &record.user_report {
                let row = ReportRow {
                    project_id: record.project_id,
                    event_id: &report.event_id,
                    name: &report.name,
                    email: &report.email,
                    comments: &report.comments,
                    created_at: record.received_at,
                };
                reports.insert((record.project_id, &report.event_id), row);
            }
            for outcome in &record.outcomes {
                let key = NewOutcome {
                    project_id: record.project_id,
                    hour: hour(record.received_at),
                    kind: outcome.kind.clone(),
                    reason: outcome.reason.clone(),
                    category: outcome.category.clone(),
                };
                *outcomes.entry(key).or_default() += outcome.quantity;
            }
        }
        work.insert_attachments(&attachments).await?;
        work.put_user_reports(&reports.into_values().collect::<Vec<_>>()).await?;
        work.insert_spooled(&waiting, now, now).await
    }

    /// Whether an attachment of this type stays.
    fn keeps(&self, kind: &str) -> bool {
        self.settings.keep_dumps || kind != "event.minidump"
    }
}

/// Whether the same work may go well at once because others have changed the same rows.
pub(super) fn is_contended(error: &DbError) -> bool {
    match error {
        DbError::Contended(_) => true,
        DbError::Sqlx(sqlx) => {
            let code = sqlx.as_database_error().and_then(|error| error.code());
            // A key that another process stored first, a deadlock, a serialization failure.
            matches!(code.as_deref(), Some("23505" | "2067" | "1555" | "40001" | "40P01" | "23503" | "787"))
        }
        _ => false,
    }
}

fn one(record: Record, bytes: bytes::Bytes, treatments: &HashMap<i64, Arc<Treatment>>, max_event: u64) -> Digestible {
    let has_event = record.is_event || record.crash.is_some();
    let outcome = has_event.then(|| match treatments.get(&record.project_id) {
        Some(treatment) => {
            // A mistake of ours in one event must not stop the others.
            let prepared = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                super::prepare::prepare(&record, treatment, max_event)
            }));
            prepared.unwrap_or_else(|_| Outcome::Invalid("The event could not be processed.".to_owned()))
        }
        None => Outcome::Invalid("Its project is not there.".to_owned()),
    });
    Digestible { record, bytes, outcome }
}

fn count(outcomes: &mut BTreeMap<NewOutcome, i64>, record: &Record, kind: &str, now: DateTime<Utc>) {
    *outcomes.entry(outcome(record.project_id, kind, now)).or_default() += 1;
}

fn outcome(project_id: i64, kind: &str, now: DateTime<Utc>) -> NewOutcome {
    NewOutcome { project_id, hour: hour(now), kind: kind.to_owned(), reason: String::new(), category: String::new() }
}

/// Events in their order, cut wherever a key comes again.
fn rounds<'a>(events: impl Iterator<Item = &'a Prepared>) -> Vec<Vec<Prepared>> {
    let (mut rounds, mut round, mut keys) = (Vec::new(), Vec::new(), HashSet::new());
    for event in events {
        if !keys.insert(event.key()) {
            rounds.push(std::mem::take(&mut round));
            keys.clear();
            keys.insert(event.key());
        }
        round.push(event.clone());
    }
    if !round.is_empty() {
        rounds.push(round);
    }
    rounds
}

pub(super) async fn digest_round(
    work: &mut UnitOfWork,
    mut events: Vec<Prepared>,
    now: DateTime<Utc>,
    outcomes: &mut BTreeMap<NewOutcome, i64>,
) -> Result<Vec<Placement>, DbError> {
    let assigned = assign(work, &events).await?;
    for (event, placement) in events.iter_mut().zip(&assigned.placements) {
        (event.new.issue_id, event.new.hash_id) = (placement.issue_id, placement.hash_id);
        let kind = match placement.fate {
            Fate::Stored => "stored",
            Fate::Sampled => "sampled",
            Fate::Replaces(_) | Fate::Dropped => "duplicate",
        };
        *outcomes.entry(outcome(event.new.project_id, kind, now)).or_default() += 1;
    }
    let placed: Vec<_> = events.iter().zip(&assigned.placements).collect();
    let of = |fate: fn(&Fate) -> bool| placed.iter().filter(move |(_, placement)| fate(&placement.fate));
    let stored: Vec<_> = of(|fate| *fate == Fate::Stored).map(|(event, _)| &event.new).collect();
    work.insert_events(&stored).await?;
    let replaced: Vec<_> = placed
        .iter()
        .filter_map(|(event, placement)| match placement.fate {
            Fate::Replaces(row) => Some((row, &event.new)),
            _ => None,
        })
        .collect();
    work.replace_events(&replaced).await?;
    let sampled: Vec<_> = of(|fate| *fate == Fate::Sampled).map(|(event, _)| event.key()).collect();
    if work.insert_sampled(&sampled, now).await?.len() != sampled.len() {
        return Err(DbError::Contended("another process counted the same event first"));
    }
    count_round(work, &placed, &assigned, now).await?;
    work.fold_issues(&assigned.folded).await?;
    Ok(assigned.placements)
}
