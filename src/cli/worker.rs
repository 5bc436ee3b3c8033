//! `worker`: background work without the web, for a second machine on the same database and bytes.

use super::{open, run, say};
use crate::config::Config;

/// Works until a signal.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let app = open(config).await?;
    app.warn_of_open_folder();
    let shutdown = run::on_signals()?;
    say("working");
    run::try_isolation(&app);
    tokio::join!(run::workers(&app, &shutdown), run::clean_temp(&app, &shutdown));
    run::finish(&app, &shutdown).await;
    Ok(())
}
