//! `migrate`: brings the database to the newest schema. It changes no content.

use super::{open, say};
use crate::config::Config;

/// Migrates; a second time changes nothing and says the same.
pub async fn run(config: Config) -> anyhow::Result<()> {
    // Opening migrates.
    let app = open(config).await?;
    say(format_args!("the {} database has the newest schema", app.db.engine()));
    app.db.close().await;
    Ok(())
}
