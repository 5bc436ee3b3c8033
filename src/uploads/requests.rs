//! What a client that wants files assembled is answered, for a whole batch in a constant number of queries.
//!
//! Order of decisions: the debug file in the project, then a remembered state, then missing chunks, then the queue. A
//! file that lacks its symcache leaves the answer to the assembly of its content, if there is one.
//! Nothing here touches the bytes of a chunk.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;

use super::answer::{Answer, Wanted, refused};
use super::known::{ask_files, by_checksum, known_files};
use crate::accounts::{Allowance, QuotaError, Quotas, Room};
use crate::cache::{Remembered, RememberedState, StatusCache};
use crate::clock::Clock;
use crate::db::{Db, DbError, NewAssembly, OwnedChunk};
use crate::types::{Assembly, AssemblyState, Project, Sha1};

/// How long a waiting state is believed without asking its row: another process may have moved it on.
const WAITING_BELIEVED: TimeDelta = TimeDelta::seconds(1);

/// By how much the clocks of several machines may differ.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(1);

/// How often a chunk that is asked for all the time is renewed while it is kept.
const RENEWALS_PER_GRACE: u32 = 24;

/// Chunks that are looked at together. Only a batch with more takes more queries, and none takes memory for all of its chunks
/// at once.
const CHUNKS_AT_ONCE: usize = 1 << 16;

/// The handles that answering needs.
#[derive(Clone, Debug)]
pub struct Requests {
    /// The rows.
    pub db: Db,
    /// How much may be added.
    pub quotas: Quotas,
    /// Remembered states.
    pub status: StatusCache,
    /// The time.
    pub clock: Clock,
    /// Rung when something was queued.
    pub wake: Arc<Notify>,
    /// How long an error is answered before it is tried again.
    pub status_ttl: Duration,
    /// How long a chunk is kept after it was last wanted.
    pub chunk_grace: Duration,
    /// Largest whole file in bytes.
    pub max_file_size: u64,
    /// The converter in use: an error of another one is tried again.
    pub converter_version: String,
}

/// What is known of one file before its chunks are looked at.
enum Memory<'a> {
    /// This is the answer.
    Settled(Answer),
    /// It failed before; whether it is tried again depends on its chunks.
    Failed(&'a Assembly),
    /// Nothing is known.
    Nothing,
}

/// What is to be remembered of a batch once all of it is answered, so that it is written at once.
type Notes = Vec<(Sha1, Remembered)>;

/// The chunks of a batch that are there, and how much may be added.
struct Stock {
    owned: HashMap<Sha1, OwnedChunk>,
    allowance: Allowance,
}

/// A file that is put on the queue: its place in the batch, its size, and the quota that it holds until its row stands.
struct Queued {
    at: usize,
    size: u64,
    _room: Room,
}

impl Requests {
    /// Answers a batch and queues what can be assembled. The answers stand in the order of `wanted`.
    pub async fn answer(&self, project: &Project, wanted: &[Wanted]) -> Result<Vec<Answer>, DbError> {
        let allowance = self.quotas.allowance(project.organization_id);
        let mut answers = Vec::with_capacity(wanted.len());
        for part in parts(wanted) {
            answers.extend(self.answer_part(project, part, &allowance).await?);
        }
        Ok(answers)
    }

    async fn answer_part(
        &self,
        project: &Project,
        wanted: &[Wanted],
        allowance: &Allowance,
    ) -> Result<Vec<Answer>, DbError> {
        let now = self.clock.now();
        let sha1s: Vec<_> = wanted.iter().map(|wish| wish.sha1).collect();
        let known = by_checksum(known_files(&self.db, project.id, &sha1s, &self.converter_version, now).await?);
        let mut answers: Vec<Option<Answer>> = Vec::with_capacity(wanted.len());
        for wish in wanted {
            answers.push(ask_files(wish, known.get(&wish.sha1)));
        }
        let open = |answers: &[Option<Answer>]| -> Vec<usize> {
            answers.iter().enumerate().filter(|(_, answer)| answer.is_none()).map(|(at, _)| at).collect()
        };
        self.ask_cache(project.id, wanted, &mut answers, now).await;
        let unsettled = open(&answers);
        if !unsettled.is_empty() {
            self.ask_rows_and_chunks(project, wanted, &unsettled, &mut answers, allowance).await?;
        }
        Ok(answers.into_iter().map(|answer| answer.expect("every file was given an answer")).collect())
    }

