//! `upstream`: other symbol servers that a project asks for what it does not have. Neither user nor password of an address is ever printed.

use anyhow::bail;
use chrono::SecondsFormat;

use super::{project, say, shown};
use crate::app::App;
use crate::types::{UpstreamKind, mask_url};
use crate::upstreams::checked_url;

/// Other symbol servers.
#[derive(Debug, clap::Subcommand)]
pub enum Upstream {
    /// Have a project ask another symbol server for what it does not have, and print its number; the same if it does so
    /// already.
    Add {
        /// Organization and project.
        #[arg(long, value_name = "ORG/PROJECT")]
        project: String,
        /// What it speaks: `debuginfod`, `ssqp`, `breakpad`, or `native` for the folders of gdb, lldb and `SymStore`.
        #[arg(long, value_name = "KIND")]
        kind: String,
        /// Its address, `http://` or `https://`, with a user and a password if need be.
        #[arg(value_name = "URL")]
        url: String,
    },
    /// List the symbol servers that a project asks, in the order in which it does.
    List {
        /// Organization and project.
        #[arg(long, value_name = "ORG/PROJECT")]
        project: String,
    },
    /// Ask one no more. What it brought stays.
    Remove {
        /// Its number in `upstream list`.
        id: i64,
    },
}

impl Upstream {
    /// Does it.
    pub async fn run(self, app: &App) -> anyhow::Result<()> {
        match self {
            Self::Add { project, kind, url } => add(app, &project, &kind, &url).await,
            Self::List { project } => list(app, &project).await,
            Self::Remove { id } => {
                if !app.db.remove_upstream(id).await? {
                    bail!("there is no upstream {id}; `symdepot upstream list --project ORG/PROJECT` has the numbers");
                }
                say(format_args!("upstream {id} is removed"));
                Ok(())
            }
        }
    }
}

async fn add(app: &App, project: &str, kind: &str, url: &str) -> anyhow::Result<()> {
    let project = project::named(app, project).await?;
    let Ok(kind) = kind.parse::<UpstreamKind>() else {
        let kinds: Vec<_> = UpstreamKind::ALL.iter().map(|kind| kind.as_str()).collect();
        bail!("`{kind}` is no kind of symbol server; there are {}", kinds.join(", "));
    };
    let url = match checked_url(&app.config.upstreams, url) {
        Ok(url) => url,
        Err(reason) => bail!("this cannot be the address of an upstream: {reason}"),
    };
    say(app.db.add_upstream(project.id, kind, &url, app.clock.now()).await?);
    Ok(())
}

async fn list(app: &App, project: &str) -> anyhow::Result<()> {
    let project = project::named(app, project).await?;
    say("id\tkind\turl\tcreated");
    for upstream in app.db.upstreams(project.id).await? {
        let created = upstream.created_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        say([
            upstream.id.to_string(),
            upstream.kind.to_string(),
            shown(&mask_url(&upstream.url)).into_owned(),
            created,
        ]
        .join("\t"));
    }
    Ok(())
}
