//! `events`: shows an event, and processes events again.

use anyhow::{Context as _, anyhow};
use chrono::TimeDelta;
use serde_json::Value;
use symdepot_events::envelope::EventId;
use symdepot_events::grouping::{group, grouping_info};

use super::{project, say};
use crate::app::App;
use crate::events::{Reprocess, decompressed};

/// Events of clients.
#[derive(Debug, clap::Subcommand)]
pub enum Events {
    /// Process events again whose symbolication lacked debug files, and say how many changed.
    Reprocess(Again),
    /// Print a stored event as JSON.
    Show {
        /// Id of the event.
        id: String,
        /// Organization and project.
        #[arg(long, value_name = "ORG/PROJECT")]
        project: String,
        /// How it is grouped by the rules of today instead.
        #[arg(long)]
        grouping: bool,
    },
}

/// Which events are processed again.
#[derive(Debug, clap::Args)]
pub struct Again {
    /// Organization and project.
    #[arg(long, value_name = "ORG/PROJECT")]
    project: String,
    /// Only events received within so long.
    #[arg(long, value_name = "30d", default_value = "30d")]
    since: String,
    /// Only events that lacked this debug id.
    #[arg(long, value_name = "ID")]
    debug_id: Option<String>,
    /// Only say what would change.
    #[arg(long)]
    dry_run: bool,
}

impl Events {
    /// Does it.
    pub async fn run(self, app: &App) -> anyhow::Result<()> {
        match self {
            Self::Reprocess(again) => again.run(app).await,
            Self::Show { id, project, grouping } => show(app, &id, &project, grouping).await,
        }
    }
}

impl Again {
    async fn run(self, app: &App) -> anyhow::Result<()> {
        let project = project::named(app, &self.project).await?;
        let days: i64 = self
            .since
            .strip_suffix('d')
            .and_then(|days| days.parse().ok())
            .filter(|days| (1..=36_500).contains(days))
            .with_context(|| format!("`{}` is no time such as `30d`", self.since))?;
        let debug_id = match &self.debug_id {
            Some(id) => {
                Some(id.parse::<crate::types::DebugId>().map_err(|error| anyhow!("`{id}` is no debug id: {error}"))?)
            }
            None => None,
        };
        let order = Reprocess {
            project_id: project.id,
            organization_id: project.organization_id,
            debug_id: debug_id.map(|id| id.as_str().to_owned()),
            since: app.clock.now() - TimeDelta::days(days),
            most: u64::MAX,
            dry_run: self.dry_run,
        };
        let done = app.events.reprocess(&order).await?;
        say(format_args!("{} reprocessed, {} moved, {} unchanged", done.changed, done.moved, done.unchanged));
        if self.dry_run {
            say("Nothing was changed: this was a dry run.");
        }
        Ok(())
    }
}

async fn show(app: &App, id: &str, project: &str, grouping: bool) -> anyhow::Result<()> {
    let project = project::named(app, project).await?;
    let id: EventId = id.parse().map_err(|_| anyhow!("`{id}` is no event id: it has 32 hex digits"))?;
    let stored = app.db.event_payload(project.id, &id.to_string()).await?;
    let stored = stored.with_context(|| format!("there is no event {id} in this project"))?;
    let event: Value = serde_json::from_slice(&decompressed(&stored.payload)?)?;
    let shown = match event.as_object().filter(|_| grouping) {
        Some(event) => {
            let treatment = app.events.treatments.of(project.id).await?;
            grouping_info(&group(event, &treatment.rules, treatment.mode), &stored.hashes)
        }
        None => event,
    };
    for line in serde_json::to_string_pretty(&shown)?.lines() {
        say(line);
    }
    Ok(())
}
