//! To which issue events belong: the one place where a hash gets an issue, within a unit of work that holds its lock.
//!
//! It never looks into an event, only at its hashes, and it reads nothing that is not locked.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::prepare::Prepared;
use super::sampling;
use crate::db::{DbError, EventRow, HashRow, NewIssue, UnitOfWork};
use crate::types::{Duplicates, EventSampling};

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is stored and counted.
    Stored,
    /// It is counted and not stored.
    Sampled,
    /// It takes the place of the one of its key.
    Replaces(i64),
    /// One of its key is there and stays.
    Dropped,
}

/// Where an event came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// What became of it.
    pub fate: Fate,
    /// Its issue.
    pub issue_id: i64,
    /// The hash under which it is counted.
    pub hash_id: i64,
    /// Whether it opened the issue.
    pub is_new: bool,
    /// Issue, hash and hour of receipt where it was counted before.
    pub before: Option<(i64, i64, i64)>,
}

/// The places of a batch, and what has to be known to count it.
#[derive(Debug, Default)]
pub struct Assigned {
    /// One for each event, in order.
    pub placements: Vec<Placement>,
    /// For each event the row ids of its hashes that belong to its issue.
    pub relevant: Vec<Vec<i64>>,
    /// Issues that have no counted event left: each with the one to which the last went.
    pub folded: Vec<(i64, i64)>,
}

/// An issue that is there, or one that is made in this unit of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Target {
    Stored(i64),
    New(usize),
}

/// The project of a hash and its text.
type HashKey<'a> = (i64, &'a str);

/// The hour of a time, counted from 1970.
pub fn hour(at: DateTime<Utc>) -> i64 {
    at.timestamp().div_euclid(3600)
}

/// Decides for events of which no two have the same key.
pub async fn assign(work: &mut UnitOfWork, events: &[Prepared]) -> Result<Assigned, DbError> {
    let hashes: BTreeSet<(i64, String)> = events
        .iter()
        .flat_map(|event| event.all_hashes().map(|hash| (event.new.project_id, hash.to_owned())))
        .collect();
    let hashes: Vec<_> = hashes.into_iter().collect();
    let rows = work.lock_hashes(&hashes).await?;
    if rows.len() != hashes.len() {
        return Err(DbError::Contended("hashes of events were removed meanwhile"));
    }
    let keys: Vec<_> = events.iter().map(Prepared::key).collect();
    let existing = work.lock_events(&keys).await?;
    let sampled = work.sampled(&keys).await?;
    let mut round = Round::new(&rows, &existing, &sampled);
    let choices: Vec<Choice> = events.iter().map(|event| round.choose(event)).collect();
    let issue_ids = round.open_issues(work, events).await?;
    round.finish(work, events, &choices, &issue_ids).await
}

/// What was decided of an event before new issues have ids.
#[derive(Clone, Copy, Debug)]
struct Choice {
    target: Target,
    hash_id: i64,
    is_new: bool,
    existing: Option<(i64, i64, i64, i64)>,
    is_dropped: bool,
}

