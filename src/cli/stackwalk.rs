//! `stackwalk`: the stacks of a dump or of a crash report of Apple's systems, with names from the files of a project. It works
//! beside a server and without one, and changes nothing of the dump.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::project;
use crate::accounts::split_project;
use crate::app::App;
use crate::jobs::{self, Shutdown};
use crate::symbolication::{Asker, Options, text_report, unpacked};

/// Names the frames of a crash.
#[derive(Debug, clap::Args)]
pub struct Stackwalk {
    /// A minidump or an Apple crash report, also in gzip or zstd; `-` is standard input.
    #[arg(value_name = "DUMP")]
    dump: PathBuf,
    /// Whose debug files have the names.
    #[arg(long, value_name = "ORG/PROJECT")]
    project: String,
    /// Print the response of the server's API, on one line.
    #[arg(long)]
    json: bool,
    /// Print lines of source below the frames.
    #[arg(long)]
    source: bool,
}

impl Stackwalk {
    /// Prints the stacks.
    pub async fn run(self, app: &App) -> anyhow::Result<()> {
        let found = project::named(app, &self.project).await?;
        let (organization, _) = split_project(&self.project)?;
        let path = format!("{organization}/{}", found.slug);
        let asker = Asker { project: Arc::new(found), path, kind: "minidump" };
        let mut file = self.opened(app).await?;
        let mut begin = [0; 4];
        let read = file.read(&mut begin)?;
        file.rewind()?;
        let options = Options { dif_candidates: true, ..Options::default() };
        let shutdown = Shutdown::default();
        let walking = async {
            match &begin[..read] {
                b"MDMP" | b"PMDM" => app.symbolication.minidump(&asker, &file, options).await,
                _ => app.symbolication.apple_report(&asker, &file, options).await,
            }
        };
        // Tables that are not there yet are made here, because no server may be running. What else was taken is handed back.
        let workers = tokio::spawn(jobs::work(app.clone(), shutdown.clone()));
        let response = walking.await;
        shutdown.stop.cancel();
        shutdown.cancel.cancel();
        workers.await?;
        let response = response?;
        let response: Value = serde_json::from_slice(&response)?;
        match response["status"].as_str() {
            Some("completed") => {}
            Some("timeout") => bail!("it took longer than `symbolication.timeout` allows"),
            _ => bail!("{}", response["message"].as_str().unwrap_or("the file cannot be read")),
        }
        let text = if self.json { format!("{response}\n") } else { text_report(&response, self.source) };
        // A reader that went away is no failure.
        let _gone = io::Write::write_all(&mut io::stdout().lock(), text.as_bytes());
        Ok(())
    }

    /// The file, unpacked.
    async fn opened(&self, app: &App) -> anyhow::Result<File> {
        let (path, temp_dir) = (self.dump.clone(), app.config.temp_dir());
        let limit = app.config.symbolication.max_dump_size;
        let opening = move || {
            let file = match path.to_str() {
                Some("-") => {
                    let mut file = tempfile::tempfile_in(&temp_dir)?;
                    io::copy(&mut io::stdin().lock().take(limit.saturating_add(1)), &mut file)?;
                    file
                }
                _ => File::open(&path).with_context(|| format!("{} cannot be opened", path.display()))?,
            };
            Ok::<_, anyhow::Error>(unpacked(file, limit, &temp_dir)?)
        };
        tokio::task::spawn_blocking(opening).await?
    }
}
