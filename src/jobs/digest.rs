//! Digests accepted events: those of the spool on this machine's disk, rows of a spool in the database, and native ones that wait
//! for names. What an event becomes is decided in `events`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::config::SpoolKind;
use crate::db::{DbError, SpooledRow};
use crate::events::digest::{Digestible, Ends};
use crate::events::spool::{DiskReader, Taken};
use crate::events::{Record, Spool};
use crate::types::SpoolStage;

/// How long to wait for a wake-up before looking anyway.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// The longest wait after a failure.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(5);
/// Native events whose frames are named at a time.
const NAMED_AT_ONCE: i64 = 4;

/// Digests the spool on disk until told to stop. Another process on the same data folder may be the one that does.
pub async fn disk(app: App, stop: CancellationToken) {
    if app.config.events.spool != SpoolKind::Disk {
        return;
    }
    let folder = Spool::folder(&app.config);
    let mut reader = None;
    let mut back_off = Duration::ZERO;
    while !stop.is_cancelled() {
        if reader.is_none() {
            match DiskReader::open(&folder) {
                Ok(opened) => reader = opened,
                Err(error) => tracing::error!(%error, "the spool of events cannot be read"),
            }
        }
        let Some(taken) = reader.take() else {
            pause(&app, &stop, LOOK_AGAIN).await;
            continue;
        };
        let (kept, digested) = step(&app, taken).await;
        reader = kept;
        match digested {
            Ok(0) => {
                back_off = Duration::ZERO;
                pause(&app, &stop, LOOK_AGAIN).await;
            }
            Ok(_) => back_off = Duration::ZERO,
            Err(error) => {
                back_off = (back_off * 2).clamp(Duration::from_millis(100), LONGEST_BACK_OFF);
                tracing::warn!(%error, wait = ?back_off, "events cannot be digested now; they wait in the spool");
                tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(back_off) => {} }
            }
        }
    }
}

/// Waits for new records, for a while.
async fn pause(app: &App, stop: &CancellationToken, longest: Duration) {
    let appended = async {
        match app.events.spool() {
            Spool::Disk(writer) => writer.appended().notified().await,
            Spool::Rows(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = appended => {}
        () = tokio::time::sleep(longest) => {}
    }
}

/// Why a step failed.
type Failed = Box<dyn std::error::Error + Send + Sync>;

/// One batch. Returns the reader, and how many records were digested.
async fn step(app: &App, mut reader: DiskReader) -> (Option<DiskReader>, Result<usize, Failed>) {
    let (most, bytes) = (app.config.events.batch_events, app.config.events.batch_bytes);
    let known = match new_segments(app, &reader).await {
        Ok(known) => known,
        Err(error) => return (Some(reader), Err(error)),
    };
    let taken = tokio::task::spawn_blocking(move || {
        let looked = reader.look(&known);
        let taken = looked.and_then(|()| reader.take(most, bytes));
        (reader, taken)
    });
    let (mut reader, taken) = match taken.await {
        Ok((reader, Ok(taken))) => (reader, taken),
        Ok((reader, Err(error))) => return (Some(reader), Err(error.into())),
        Err(panic) => return (None, Err(panic.into())),
    };
    if taken.is_empty() {
        return (Some(reader), Ok(0));
    }
    if let Err(error) = digest(app, &taken).await {
        reader.put_back(&taken);
        return (Some(reader), Err(error.into()));
    }
    let done = reader.digested(&taken);
    let forgotten = match done {
        Ok(done) => app.db.forget_segments(&done).await.map_err(Failed::from),
        Err(error) => Err(error.into()),
    };
    let count = taken.len();
    (Some(reader), forgotten.map(|()| count))
}

/// How far segments that the reader does not know yet are digested.
async fn new_segments(app: &App, reader: &DiskReader) -> Result<HashMap<String, HashMap<i64, u64>>, Failed> {
    let mut known = HashMap::new();
    for name in reader.unknown()? {
        let progress = app.db.spool_progress(&name).await?;
        known.insert(name, progress);
    }
    Ok(known)
}

async fn digest(app: &App, taken: &[Taken]) -> Result<(), DbError> {
    let records = decoded(taken.iter().map(|taken| taken.record.clone()));
    let mut ends: BTreeMap<(&str, i64), u64> = BTreeMap::new();
    for taken in taken {
        ends.insert((&taken.segment, taken.organization_id), taken.end);
    }
    let ends: Vec<_> = ends.into_iter().map(|((segment, id), end)| (segment, id, end)).collect();
    app.events.note_oldest(records.iter().map(|(record, _)| record.received_at).min());
    let records = app.events.prepare(records).await?;
    app.events.digest(&records, Ends::Disk(&ends)).await?;
    app.events.note_oldest(None);
    Ok(())
}

/// The records that can be read. Their checksum held, so one that cannot is of a version that wrote others.
fn decoded(records: impl Iterator<Item = Bytes>) -> Vec<(Record, Bytes)> {
    records
        .filter_map(|bytes| match Record::decode(&bytes) {
            Ok(record) => Some((record, bytes)),
            Err(error) => {
                tracing::error!(%error, "an accepted record is passed over");
                None
            }
        })
        .collect()
}

/// Digests rows of the spool in the database until told to stop.
pub async fn rows(app: App, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let limit = i64::try_from(app.config.events.batch_events).unwrap_or(256);
        match claimed(&app, SpoolStage::New, limit).await {
            Ok(None) => look_again(&app, &stop).await,
            Ok(Some((rows, token))) => {
                let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
                let digested = async {
                    let records = decoded(rows.into_iter().map(|row| Bytes::from(row.record)));
                    let records = app.events.prepare(records).await?;
                    app.events.digest(&records, Ends::Rows(&ids, &token)).await
                };
                if let Err(error) = digested.await {
                    give_back(&app, &stop, &ids, &token, &error).await;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "events cannot be taken from the database");
                look_again(&app, &stop).await;
            }
        }
    }
}

/// Names the frames of native events that wait, a few at a time, and digests them, until told to stop.
pub async fn waiting(app: App, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match claimed(&app, SpoolStage::Symbolication, NAMED_AT_ONCE).await {
            Ok(None) => look_again(&app, &stop).await,
            Ok(Some((rows, token))) => {
                let each = rows.into_iter().map(|row| name_and_digest(&app, &stop, row, &token));
                futures_util::future::join_all(each).await;
            }
            Err(error) => {
                tracing::warn!(%error, "events that wait for names cannot be taken from the database");
                look_again(&app, &stop).await;
            }
        }
    }
}