    /// The answers of the status cache, for states that need no look at the chunks.
    async fn ask_cache(&self, project_id: i64, wanted: &[Wanted], answers: &mut [Option<Answer>], now: DateTime<Utc>) {
        let open: Vec<_> = wanted.iter().zip(answers).filter(|(_, answer)| answer.is_none()).collect();
        let sha1s: Vec<_> = open.iter().map(|(wish, _)| wish.sha1).collect();
        let remembered = self.status.get_many(project_id, &sha1s).await;
        for (wish, answer) in open {
            let Some(Remembered { state, since }) = remembered.get(&wish.sha1) else { continue };
            let believed = match state.state {
                // By whatever clock: one that is ahead, or was, must not be believed for longer.
                AssemblyState::Created | AssemblyState::Assembling => (now - since).abs() < WAITING_BELIEVED,
                AssemblyState::Error => wish.chunks.is_empty(),
            };
            *answer = believed.then(|| Answer::State(state.clone()));
        }
    }

    /// The answers of assembly rows and chunks, in one query each, and the queue for what is left.
    async fn ask_rows_and_chunks(
        &self,
        project: &Project,
        wanted: &[Wanted],
        unsettled: &[usize],
        answers: &mut [Option<Answer>],
        allowance: &Allowance,
    ) -> Result<(), DbError> {
        let now = self.clock.now();
        let sha1s: Vec<_> = unsettled.iter().map(|at| wanted[*at].sha1).collect();
        let rows: HashMap<_, _> =
            self.db.assemblies(project.id, &sha1s).await?.into_iter().map(|row| (row.sha1, row)).collect();
        // Asked again, because a row that is gone by now may have become a file since the first look.
        let gone: Vec<_> = sha1s.into_iter().filter(|sha1| !rows.contains_key(sha1)).collect();
        let known = by_checksum(known_files(&self.db, project.id, &gone, &self.converter_version, now).await?);
        let mut undecided = Vec::new();
        let mut notes = Vec::new();
        for &at in unsettled {
            answers[at] = ask_files(&wanted[at], known.get(&wanted[at].sha1));
            if answers[at].is_some() {
                continue;
            }
            match self.ask_row(&wanted[at], rows.get(&wanted[at].sha1), now, &mut notes) {
                Memory::Settled(answer) => answers[at] = Some(answer),
                Memory::Failed(row) => undecided.push((at, Some(row))),
                Memory::Nothing => undecided.push((at, None)),
            }
        }
        let chunks = once(undecided.iter().flat_map(|(at, _)| &wanted[*at].chunks));
        let owned = if chunks.is_empty() {
            HashMap::new()
        } else {
            self.keep_wanted(self.db.owned_chunks(project.organization_id, &chunks).await?, now).await?
        };
        let stock = Stock { owned, allowance: allowance.clone() };
        let mut queue = Vec::new();
        for (at, failed_row) in undecided {
            let error = match failed_row {
                Some(row) => self.standing_error(row, &wanted[at], &stock.owned, now, &mut notes).await,
                None => None,
            };
            let (answer, room) = self.decide(project, &wanted[at], error, &stock).await?;
            answers[at] = Some(answer);
            queue.extend(room.map(|room| Queued { at, size: size_of(&wanted[at], &stock.owned), _room: room }));
        }
        self.status.set_many(project.id, notes).await;
        self.queue(project, wanted, queue, now).await
    }

    /// The answer of chunks and quotas for a file that nothing else is known of but an `error` that stands; with the quota
    /// that is taken if it is to be queued.
    async fn decide(
        &self,
        project: &Project,
        wish: &Wanted,
        error: Option<Answer>,
        stock: &Stock,
    ) -> Result<(Answer, Option<Room>), DbError> {
        let missing = missing_chunks(wish, &stock.owned);
        let size = size_of(wish, &stock.owned);
        // No chunk is empty.
        let least = size.saturating_add(missing.len() as u64);
        if least > self.max_file_size {
            let (name, most) = (&wish.name, self.max_file_size);
            return Ok((refused(&format!("File {name} exceeds maximum size ({least} > {most})")), None));
        }
        if !missing.is_empty() {
            let room = no_room(&stock.allowance, project, size).await?;
            return Ok((room.unwrap_or(Answer::NotFound(missing)), None));
        }
        if let Some(error) = error {
            return Ok((error, None));
        }
        match stock.allowance.files(project.id, 1, size).await {
            Err(QuotaError::Over(sentence)) => Ok((refused(&sentence), None)),
            Err(QuotaError::Db(error)) => Err(error),
            Ok(room) => Ok((Answer::Queued, Some(room))),
        }
    }

