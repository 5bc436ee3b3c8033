//! Who gets into the symbol server: tokens in both headers, keys in the path, public projects, whole organizations.
//! Whoever does not get in hears that there is no such file, as if there were none.

use reqwest::{Method, RequestBuilder};
use sha2::Digest as _;
use symdepot::types::Scope;

use super::{BUILD_ID, COMPANION, STRIPPED, anonymous, key, with_calc};
use crate::support::answer::whole;
use crate::support::fixtures;
use crate::support::process::TestProcess;
use crate::support::server::{Account, TestServer};
use crate::support::uploads::Upload;

/// The path of the companion behind a base.
fn at(base: &str) -> String {
    format!("/symbols/{base}/buildid/{BUILD_ID}/debuginfo")
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn every_way_in_leads_to_the_same_bytes() {
    let server = with_calc().await;
    let expected = fixtures::read(COMPANION);
    let (project, organization) = (at("default/default"), at("default"));
    let token = server.add_token(&server.account.organization, &[Scope::SymbolsRead], &[]).await;
    let with_key = at(&format!("default/default/key/{}", key(&server, &server.account).await));
    let ways = [
        server.request_as(&token, Method::GET, &project),
        server.request(Method::GET, &project).basic_auth("anything", Some(&token)),
        server.request(Method::GET, &project).basic_auth(&token, Some("")),
        server.request(Method::GET, &with_key),
        server.request_as(&token, Method::GET, &organization),
        server.request(Method::GET, &organization).basic_auth("anything", Some(&token)),
        server.get(&project),
    ];
    for (number, way) in ways.into_iter().enumerate() {
        let answer = way.send().await.unwrap();
        assert_eq!(answer.status(), 200, "way {number}");
        assert_eq!(answer.headers()["cache-control"], "private, max-age=600", "way {number}");
        assert!(answer.bytes().await.unwrap() == expected, "way {number}");
    }
}

#[tokio::test]
async fn a_public_project_needs_no_credential_until_it_is_public_no_more() {
    let server = with_calc().await;
    let (project, organization) = (at("default/default"), at("default"));
    for path in [&project, &organization] {
        assert_eq!(anonymous(&server, path).await.status(), 404);
    }
    server.app.db.set_public_symbols(server.account.project.id, true).await.unwrap();
    for path in [&project, &organization] {
        crate::support::until("the project is public", || async {
            let answer = anonymous(&server, path).await;
            (answer.status() == 200).then(|| assert_eq!(answer.headers()["cache-control"], "public, max-age=600"))
        })
        .await;
    }
    let stale = server.request_as("sntrys_stale", Method::GET, &project).send().await.unwrap();
    assert_eq!(stale.status(), 200, "a credential that opens nothing closes nothing");
    let uploads = server.request(Method::GET, "/api/0/projects/default/default/files/dsyms/");
    assert_eq!(status(uploads).await, 401, "public are the symbols alone");

    server.app.db.set_public_symbols(server.account.project.id, false).await.unwrap();
    crate::support::until("the project is not public any more", || async {
        (anonymous(&server, &project).await.status() == 404).then_some(())
    })
    .await;
    assert_eq!(anonymous(&server, &organization).await.status(), 404);
}

/// A server with three projects of two organizations, each with a file that the others do not have.
struct Neighbours {
    server: TestServer,
    first: Account,
    second: Account,
    foreign: Account,
}

/// Build ids of the files in the first, second and foreign project.
const IDS: [&str; 3] =
    [BUILD_ID, "3a9311ad84b5454fcd89b51cd4f57fdd3bf62df7", "9b1caf2967996f389dfb2a76fb7c848a8f6db79f"];

async fn neighbours() -> Neighbours {
    let server = TestServer::start().await;
    let first = server.account.clone();
    let second = server.add_project("second").await;
    let foreign = server.add_account("foreign", "app").await;
    let files = [COMPANION, "elf-aarch64-clang-dwarf5/calc.debug", "elf-riscv64-clang-dwarf4/calc.debug"];
    for (account, fixture) in [&first, &second, &foreign].into_iter().zip(files) {
        let entry = server.upload_to(account, &Upload::fixture(fixture)).await;
        assert_eq!(entry["state"], "ok", "{fixture}: {entry}");
    }
    Neighbours { server, first, second, foreign }
}

#[tokio::test]
async fn a_credential_opens_what_is_its_own_and_nothing_else() {
    let Neighbours { server, first, second, foreign } = neighbours().await;
    let organization = &first.organization;
    let limited = server.add_token(organization, &[Scope::SymbolsRead], &[&first.project]).await;
    let all = server.add_token(organization, &[Scope::SymbolsRead], &[]).await;
    let keys = [key(&server, &first).await, key(&server, &second).await, key(&server, &foreign).await];

    // For each way in, which of the three files are found.
    let bearer = |token: &str, base: &str| (Some(token.to_owned()), base.to_owned());
    let keyed = |base: &str, key: &str| (None, format!("{base}/key/{key}"));
    let cases = [
        (bearer(&limited, "default/default"), [true, false, false]),
        (bearer(&limited, "default/second"), [false; 3]),
        (bearer(&limited, "default"), [true, false, false]),
        (bearer(&limited, "foreign/app"), [false; 3]),
        (bearer(&limited, "foreign"), [false; 3]),
        (bearer(&all, "default/default"), [true, false, false]),
        (bearer(&all, "default/second"), [false, true, false]),
        (bearer(&all, "default"), [true, true, false]),
        (bearer(&all, "nowhere"), [false; 3]),
        (bearer(&foreign.token, "foreign"), [false, false, true]),
        (bearer(&foreign.token, "default/default"), [false; 3]),
        (bearer(&foreign.token, "default"), [false; 3]),
        (keyed("default/default", &keys[0]), [true, false, false]),
        (keyed("default/second", &keys[1]), [false, true, false]),
        (keyed("default/default", &keys[1]), [false; 3]),
        (keyed("default/default", &keys[2]), [false; 3]),
        (keyed("foreign/app", &keys[0]), [false; 3]),
        (keyed("default", &keys[0]), [false; 3]),
        (keyed("default/default", &all), [false; 3]),
        (bearer(&keys[0], "default/default"), [false; 3]),
        (keyed("default/default", ""), [false; 3]),
        ((None, "default/default".to_owned()), [false; 3]),
        ((None, "default".to_owned()), [false; 3]),
        (bearer("sntrys_made_up", "default/default"), [false; 3]),
    ];
    for ((token, base), expected) in cases {
        for (id, found) in IDS.iter().zip(expected) {
            let path = format!("/symbols/{base}/buildid/{id}/debuginfo");
            let mut request = server.request(Method::GET, &path);
            if let Some(token) = &token {
                request = request.bearer_auth(token);
            }
            assert_eq!(status(request).await, if found { 200 } else { 404 }, "{base} {id}");
        }
    }
}

#[tokio::test]
async fn names_that_climb_lead_nowhere() {
    let Neighbours { server, second, .. } = neighbours().await;
    let key = key(&server, &second).await;
    let id = IDS[0];
    let long = "x".repeat(300);
    let paths = [
        format!("default/second/key/{key}/../../../default/buildid/{id}/debuginfo"),
        format!("default/second/key/{key}/..%2f..%2f..%2fdefault/buildid/{id}/debuginfo"),
        format!("default/second/key/{key}/%2e%2e/%2e%2e/%2e%2e/default/buildid/{id}/debuginfo"),
        format!("default%2fdefault/key/{key}/buildid/{id}/debuginfo"),
        format!("default/second%2f..%2fdefault/key/{key}/buildid/{id}/debuginfo"),
        format!("default/second/key/{key}/buildid/{id}%00/debuginfo"),
        format!("default/second/key/{key}/buildid/{id}/debuginfo%00"),
        format!("default/second/key/{key}/buildid/{id}%ff/debuginfo"),
        format!("default/second/key/{key}/buildid/{id}/../{}/debuginfo", IDS[1]),
        format!("default/second/key/{key}/buildid/{long}/debuginfo"),
        format!("default/second/key/{key}/buildid/{id}/{long}"),
        format!("default/second/key/{long}/buildid/{id}/debuginfo"),
        format!("default/{long}/buildid/{id}/debuginfo"),
        format!("{long}/default/buildid/{id}/debuginfo"),
        format!("default/second/key/{key}/buildid/{}/debuginfo", "ab".repeat(4000)),
        format!("default/second/key/{key}/buildid//debuginfo"),
        format!("default/second/key/{key}/buildid/*/debuginfo"),
        format!("default/second/key/{key}/"),
        "default/second/key/".to_owned(),
        "default/".to_owned(),
        "/".to_owned(),
    ];
    let address = server.url.trim_start_matches("http://").to_owned();
    for path in paths {
        // Past the client, which would tidy the path up.
        let answer = raw(&address, &format!("/symbols/{path}")).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
    }
    let honest = raw(&address, &format!("/symbols/default/second/key/{key}/buildid/{}/debuginfo", IDS[1])).await;
    assert!(honest.starts_with("HTTP/1.1 200 "), "{honest}");
}

/// The head of the answer to a path that is sent as it is.
async fn raw(address: &str, path: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).split("\r\n\r\n").next().unwrap().to_owned()
}

