//! Every path that means a file, in every protocol, changed in every way that could make it mean somebody else's: it means
//! nothing then.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::layouts::{all, with_everything};
use super::{BUILD_ID, anonymous, key};
use crate::support::server::TestServer;

/// What debuginfod has of the program, beside the files of [`all`].
fn debuginfod() -> [String; 4] {
    ["debuginfo", "executable", "section/.debug_line", "source/src/fixture/calc.c"]
        .map(|artifact| format!("buildid/{BUILD_ID}/{artifact}"))
}

/// Every path that means a file of the default project.
fn paths() -> Vec<String> {
    let layouts = all().map(|(path, _)| path.to_owned());
    // A program that is known by its code id, and what leads to its symbols.
    layouts.chain(debuginfod()).chain(["calc.exe/D344B6704000/calc.sym".to_owned()]).collect()
}

/// Status and body of the answer to a path as it is, which no client has brought into order.
async fn raw(server: &TestServer, path: &str) -> (u16, Vec<u8>) {
    let mut connection = TcpStream::connect(server.url.trim_start_matches("http://")).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: depot\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap_or(answer.len());
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("{path:.100}: {head}")), answer.split_off((end + 4).min(answer.len())))
}

/// The path with one of its names at a time changed in ways that climb, end early or are too long.
fn changed(path: &str) -> Vec<String> {
    let names: Vec<_> = path.split('/').collect();
    let long = "x".repeat(300);
    let mut changed = Vec::new();
    for (at, name) in names.iter().enumerate() {
        for other in [
            "..".to_owned(),
            "%2e%2e".to_owned(),
            format!("..%2f{name}"),
            format!("%2e%2e%5c{name}"),
            format!("{name}%00"),
            format!("%00{name}"),
            format!("{name}%0a"),
            format!("{name}{long}"),
            format!("{long}%2f..%2f{name}"),
            "%ff".to_owned(),
            "*".to_owned(),
            String::new(),
        ] {
            let mut names = names.clone();
            names[at] = &other;
            changed.push(names.join("/"));
        }
    }
    changed
}

#[tokio::test]
async fn a_key_that_was_taken_back_opens_no_path() {
    let server = with_everything().await;
    let key = key(&server, &server.account).await;
    let base = format!("/symbols/default/default/key/{key}");
    for path in paths() {
        let status = raw(&server, &format!("{base}/{path}")).await.0;
        assert!(matches!(status, 200 | 302), "{path}: {status}");
    }
    let listed = server.app.db.symbol_keys(server.account.project.id).await.unwrap();
    assert!(server.app.db.revoke_symbol_key(listed[0].id, server.app.clock.now()).await.unwrap());
    crate::support::until("the key stops working", || async {
        (anonymous(&server, &format!("{base}/{}", paths()[0])).await.status() == 404).then_some(())
    })
    .await;
    for path in paths().into_iter().chain(["metadata?key=glob&value=*".to_owned(), "pingme.txt".to_owned()]) {
        assert_eq!(raw(&server, &format!("{base}/{path}")).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn a_changed_path_means_nothing_or_what_it_meant() {
    let server = with_everything().await;
    let base = format!("/symbols/default/default/key/{}", key(&server, &server.account).await);
    for path in paths() {
        let meant = raw(&server, &format!("{base}/{path}")).await;
        for other in changed(&path) {
            let found = raw(&server, &format!("{base}/{other}")).await;
            // The path of a source may be written in many ways, and before Breakpad's ids any name may stand.
            let same = (path.contains("/source/") || other.contains('*')) && found == meant;
            assert!(found.0 == 404 || same, "{other:.100}: {}", found.0);
        }
        // Another id, one digit away.
        let digits: Vec<_> = path.char_indices().filter(|(_, c)| c.is_ascii_hexdigit()).map(|(at, _)| at).collect();
        let at = digits[digits.len() / 2];
        let digit = if path[at..].starts_with('7') { "6" } else { "7" };
        let other = format!("{}{digit}{}", &path[..at], &path[at + 1..]);
        assert_eq!(raw(&server, &format!("{base}/{other}")).await.0, 404, "{other}");
    }
}

#[tokio::test]
async fn no_way_leads_out_of_a_project() {
    let server = with_everything().await;
    let neighbour = server.add_project("neighbour").await;
    let key = key(&server, &neighbour).await;
    for path in paths() {
        for base in [
            format!("default/neighbour/key/{key}"),
            format!("default/default/key/{key}"),
            format!("default/neighbour/key/{key}/../../../default"),
            format!("default/neighbour/key/{key}/..%2f..%2f..%2fdefault"),
            format!("default/neighbour/key/{key}/%2e%2e/%2e%2e/%2e%2e/default"),
            format!("default/neighbour%2f..%2fdefault/key/{key}"),
            format!("default/neighbour%00/key/{key}"),
            format!("default/neighbour/../default/key/{key}"),
            format!("default/key/{key}"),
            "default/neighbour/key/..".to_owned(),
            "default/default/key/".to_owned(),
            "default/default".to_owned(),
            "default".to_owned(),
        ] {
            let (status, _) = raw(&server, &format!("/symbols/{base}/{path}")).await;
            assert_eq!(status, 404, "{base}/{path}");
        }
    }
}
