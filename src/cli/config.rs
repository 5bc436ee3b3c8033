//! `config`: what the settings come to, with secrets masked.

use super::say;
use crate::config::Config;

/// Settings.
#[derive(Debug, clap::Subcommand)]
pub enum ConfigVerb {
    /// Print the settings in force.
    Show,
}

impl ConfigVerb {
    /// Does it.
    pub fn run(self, config: &Config) -> anyhow::Result<()> {
        let Self::Show = self;
        say(serde_json::to_string_pretty(&config.masked())?);
        Ok(())
    }
}
