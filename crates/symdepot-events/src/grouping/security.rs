//! The text of a report of a browser: what was violated and by which host.

use serde_json::Value;

use super::fields::{FILE, some_text, text};
use crate::Object;

/// Kinds of reports besides `csp`, and where each has the host.
const OTHERS: &[(&str, &str)] = &[("expectct", "expect-ct"), ("hpkp", "hpkp"), ("expectstaple", "expect-staple")];

/// The text, if the event is such a report.
pub fn security(event: &Object) -> Option<String> {
    if let Some(csp) = event.get("csp").and_then(Value::as_object) {
        let directive = some_text(csp, "effective_directive").unwrap_or_else(|| {
            text(csp, "violated_directive").split_whitespace().next().unwrap_or_default().to_owned()
        });
        return Some(format!("csp{FILE}{directive}{FILE}{}", blocked(csp)));
    }
    OTHERS.iter().find_map(|(key, kind)| {
        let report = event.get(*key).and_then(Value::as_object)?;
        Some(format!("{kind}{FILE}{}", text(report, "hostname")))
    })
}

/// Host of the blocked address, or its scheme, or `'self'`.
fn blocked(csp: &Object) -> String {
    let uri = text(csp, "blocked_uri");
    let own = "'self'".to_owned();
    if uri.is_empty() || matches!(uri.as_str(), "self" | "'self'") {
        return own;
    }
    match host(&uri) {
        Some(host) if Some(&host) == super::security::host(&text(csp, "document_uri")).as_ref() => own,
        Some(host) => host,
        None => uri.split(':').next().unwrap_or_default().to_owned(),
    }
}

/// The host of an address, in lower case.
pub fn host(uri: &str) -> Option<String> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next()?,
        None => host.split(':').next()?,
    };
    Some(host.to_lowercase()).filter(|host| !host.is_empty())
}
