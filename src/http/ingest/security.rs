//! `POST /api/{id}/security/`: reports of browsers.

use axum::body::Body;
use symdepot_events::security::reports;

use super::Call;
use super::answer::{Answer, Refusal, accepted};
use super::body::received;
use super::envelope::{nothing, one_event};
use crate::http::extract::QueryPairs;

/// A report, or a list of them.
pub async fn report(call: Call, body: Body) -> Answer {
    let sender = call.authenticated().await?;
    let body = received(&call.app, sender.key.organization_id, &call.headers, body).await?;
    if body.len() as u64 > call.app.config.events.max_event {
        return Err(Refusal::too_large("The report is larger than the server accepts."));
    }
    let uri = format!("/?{}", call.query).parse().map_err(|_| Refusal::bad("The query cannot be read."))?;
    let query = QueryPairs::of(&uri)?;
    let query: Vec<_> = query.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let (events, is_list) = reports(&body, &query).map_err(Refusal::bad)?;
    let mut last = None;
    for event in events {
        let text = serde_json::Value::Object(event).to_string();
        last = Some(one_event(&call, &sender, None, text.into()).await?);
    }
    Ok(match last.filter(|_| !is_list) {
        Some(id) => accepted(Some(&id.to_string())),
        None => nothing(),
    })
}
