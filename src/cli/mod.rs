//! The command line: one file per verb. An answer goes to standard output, everything else to standard error.
//!
//! Exit codes: 0 done, 1 it could not be done and why, 2 the command line itself makes no sense.

mod config;
mod copy_to;
mod dsn;
mod event_settings;
mod events;
mod files;
mod fsck;
mod gc;
mod health;
mod import;
mod migrate;
mod org;
mod project;
mod run;
mod serve;
mod shown;
mod stackwalk;
mod symbol_key;
mod symcaches;
mod token;
mod upstream;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use rustix::fs::Mode;

use shown::{shown, shown_line};

use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::telemetry;

/// The debug-file depot of a software company in one binary.
#[derive(Debug, Parser)]
#[command(name = "symdepot", version, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    settings: SettingFlags,
    #[command(subcommand)]
    verb: Verb,
}

/// Flags that stand for settings.
#[derive(Clone, Debug, Default, clap::Args)]
struct SettingFlags {
    /// Settings file to read instead of `symdepot.toml`.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of database, blobs and temp files.
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Web and workers in one process.
    Serve(serve::Serve),
    /// Workers only, for a second machine.
    Worker,
    /// Bring the database to the newest schema.
    Migrate,
    /// Organizations.
    #[command(subcommand)]
    Org(org::Org),
    /// Projects.
    #[command(subcommand)]
    Project(project::Project),
    /// Tokens.
    #[command(subcommand)]
    Token(token::Token),
    /// Keys for debuggers, which stand in the path of a URL.
    #[command(subcommand)]
    SymbolKey(symbol_key::SymbolKey),
    /// Client keys, with which SDKs send events.
    #[command(subcommand)]
    Dsn(dsn::Dsn),
    /// Events of clients.
    #[command(subcommand)]
    Events(events::Events),
    /// What workers made of debug files.
    #[command(subcommand)]
    Symcaches(symcaches::Symcaches),
    /// Other symbol servers, asked for what a project does not have.
    #[command(subcommand)]
    Upstream(upstream::Upstream),
    /// Take in debug files from disk: files, folders and zips.
    Import(import::Import),
    /// The stacks of a minidump or an Apple crash report, with names from a project's debug files.
    Stackwalk(stackwalk::Stackwalk),
    /// Debug files, many at once.
    #[command(subcommand)]
    Files(files::Files),
    /// Remove what nobody can want any more.
    Gc(gc::Gc),
    /// Hold rows against bytes, and mend what can be mended.
    Fsck(fsck::Fsck),
    /// Copy everything into another database and store.
    CopyTo(copy_to::CopyTo),
    /// Settings.
    #[command(subcommand)]
    Config(config::ConfigVerb),
    /// Whether a server is ready: exit 0 if so.
    Health(health::Health),
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // What is created from here on is for this user alone: the database holds secrets.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("no threads can be started: {error}")),
    };
    let outcome = runtime.block_on(cli.run());
    // Whatever still blocks a thread now has had its time.
    runtime.shutdown_timeout(Duration::from_secs(1));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&sentence(&error)),
    }
}

/// What went wrong and why, each cause once: many an error has its cause in its own words already.
fn sentence(error: &anyhow::Error) -> String {
    let mut said = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string).filter(|cause| !cause.is_empty()) {
        if !said.contains(&cause) {
            said.push_str(": ");
            said.push_str(&cause);
        }
    }
    said
}

fn failed(sentence: &str) -> ExitCode {
    eprintln!("symdepot: {}", shown_line(sentence));
    ExitCode::FAILURE
}

impl Cli {
    async fn run(self) -> anyhow::Result<()> {
        let mut flags = self.settings.as_settings();
        if let Verb::Serve(serve) = &self.verb {
            flags.extend(serve.as_settings());
        }
        let config = Config::load(self.settings.config.as_deref(), &flags)?;
        telemetry::start(&config).map_err(anyhow::Error::msg)?;
        match self.verb {
            Verb::Serve(serve) => serve.run(config).await,
            Verb::Worker => worker::run(config).await,
            Verb::Migrate => migrate::run(config).await,
            Verb::Org(verb) => verb.run(&open(config).await?).await,
            Verb::Project(verb) => verb.run(&open(config).await?).await,
            Verb::Token(verb) => verb.run(&open(config).await?).await,
            Verb::SymbolKey(verb) => verb.run(&open(config).await?).await,
            Verb::Dsn(verb) => verb.run(&open(config).await?).await,
            Verb::Events(verb) => verb.run(&open(config).await?).await,
            Verb::Symcaches(verb) => verb.run(&open(config).await?).await,
            Verb::Upstream(verb) => verb.run(&open(config).await?).await,
            Verb::Import(import) => import.run(&open(config).await?).await,
            Verb::Stackwalk(stackwalk) => stackwalk.run(&open(config).await?).await,
            Verb::Files(verb) => verb.run(&open(config).await?).await,
            // What it removes or counts is still there when it begins.
            Verb::Gc(gc) => gc.run(&App::build(config, Clock::System).await?).await,
            Verb::Fsck(fsck) => fsck.run(&open(config).await?).await,
            Verb::CopyTo(copy) => copy.run(config).await,
            Verb::Config(verb) => verb.run(&config),
            Verb::Health(health) => health.run(&config).await,
        }
    }
}

impl SettingFlags {
    fn as_settings(&self) -> Vec<(&'static str, String)> {
        self.data_dir.iter().map(|path| ("data_dir", path.display().to_string())).collect()
    }
}

/// The app that short verbs work on.
async fn open(config: Config) -> anyhow::Result<App> {
    let app = App::build(config, Clock::System).await?;
    run::sweep_temp(&app).await;
    Ok(app)
}

/// Prints a warning beside the answer, where scripts do not read it.
fn warn(line: impl std::fmt::Display) {
    eprintln!("symdepot: warning: {line}");
}

/// Prints one line of an answer, in which no stored text moves the cursor. A reader that went away is no failure.
fn say(line: impl std::fmt::Display) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    // Flushed at once: scripts wait for the line while the server goes on.
    let _gone = writeln!(out, "{}", shown_line(&line.to_string())).and_then(|()| out.flush());
}
