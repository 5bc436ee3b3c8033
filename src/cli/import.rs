//! `import`: files, folders and zips from disk, on the same way as an upload. It never changes what it reads.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};

use super::{org, project, say, shown, shown_line};
use crate::accounts::{QuotaError, split_project};
use crate::app::App;
use crate::symcaches::sandbox::OnBehalf;
use crate::symcaches::{ConversionTime, LocalFile, TakeInError, TakenIn};
use crate::types::Project;

/// Takes debug files in from disk.
#[derive(Debug, clap::Args)]
pub struct Import {
    /// Files, folders and zips.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Where to put them.
    #[arg(long, value_name = "ORG/PROJECT")]
    project: String,
}

/// How many files came to what.
#[derive(Debug, Default)]
struct Tally {
    imported: u64,
    known: u64,
    skipped: u64,
    failed: u64,
}

/// One import under way.
struct Run<'a> {
    app: &'a App,
    project: Project,
    bar: ProgressBar,
    tally: Tally,
}

impl Import {
    /// Imports everything, says what failed, and ends with one line of numbers.
    pub async fn run(self, app: &App) -> anyhow::Result<()> {
        let (organization, slug) = split_project(&self.project)?;
        let organization = org::existing(app, organization).await?;
        let project = project::existing(app, &organization, slug).await?;
        let mut files = Vec::new();
        for path in &self.paths {
            walk(path, &mut files).with_context(|| format!("{} cannot be read", path.display()))?;
        }
        let bar = ProgressBar::new(files.len() as u64).with_style(style());
        let mut run = Run { app, project, bar, tally: Tally::default() };
        for path in files {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            run.bar.set_message(shown(&name).into_owned());
            run.path(&path).await?;
            run.bar.inc(1);
        }
        run.bar.finish_and_clear();
        let Tally { imported, known, skipped, failed } = run.tally;
        say(format_args!("{imported} imported, {known} already there, {skipped} not debug files, {failed} failed"));
        if failed > 0 {
            bail!("{failed} of the files could not be imported; the lines above say why");
        }
        Ok(())
    }
}

/// Says on standard error what came of one file.
fn say_beside(name: &str, message: &str) {
    eprintln!("{}: {}", shown(name), shown_line(message));
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Every regular file at or below `path`, in a fixed order.
fn walk(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !std::fs::metadata(path)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries: Result<Vec<_>, _> = std::fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut entries = entries?;
    entries.sort();
    for entry in entries {
        // A link to a folder could lead round in a circle; a link to a file is as good as the file.
        let linked = std::fs::symlink_metadata(&entry)?.is_symlink();
        match std::fs::metadata(&entry) {
            Ok(target) if linked && target.is_dir() => {}
            Ok(target) if target.is_dir() => walk(&entry, files)?,
            Ok(target) if target.is_file() => files.push(entry),
            _ => {}
        }
    }
    Ok(())
}

fn is_zip(file: &File) -> std::io::Result<bool> {
    use std::os::unix::fs::FileExt as _;
    let mut magic = [0; 4];
    Ok(file.read_at(&mut magic, 0)? == 4 && magic == *b"PK\x03\x04")
}

impl Run<'_> {
    /// One path: a file, or a zip of files.
    async fn path(&mut self, path: &Path) -> anyhow::Result<()> {
        let name = path.to_string_lossy();
        let file = match File::open(path).and_then(|file| is_zip(&file).map(|zip| (file, zip))) {
            Ok((file, false)) => return self.file(file, &name).await,
            Ok((file, true)) => file,
            Err(error) => {
                self.failed(&name, &error.to_string());
                return Ok(());
            }
        };
        let on_behalf = OnBehalf::admitted(self.project.organization_id);
        match self.app.symcaches.sandbox.unzip(&file, self.app.config.uploads.max_file_size, on_behalf).await? {
            Err(reason) => self.failed(&name, &reason),
            Ok(zip) => {
                for entry in zip.entries() {
                    let content = zip.content(entry).await?;
                    self.file(content, &format!("{name}/{}", entry.name)).await?;
                }
            }
        }
        Ok(())
    }

    async fn file(&mut self, file: File, name: &str) -> anyhow::Result<()> {
        let conversion = ConversionTime::BeforeRegistration;
        let incoming = LocalFile { file, name, detection: None, conversion };
        match self.app.symcaches.take_in(&self.app.local_files(), &self.project, incoming).await {
            Ok(TakenIn::Known(_)) => self.tally.known += 1,
            Ok(TakenIn::Registered { files, malformed }) => {
                self.tally.imported += 1;
                for note in files.iter().filter_map(|file| file.note.as_deref()) {
                    self.bar.suspend(|| say_beside(name, note));
                }
                if let Some(reason) = malformed {
                    self.bar.suspend(|| say_beside(name, &format!("taken in without a symcache: {reason}")));
                }
            }
            Ok(TakenIn::NotADebugFile) => self.tally.skipped += 1,
            Ok(TakenIn::Refused(reason)) => self.failed(name, &reason),
            // Smaller ones, and those that are there already, may still find room.
            Err(TakeInError::Quota(QuotaError::Over(reason))) => self.failed(name, &reason),
            Err(error) => return Err(error).with_context(|| format!("{name} could not be imported")),
        }
        Ok(())
    }

    fn failed(&mut self, name: &str, reason: &str) {
        self.tally.failed += 1;
        self.bar.suspend(|| say_beside(name, reason));
    }
}