    /// Renews what is asked for, at most a few times per grace. A chunk that was removed just now is not there.
    async fn keep_wanted(
        &self,
        mut owned: HashMap<Sha1, OwnedChunk>,
        now: DateTime<Utc>,
    ) -> Result<HashMap<Sha1, OwnedChunk>, DbError> {
        let debounce = TimeDelta::from_std(self.chunk_grace / RENEWALS_PER_GRACE).unwrap_or(TimeDelta::MAX);
        let old = |chunk: &OwnedChunk| now - chunk.wanted_at >= debounce;
        let ids: Vec<_> = owned.values().filter(|chunk| old(chunk)).map(|chunk| chunk.chunk.id).collect();
        if !ids.is_empty() {
            let there = self.db.renew_chunks(&ids, now).await?;
            owned.retain(|_, chunk| !old(chunk) || there.contains(&chunk.chunk.id));
        }
        Ok(owned)
    }

    /// What the row of an assembly says.
    fn ask_row<'a>(
        &self,
        wish: &Wanted,
        row: Option<&'a Assembly>,
        now: DateTime<Utc>,
        notes: &mut Notes,
    ) -> Memory<'a> {
        match row {
            Some(row) if row.state == AssemblyState::Error => match wish.chunks.is_empty() {
                true => Memory::Settled(self.remember_error(row, notes)),
                false => Memory::Failed(row),
            },
            Some(row) => {
                let state = RememberedState { state: row.state, detail: None };
                notes.push((row.sha1, Remembered { state: state.clone(), since: now }));
                Memory::Settled(Answer::State(state))
            }
            None if wish.chunks.is_empty() && wish.sha1 == Sha1::of(b"") => {
                Memory::Settled(refused("The file is empty: there is nothing to assemble."))
            }
            None if wish.chunks.is_empty() => Memory::Settled(Answer::NotFound(Vec::new())),
            None => Memory::Nothing,
        }
    }

    /// The error that still stands for a wish whose file failed, or `None` if its cause can have gone: its time is over,
    /// another converter is in use, a chunk was stored again, or something else is asked for.
    async fn standing_error(
        &self,
        row: &Assembly,
        wish: &Wanted,
        owned: &HashMap<Sha1, OwnedChunk>,
        now: DateTime<Utc>,
        notes: &mut Notes,
    ) -> Option<Answer> {
        let ttl = TimeDelta::from_std(self.status_ttl).unwrap_or(TimeDelta::MAX);
        // A chunk of tomorrow was stored by a clock that was ahead, and not after everything that happens until then.
        let stored_after =
            |chunk: &OwnedChunk, since| chunk.stored_at > since && chunk.stored_at <= now + CLOCKS_DIFFER;
        let stands = |since: DateTime<Utc>| {
            (now - since).abs() < ttl
                && !wish.chunks.iter().filter_map(|sha1| owned.get(sha1)).any(|chunk| stored_after(chunk, since))
        };
        if row.converter_version.as_deref() != Some(&self.converter_version) {
            return None;
        }
        let error = self.remember_error(row, notes);
        if row.name == wish.name && row.debug_id == wish.debug_id && row.chunks == wish.chunks {
            return stands(row.updated_at).then_some(error);
        }
        // Another wish for the same content failed last. If this one failed before, the two would chase each other.
        let remembered = self.status.get(row.project_id, wish_key(&wish.name, wish.debug_id.as_deref(), &wish.chunks));
        remembered.await.filter(|remembered| stands(remembered.since)).map(|remembered| Answer::State(remembered.state))
    }

    /// Answers a lasting error and remembers it for the rest of its time: of the content, and of exactly this wish.
    fn remember_error(&self, row: &Assembly, notes: &mut Notes) -> Answer {
        let state = RememberedState { state: AssemblyState::Error, detail: row.detail.clone() };
        let remembered = Remembered { state: state.clone(), since: row.updated_at };
        if row.converter_version.as_deref() == Some(&self.converter_version) {
            let wish = wish_key(&row.name, row.debug_id.as_deref(), &row.chunks);
            notes.push((wish, remembered.clone()));
        }
        notes.push((row.sha1, remembered));
        Answer::State(state)
    }

    /// Puts files on the queue and wakes a worker. A file that somebody else queued meanwhile is queued once.
    async fn queue(
        &self,
        project: &Project,
        wanted: &[Wanted],
        queue: Vec<Queued>,
        now: DateTime<Utc>,
    ) -> Result<(), DbError> {
        if queue.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = queue
            .iter()
            .map(|queued| (&wanted[queued.at], queued.size))
            .map(|(wish, size)| NewAssembly {
                project_id: project.id,
                organization_id: project.organization_id,
                sha1: wish.sha1,
                name: wish.name.clone(),
                debug_id: wish.debug_id.clone(),
                chunks: wish.chunks.clone(),
                size,
            })
            .collect();
        // Remembered before the rows are written: a fast worker's later word must not be overwritten by this one.
        let created = RememberedState { state: AssemblyState::Created, detail: None };
        let created = Remembered { state: created, since: now };
        let states = rows.iter().map(|row| (row.sha1, created.clone())).collect();
        self.status.set_many(project.id, states).await;
        self.db.queue_assemblies(&rows, now).await?;
        // From here on the rows count.
        drop(queue);
        self.wake.notify_one();
        Ok(())
    }
}