async fn name_and_digest(app: &App, stop: &CancellationToken, row: SpooledRow, token: &str) {
    let ids = [row.id];
    let digested = async {
        let Some((record, bytes)) = decoded(std::iter::once(Bytes::from(row.record))).pop() else {
            return app.events.digest(&[], Ends::Rows(&ids, token)).await;
        };
        let treatment = app.events.treatments.of(record.project_id).await?;
        let outcome = app.events.symbolicated(&record, &treatment).await?;
        app.events.digest(&[Digestible { record, bytes, outcome: Some(outcome) }], Ends::Rows(&ids, token)).await
    };
    if let Err(error) = digested.await {
        give_back(app, stop, &ids, token, &error).await;
    }
}

/// Takes due rows for longer than naming and digesting them takes.
async fn claimed(app: &App, stage: SpoolStage, limit: i64) -> Result<Option<(Vec<SpooledRow>, String)>, DbError> {
    let token = app.clock.fresh_id().to_string();
    let now = app.clock.now();
    let wait = match stage {
        SpoolStage::New => Duration::from_secs(60),
        SpoolStage::Symbolication => app.config.events.symbolication_wait + Duration::from_secs(60),
    };
    let until = now + TimeDelta::from_std(wait).unwrap_or(TimeDelta::minutes(2));
    let rows = app.db.claim_spooled(stage, &token, limit, until, now).await?;
    Ok((!rows.is_empty()).then_some((rows, token)))
}

async fn give_back(app: &App, stop: &CancellationToken, ids: &[i64], token: &str, error: &DbError) {
    tracing::warn!(%error, "events cannot be digested now; they wait");
    let due = app.clock.now() + TimeDelta::seconds(1);
    if let Err(error) = app.db.release_spooled(ids, token, due).await {
        tracing::warn!(%error, "events could not be given back; they are taken again when their lease ends");
    }
    look_again(app, stop).await;
}

async fn look_again(app: &App, stop: &CancellationToken) {
    let wake = Arc::clone(&app.events.wake);
    tokio::select! {
        () = stop.cancelled() => {}
        () = wake.notified() => {}
        () = tokio::time::sleep(LOOK_AGAIN) => {}
    }
}
