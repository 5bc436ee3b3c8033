//! `token`: makes, lists and takes back tokens. A token's text is printed once, when it is made, and never stored.

use std::time::Duration;

use anyhow::{Context as _, bail};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use humantime_serde::re::humantime;

use super::{org, project, say, shown};
use crate::accounts::{TokenOrder, check_label, issue_token};
use crate::app::App;
use crate::types::{Scope, Scopes, Token as TokenRow};

/// Tokens.
#[derive(Debug, clap::Subcommand)]
pub enum Token {
    /// Make a token and print it. It is never shown again.
    ///
    /// The token leads clients to the address in the setting `public_url`, or else to where `serve` last listened on this
    /// data folder. If that is every address of the machine, the token names none and clients go by `SENTRY_URL`.
    Create(Create),
    /// List the tokens of an organization, newest first.
    List {
        /// The organization.
        #[arg(long)]
        org: String,
    },
    /// Take a token back. It stops working within a second.
    Revoke {
        /// Its number in `token list`.
        id: i64,
    },
}

/// A token to make.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// The organization it belongs to.
    #[arg(long)]
    org: String,
    /// A project it is limited to. May be given several times; without it the token reaches all.
    #[arg(long, value_name = "PROJECT")]
    project: Vec<String>,
    /// What it may do. May be given several times.
    #[arg(long, default_value = "org:ci", value_parser = parse_scope)]
    scope: Vec<Scope>,
    /// A name for people.
    #[arg(long, default_value = "")]
    name: String,
    /// How long it works, such as `90d`; without it for ever.
    #[arg(long, value_parser = humantime::parse_duration)]
    expires: Option<Duration>,
}

fn parse_scope(text: &str) -> Result<Scope, String> {
    let known: Vec<_> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
    text.parse().map_err(|_| format!("the scopes are {}", known.join(", ")))
}

impl Token {
    /// Does it.
    pub async fn run(self, app: &App) -> anyhow::Result<()> {
        match self {
            Self::Create(create) => create.run(app).await,
            Self::List { org } => list(app, &org).await,
            Self::Revoke { id } => revoke(app, id).await,
        }
    }
}

impl Create {
    async fn run(self, app: &App) -> anyhow::Result<()> {
        check_label(&self.name)?;
        let organization = org::existing(app, &self.org).await?;
        let mut project_ids = Vec::with_capacity(self.project.len());
        for slug in &self.project {
            project_ids.push(project::existing(app, &organization, slug).await?.id);
        }
        let expires_at = self.expires.map(|lifetime| end_of(app.clock.now(), lifetime)).transpose()?;
        let mut scopes = Vec::new();
        for scope in self.scope {
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        let order = TokenOrder { name: self.name, scopes: Scopes(scopes), project_ids, expires_at };
        let secret = issue_token(&app.db, &app.clock, &app.public_url, &organization, order).await?;
        if app.public_url.is_empty() {
            eprintln!(
                "symdepot: the token names no address, so clients need SENTRY_URL with it. Set `public_url` \
                 (SYMDEPOT_PUBLIC_URL) to the address that clients use, and tokens made later name it"
            );
        }
        say(secret.text);
        Ok(())
    }
}

/// The end of a life that begins now.
fn end_of(now: DateTime<Utc>, lifetime: Duration) -> anyhow::Result<DateTime<Utc>> {
    let end = TimeDelta::from_std(lifetime).ok().and_then(|lifetime| now.checked_add_signed(lifetime));
    end.context("--expires is too far away; leave it out for a token that never expires")
}

async fn list(app: &App, organization: &str) -> anyhow::Result<()> {
    let organization = org::existing(app, organization).await?;
    let tokens = app.db.tokens(organization.id).await?;
    say("id\tname\tscopes\tprojects\tcreated\texpires\tlast used\tstate");
    for token in tokens {
        let mut projects = Vec::new();
        for id in &token.project_ids {
            let found = app.db.project(organization.id, &id.to_string()).await?;
            projects.push(found.map_or_else(|| id.to_string(), |project| project.slug));
        }
        say(line(&token, &projects, app.clock.now()));
    }
    Ok(())
}

fn line(token: &TokenRow, projects: &[String], now: DateTime<Utc>) -> String {
    let time = |at: Option<DateTime<Utc>>| {
        at.map_or_else(|| "never".to_owned(), |at| at.to_rfc3339_opts(SecondsFormat::Secs, true))
    };
    let state = match token {
        TokenRow { revoked_at: Some(_), .. } => "revoked",
        TokenRow { expires_at: Some(at), .. } if *at <= now => "expired",
        _ => "active",
    };
    let projects = if projects.is_empty() { "all".to_owned() } else { projects.join(",") };
    [
        token.id.to_string(),
        shown(&token.name).into_owned(),
        token.scopes.to_string(),
        projects,
        time(Some(token.created_at)),
        time(token.expires_at),
        time(token.last_used_at),
        state.to_owned(),
    ]
    .join("\t")
}

async fn revoke(app: &App, id: i64) -> anyhow::Result<()> {
    if !app.db.revoke_token(id, app.clock.now()).await? {
        bail!("there is no token {id}; `symdepot token list --org ORG` has the numbers");
    }
    say(format_args!("token {id} is revoked"));
    Ok(())
}
