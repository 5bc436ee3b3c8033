//! `fsck`: holds rows against bytes, says what is wrong, and mends what can be mended. Exit code 0 means that nothing is
//! lost.

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};

use super::{say, shown};
use crate::app::App;
use crate::db::CountFault;
use crate::upkeep::{Checked, Depth, Finding, Loss, Progress, Repair};

/// Checks that every row has its bytes and all bytes have a row.
#[derive(Debug, clap::Args)]
pub struct Fsck {
    /// Read all bytes and compare their checksums, which takes as long as reading everything.
    #[arg(long)]
    deep: bool,
    /// Have lost chunks asked for again and lost symcaches made anew, and remove bytes without a row.
    #[arg(long)]
    repair: bool,
}

impl Fsck {
    /// Checks, prints a line for each thing that is wrong and one of numbers, and fails if something is lost.
    pub async fn run(self, app: &App) -> anyhow::Result<()> {
        let depth = if self.deep { Depth::Content } else { Depth::Sizes };
        let repair = if self.repair { Repair::Yes } else { Repair::No };
        let bar = ProgressBar::new(0).with_style(style());
        let progress = |Progress { done, total }| {
            bar.set_length(total.max(done));
            bar.set_position(done);
        };
        let checked = app.upkeep().fsck(depth, repair, progress).await?;
        bar.finish_and_clear();
        checked.findings.iter().for_each(|finding| say(sentence(finding, self.repair)));
        let damaged = checked.damaged_files();
        for file in damaged.values() {
            let (name, id) = (shown(&file.object_name), &file.debug_id);
            say(format_args!("debug file {} ({name}, {id}) is not whole: upload it again", file.id));
        }
        let Checked { chunks, symcaches, findings, mended_files, .. } = &checked;
        say(format_args!("{chunks} chunks and {symcaches} symcaches checked, {} things wrong", findings.len()));
        if *mended_files > 0 {
            say(format_args!("{mended_files} debug files are whole again"));
        }
        let miscounted = self.counts(app).await?;
        match self.repair {
            true if !damaged.is_empty() => bail!(
                "{} debug files are not whole. Their uploaders are asked for what is missing when they upload again",
                damaged.len()
            ),
            false if !findings.is_empty() || miscounted > 0 => {
                bail!("run `symdepot fsck --repair` to mend what can be mended")
            }
            _ => Ok(()),
        }
    }
}

impl Fsck {
    /// Holds counts of issues against what they count. Returns how many are wrong.
    async fn counts(&self, app: &App) -> anyhow::Result<usize> {
        let miscounted = app.db.miscounted_issues().await?;
        for CountFault { issue_id, event_count, by_hash, stored } in &miscounted {
            say(format_args!(
                "issue {issue_id}: it counts {event_count} events, its hashes {by_hash}, and {stored} are stored"
            ));
        }
        let misplaced = app.db.misplaced_events().await?;
        for id in &misplaced {
            say(format_args!("event in row {id}: its hash belongs to another issue than it does"));
        }
        if self.repair && !miscounted.is_empty() {
            let ids: Vec<_> = miscounted.iter().map(|fault| fault.issue_id).collect();
            say(format_args!("{} issues counted again", app.db.recount_issues(&ids).await?));
        }
        Ok(miscounted.len() + misplaced.len())
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:40} {pos}/{len} rows, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn sentence(finding: &Finding, repaired: bool) -> String {
    match finding {
        Finding::Chunk { sha1, key, loss, .. } => format!("chunk {sha1} ({key}): {}", words(loss)),
        Finding::Symcache { key, loss } if repaired => {
            format!("symcache ({key}): {}; it is made anew when it is asked for next", words(loss))
        }
        Finding::Symcache { key, loss } => format!("symcache ({key}): {}", words(loss)),
        Finding::Derived { key, loss } if repaired => {
            format!("derived file ({key}): {}; it is made anew when it is asked for next", words(loss))
        }
        Finding::Derived { key, loss } => format!("derived file ({key}): {}", words(loss)),
        Finding::Stray { key, size } if repaired => format!("{key}: {size} bytes that no row spoke of were removed"),
        Finding::Stray { key, size } => format!("{key}: {size} bytes that no row speaks of"),
    }
}

fn words(loss: &Loss) -> String {
    match loss {
        Loss::Missing => "its bytes are missing".to_owned(),
        Loss::Known { left } => {
            format!("its bytes were found lost before and not uploaded again yet; {left} bytes are left of them")
        }
        Loss::Size { found, wanted } => format!("it has {found} bytes at rest and not {wanted}"),
        Loss::Content(reason) => reason.clone(),
    }
}
