//! Other symbol servers: asked for what a project does not have, and what they bring is kept as if it was uploaded.
//!
//! The only room that asks anybody outside of the house. It never asks an address that is not public, unless a setting
//! allows it, and never keeps a file that is not what was asked for.

mod address;
mod base;
mod bring;
mod door;
mod fits;
mod hosts;
mod paths;
mod unpack;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Semaphore;

use crate::accounts::{Allowance, QuotaError};
use crate::cache::Recent;
use crate::clock::Clock;
use crate::config::Upstreams as Settings;
use crate::db::{Db, DbError};
use crate::debug_files::WantedId;
use crate::symcaches::{Flights, Symcaches};
use crate::types::{Project, Upstream, UpstreamKind, limits, mask_url};
use crate::uploads::LocalFiles;
use base::Allowed;
use bring::Flight;
use door::Door;
use hosts::Hosts;

/// How long the list of a project's upstreams is believed: what another process adds or removes counts after that.
const MOMENT: Duration = Duration::from_secs(1);

/// Fetches under way and waiting at most; whoever wants more is sent away for now.
const MOST_FLIGHTS: usize = 1000;

/// How long it is remembered how much room a file needs that had none.
const NEEDS_KEPT: Duration = Duration::from_secs(24 * 3600);

/// Asks the upstreams of projects. A clone shares everything.
#[derive(Clone, Debug)]
pub struct Upstreams {
    db: Db,
    clock: Clock,
    symcaches: Symcaches,
    local: LocalFiles,
    settings: Settings,
    temp_dir: PathBuf,
    door: Arc<Door>,
    hosts: Arc<Hosts>,
    recent: Recent<i64, Arc<[Upstream]>>,
    /// Of files that had no room, by upstream and path. As soon as there is room they are asked for again.
    needs: Recent<(i64, String), Need>,
    flights: Flights<Flight, Brought>,
    turns: Arc<Semaphore>,
    crowd: Arc<Semaphore>,
}

/// The room that a file needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Need {
    files: u64,
    bytes: u64,
}

/// What came of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brought {
    /// None of the upstreams has it, or there is none that could be asked.
    Nothing,
    /// The project has it now.
    Stored,
    /// It is being asked, and may be there soon.
    UnderWay,
    /// Nobody knows just now, and why: whoever wants it should ask again.
    Unknown(String),
    /// The project has no room for it. The sentence is for people: to ask again changes nothing.
    NoRoom(String),
}

/// What an upstream said of an id that somebody wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// What it speaks.
    pub kind: UpstreamKind,
    /// Its base, without its userinfo.
    pub url: String,
    /// What it said.
    pub reason: String,
    /// How often in a row.
    pub misses: u64,
    /// When.
    pub asked_at: DateTime<Utc>,
    /// It is not asked again before.
    pub next_at: DateTime<Utc>,
}

impl Upstreams {
    /// Asks by these settings, and keeps what comes by these handles.
    pub fn new(settings: &Settings, symcaches: &Symcaches, local: LocalFiles, clock: &Clock) -> Self {
        let temp_dir = symcaches.temp_dir.clone();
        Self {
            db: symcaches.db.clone(),
            clock: clock.clone(),
            symcaches: symcaches.clone(),
            local,
            settings: settings.clone(),
            door: Arc::new(Door::new(settings, temp_dir.clone())),
            temp_dir,
            hosts: Arc::default(),
            recent: Recent::new(MOMENT, 100_000),
            needs: Recent::new(NEEDS_KEPT, 100_000),
            flights: Flights::default(),
            turns: Arc::new(Semaphore::new(settings.parallel)),
            crowd: Arc::new(Semaphore::new(MOST_FLIGHTS)),
        }
    }

    /// The same, taking an address for public. For tests of what is refused of others.
    #[must_use]
    pub fn as_if_public(mut self, address: SocketAddr) -> Self {
        self.door = Arc::new(self.door.with_exemption(address));
        self
    }

    /// What the upstreams of a project said of an id, the last answer first.
    pub async fn said(&self, project_id: i64, id: &WantedId) -> Result<Vec<Said>, DbError> {
        let upstreams = self.of(project_id).await?;
        if upstreams.is_empty() {
            return Ok(Vec::new());
        }
        let mut ids: Vec<&str> = Vec::new();
        match id {
            WantedId::Debug(id) | WantedId::AnyAge(id) => ids.push(id.as_str()),
            WantedId::Code(id) | WantedId::PaddedCode(id) => ids.push(id),
            WantedId::AnyOf { debug_ids, code_ids } => {
                ids.extend(debug_ids.iter().map(|id| id.as_str()));
                ids.extend(code_ids.iter().map(String::as_str));
            }
        }
        let answers = self.db.upstream_answers_of_files(project_id, &ids).await?;
        let said = answers.into_iter().filter_map(|answer| {
            let upstream = upstreams.iter().find(|upstream| upstream.id == answer.upstream_id)?;
            Some(Said {
                kind: upstream.kind,
                url: mask_url(&upstream.url),
                reason: answer.reason,
                misses: answer.misses,
                asked_at: answer.asked_at,
                next_at: answer.next_at,
            })
        });
        Ok(said.collect())
    }

    /// Why the upstreams of a project are asked for nothing at all: there is no room for what they bring.
    pub async fn no_room(&self, project: &Project) -> Result<Option<String>, DbError> {
        if self.of(project.id).await?.is_empty() {
            return Ok(None);
        }
        let allowance = self.local.quotas.allowance(project.organization_id);
        Need::ANY.refused(&allowance, project.id).await
    }

    /// The upstreams of a project, as of a moment ago.
    async fn of(&self, project_id: i64) -> Result<Arc<[Upstream]>, DbError> {
        if let Some(upstreams) = self.recent.get(&project_id).await {
            return Ok(upstreams);
        }
        let upstreams: Arc<[Upstream]> = self.db.upstreams(project_id).await?.into();
        self.recent.set(project_id, Arc::clone(&upstreams)).await;
        Ok(upstreams)
    }
}

impl Need {
    /// As much as any file.
    const ANY: Self = Self { files: 1, bytes: 1 };

    /// Why a project has no room for it, if it has none.
    async fn refused(self, allowance: &Allowance, project_id: i64) -> Result<Option<String>, DbError> {
        match allowance.may_add(project_id, self.files, self.bytes).await {
            Ok(()) => Ok(None),
            Err(QuotaError::Over(sentence)) => Ok(Some(sentence)),
            Err(QuotaError::Db(error)) => Err(error),
        }
    }
}

/// The base of an upstream as it is kept, from what somebody wrote, or a sentence why it cannot be one.
pub fn checked_url(settings: &Settings, text: &str) -> Result<String, String> {
    let allowed = Allowed { private: settings.allow_private, ..Allowed::default() };
    let url = base::parse(text)?;
    allowed.check(&url)?;
    let url = String::from(url);
    if url.len() > limits::ADDRESS {
        return Err(format!("it has {} bytes; at most {} are kept", url.len(), limits::ADDRESS));
    }
    Ok(url)
}