#[tokio::test]
async fn every_refusal_is_the_answer_to_a_file_that_is_not_there() {
    let server = with_calc().await;
    let absent = format!("/symbols/default/default/buildid/{}/debuginfo", "0".repeat(40));
    let absent = whole(server.get(&absent).send().await.unwrap()).await;
    let refusals = [
        anonymous(&server, &at("default/default")).await,
        anonymous(&server, &at("default")).await,
        anonymous(&server, &at("default/nothing")).await,
        anonymous(&server, &at("default/default/key/sdkey_made_up")).await,
        server.request_as("sntrys_made_up", Method::GET, &at("default/default")).send().await.unwrap(),
        server.request(Method::GET, &at("default/default")).header("authorization", "?").send().await.unwrap(),
    ];
    for refusal in refusals {
        assert_eq!(whole(refusal).await, absent);
    }
}

#[tokio::test]
async fn a_key_is_made_listed_and_taken_back_by_the_program_and_stays_out_of_the_log() {
    let server = TestProcess::start_with(&[("SYMDEPOT_LOG", "debug")]).await;
    let client = server.client();
    client.upload_ok(&Upload::fixture(COMPANION)).await;
    let run = async |line: &str| {
        let output = server.run(&line.split_whitespace().collect::<Vec<_>>()).await;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        assert!(output.status.success(), "{line}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    let key = run("symbol-key create --project default/default --name gdb").await;
    let key = key.trim_end();
    assert!(key.starts_with("sdkey_") && !key.contains(char::is_whitespace), "{key}");
    let path = at(&format!("default/default/key/{key}"));
    assert_eq!(status(client.request(Method::GET, &path)).await, 200);

    let list = run("symbol-key list --project default/default").await;
    let cells: Vec<_> = list.lines().nth(1).unwrap().split('\t').collect();
    assert_eq!((cells[0], cells[1], cells[4]), ("1", "gdb", "active"), "{list}");
    assert_ne!(cells[3], "never", "{list}");
    assert_eq!(cells[5], &key[..12], "the beginning tells which key it is");
    assert!(!list.contains(&key[..13]), "no more of it is shown: {list}");

    assert_eq!(run("symbol-key revoke 1").await, "symbol key 1 is revoked\n");
    crate::support::until("the key stops working", || async {
        (status(client.request(Method::GET, &path)).await == 404).then_some(())
    })
    .await;
    assert!(run("symbol-key list --project default/default").await.contains("\trevoked"));
    assert!(!server.run(&["symbol-key", "revoke", "99"]).await.status.success());

    assert_eq!(run("project set default/default --public-symbols true").await, "public-symbols\ttrue\n");
    crate::support::until("the project is public", || async {
        (status(client.request(Method::GET, &at("default/default"))).await == 200).then_some(())
    })
    .await;

    let log = server.log();
    assert!(log.contains("/symbols/default/default/key/***/buildid/"), "{log}");
    assert!(!log.contains("sdkey_"), "{log}");
    assert!(log.contains("the symbol key is unknown, revoked or of another project"), "{log}");
}

#[tokio::test]
async fn a_key_opens_its_project_in_any_case_and_an_older_one_in_its_own() {
    let server = TestServer::start().await;
    server.upload_ok(&Upload::fixture(COMPANION)).await;
    let key = key(&server, &server.account).await;
    assert_eq!(key, key.to_lowercase(), "a client that writes paths in lower case loses nothing");
    let older = "sdkey_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE";
    let (db, project) = (&server.app.db, server.account.project.id);
    let hash: [u8; 32] = sha2::Sha256::digest(older.as_bytes()).into();
    db.insert_symbol_key(project, "older", None, &hash, server.app.clock.now()).await.unwrap();
    for (key, expected) in [
        (key.clone(), 200),
        (key.to_uppercase(), 200),
        (key.replacen('a', "A", 1), 200),
        (older.to_owned(), 200),
        (older.to_lowercase(), 404),
    ] {
        let path = at(&format!("default/default/key/{key}"));
        assert_eq!(anonymous(&server, &path).await.status(), expected, "{key}");
    }
}

#[tokio::test]
async fn a_key_of_an_older_version_is_listed_without_its_beginning() {
    let server = TestProcess::start().await;
    let app = server.behind().await;
    app.db.insert_symbol_key(1, "older", None, &[7; 32], app.clock.now()).await.unwrap();
    let list = server.run(&["symbol-key", "list", "--project", "default/default"]).await;
    assert!(String::from_utf8(list.stdout).unwrap().lines().nth(1).unwrap().ends_with("\tactive\t-"));
}

#[tokio::test]
async fn no_new_project_is_called_like_a_word_of_symbol_server_paths() {
    let server = TestProcess::start().await;
    for slug in ["buildid", "key", "metadata", "symbolicate", "file"] {
        let made = server.run(&["project", "create", &format!("default/{slug}")]).await;
        let said = String::from_utf8(made.stderr).unwrap();
        assert!(!made.status.success() && said.contains("cannot be the slug of a project"), "{slug}: {said}");
    }
    let app = server.behind().await;
    let organization = app.db.organization("default").await.unwrap().unwrap();
    app.db.create_project(organization.id, "metadata", app.clock.now()).await.unwrap();
    let again = server.run(&["project", "create", "default/metadata"]).await;
    assert!(again.status.success(), "one that exists is only named");
}

#[tokio::test]
async fn no_project_takes_paths_from_its_organization() {
    let server = TestServer::start().await;
    server.upload_ok(&Upload::fixture(COMPANION)).await;
    server.upload_ok(&Upload::fixture(STRIPPED)).await;
    let paths = [
        format!("buildid/{BUILD_ID}/debuginfo"),
        format!("buildid/{BUILD_ID}/section/.debug_line"),
        "metadata?key=file&value=calc".to_owned(),
        format!("{}/{}/debuginfo", &BUILD_ID[..2], &BUILD_ID[2..]),
        format!("calc/elf-buildid-{BUILD_ID}/calc"),
    ];
    let ask = async |path: &str| {
        let answer = server.get(&format!("/symbols/default/{path}")).send().await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap())
    };
    let mut before = Vec::new();
    for path in &paths {
        before.push(ask(path).await);
    }
    assert!(before.iter().all(|(status, _)| *status == 200));
    for slug in ["buildid", "metadata", &BUILD_ID[..2], "calc", "key", "symbolicate"] {
        let account = server.add_project(slug).await;
        server.upload_to(&account, &Upload::fixture(COMPANION)).await;
        // Paths below the project are still its own.
        assert_eq!(ask(&format!("{slug}/buildid/{BUILD_ID}/debuginfo")).await.0, 200, "{slug}");
        assert_eq!(ask(&format!("{slug}/buildid/{BUILD_ID}/executable")).await.0, 404, "{slug}");
    }
    for (path, before) in paths.iter().zip(before) {
        let after = ask(path).await;
        assert!(after.0 == before.0 && (after.1 == before.1 || path.starts_with("metadata")), "{path}: {}", after.0);
    }
    let answer = server.post("/symbols/default/symbolicate/v5").body("{\"jobs\":[]}").send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn each_refusal_is_one_line_of_the_log() {
    let server = TestProcess::start().await;
    let client = server.client();
    let lines = |reason: &str| server.log().lines().filter(|line| line.contains(reason)).count();
    for (token, base, reason) in [
        (None, "default/default", "no credential was sent"),
        (Some("sntrys_x"), "default/default", "the token is unknown or revoked"),
        (Some("sntrys_x"), "default", "the token is unknown or revoked"),
        (None, "nowhere/at-all", "there is no such organization"),
        (None, "default/nothing/key/x", "there is no such project"),
    ] {
        let before = (lines(reason), lines("a symbol client was refused"));
        let mut request = client.request(Method::GET, &at(base));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        assert_eq!(status(request).await, 404, "{base}");
        let after = (lines(reason), lines("a symbol client was refused"));
        assert_eq!(after, (before.0 + 1, before.1 + 1), "{base}: {}", server.log());
    }
}

#[tokio::test]
async fn a_key_that_asks_too_often_waits_holds_up_nobody_else_and_is_never_refused() {
    let server = TestServer::builder().settings(|config| config.symbols.key_rate = 1).start().await;
    server.upload_ok(&Upload::fixture(COMPANION)).await;
    let base = |key: &str| at(&format!("default/default/key/{key}"));
    let busy = base(&key(&server, &server.account).await);
    let other = base(&key(&server, &server.account).await);
    let asked: Vec<_> = (0..16).map(|_| tokio::spawn(server.request(Method::GET, &busy).send())).collect();
    crate::support::until("ten seconds' worth is answered", || async {
        (asked.iter().filter(|one| one.is_finished()).count() >= 10).then_some(())
    })
    .await;
    // The last of the rest has seconds to wait, while others go past it.
    assert_eq!(anonymous(&server, &other).await.status(), 200);
    assert!(asked.iter().any(|one| !one.is_finished()), "the busy key still waits");
    for one in asked {
        assert_eq!(one.await.unwrap().unwrap().status(), 200);
    }
}
