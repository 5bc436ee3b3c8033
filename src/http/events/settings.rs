//! How events of a project are treated, read and changed.

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use crate::accounts::{ChangeSettings, ReadSettings};
use crate::app::App;
use crate::events::check_settings;
use crate::http::auth::ProjectAccess;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::JsonBody;
use crate::types::{EventSettings, Project};

/// `GET projects/{org}/{project}/`.
pub async fn get(access: ProjectAccess<ReadSettings>, State(app): State<App>) -> ApiResult<Json<Value>> {
    let settings = app.db.event_settings(access.project.id).await?;
    Ok(Json(shape(&access.project, &settings)))
}

/// `PUT projects/{org}/{project}/`: any of the settings.
pub async fn put(
    access: ProjectAccess<ChangeSettings>,
    State(app): State<App>,
    JsonBody(body): JsonBody<Map<String, Value>>,
) -> ApiResult<Json<Value>> {
    let mut settings = app.db.event_settings(access.project.id).await?;
    change(&mut settings, body).map_err(ApiError::BadRequest)?;
    check_settings(&settings).map_err(ApiError::BadRequest)?;
    app.db.set_event_settings(access.project.id, &settings).await?;
    Ok(Json(shape(&access.project, &settings)))
}

fn change(settings: &mut EventSettings, body: Map<String, Value>) -> Result<(), String> {
    for (name, value) in body {
        let text = || value.as_str().map(str::to_owned).ok_or_else(|| format!("{name} is not a text"));
        let number = || value.as_i64().ok_or_else(|| format!("{name} is not a whole number"));
        fn word<T: std::str::FromStr>(name: &str, text: &str, allowed: &str) -> Result<T, String> {
            text.parse().map_err(|_| format!("{name} is {allowed}"))
        }
        match name.as_str() {
            "fingerprintingRules" => settings.fingerprinting_rules = text()?,
            "groupingEnhancements" => settings.grouping_enhancements = text()?,
            "groupingMode" => settings.grouping_mode = word(&name, &text()?, "`flat` or `hierarchical`")?,
            "duplicates" => settings.duplicates = word(&name, &text()?, "`last` or `first`")?,
            "eventSampling" => settings.event_sampling = word(&name, &text()?, "`off` or `decay`")?,
            "eventRate" => settings.event_rate = number()?,
            "quotaEvents" => settings.quota_events = number()?,
            "quotaEventBytes" => settings.quota_event_bytes = number()?,
            "eventRetention" => {
                let rules = value.as_array().ok_or_else(|| format!("{name} is not a list"))?;
                let rule = |rule: &Value| {
                    rule.as_str().map(str::to_owned).ok_or_else(|| format!("{name} has an entry that is no text"))
                };
                settings.event_retention = rules.iter().map(rule).collect::<Result<_, _>>()?;
            }
            "inboundFilters" => settings.inbound_filters = value,
            "scrub" => settings.scrub = scrub(&settings.scrub, value)?,
            // Of Sentry's other settings, which clients send along.
            _ => {}
        }
    }
    Ok(())
}

/// The settings of scrubbing with those that were sent in place of the old ones.
fn scrub(before: &Value, sent: Value) -> Result<Value, String> {
    let Value::Object(sent) = sent else { return Err("scrub is not an object".to_owned()) };
    let mut scrub = before.as_object().cloned().unwrap_or_default();
    for key in ["defaults", "ipAddresses", "sensitiveFields", "safeFields"] {
        if let Some(value) = sent.get(key) {
            scrub.insert(key.to_owned(), value.clone());
        }
    }
    Ok(Value::Object(scrub))
}

fn shape(project: &Project, settings: &EventSettings) -> Value {
    json!({
        "id": project.id.to_string(),
        "slug": project.slug,
        "name": project.slug,
        "dateCreated": super::shapes::time(project.created_at),
        "fingerprintingRules": settings.fingerprinting_rules,
        "groupingEnhancements": settings.grouping_enhancements,
        "groupingMode": settings.grouping_mode.as_str(),
        "duplicates": settings.duplicates.as_str(),
        "eventSampling": settings.event_sampling.as_str(),
        "eventRate": settings.event_rate,
        "eventRetention": settings.event_retention,
        "quotaEvents": settings.quota_events,
        "quotaEventBytes": settings.quota_event_bytes,
        "inboundFilters": settings.inbound_filters,
        "scrub": settings.scrub,
    })
}
