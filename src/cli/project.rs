//! `project`: projects, which own debug files.

use anyhow::Context as _;

use super::{org, say};
use crate::accounts::{check_slug, split_project};
use crate::app::App;
use crate::types::{Organization, Project as ProjectRow};

/// Projects.
#[derive(Debug, clap::Subcommand)]
pub enum Project {
    /// Make a project and print its slug; the same if it is there already.
    Create {
        /// Organization and short name.
        #[arg(value_name = "ORG/PROJECT")]
        project: String,
    },
    /// Change what holds for a project, and print it.
    Set {
        /// Organization and short name.
        #[arg(value_name = "ORG/PROJECT")]
        project: String,
        /// Whether debuggers may read its debug files without a credential.
        #[arg(long, value_name = "true|false", action = clap::ArgAction::Set)]
        public_symbols: bool,
    },
}

impl Project {
    /// Does it.
    pub async fn run(self, app: &App) -> anyhow::Result<()> {
        match self {
            Self::Create { project } => create(app, &project).await,
            Self::Set { project, public_symbols } => set(app, &project, public_symbols).await,
        }
    }
}

async fn create(app: &App, project: &str) -> anyhow::Result<()> {
    let (organization, slug) = split_project(project)?;
    check_slug(slug)?;
    let organization = org::existing(app, organization).await?;
    let project = app.db.create_project(organization.id, slug, app.clock.now()).await?;
    say(project.slug);
    Ok(())
}

async fn set(app: &App, project: &str, public_symbols: bool) -> anyhow::Result<()> {
    let found = named(app, project).await?;
    app.db.set_public_symbols(found.id, public_symbols).await?;
    say(format_args!("public-symbols\t{public_symbols}"));
    Ok(())
}

/// The project written `ORG/PROJECT`.
pub async fn named(app: &App, project: &str) -> anyhow::Result<ProjectRow> {
    let (organization, slug) = split_project(project)?;
    let organization = org::existing(app, organization).await?;
    existing(app, &organization, slug).await
}

/// The project of an organization written `slug_or_id`.
pub async fn existing(app: &App, organization: &Organization, slug_or_id: &str) -> anyhow::Result<ProjectRow> {
    let found = app.db.project(organization.id, slug_or_id).await?;
    found.with_context(|| {
        let path = format!("{}/{slug_or_id}", organization.slug);
        format!("there is no project `{path}`; make it with `symdepot project create {path}`")
    })
}
