//! `dsn`: makes, lists and revokes the keys with which clients send events.

use anyhow::bail;
use chrono::SecondsFormat;

use super::{project, say, shown};
use crate::accounts::{check_label, dsn, issue_project_key};
use crate::app::App;

/// Client keys.
#[derive(Debug, clap::Subcommand)]
pub enum Dsn {
    /// Make a key that sends events to a project, and print the DSN for its clients.
    Create {
        /// Organization and project.
        #[arg(long, value_name = "ORG/PROJECT")]
        project: String,
        /// A name for people.
        #[arg(long, default_value = "")]
        name: String,
    },
    /// List the DSNs of a project, oldest first.
    List {
        /// Organization and project.
        #[arg(long, value_name = "ORG/PROJECT")]
        project: String,
    },
    /// Revoke a key. Clients with it are refused within a few seconds.
    Revoke {
        /// The key: the part of its DSN before `@`.
        key: String,
    },
}

impl Dsn {
    /// Does it.
    pub async fn run(self, app: &App) -> anyhow::Result<()> {
        match self {
            Self::Create { project, name } => {
                check_label(&name)?;
                let project = project::named(app, &project).await?;
                let key = issue_project_key(&app.db, &app.clock, project.id, &name).await?;
                say(dsn(&app.public_url, &key.public_key, project.id));
            }
            Self::List { project } => {
                let project = project::named(app, &project).await?;
                say("dsn\tname\tcreated\tstate");
                for key in app.db.project_keys(project.id).await? {
                    let state = if key.revoked_at.is_some() { "revoked" } else { "active" };
                    let created = key.created_at.to_rfc3339_opts(SecondsFormat::Secs, true);
                    let dsn = dsn(&app.public_url, &key.public_key, project.id);
                    say([dsn, shown(&key.name).into_owned(), created, state.to_owned()].join("\t"));
                }
            }
            Self::Revoke { key } => {
                if !app.db.revoke_project_key(&key.to_ascii_lowercase(), app.clock.now()).await? {
                    bail!("there is no active key `{key}`; `symdepot dsn list --project ORG/PROJECT` has the keys");
                }
                say(format_args!("key {key} is revoked"));
            }
        }
        Ok(())
    }
}
