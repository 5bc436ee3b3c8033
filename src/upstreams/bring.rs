//! One wish, from the first asker to the file in the project: who is asked, in which order, once for however many want
//! it, and what is remembered of those that could not help.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::timeout;

use super::base;
use super::door::{Received, Refusal};
use super::fits::misfit;
use super::paths::{Question, question};
use super::unpack::unpacked;
use super::{Brought, Need, Upstreams};
use crate::accounts::QuotaError;
use crate::db::DbError;
use crate::debug_files::{Wanted, What, find_wanted};
use crate::symcaches::sandbox::{Detection, OnBehalf};
use crate::symcaches::{ConversionTime, LocalFile, TakeInError, TakenIn, hints_of};
use crate::types::{Project, Upstream, UpstreamAnswer, mask_url};

/// From so many troubles with one file on, it counts as not there: whoever asks is not told to come again for ever.
const PATIENCE: u64 = 4;

/// An upstream, how it is asked, and what it said last.
struct Candidate {
    upstream: Upstream,
    question: Question,
    before: Option<UpstreamAnswer>,
}

/// What is asked at once for however many want it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flight {
    project_id: i64,
    what: What,
    questions: Vec<(i64, Vec<String>)>,
}

/// The upstreams that are to be asked now, and what is told if none of them has it.
struct Plan {
    due: Vec<Candidate>,
    otherwise: Brought,
}

impl Candidate {
    /// By which its file is known at this upstream.
    fn key(&self) -> (i64, String) {
        (self.upstream.id, self.question.paths[0].clone())
    }
}

impl Upstreams {
    /// Asks the upstreams of a project for what it does not have, and waits up to `wait` for it. Whoever comes while it
    /// is under way waits for the same file.
    pub async fn bring(&self, project_id: i64, wanted: &Wanted, wait: Duration) -> Result<Brought, DbError> {
        let plan = self.plan(project_id, wanted).await?;
        if plan.due.is_empty() {
            return Ok(plan.otherwise);
        }
        // Whoever means the same file by another spelling of its id asks the same.
        let questions = plan.due.into_iter().map(|due| (due.upstream.id, due.question.paths)).collect();
        let key = Flight { project_id, what: wanted.what, questions };
        let (this, wanted) = (self.clone(), wanted.clone());
        let mut landing = self.flights.join(&key, &self.local.tasks, || async move {
            this.fetch(project_id, &wanted).await.unwrap_or_else(|error| {
                tracing::error!(project.id = project_id, %error, "an upstream could not be asked");
                Brought::Unknown("the server is in trouble".to_owned())
            })
        });
        let landed = timeout(wait.min(self.settings.max_wait), landing.wait_for(Option::is_some)).await;
        Ok(match landed {
            Ok(Ok(brought)) => brought.clone().unwrap_or(Brought::Nothing),
            Ok(Err(_gone)) => Brought::Unknown("asking an upstream was interrupted".to_owned()),
            Err(_elapsed) => Brought::UnderWay,
        })
    }

    /// Who is to be asked. What was said before counts until its time is over, and without room nobody is.
    async fn plan(&self, project_id: i64, wanted: &Wanted) -> Result<Plan, DbError> {
        let upstreams = self.of(project_id).await?;
        let asked = upstreams.iter().filter_map(|upstream| Some((upstream, question(upstream.kind, wanted)?)));
        let asked: Vec<_> = asked.collect();
        let mut plan = Plan { due: Vec::new(), otherwise: Brought::Nothing };
        if asked.is_empty() {
            return Ok(plan);
        }
        let ids: Vec<_> = asked.iter().map(|(upstream, _)| upstream.id).collect();
        let paths: Vec<_> = asked.iter().map(|(_, question)| question.paths[0].as_str()).collect();
        let answers = self.db.upstream_answers(&ids, &paths).await?;
        let now = self.clock.now();
        for (upstream, question) in asked {
            let of_this =
                |answer: &&UpstreamAnswer| answer.upstream_id == upstream.id && answer.path == question.paths[0];
            let before = answers.iter().find(of_this).cloned();
            match &before {
                Some(answer) if answer.next_at > now => plan.otherwise = otherwise(plan.otherwise, answer),
                _ => plan.due.push(Candidate { upstream: upstream.clone(), question, before }),
            }
        }
        match self.no_room_for(project_id, &plan.due).await? {
            Some(reason) => Ok(Plan { due: Vec::new(), otherwise: Brought::NoRoom(reason) }),
            None => Ok(plan),
        }
    }

