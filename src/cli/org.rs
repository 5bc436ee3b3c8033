//! `org`: organizations, each a world of its own.

use anyhow::Context as _;

use super::say;
use crate::accounts::check_slug;
use crate::app::App;
use crate::types::Organization;

/// Organizations.
#[derive(Debug, clap::Subcommand)]
pub enum Org {
    /// Make an organization and print its slug; the same if it is there already.
    Create {
        /// Its short name in addresses.
        slug: String,
    },
}

impl Org {
    /// Does it.
    pub async fn run(self, app: &App) -> anyhow::Result<()> {
        let Self::Create { slug } = self;
        check_slug(&slug)?;
        let organization = app.db.create_organization(&slug, app.clock.now()).await?;
        say(organization.slug);
        Ok(())
    }
}

/// The organization written `slug_or_id`.
pub async fn existing(app: &App, slug_or_id: &str) -> anyhow::Result<Organization> {
    let found = app.db.organization(slug_or_id).await?;
    found.with_context(|| {
        format!("there is no organization `{slug_or_id}`; make it with `symdepot org create {slug_or_id}`")
    })
}
