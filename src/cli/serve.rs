//! `serve`: web and workers in one process, until a signal ends them.

use anyhow::Context as _;

use super::{run, say};
use crate::accounts::{FirstStart, dsn, set_up};
use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::server::Server;

/// Web and workers in one process.
#[derive(Debug, clap::Args)]
pub struct Serve {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Leave the background work to other processes.
    #[arg(long)]
    no_workers: bool,
}

impl Serve {
    /// The flags that stand for settings.
    pub fn as_settings(&self) -> Vec<(&'static str, String)> {
        self.listen.iter().map(|listen| ("listen", listen.clone())).collect()
    }

    /// Serves until a signal.
    pub async fn run(self, config: Config) -> anyhow::Result<()> {
        let listen = config.listen.clone();
        // The door opens before the database does: a second server on the same port fails at once and changes nothing.
        let server = Server::bind(&listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        let app = App::build(config, Clock::System).await?.listening_on(server.url());
        app.warn_of_open_folder();
        if let Err(error) = app.note_url(server.url()) {
            tracing::warn!(%error, "the address could not be noted; tokens made by other verbs lead to the settings");
        }
        if let Err(error) = app.note_listener(server.address()) {
            tracing::warn!(%error, "failed to note the address of the listener; `health` requests the one of the settings");
        }
        if app.public_url.is_empty() {
            tracing::info!(
                "`public_url` is not set and the server listens on every address: new tokens name no address"
            );
        }
        let first_start = set_up(&app.db, &app.clock, &app.public_url).await?;
        let shutdown = run::on_signals()?;
        say(format_args!("listening on http://{}", server.address()));
        if let Some(made) = &first_start {
            say(welcome(made, &app.public_url, server.address().port()));
        }
        run::try_isolation(&app);
        let serving = server.run(app.clone(), shutdown.stop.clone(), shutdown.cancel.clone());
        let cleaning = run::clean_temp(&app, &shutdown);
        if self.no_workers {
            let digesting = crate::jobs::digest_own(app.clone(), shutdown.clone());
            let (served, (), ()) = tokio::join!(serving, cleaning, digesting);
            served?;
        } else {
            let (served, (), ()) = tokio::join!(serving, run::workers(&app, &shutdown), cleaning);
            served?;
        }
        run::finish(&app, &shutdown).await;
        Ok(())
    }
}

/// What to paste into a shell to upload the first file. Without a `public_url` the address is for the reader to complete,
/// because nothing else knows by which name other machines reach this one.
fn welcome(made: &FirstStart, public_url: &str, port: u16) -> String {
    let FirstStart { organization, project, key, token } = made;
    let (hint, url) = match public_url {
        "" => (
            "# HOST is the name or address by which clients reach this machine. Set `public_url` (SYMDEPOT_PUBLIC_URL) to\n\
             # this address, so that tokens made later name it too.\n",
            format!("http://HOST:{port}"),
        ),
        url => ("", url.to_owned()),
    };
    format!(
        "\nThis is the first start: {org}/{project} was made, and a token that is never shown again. To upload:\n\n\
         {hint}export SENTRY_URL={url}\n\
         export SENTRY_ORG={org}\n\
         export SENTRY_PROJECT={project}\n\
         export SENTRY_AUTH_TOKEN={token}\n\
         sentry-cli debug-files upload --wait PATH\n\n\
         To send events, configure an SDK with this DSN:\n\n\
         {dsn}\n",
        org = organization.slug,
        project = project.slug,
        token = token.text,
        dsn = dsn(&url, &key.public_key, project.id),
    )
}
