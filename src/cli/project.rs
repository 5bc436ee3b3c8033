//! `project`: projects, which own debug files.

use anyhow::Context as _;

use super::event_settings::EventOptions;
use super::{org, say, warn};
use crate::accounts::{check_project_slug, check_slug, split_project};
use crate::app::App;
use crate::db::Owner;
use crate::types::{Organization, Project as ProjectRow, Quota, Retention};

/// Projects.
#[derive(Debug, clap::Subcommand)]
pub enum Project {
    /// Make a project and print its slug; the same if it is there already.
    Create {
        /// Organization and short name.
        #[arg(value_name = "ORG/PROJECT")]
        project: String,
    },
    /// Change what holds for a project, and print what was changed; without options, everything that holds.
    Set(Box<Set>),
}

/// What is to hold for a project.
#[derive(Debug, clap::Args)]
pub struct Set {
    /// Organization and short name.
    #[arg(value_name = "ORG/PROJECT")]
    project: String,
    /// Which files go: `90d` those not uploaded for so long, `idle:30d` those neither uploaded nor used, `newest:5` all
    /// but the newest builds of each name. Given several times, a file goes as soon as one rule says so; `keep` alone
    /// keeps everything. Rules given before are replaced.
    #[arg(long, value_name = "keep|<N>d|idle:<N>d|newest:<N>")]
    retention: Vec<String>,
    /// Most bytes of its files, before compression; 0 takes the quota away.
    #[arg(long, value_name = "N")]
    quota_bytes: Option<u64>,
    /// Most files; 0 takes the quota away.
    #[arg(long, value_name = "N")]
    quota_files: Option<u64>,
    /// Whether debuggers may read its debug files without a credential.
    #[arg(long, value_name = "true|false")]
    public_symbols: Option<bool>,
    /// How events are treated.
    #[command(flatten)]
    events: EventOptions,
}

impl Project {
    /// Does it.
    pub async fn run(self, app: &App) -> anyhow::Result<()> {
        match self {
            Self::Create { project } => create(app, &project).await,
            Self::Set(set) => set.run(app).await,
        }
    }
}

async fn create(app: &App, project: &str) -> anyhow::Result<()> {
    let (organization, slug) = split_project(project)?;
    check_slug(slug)?;
    let organization = org::existing(app, organization).await?;
    // A project of an older version keeps its name.
    if app.db.project(organization.id, slug).await?.is_none_or(|project| project.slug != slug) {
        check_project_slug(slug)?;
    }
    let project = app.db.create_project(organization.id, slug, app.clock.now()).await?;
    say(project.slug);
    Ok(())
}

impl Set {
    async fn run(self, app: &App) -> anyhow::Result<()> {
        let found = named(app, &self.project).await?;
        let mut policy = app.db.policy(found.id).await?;
        if !self.retention.is_empty() {
            policy.retention = Retention::of(&self.retention)?;
        }
        change(&mut policy.quota, self.quota_bytes, self.quota_files);
        if !self.retention.is_empty() || self.quota_bytes.is_some() || self.quota_files.is_some() {
            app.db.set_policy(found.id, &policy).await?;
        }
        if let Some(public) = self.public_symbols {
            app.db.set_public_symbols(found.id, public).await?;
            if public && !app.db.upstreams(found.id).await?.is_empty() {
                warn(upstreams_of_public(app.config.upstreams.anonymous));
            }
        }
        let with_events = self.events.is_given();
        let all = self.retention.is_empty() && self.public_symbols.is_none() && !with_events;
        let all = all && self.quota_bytes.is_none() && self.quota_files.is_none();
        if all || !self.retention.is_empty() {
            let rules = policy.retention.to_string();
            say(format_args!("retention\t{}", if rules.is_empty() { "keep" } else { &rules }));
        }
        say_quota(policy.quota, all || self.quota_bytes.is_some(), all || self.quota_files.is_some());
        if all || self.public_symbols.is_some() {
            say(format_args!("public-symbols\t{}", self.public_symbols.unwrap_or(found.public_symbols)));
        }
        if all {
            say_usage(app, Owner::Project(found.id)).await?;
        }
        if with_events {
            self.events.apply(app, found.id).await?;
        }
        Ok(())
    }
}

/// The warning for a project that becomes public and has upstreams.
fn upstreams_of_public(anonymous: bool) -> &'static str {
    if anonymous {
        "the project has upstreams, and the setting `upstreams.anonymous` lets every client without a credential cause \
         fetches from them, which fill the project's quota. Set it to false unless that is intended"
    } else {
        "the project has upstreams; only clients with a token or a symbol key cause fetches from them (setting \
         `upstreams.anonymous`)"
    }
}

/// Changes the parts of a quota that were given; 0 takes a part away.
pub fn change(quota: &mut Quota, bytes: Option<u64>, files: Option<u64>) {
    let limit = |given: u64| (given > 0).then(|| given.min(i64::MAX.unsigned_abs()));
    if let Some(given) = bytes {
        quota.bytes = limit(given);
    }
    if let Some(given) = files {
        quota.files = limit(given);
    }
}

/// Says the parts of a quota that are asked for; 0 stands for none.
pub fn say_quota(quota: Quota, bytes: bool, files: bool) {
    if bytes {
        say(format_args!("quota-bytes\t{}", quota.bytes.unwrap_or(0)));
    }
    if files {
        say(format_args!("quota-files\t{}", quota.files.unwrap_or(0)));
    }
}

/// Says how much somebody has.
pub async fn say_usage(app: &App, owner: Owner) -> anyhow::Result<()> {
    let usage = app.db.usage(owner).await?;
    say(format_args!("used-bytes\t{}", usage.bytes));
    say(format_args!("used-files\t{}", usage.files));
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
