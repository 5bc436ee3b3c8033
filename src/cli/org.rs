//! `org`: organizations, each a world of its own.

use anyhow::Context as _;

use super::{project, say};
use crate::accounts::check_slug;
use crate::app::App;
use crate::db::Owner;
use crate::types::Organization;

/// Organizations.
#[derive(Debug, clap::Subcommand)]
pub enum Org {
    /// Make an organization and print its slug; the same if it is there already.
    Create {
        /// Its short name in addresses.
        slug: String,
    },
    /// Change how much an organization may have, and print what was changed; without options, everything that holds.
    Set {
        /// Its short name.
        #[arg(value_name = "ORG")]
        organization: String,
        /// Most bytes of the files of all its projects, before compression, and of chunks on their way to a file; 0 takes
        /// the quota away.
        #[arg(long, value_name = "N")]
        quota_bytes: Option<u64>,
        /// Most files of all its projects; 0 takes the quota away.
        #[arg(long, value_name = "N")]
        quota_files: Option<u64>,
    },
}

impl Org {
    /// Does it.
    pub async fn run(self, app: &App) -> anyhow::Result<()> {
        match self {
            Self::Create { slug } => {
                check_slug(&slug)?;
                let organization = app.db.create_organization(&slug, app.clock.now()).await?;
                say(organization.slug);
                Ok(())
            }
            Self::Set { organization, quota_bytes, quota_files } => {
                set(app, &organization, quota_bytes, quota_files).await
            }
        }
    }
}

async fn set(app: &App, organization: &str, bytes: Option<u64>, files: Option<u64>) -> anyhow::Result<()> {
    let organization = existing(app, organization).await?;
    let mut quota = app.db.organization_quota(organization.id).await?;
    let all = bytes.is_none() && files.is_none();
    if !all {
        project::change(&mut quota, bytes, files);
        app.db.set_organization_quota(organization.id, quota).await?;
    }
    project::say_quota(quota, all || bytes.is_some(), all || files.is_some());
    if all {
        project::say_usage(app, Owner::Organization(organization.id)).await?;
    }
    Ok(())
}

/// The organization written `slug_or_id`.
pub async fn existing(app: &App, slug_or_id: &str) -> anyhow::Result<Organization> {
    let found = app.db.organization(slug_or_id).await?;
    found.with_context(|| {
        format!("there is no organization `{slug_or_id}`; make it with `symdepot org create {slug_or_id}`")
    })
}
