//! The options of `project set` that say how events of a project are treated.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail};
use serde_json::json;

use super::say;
use crate::app::App;
use crate::events::check_settings;
use crate::types::{Duplicates, EventSampling, EventSettings, GroupingMode};

/// How events are treated.
#[derive(Debug, Default, clap::Args)]
pub struct EventOptions {
    /// Which payload of a repeated event id stays.
    #[arg(long, value_name = "last|first")]
    duplicates: Option<String>,
    /// Whether all events of an issue are stored.
    #[arg(long, value_name = "off|decay")]
    sampling: Option<String>,
    /// By which hashes events are grouped.
    #[arg(long, value_name = "flat|hierarchical")]
    grouping: Option<String>,
    /// Most accepted events per minute; 0 takes the limit away.
    #[arg(long, value_name = "N")]
    event_rate: Option<u32>,
    /// Which events go, such as `90d`, `newest:100000` or `issue:newest:500`; `keep` alone keeps everything.
    #[arg(long, value_name = "RULE")]
    event_retention: Vec<String>,
    /// Most stored events, above which the oldest go; 0 takes the quota away.
    #[arg(long, value_name = "N")]
    quota_events: Option<u32>,
    /// Most bytes of stored events; 0 takes the quota away.
    #[arg(long, value_name = "N")]
    quota_event_bytes: Option<u64>,
    /// Whether addresses of users are stored.
    #[arg(long, value_name = "keep|remove")]
    ip_addresses: Option<String>,
    /// File with rules that give events fingerprints; `-` for none.
    #[arg(long, value_name = "FILE")]
    fingerprint_rules: Option<PathBuf>,
    /// File with rules for the frames of stacks; `-` for none.
    #[arg(long, value_name = "FILE")]
    grouping_rules: Option<PathBuf>,
}

impl EventOptions {
    /// Whether one was given.
    pub fn is_given(&self) -> bool {
        self.duplicates.is_some()
            || self.sampling.is_some()
            || self.grouping.is_some()
            || self.event_rate.is_some()
            || !self.event_retention.is_empty()
            || self.quota_events.is_some()
            || self.quota_event_bytes.is_some()
            || self.ip_addresses.is_some()
            || self.fingerprint_rules.is_some()
            || self.grouping_rules.is_some()
    }

    /// Changes the settings of a project, and says what was changed.
    pub async fn apply(self, app: &App, project_id: i64) -> anyhow::Result<()> {
        let mut settings = app.db.event_settings(project_id).await?;
        let said = self.change(&mut settings)?;
        check_settings(&settings).map_err(|reason| anyhow!(reason))?;
        app.db.set_event_settings(project_id, &settings).await?;
        said.into_iter().for_each(say);
        Ok(())
    }

    fn change(self, settings: &mut EventSettings) -> anyhow::Result<Vec<String>> {
        let mut said = Vec::new();
        if let Some(word) = &self.duplicates {
            settings.duplicates =
                word.parse::<Duplicates>().map_err(|_| anyhow!("--duplicates is `last` or `first`"))?;
            said.push(format!("duplicates\t{word}"));
        }
        if let Some(word) = &self.sampling {
            settings.event_sampling =
                word.parse::<EventSampling>().map_err(|_| anyhow!("--sampling is `off` or `decay`"))?;
            said.push(format!("sampling\t{word}"));
        }
        if let Some(word) = &self.grouping {
            settings.grouping_mode =
                word.parse::<GroupingMode>().map_err(|_| anyhow!("--grouping is `flat` or `hierarchical`"))?;
            said.push(format!("grouping\t{word}"));
        }
        if let Some(rate) = self.event_rate {
            settings.event_rate = rate.into();
            said.push(format!("event-rate\t{rate}"));
        }
        if !self.event_retention.is_empty() {
            said.push(format!("event-retention\t{}", self.event_retention.join(" ")));
            settings.event_retention = self.event_retention;
        }
        if let Some(events) = self.quota_events {
            settings.quota_events = events.into();
            said.push(format!("quota-events\t{events}"));
        }
        if let Some(bytes) = self.quota_event_bytes {
            settings.quota_event_bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
            said.push(format!("quota-event-bytes\t{bytes}"));
        }
        if let Some(word) = &self.ip_addresses {
            settings.scrub["ipAddresses"] = json!(match word.as_str() {
                "keep" => false,
                "remove" => true,
                _ => bail!("--ip-addresses is `keep` or `remove`"),
            });
            said.push(format!("ip-addresses\t{word}"));
        }
        for (name, file, text) in [
            ("fingerprint-rules", &self.fingerprint_rules, &mut settings.fingerprinting_rules),
            ("grouping-rules", &self.grouping_rules, &mut settings.grouping_enhancements),
        ] {
            let Some(file) = file else { continue };
            *text = match file.as_os_str() == "-" {
                true => String::new(),
                false => std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?,
            };
            said.push(format!("{name}\t{} lines", text.lines().count()));
        }
        Ok(said)
    }
}
