//! [`Treatment`]: what the settings of a project do to an event, compiled once and shared until they are looked at again.
//!
//! A change is in force in every process within [`MOMENT`].

use std::sync::Arc;
use std::time::Duration;

use symdepot_events::filter::Filters;
use symdepot_events::grouping::{Mode, Rules};
use symdepot_events::scrub::Scrubber;

use crate::cache::Recent;
use crate::db::{Db, DbError};
use crate::types::{EventSettings, GroupingMode, ProjectKey};

/// How long settings and keys are believed without looking again.
pub const MOMENT: Duration = Duration::from_secs(1);
/// For how long they are believed while the database does not answer.
const LAST_KNOWN: Duration = Duration::from_secs(24 * 60 * 60);
/// Projects, and keys, that are remembered.
const CAPACITY: u64 = 10_000;

/// The settings of a project, ready for use.
#[derive(Debug)]
pub struct Treatment {
    /// As they are stored.
    pub settings: EventSettings,
    /// Rules of stacks and fingerprints.
    pub rules: Rules,
    /// What is filtered out.
    pub filters: Filters,
    /// What is scrubbed.
    pub scrubber: Scrubber,
    /// By which hashes events are grouped.
    pub mode: Mode,
}

impl Treatment {
    /// Compiles settings. They were checked when they were stored; what cannot be read all the same does nothing, and the log
    /// says so.
    fn of(settings: EventSettings, project_id: i64) -> Self {
        let failed = |part: &str, error: &dyn std::fmt::Display| {
            tracing::error!(project.id = project_id, part, %error, "settings of events cannot be read and are not applied");
        };
        let rules =
            Rules::parse(&settings.grouping_enhancements, &settings.fingerprinting_rules).unwrap_or_else(|error| {
                failed("rules", &error);
                Rules::builtin()
            });
        let filters = Filters::parse(&settings.inbound_filters).unwrap_or_else(|error| {
            failed("inboundFilters", &error);
            Filters::default()
        });
        let scrubber = Scrubber::parse(&settings.scrub).unwrap_or_else(|error| {
            failed("scrub", &error);
            Scrubber::default()
        });
        let mode = match settings.grouping_mode {
            GroupingMode::Flat => Mode::Flat,
            GroupingMode::Hierarchical => Mode::Hierarchical,
        };
        Self { settings, rules, filters, scrubber, mode }
    }
}

/// Settings by project and keys by text, remembered for a moment. While the database does not answer, those that were known
/// last are believed, so that it costs no event. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Treatments {
    db: Db,
    projects: Recent<i64, Arc<Treatment>>,
    last_projects: Recent<i64, Arc<Treatment>>,
    /// `None` for a key that is not there, so that a burst of wrong keys costs no query for each.
    keys: Recent<String, Option<Arc<ProjectKey>>>,
    last_keys: Recent<String, Arc<ProjectKey>>,
}

impl Treatments {
    /// Nothing is remembered yet.
    pub fn new(db: &Db) -> Self {
        Self {
            db: db.clone(),
            projects: Recent::new(MOMENT, CAPACITY),
            last_projects: Recent::new(LAST_KNOWN, CAPACITY),
            keys: Recent::new(MOMENT, CAPACITY),
            last_keys: Recent::new(LAST_KNOWN, CAPACITY),
        }
    }

    /// The settings of a project.
    pub async fn of(&self, project_id: i64) -> Result<Arc<Treatment>, DbError> {
        if let Some(known) = self.projects.get(&project_id).await {
            return Ok(known);
        }
        let settings = match self.db.event_settings(project_id).await {
            Ok(settings) => settings,
            Err(error) => return self.last_projects.get(&project_id).await.ok_or(error),
        };
        // Compiling rules takes longer than a millisecond where there are many.
        let compiled = tokio::task::spawn_blocking(move || Treatment::of(settings, project_id)).await;
        let treatment =
            Arc::new(compiled.map_err(|_| DbError::Contended("the settings of events cannot be compiled"))?);
        self.projects.set(project_id, Arc::clone(&treatment)).await;
        self.last_projects.set(project_id, Arc::clone(&treatment)).await;
        Ok(treatment)
    }

    /// The live key with this text.
    pub async fn key(&self, public_key: &str) -> Result<Option<Arc<ProjectKey>>, DbError> {
        let text = public_key.to_owned();
        if let Some(known) = self.keys.get(&text).await {
            return Ok(known);
        }
        let found = match self.db.project_key(public_key).await {
            Ok(found) => found,
            Err(error) => return self.last_keys.get(&text).await.map(Some).ok_or(error),
        };
        let key = found.filter(|key| key.revoked_at.is_none()).map(Arc::new);
        match &key {
            Some(key) => self.last_keys.set(text.clone(), Arc::clone(key)).await,
            None => self.last_keys.forget(&text).await,
        }
        self.keys.set(text, key.clone()).await;
        Ok(key)
    }
}