struct Round<'a> {
    hashes: HashMap<HashKey<'a>, (&'a HashRow, Option<Target>)>,
    existing: HashMap<(i64, &'a str, i64), &'a EventRow>,
    sampled: HashSet<(i64, &'a str, i64)>,
    /// Hashes that get an issue.
    given: Vec<(i64, Target)>,
    /// The events that open issues.
    opened: Vec<usize>,
    seen: usize,
}

impl<'a> Round<'a> {
    fn new(rows: &'a [HashRow], existing: &'a [EventRow], sampled: &'a [(i64, String, i64)]) -> Self {
        let hash = |row: &'a HashRow| ((row.project_id, row.hash.as_str()), (row, row.issue_id.map(Target::Stored)));
        Self {
            hashes: rows.iter().map(hash).collect(),
            existing: existing.iter().map(|row| ((row.project_id, row.event_id.as_str(), row.day), row)).collect(),
            sampled: sampled.iter().map(|(project, id, day)| (*project, id.as_str(), *day)).collect(),
            given: Vec::new(),
            opened: Vec::new(),
            seen: 0,
        }
    }

    fn issue_of(&self, project_id: i64, hash: &str) -> Option<Target> {
        self.hashes.get(&(project_id, hash)).and_then(|(_, issue)| *issue)
    }

    fn id_of(&self, project_id: i64, hash: &str) -> i64 {
        self.hashes.get(&(project_id, hash)).map_or(0, |(row, _)| row.id)
    }

    fn is_split(&self, project_id: i64, hash: &str) -> bool {
        self.hashes.get(&(project_id, hash)).is_some_and(|(row, _)| row.is_split)
    }

    fn give(&mut self, project_id: i64, hash: &'a str, target: Target) {
        if let Some((row, issue)) = self.hashes.get_mut(&(project_id, hash))
            && issue.is_none()
        {
            *issue = Some(target);
            self.given.push((row.id, target));
        }
    }

    /// Decides for the next event; later ones see what it did.
    fn choose(&mut self, event: &'a Prepared) -> Choice {
        let number = self.seen;
        self.seen += 1;
        let key = event.key();
        let existing = self.existing.get(&key).map(|row| (row.id, row.issue_id, row.hash_id, hour(row.received_at)));
        let keeps_first = existing.is_some() && event.duplicates == Duplicates::First;
        if let Some((_, issue_id, hash_id, _)) = existing.filter(|_| keeps_first) {
            let target = Target::Stored(issue_id);
            return Choice { target, hash_id, is_new: false, existing, is_dropped: true };
        }
        let is_dropped = self.sampled.contains(&key);
        let (project, new) = (event.new.project_id, &event.new);
        let root = (!new.deep_hashes.is_empty()).then(|| {
            let live = new.deep_hashes.iter().position(|hash| !self.is_split(project, hash));
            live.unwrap_or(new.deep_hashes.len() - 1)
        });
        let matched = root.and_then(|root| {
            let from_deepest = new.deep_hashes[root..].iter().rev();
            from_deepest.into_iter().find(|hash| self.issue_of(project, hash).is_some())
        });
        if let Some(hash) = matched {
            let (target, hash_id) = (self.issue_of(project, hash), self.id_of(project, hash));
            let target = target.expect("it was found by its issue");
            return Choice { target, hash_id, is_new: false, existing, is_dropped };
        }
        let own = root.map_or(&new.hashes[0], |root| &new.deep_hashes[root]);
        let known = new.hashes.iter().find_map(|hash| self.issue_of(project, hash));
        let stays = existing.filter(|_| event.keeps_issue).map(|(_, issue_id, ..)| Target::Stored(issue_id));
        let known = known.or(stays);
        let hash_id = self.id_of(project, own);
        if is_dropped {
            // It was counted when it came first.
            let target = known.unwrap_or(Target::Stored(0));
            return Choice { target, hash_id, is_new: false, existing, is_dropped };
        }
        let (target, is_new) = match known {
            Some(target) => (target, false),
            None => {
                self.opened.push(number);
                (Target::New(self.opened.len() - 1), true)
            }
        };
        self.give(project, own, target);
        for hash in &new.hashes {
            self.give(project, hash, target);
        }
        Choice { target, hash_id, is_new, existing, is_dropped }
    }

    /// Makes the new issues; their ids in the order of their numbers here.
    async fn open_issues(&mut self, work: &mut UnitOfWork, events: &[Prepared]) -> Result<Vec<i64>, DbError> {
        if self.opened.is_empty() {
            return Ok(Vec::new());
        }
        let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
        for event in &self.opened {
            *counts.entry(events[*event].new.project_id).or_default() += 1;
        }
        let counts: Vec<_> = counts.into_iter().collect();
        let last = work.take_issue_numbers(&counts).await?;
        let mut next: HashMap<i64, i64> = HashMap::new();
        for (project, last) in last {
            let count = counts.iter().find(|(id, _)| *id == project).map_or(0, |(_, count)| *count);
            next.insert(project, last - count + 1);
        }
        let mut issues = Vec::with_capacity(self.opened.len());
        for event in &self.opened {
            let Prepared { new, face, .. } = &events[*event];
            let number = next.get_mut(&new.project_id).ok_or(DbError::Contended("a project was removed meanwhile"))?;
            issues.push(NewIssue {
                project_id: new.project_id,
                number: *number,
                title: new.title.clone(),
                kind: face.kind.clone(),
                value: face.value.clone(),
                culprit: new.culprit.clone(),
                level: new.level.clone(),
                platform: new.platform.clone(),
                first_seen: new.happened_at,
                received_at: new.received_at,
            });
            *number += 1;
        }
        work.insert_issues(&issues).await
    }

    /// Gives hashes their issues, locks the issues, and decides what is stored.
    async fn finish(
        self,
        work: &mut UnitOfWork,
        events: &[Prepared],
        choices: &[Choice],
        opened: &[i64],
    ) -> Result<Assigned, DbError> {
        let id = |target: Target| match target {
            Target::Stored(id) => id,
            Target::New(number) => opened[number],
        };
        let given: Vec<_> = self.given.iter().map(|(hash, target)| (*hash, id(*target))).collect();
        if work.give_hashes(&given).await? != given.len() as u64 {
            return Err(DbError::Contended("hashes of events were given to other issues meanwhile"));
        }
        let mut involved: BTreeSet<i64> = choices.iter().map(|choice| id(choice.target)).collect();
        involved.extend(choices.iter().filter_map(|choice| choice.existing.map(|existing| existing.1)));
        let ids: Vec<_> = involved.into_iter().collect();
        let states = work.lock_issues(&ids).await?;
        let mut tally: HashMap<i64, (i64, DateTime<Utc>)> =
            states.iter().map(|state| (state.id, (state.event_count, state.last_received_at))).collect();
        let mut assigned = Assigned::default();
        let mut left: BTreeMap<i64, i64> = BTreeMap::new();
        for (event, choice) in events.iter().zip(choices) {
            let issue_id = id(choice.target);
            let placement = settle(event, choice, issue_id, &mut tally);
            if let Some((from, ..)) = placement.before {
                left.insert(from, issue_id);
            }
            let belongs = |hash: &&str| self.issue_of(event.new.project_id, hash).map(id) == Some(issue_id);
            let hashes = event.all_hashes().filter(belongs).map(|hash| self.id_of(event.new.project_id, hash));
            assigned.relevant.push(hashes.collect::<BTreeSet<_>>().into_iter().collect());
            assigned.placements.push(placement);
        }
        let is_empty = |(from, to): &(i64, i64)| from != to && tally.get(from).is_some_and(|(count, _)| *count <= 0);
        assigned.folded = left.into_iter().filter(is_empty).collect();
        Ok(assigned)
    }
}

/// What becomes of one event in an issue whose count is `tally`.
fn settle(
    event: &Prepared,
    choice: &Choice,
    issue_id: i64,
    tally: &mut HashMap<i64, (i64, DateTime<Utc>)>,
) -> Placement {
    let mut placement =
        Placement { fate: Fate::Dropped, issue_id, hash_id: choice.hash_id, is_new: choice.is_new, before: None };
    if choice.is_dropped {
        return placement;
    }
    if let Some((row, old_issue, old_hash, old_hour)) = choice.existing {
        placement.fate = Fate::Replaces(row);
        if (old_issue, old_hash) != (issue_id, choice.hash_id) {
            placement.before = Some((old_issue, old_hash, old_hour));
            tally.entry(old_issue).and_modify(|(count, _)| *count -= 1);
            tally.entry(issue_id).and_modify(|(count, _)| *count += 1);
        }
        return placement;
    }
    let received_at = event.new.received_at;
    let (count, last) = tally.entry(issue_id).or_insert((0, received_at));
    *count += 1;
    let is_late = *count == 1 || received_at - *last >= TimeDelta::hours(1);
    *last = (*last).max(received_at);
    let stored = event.sampling == EventSampling::Off || choice.is_new || is_late || sampling::keeps(*count);
    placement.fate = if stored { Fate::Stored } else { Fate::Sampled };
    placement
}