    /// Why nobody is asked: there is no room for any file, or not for this one, whose size is known from before.
    async fn no_room_for(&self, project_id: i64, due: &[Candidate]) -> Result<Option<String>, DbError> {
        if due.is_empty() {
            return Ok(None);
        }
        let Some(project) = self.db.project_by_id(project_id).await? else { return Ok(None) };
        let allowance = self.local.quotas.allowance(project.organization_id);
        for candidate in due {
            let need = self.needs.get(&candidate.key()).await.unwrap_or(Need::ANY);
            if let Some(reason) = need.refused(&allowance, project_id).await? {
                return Ok(Some(reason));
            }
        }
        Ok(None)
    }

    /// Asks one upstream after the other until one brings it.
    async fn fetch(&self, project_id: i64, wanted: &Wanted) -> Result<Brought, DbError> {
        let Ok(_place) = self.crowd.try_acquire() else {
            return Ok(Brought::Unknown("too many files are being fetched from upstreams".to_owned()));
        };
        // Whoever was faster, an upload or another fetch, has spared us the question.
        if find_wanted(&self.db, &[project_id], wanted).await?.is_some() {
            return Ok(Brought::Stored);
        }
        let Some(project) = self.db.project_by_id(project_id).await? else { return Ok(Brought::Nothing) };
        let Plan { due, mut otherwise } = self.plan(project_id, wanted).await?;
        for candidate in due {
            let id = candidate.upstream.id;
            // A slow one holds up those who ask it, and at most half of all others.
            let own = self.hosts.turns(id, self.settings.parallel.div_ceil(2));
            let _own = own.acquire().await.expect("the semaphore is never closed");
            let _turn = self.turns.acquire().await.expect("the semaphore is never closed");
            if let Some(lasting) = self.hosts.left_alone(id, self.settings.trouble_back_off, self.clock.now()) {
                // What is in trouble for long counts as not there.
                if lasting < self.settings.first_back_off {
                    otherwise = Brought::Unknown("an upstream is in trouble again and again".to_owned());
                }
                continue;
            }
            match self.ask(&project, &candidate, wanted).await {
                Ok(()) => {
                    self.hosts.note(id, false, self.clock.now());
                    return Ok(Brought::Stored);
                }
                Err(Refusal::Ours(reason)) => {
                    tracing::error!(upstream.id = id, reason, "a file of an upstream could not be taken in");
                    otherwise = Brought::Unknown("the server is in trouble".to_owned());
                }
                Err(Refusal::NoRoom(reason, need)) => {
                    self.hosts.note(id, false, self.clock.now());
                    // The others would bring the same.
                    return self.remember_need(candidate, need, reason).await;
                }
                Err(Refusal::No(reason)) => {
                    self.hosts.note(id, false, self.clock.now());
                    otherwise = self.remember(candidate, false, reason, otherwise).await?;
                }
                Err(Refusal::Trouble(reason)) => {
                    self.hosts.note(id, true, self.clock.now());
                    otherwise = self.remember(candidate, true, reason, otherwise).await?;
                }
            }
        }
        Ok(otherwise)
    }

    /// Asks one upstream by each of its paths. What stops it says why, and of several reasons the one that says most.
    async fn ask(&self, project: &Project, candidate: &Candidate, wanted: &Wanted) -> Result<(), Refusal> {
        let Candidate { upstream, question, .. } = candidate;
        let base = base::parse(&upstream.url).map_err(Refusal::No)?;
        let mut absent = None;
        let mut unfit = None;
        for path in &question.paths {
            let taken = match self.door.get(&base, path).await {
                Ok(received) => self.take(project, received, question, wanted).await,
                Err(Refusal::No(reason)) => {
                    absent.get_or_insert(reason);
                    continue;
                }
                Err(other) => Err(other),
            };
            match taken {
                Ok(()) => {
                    tracing::info!(upstream.id, project.id, path, "an upstream brought a file");
                    return Ok(());
                }
                Err(Refusal::No(reason)) => unfit = Some(reason),
                Err(other) => return Err(other),
            }
        }
        Err(Refusal::No(unfit.or(absent).unwrap_or_else(|| "it was not asked".to_owned())))
    }

