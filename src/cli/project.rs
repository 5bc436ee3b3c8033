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
}

impl Project {
    /// Does it.
    pub async fn run(self, app: &App) -> anyhow::Result<()> {
        let Self::Create { project } = self;
        let (organization, slug) = split_project(&project)?;
        check_slug(slug)?;
        let organization = org::existing(app, organization).await?;
        let project = app.db.create_project(organization.id, slug, app.clock.now()).await?;
        say(project.slug);
        Ok(())
    }
}

/// The project of an organization written `slug_or_id`.
pub async fn existing(app: &App, organization: &Organization, slug_or_id: &str) -> anyhow::Result<ProjectRow> {
    let found = app.db.project(organization.id, slug_or_id).await?;
    found.with_context(|| {
        let path = format!("{}/{slug_or_id}", organization.slug);
        format!("there is no project `{path}`; make it with `symdepot project create {path}`")
    })
}
