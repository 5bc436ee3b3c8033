//! Settings of events as people change them: what is refused, and why. It stores nothing.

use symdepot_events::filter::Filters;
use symdepot_events::grouping::Rules;
use symdepot_events::scrub::Scrubber;

use crate::types::EventSettings;
use crate::types::limits::RULES;

/// Most rules of retention.
const MOST_RETENTION: usize = 20;

/// What is wrong with settings, in a sentence.
pub fn check_settings(settings: &EventSettings) -> Result<(), String> {
    for (name, text) in [
        ("fingerprintingRules", &settings.fingerprinting_rules),
        ("groupingEnhancements", &settings.grouping_enhancements),
    ] {
        if text.len() > RULES {
            return Err(format!("{name} is longer than {RULES} bytes"));
        }
        if text.contains('\0') {
            return Err(format!("{name} has a character for zero"));
        }
    }
    Rules::parse(&settings.grouping_enhancements, &settings.fingerprinting_rules).map_err(|error| error.to_string())?;
    Filters::parse(&settings.inbound_filters)?;
    Scrubber::parse(&settings.scrub)?;
    for (name, limit) in [
        ("eventRate", settings.event_rate),
        ("quotaEvents", settings.quota_events),
        ("quotaEventBytes", settings.quota_event_bytes),
    ] {
        if limit < 0 {
            return Err(format!("{name} is less than 0"));
        }
    }
    let rules = &settings.event_retention;
    if rules.len() > MOST_RETENTION {
        return Err(format!("eventRetention has more than {MOST_RETENTION} rules"));
    }
    match rules.iter().find(|rule| EventRule::of(rule).is_none()) {
        Some(rule) => {
            Err(format!("eventRetention: `{rule}` is none of `keep`, `90d`, `newest:1000`, `issue:newest:500`"))
        }
        None if rules.len() > 1 && rules.iter().any(|rule| rule == "keep") => {
            Err("eventRetention: `keep` stands alone".to_owned())
        }
        None => Ok(()),
    }
}

/// A rule of retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventRule {
    /// Everything stays.
    Keep,
    /// Events that were received more than so many days ago go.
    Days(u32),
    /// All but the newest of the project go.
    Newest(u32),
    /// All but the newest of each issue go.
    NewestOfIssue(u32),
}

impl EventRule {
    /// Reads a rule.
    pub fn of(text: &str) -> Option<Self> {
        let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number > 0);
        if text == "keep" {
            return Some(Self::Keep);
        }
        if let Some(rest) = text.strip_prefix("issue:newest:") {
            return number(rest).map(Self::NewestOfIssue);
        }
        if let Some(rest) = text.strip_prefix("newest:") {
            return number(rest).map(Self::Newest);
        }
        text.strip_suffix('d').and_then(number).map(Self::Days)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_be_kept_are_refused_with_their_name() {
        let with = |change: fn(&mut EventSettings)| {
            let mut settings = EventSettings::default();
            change(&mut settings);
            check_settings(&settings)
        };
        assert_eq!(with(|_| {}), Ok(()));
        assert!(with(|settings| settings.fingerprinting_rules = "x".to_owned()).unwrap_err().contains("line 1"));
        assert!(with(|settings| settings.event_retention = vec!["9".to_owned()]).unwrap_err().contains("`9`"));
        assert!(with(|settings| settings.event_retention = vec!["keep".to_owned(), "9d".to_owned()]).is_err());
        assert!(with(|settings| settings.inbound_filters = serde_json::json!([{ "kind": "x" }])).is_err());
        assert!(with(|settings| settings.scrub = serde_json::json!(1)).is_err());
        assert_eq!(EventRule::of("issue:newest:5"), Some(EventRule::NewestOfIssue(5)));
    }
}