    /// Takes a file in that came, if it is the wanted one.
    async fn take(
        &self,
        project: &Project,
        received: Received,
        question: &Question,
        wanted: &Wanted,
    ) -> Result<(), Refusal> {
        let name = match (&wanted.name, received.name.clone()) {
            (None, Some(name)) => name,
            _ => question.name.clone(),
        };
        let sandbox = &self.symcaches.sandbox;
        let on_behalf = OnBehalf::admitted(project.organization_id);
        let file = unpacked(sandbox, received, &self.temp_dir, self.settings.max_size, on_behalf).await?;
        let detection = sandbox.detect_for(on_behalf, &file, &hints_of(&name)).await;
        let detection = detection.map_err(|error| Refusal::Ours(error.to_string()))?;
        if let Some(reason) = misfit(wanted, &detection) {
            return Err(Refusal::No(reason));
        }
        let files = if let Detection::Objects(objects) = &detection { objects.len().max(1) as u64 } else { 1 };
        let size = file.metadata().map_err(|error| Refusal::Ours(error.to_string()))?.len();
        let conversion = ConversionTime::Queued;
        let incoming = LocalFile { file, name: &name, detection: Some(detection), conversion };
        match self.symcaches.take_in(&self.local, project, incoming).await {
            Ok(TakenIn::Known(_) | TakenIn::Registered { .. }) => Ok(()),
            Ok(TakenIn::Refused(reason)) => Err(Refusal::No(format!("what it sent is not taken: {reason}"))),
            Ok(TakenIn::NotADebugFile) => Err(Refusal::No("what it sent is no debug file".to_owned())),
            Err(TakeInError::Quota(QuotaError::Over(reason))) => {
                Err(Refusal::NoRoom(reason, Need { files, bytes: size.saturating_mul(files) }))
            }
            Err(error) => Err(Refusal::Ours(error.to_string())),
        }
    }

    /// Writes down that there was no room for what an upstream brought, which is no fault of it: nothing but room is
    /// waited for.
    async fn remember_need(&self, candidate: Candidate, need: Need, reason: String) -> Result<Brought, DbError> {
        self.needs.set(candidate.key(), need).await;
        let Candidate { upstream, question, .. } = candidate;
        let now = self.clock.now();
        let answer = UpstreamAnswer {
            upstream_id: upstream.id,
            path: question.paths.into_iter().next().unwrap_or_default(),
            file_id: question.file_id,
            trouble: false,
            reason,
            misses: 0,
            asked_at: now,
            next_at: now,
        };
        self.db.put_upstream_answer(&answer).await?;
        let (path, reason) = (answer.path, answer.reason);
        tracing::info!(
            upstream.id,
            project.id = upstream.project_id,
            path,
            reason,
            "there is no room for a file of an upstream"
        );
        Ok(Brought::NoRoom(reason))
    }

    /// Writes down that an upstream could not help, and for how long it is not asked again.
    async fn remember(
        &self,
        candidate: Candidate,
        trouble: bool,
        reason: String,
        so_far: Brought,
    ) -> Result<Brought, DbError> {
        let Candidate { upstream, question, before } = candidate;
        let misses = before.filter(|before| before.trouble == trouble).map_or(0, |before| before.misses) + 1;
        let settings = &self.settings;
        let (first, longest) = match trouble {
            true => (settings.trouble_back_off, settings.first_back_off.max(settings.trouble_back_off)),
            false => (settings.first_back_off, settings.longest_back_off),
        };
        let now = self.clock.now();
        let wait = TimeDelta::from_std(back_off(first, longest, misses)).unwrap_or(TimeDelta::days(1));
        let path = question.paths.into_iter().next().unwrap_or_default();
        let answer = UpstreamAnswer {
            upstream_id: upstream.id,
            path,
            file_id: question.file_id,
            trouble,
            reason,
            misses,
            asked_at: now,
            next_at: now + wait,
        };
        let (url, reason) = (mask_url(&upstream.url), answer.reason.as_str());
        tracing::info!(upstream.id, upstream.url = url, path = answer.path, reason, "an upstream did not bring a file");
        self.db.put_upstream_answer(&answer).await?;
        Ok(otherwise(so_far, &answer))
    }
}

/// What is told if an answer is all there is.
fn otherwise(so_far: Brought, answer: &UpstreamAnswer) -> Brought {
    match answer.trouble && answer.misses < PATIENCE {
        true => Brought::Unknown(format!("an upstream is in trouble: {}", answer.reason)),
        false => so_far,
    }
}

/// How long nobody asks after so many misses in a row: twice as long each time.
fn back_off(first: Duration, longest: Duration, misses: u64) -> Duration {
    let doublings = u32::try_from(misses.saturating_sub(1)).unwrap_or(u32::MAX).min(31);
    first.saturating_mul(1 << doublings).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_miss_in_a_row_doubles_the_wait_up_to_the_longest() {
        let minutes = |misses| {
            let (first, longest) = (Duration::from_secs(600), Duration::from_secs(24 * 3600));
            back_off(first, longest, misses).as_secs() / 60
        };
        let waits: Vec<_> = (1..=10).map(minutes).collect();
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440]);
        assert_eq!(minutes(u64::MAX), 1440);
    }
}
