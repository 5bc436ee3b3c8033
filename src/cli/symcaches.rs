//! `symcaches`: what workers made of debug files. It converts nothing itself.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::{project, say};
use crate::app::App;
use crate::symcaches::RebuildPage;

/// Between two looks at what is queued.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Looks without any progress after which it is said who does the work.
const LOOKS_BEFORE_ADVICE: u32 = 50;

/// Symcaches.
#[derive(Debug, clap::Subcommand)]
pub enum Symcaches {
    /// Have workers make every symcache that an older version made again, a few at a time, and wait for it. Clients have
    /// the old ones until then.
    Rebuild {
        /// Organization and project; all of them without it.
        #[arg(long, value_name = "ORG/PROJECT")]
        project: Option<String>,
    },
}

impl Symcaches {
    /// Does it.
    pub async fn run(self, app: &App) -> anyhow::Result<()> {
        let Self::Rebuild { project } = self;
        let project = match project {
            Some(name) => Some(project::named(app, &name).await?.id),
            None => None,
        };
        rebuild(app, project).await
    }
}

async fn rebuild(app: &App, project: Option<i64>) -> anyhow::Result<()> {
    let stale = app.symcaches.stale_files(project).await?;
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len}").unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(u64::try_from(stale)?).with_style(style);
    let (mut after, mut queued, mut rebuilt) = (0, 0, 0);
    // Each page begins behind the one before, so this ends, whatever comes of the files.
    loop {
        let page = app.symcaches.queue_rebuild(project, after).await?;
        let Some(last) = page.last else { break };
        wait_for(app, &page, &bar).await?;
        queued += page.queued();
        rebuilt += app.symcaches.rebuilt(&page).await?;
        bar.inc(page.files as u64);
        after = last;
    }
    bar.finish_and_clear();
    say(format_args!("{rebuilt} of {queued} symcaches made again"));
    anyhow::ensure!(
        rebuilt == queued,
        "{} symcaches could not be made; the log of the workers says why, and the next request has each tried again",
        queued - rebuilt
    );
    Ok(())
}

/// Waits until no job of a page is left.
async fn wait_for(app: &App, page: &RebuildPage, bar: &ProgressBar) -> anyhow::Result<()> {
    let (mut before, mut looks) = (page.queued(), 0);
    loop {
        let left = app.symcaches.waiting_rebuilds(page).await?;
        if left == 0 {
            return Ok(());
        }
        looks = if left == before { looks + 1 } else { 0 };
        before = left;
        if looks == LOOKS_BEFORE_ADVICE {
            bar.suspend(|| {
                eprintln!("symdepot: waiting for a worker; `symdepot serve` and `symdepot worker` have some")
            });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
