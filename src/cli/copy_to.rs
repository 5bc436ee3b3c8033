//! `copy-to`: moves house. Rows and bytes of this installation go into another database and another store, which hold
//! nothing yet. Broken off, it is run again and goes on.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use super::{open, say};
use crate::blobs::open_store;
use crate::config::Config;
use crate::db::Db;
use crate::upkeep::{Copied, Step, Target};

/// Copies everything into another database and store.
#[derive(Debug, clap::Args)]
pub struct CopyTo {
    /// An empty database: `postgres://…`, or `sqlite://<path>` if the one in use is PostgreSQL.
    #[arg(long, value_name = "URL")]
    database_url: String,
    /// An empty place for bytes: `s3://bucket/prefix` with the settings `blobs.s3`, or `file://…`. Said to be the one in
    /// use, bytes stay there.
    #[arg(long, value_name = "URL")]
    blobs_url: String,
}

impl CopyTo {
    /// Copies what is not there yet, and ends with a line of numbers.
    pub async fn run(self, config: Config) -> anyhow::Result<()> {
        let mut there = config.clone();
        there.database.url = self.database_url;
        there.blobs.url = self.blobs_url;
        there.check()?;
        let sqlite = |config: &Config| config.database_url().starts_with("sqlite:");
        if sqlite(&config) && sqlite(&there) {
            bail!(
                "rows are copied from or to PostgreSQL. To move from SQLite to SQLite copy `data_dir` as `docs/backup.md` \
                 says, or name a `--database-url` that begins with `postgres://`"
            );
        }
        if there.database_url() == config.database_url() {
            bail!("`--database-url` names the database that is in use; name another one");
        }
        if there.blobs_url() == "memory" {
            bail!("what is in memory is lost with the process; name a folder or a bucket as `--blobs-url`");
        }
        let app = open(config).await?;
        let shown = there.masked().database.url;
        let db = Db::connect(&there.database_url()).await;
        let db = db.with_context(|| format!("the target database `{shown}` cannot be used"))?;
        db.migrate().await.with_context(|| format!("the target database `{shown}` cannot be used"))?;
        let blobs = match there.blobs_url() == app.config.blobs_url() {
            true => None,
            false => {
                std::fs::create_dir_all(there.temp_dir())?;
                let store = open_store(&there).await;
                Some(store.with_context(|| format!("the target store `{}` cannot be used", there.masked().blobs.url))?)
            }
        };
        let bar = Arc::new(ProgressBar::new(0).with_style(style()));
        let target = Target { db, blobs };
        let copied = app.upkeep().copy_to(&target, &|step| show(&bar, step)).await?;
        bar.finish_and_clear();
        target.db.close().await;
        tell(copied);
        Ok(())
    }
}

fn show(bar: &ProgressBar, step: Step) {
    match step {
        Step::Begun(bytes) => bar.set_length(bytes),
        Step::Bytes(bytes) => bar.inc(bytes),
        Step::Rows(rows) => bar.set_message(format!("{rows} rows")),
    }
}

fn tell(copied: Copied) {
    let Copied { blobs, bytes, rows } = copied;
    match copied == Copied::default() {
        true => say("Everything is there already."),
        false => say(format_args!("{blobs} blobs ({}) and {rows} rows copied", HumanBytes(bytes))),
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
