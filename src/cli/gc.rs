//! `gc`: removes what nobody can want any more, or says what it would remove. A running server does the same by itself.

use indicatif::HumanBytes;

use super::say;
use crate::app::App;
use crate::events::ExpireMode;
use crate::upkeep::{Expired, Freed, Mode};

/// Removes what nobody can want any more.
#[derive(Debug, clap::Args)]
pub struct Gc {
    /// Only say what would go, why, and how much it frees.
    #[arg(long)]
    dry_run: bool,
    /// Do not look through the whole store for bytes that no row speaks of.
    #[arg(long)]
    rows_only: bool,
}

impl Gc {
    /// Collects once and says what went, a line for each reason.
    pub async fn run(self, app: &App) -> anyhow::Result<()> {
        let mode = if self.dry_run { Mode::DryRun } else { Mode::Remove };
        let upkeep = app.upkeep();
        let swept = if self.rows_only { upkeep.gc_of_rows(mode).await? } else { upkeep.gc(mode).await? };
        let grace = humantime(app.config.uploads.chunk_grace);
        let line = |freed: Freed, what: &str| say(format_args!("{} {what}: {}", freed.count, HumanBytes(freed.bytes)));
        for Expired { project, rule, files } in &swept.expired {
            let (count, bytes) = (files.count, HumanBytes(files.bytes));
            say(format_args!("{count} files of {project} by its rule {rule}: {bytes} that nothing else needs"));
        }
        line(swept.old_symcaches, "symcaches of versions that nobody asks for");
        line(swept.unused_derived, "files made from others that nobody asked for in 30 days");
        line(swept.chunks, &format!("chunks of no file, not wanted for {grace}"));
        if !self.rows_only {
            line(swept.strays, "blobs that no row speaks of");
        }
        say(format_args!("{} files made redundant by newer ones", swept.retired_files));
        say(format_args!("{} reasons of assemblies that failed long ago", swept.old_errors));
        say(format_args!("{} temp files of processes that died", swept.temp_files));
        let mode_of_events = if self.dry_run { ExpireMode::DryRun } else { ExpireMode::Remove };
        let gone = app.events.expire(mode_of_events).await?;
        say(format_args!("{} events by rules and quotas of their projects", gone.events));
        say(format_args!("{} attachments of events that never came", gone.attachments));
        if mode == Mode::DryRun {
            say("Nothing was removed: this was a dry run.");
        }
        Ok(())
    }
}

/// A duration in whole hours, or seconds if it has none.
fn humantime(time: std::time::Duration) -> String {
    match time.as_secs() {
        seconds if seconds > 0 && seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        seconds => format!("{seconds} s"),
    }
}
