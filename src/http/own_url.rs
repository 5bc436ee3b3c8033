//! [`own_url`]: the address of this server in an answer. It is the setting `public_url`, or else the one by which the client
//! came, because no other is known to work from where the client is.
//!
//! It goes by no header of a proxy: which of them to trust only `public_url` can say.

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};

use crate::app::App;

/// Longest host and port: a name of 253 characters and a port of 5.
const LONGEST: usize = 260;

/// Address of this server, as the client of a request reaches it, without a slash at the end. Empty if neither the settings
/// nor the request name one.
pub fn own_url(app: &App, uri: &Uri, headers: &HeaderMap) -> String {
    if !app.config.public_url.is_empty() {
        return app.public_url.clone();
    }
    host(uri, headers).map_or_else(|| app.public_url.clone(), |host| format!("http://{host}"))
}

/// Host and port that a request is for, if they are of the right form. An absolute address in the request line counts for
/// more than the header.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let of_header = || {
        let mut values = headers.get_all(header::HOST).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        value.to_str().ok().filter(|text| text.len() <= LONGEST)?.parse::<Authority>().ok()
    };
    let host = uri.authority().cloned().or_else(of_header)?;
    let name = host.host();
    let is_name = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let is_address = |text: &str| text.parse::<std::net::Ipv6Addr>().is_ok();
    let well_formed = match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => is_address(address),
        None => !name.is_empty() && is_name(name),
    };
    // Whatever the grammar allows beside host and port, such as a user, is not for answers.
    let port = host.as_str().strip_prefix(name)?;
    let has_port = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    (host.as_str().len() <= LONGEST && well_formed && has_port).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(hosts: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, host.parse().unwrap());
        }
        host(&"/api/0/".parse().unwrap(), &headers).map(|host| host.to_string())
    }

    #[test]
    fn only_a_host_and_a_port_count() {
        for right in ["depot", "depot.example:8000", "127.0.0.2:80", "[::1]:8000", "[fe80::1]", "my_host-1.example"] {
            assert_eq!(asked(&[right]).as_deref(), Some(right));
        }
        let long = "a".repeat(LONGEST + 1);
        for wrong in [
            "",
            "user@depot",
            "depot:port",
            "depot:99999",
            "depot/path",
            "depot,other",
            "a b",
            "[::1",
            "[zz]",
            "a%2fb",
            "<x>",
            "*",
            long.as_str(),
        ] {
            assert_eq!(asked(&[wrong]), None, "{wrong}");
        }
        assert_eq!(asked(&[]), None);
        assert_eq!(asked(&["one.example", "other.example"]), None, "it is not clear which");
    }

    #[test]
    fn the_request_line_counts_for_more_than_the_header() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "header.example".parse().unwrap());
        let found = host(&"http://line.example:1/api/0/".parse().unwrap(), &headers).unwrap();
        assert_eq!(found.as_str(), "line.example:1");
    }
}
