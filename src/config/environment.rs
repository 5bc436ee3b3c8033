//! The environment as a source of settings: `SYMDEPOT_*`, without the variables that Kubernetes sets for services.
//!
//! It never ignores anything else: a name that no setting has stops the start.

use std::collections::HashSet;

use figment::providers::Env;

const PREFIX: &str = "SYMDEPOT_";

/// The settings in the environment; `__` nests.
pub(super) fn settings() -> Env {
    let all: Vec<(String, String)> =
        Env::prefixed(PREFIX).iter().map(|(key, value)| (key.as_str().to_ascii_lowercase(), value)).collect();
    let links: HashSet<String> =
        all.into_iter().filter(|(key, value)| is_service_link(key, value)).map(|(key, _)| key).collect();
    Env::prefixed(PREFIX).filter(move |key| !links.contains(&key.as_str().to_ascii_lowercase())).split("__")
}

/// Whether Kubernetes sets such a variable: for each service of a namespace its pods find `<NAME>_SERVICE_HOST`,
/// `<NAME>_SERVICE_PORT…` and `<NAME>_PORT…`. `key` is in lower case and without the prefix, so that nothing is left of
/// the name of a service `symdepot`, and `db_` of that of `symdepot-db`.
fn is_service_link(key: &str, value: &str) -> bool {
    // No setting at the top begins so.
    if key == "port" || key.starts_with("port_") || key.starts_with("service_") {
        return !key.contains("__");
    }
    if key.contains("__") {
        return false;
    }
    let is_port = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let protocol = |text: &str| matches!(text, "tcp" | "udp" | "sctp");
    if let Some((_, rest)) = key.split_once("_service_") {
        return rest == "host" || rest == "port" || rest.starts_with("port_");
    }
    let Some((_, rest)) = key.split_once("_port_") else {
        return key.ends_with("_port") && value.split_once("://").is_some_and(|(scheme, _)| protocol(scheme));
    };
    let mut parts = rest.split('_');
    parts.next().is_some_and(is_port)
        && parts.next().is_some_and(protocol)
        && matches!(parts.next(), None | Some("proto" | "port" | "addr"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn what_kubernetes_sets_is_told_from_settings_and_from_typing_errors() {
        for (key, value) in [
            ("port", "tcp://10.0.0.1:80"),
            ("port_80_tcp", "tcp://10.0.0.1:80"),
            ("port_80_tcp_addr", "10.0.0.1"),
            ("service_host", "10.0.0.1"),
            ("service_port", "80"),
            ("service_port_http", "80"),
            ("db_service_host", "10.0.0.2"),
            ("db_service_port_postgres", "5432"),
            ("db_port", "tcp://10.0.0.2:5432"),
            ("db_port_5432_tcp", "tcp://10.0.0.2:5432"),
            ("db_port_5432_tcp_proto", "tcp"),
            ("web_server_port_53_udp_port", "53"),
        ] {
            assert!(is_service_link(key, value), "{key}");
        }
        for (key, value) in [
            ("listen", "127.0.0.1:1"),
            ("listen_port", "8000"),
            ("ports", "1"),
            ("db_port_of_mine", "1"),
            ("my_services", "1"),
            ("port__nested", "1"),
            ("uploads__chunk_size", "1"),
            ("database__port", "tcp://10.0.0.2:5432"),
        ] {
            assert!(!is_service_link(key, value), "{key}");
        }
    }

    #[test]
    fn no_setting_is_taken_for_a_variable_of_kubernetes() {
        let settings = serde_json::to_value(Config::default()).unwrap();
        for key in settings.as_object().unwrap().keys() {
            assert!(!is_service_link(key, "tcp://10.0.0.1:80"), "{key}");
        }
    }
}