/// The batch in parts of few enough chunks: one part, unless it is a very large one.
fn parts(wanted: &[Wanted]) -> impl Iterator<Item = &[Wanted]> {
    let mut rest = wanted;
    let mut is_first = true;
    std::iter::from_fn(move || {
        if rest.is_empty() && !is_first {
            return None;
        }
        is_first = false;
        let mut chunks = 0;
        let fits = |wish: &&Wanted| {
            chunks += wish.chunks.len();
            chunks <= CHUNKS_AT_ONCE
        };
        let length = rest.iter().take_while(fits).count().max(1).min(rest.len());
        let (part, further) = rest.split_at(length);
        rest = further;
        Some(part)
    })
}

/// Each checksum once.
fn once<'a>(sha1s: impl Iterator<Item = &'a Sha1>) -> Vec<Sha1> {
    let mut once: Vec<_> = sha1s.copied().collect();
    once.sort_unstable();
    once.dedup();
    once
}

/// The chunks of a file that the organization does not have, each once, in order.
fn missing_chunks(wish: &Wanted, owned: &HashMap<Sha1, OwnedChunk>) -> Vec<Sha1> {
    let mut seen = HashSet::new();
    wish.chunks.iter().filter(|sha1| !owned.contains_key(sha1) && seen.insert(**sha1)).copied().collect()
}

/// Bytes of those chunks of a file that the organization has, with repeats.
fn size_of(wish: &Wanted, owned: &HashMap<Sha1, OwnedChunk>) -> u64 {
    let sizes = wish.chunks.iter().filter_map(|sha1| owned.get(sha1)).map(|chunk| chunk.chunk.blob.size);
    sizes.fold(0, u64::saturating_add).min(i64::MAX.unsigned_abs())
}

/// The error of a file whose chunks need not be sent, because there is no room for them.
async fn no_room(allowance: &Allowance, project: &Project, known_size: u64) -> Result<Option<Answer>, DbError> {
    let room = match allowance.may_add(project.id, 1, known_size.saturating_add(1)).await {
        Ok(()) => allowance.may_send().await,
        refused => refused,
    };
    match room {
        Ok(()) => Ok(None),
        Err(QuotaError::Over(sentence)) => Ok(Some(refused(&sentence))),
        Err(QuotaError::Db(error)) => Err(error),
    }
}

/// What exactly is asked for, as a key for the status cache.
fn wish_key(name: &str, debug_id: Option<&str>, chunks: &[Sha1]) -> Sha1 {
    let mut text = format!("{debug_id:?} {name:?}");
    for chunk in chunks {
        text.push_str(&chunk.to_string());
    }
    Sha1::of(text.as_bytes())
}
