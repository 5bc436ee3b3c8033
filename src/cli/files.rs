//! `files`: many debug files at once. Nothing is deleted that was not listed before.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use anyhow::{Context as _, bail};
use chrono::{SecondsFormat, TimeDelta};
use humantime_serde::re::humantime;
use indicatif::HumanBytes;
use tokio::time::Instant;

use super::{project, say, shown};
use crate::app::App;
use crate::debug_files::{BulkFilter, announce, delete_many, find_many};
use crate::types::DebugId;

/// Between the announcement of a deletion and its begin: longer than any answer is under way that was found before.
const NOTICE: Duration = Duration::from_secs(2);

/// Debug files.
#[derive(Debug, clap::Subcommand)]
pub enum Files {
    /// Delete the debug files of a project that a filter means. They are listed first, and somebody must agree.
    Delete(Delete),
}

/// Which files are to go. A file must meet everything that is given.
#[derive(Debug, clap::Args)]
pub struct Delete {
    /// Organization and project.
    #[arg(long, value_name = "ORG/PROJECT")]
    project: String,
    /// Files that were not uploaded, nor asked for with an upload, for so long, such as `90d`.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    older_than: Option<Duration>,
    /// Files of this debug id, in any spelling.
    #[arg(long, value_name = "ID")]
    debug_id: Option<DebugId>,
    /// Files with this name; `*`, `?` and sets such as `[a-z]` stand for others.
    #[arg(long, value_name = "GLOB")]
    name: Option<String>,
    /// Only list them.
    #[arg(long)]
    dry_run: bool,
    /// Delete them without a question.
    #[arg(long)]
    yes: bool,
}

impl Files {
    /// Does it.
    pub async fn run(self, app: &App) -> anyhow::Result<()> {
        let Self::Delete(delete) = self;
        delete.run(app).await
    }
}

impl Delete {
    async fn run(self, app: &App) -> anyhow::Result<()> {
        let now = app.clock.now();
        let age = self.older_than.map(TimeDelta::from_std).transpose().context("--older-than is too long")?;
        let before = age.map(|age| now.checked_sub_signed(age).context("--older-than is too long")).transpose()?;
        let filter = BulkFilter { uploaded_before: before, debug_id: self.debug_id.clone(), name: self.name.clone() };
        if filter.is_everything() {
            bail!("say which files: --older-than, --debug-id, --name, or several of them. `--name '*'` means all");
        }
        if !self.dry_run && !self.yes && !std::io::stdin().is_terminal() {
            bail!("nobody can be asked here: add --yes to delete the files, or --dry-run to list them");
        }
        let project = project::named(app, &self.project).await?;
        let announced = Instant::now();
        let now = if self.dry_run { now } else { announce(&app.db, &app.clock, project.id).await? };
        let mut bytes = 0;
        let listing = find_many(&app.db, project.id, &filter, now, |file, uploaded_at| {
            bytes += file.size;
            let uploaded_at = uploaded_at.to_rfc3339_opts(SecondsFormat::Secs, true);
            let name = shown(&file.object_name);
            say(format_args!("{}\t{}\t{name}\t{}\t{uploaded_at}", file.id, file.debug_id, file.size));
        });
        let found = listing.await?;
        say(format_args!("{} debug files of {}, {}", found.len(), self.project, HumanBytes(bytes)));
        if self.dry_run {
            say("Nothing was deleted: this was a dry run.");
            return Ok(());
        }
        if found.is_empty() || !self.yes && !agreed(found.len(), &self.project)? {
            say("Nothing was deleted.");
            return Ok(());
        }
        tokio::time::sleep_until(announced + NOTICE).await;
        let deleted = delete_many(&app.db, app.blobs.as_ref(), &app.status, &app.clock, project.id, &found).await?;
        say(format_args!(
            "{} debug files deleted, {} that nothing else needs",
            deleted.files,
            HumanBytes(deleted.freed)
        ));
        Ok(())
    }
}

/// Asks whoever sits there.
fn agreed(count: usize, project: &str) -> anyhow::Result<bool> {
    let mut asked = std::io::stderr().lock();
    write!(asked, "Delete these {count} debug files of {project}? [y/N] ").and_then(|()| asked.flush())?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("the answer cannot be read")?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
