//! `symbol-key`: makes, lists and takes back the keys that debuggers carry in the path of a URL. A key's text is printed
//! once, when it is made, and never stored.

use anyhow::bail;
use chrono::{DateTime, SecondsFormat, Utc};

use super::{project, say, shown};
use crate::accounts::{check_label, issue_symbol_key};
use crate::app::App;

/// Keys for debuggers.
#[derive(Debug, clap::Subcommand)]
pub enum SymbolKey {
    /// Make a key that opens the debug files of a project for reading, and print it. It is never shown again.
    Create {
        /// Organization and project.
        #[arg(long, value_name = "ORG/PROJECT")]
        project: String,
        /// A name for people.
        #[arg(long, default_value = "")]
        name: String,
    },
    /// List the keys of a project, newest first.
    List {
        /// Organization and project.
        #[arg(long, value_name = "ORG/PROJECT")]
        project: String,
    },
    /// Take a key back. It stops working within a second.
    Revoke {
        /// Its number in `symbol-key list`.
        id: i64,
    },
}

impl SymbolKey {
    /// Does it.
    pub async fn run(self, app: &App) -> anyhow::Result<()> {
        match self {
            Self::Create { project, name } => {
                check_label(&name)?;
                let project = project::named(app, &project).await?;
                say(issue_symbol_key(&app.db, &app.clock, project.id, &name).await?.text);
            }
            Self::List { project } => list(app, &project).await?,
            Self::Revoke { id } => {
                if !app.db.revoke_symbol_key(id, app.clock.now()).await? {
                    bail!(
                        "there is no symbol key {id}; `symdepot symbol-key list --project ORG/PROJECT` has the numbers"
                    );
                }
                say(format_args!("symbol key {id} is revoked"));
            }
        }
        Ok(())
    }
}

async fn list(app: &App, project: &str) -> anyhow::Result<()> {
    let project = project::named(app, project).await?;
    let time = |at: Option<DateTime<Utc>>| {
        at.map_or_else(|| "never".to_owned(), |at| at.to_rfc3339_opts(SecondsFormat::Secs, true))
    };
    say("id\tname\tcreated\tlast used\tstate\tbegins with");
    for key in app.db.symbol_keys(project.id).await? {
        let state = if key.revoked_at.is_some() { "revoked" } else { "active" };
        let (created, used) = (time(Some(key.created_at)), time(key.last_used_at));
        // Keys of older versions are known by their hash alone.
        let prefix = key.prefix.unwrap_or_else(|| "-".to_owned());
        say([key.id.to_string(), shown(&key.name).into_owned(), created, used, state.to_owned(), prefix].join("\t"));
    }
    Ok(())
}
