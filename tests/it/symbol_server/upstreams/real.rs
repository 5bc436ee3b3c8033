//! Debian's own `debuginfod` as the upstream, gdb and `debuginfod-find` as the clients, and the command line that puts
//! them together. None is skipped.

use std::process::Stdio;

use symdepot::types::UpstreamKind;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::{asking, name, said};
use crate::support::process::{TestProcess, program};
use crate::support::{fixtures, until};
use crate::symbol_server::person::Person;
use crate::symbol_server::{BUILD_ID, COMPANION, STRIPPED, key};

/// Debian's server on a folder with the small program and its debug companion.
struct Debuginfod {
    url: String,
    _child: Child,
    _folder: TempDir,
}

impl Debuginfod {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        for fixture in [STRIPPED, COMPANION] {
            let name = fixture.rsplit('/').next().unwrap();
            std::fs::write(folder.path().join(name), fixtures::read(fixture)).unwrap();
        }
        // A port that was free a moment ago; the server takes no other way of finding one.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("debuginfod");
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", folder.path()).kill_on_drop(true);
        command.args(["-p", &port.to_string(), "-d", ":memory:", "-F", "-t", "1"]).arg(folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("debuginfod cannot be run: {error}. Run `tests/setup.sh`, which installs it.")
        });
        let url = format!("http://127.0.0.1:{port}/");
        let probe = format!("{url}buildid/{BUILD_ID}/debuginfo");
        let http = reqwest::Client::new();
        until("debuginfod has read its folder", || async {
            http.get(&probe).send().await.is_ok_and(|answer| answer.status() == 200).then_some(())
        })
        .await;
        Self { url, _child: child, _folder: folder }
    }
}

#[tokio::test]
async fn gdb_and_debuginfod_find_have_through_us_what_debians_server_has() {
    let server = asking().start().await;
    let debian = Debuginfod::start().await;
    name(&server, UpstreamKind::Debuginfod, &debian.url).await;
    let key = key(&server, &server.account).await;
    let person = Person::at(&format!("{}/symbols/default/default/key/{key}", server.url));
    std::fs::write(person.folder.path().join("calc"), fixtures::read(STRIPPED)).unwrap();
    let heard = person.gdb("calc", &["info line calc_run", "info address crash_here"]).await;
    assert!(heard.contains("Line 20 of \"calc.c\"") && heard.contains("crash_here"), "{heard}");

    let absent = "ab".repeat(20);
    assert!(person.find(&["debuginfo", &absent]).await.is_err());
    assert_eq!(said(&server, &absent).await[0]["reason"], "it does not have the file");

    drop(debian);
    let another = Person::at(&person.urls);
    assert!(another.find(&["debuginfo", BUILD_ID]).await == Ok(fixtures::read(COMPANION)), "it is ours now");
    assert!(another.find(&["executable", BUILD_ID]).await.is_err(), "nobody asked for it while it was to be had");
}

#[tokio::test]
async fn upstreams_are_named_listed_and_removed_by_the_command_line() {
    let server = TestProcess::start_with(&[("SYMDEPOT_UPSTREAMS__ALLOW_PRIVATE", "true")]).await;
    let debian = Debuginfod::start().await;
    let run = async |arguments: &[&str]| {
        let output = server.run(&[&["upstream"], arguments].concat()).await;
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let url = debian.url.replace("http://", "http://me:geheim@");
    let add = ["add", "--project", "default/default", "--kind", "debuginfod", url.as_str()];
    let (code, id, _) = run(&add).await;
    assert_eq!(code, Some(0));
    assert_eq!(run(&add).await.1, id, "the same again");
    let (_, list, _) = run(&["list", "--project", "default/default"]).await;
    let shown = debian.url.replace("http://", "http://***@");
    assert!(
        list.lines().nth(1).is_some_and(|line| line.starts_with(&format!("{id}\tdebuginfod\t{shown}\t"))),
        "{list}"
    );
    let path = |id: &str| format!("/symbols/default/default/buildid/{id}/debuginfo");
    let client = server.client();
    assert_eq!(client.get(&path(BUILD_ID)).send().await.unwrap().status(), 200);
    assert_eq!(client.get(&path(&"ab".repeat(20))).send().await.unwrap().status(), 404);
    assert!(server.log().contains("an upstream did not bring a file"), "{}", server.log());
    assert!(!server.log().contains("geheim"), "{}", server.log());

    assert_eq!(run(&["remove", &id]).await, (Some(0), format!("upstream {id} is removed"), String::new()));
    assert_eq!(run(&["list", "--project", "default/default"]).await.1.lines().count(), 1);
    let (code, _, told) = run(&["remove", &id]).await;
    assert!(code == Some(1) && told.contains("there is no upstream"), "{told}");
}

#[tokio::test]
async fn an_address_that_cannot_be_asked_is_refused_when_it_is_named() {
    let folder = TempDir::new().unwrap();
    let run = async |arguments: &[&str]| {
        let mut command = program();
        command.arg("--data-dir").arg(folder.path()).current_dir(folder.path()).args(arguments);
        let output = command.output().await.unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(run(&["org", "create", "acme"]).await.0, Some(0));
    assert_eq!(run(&["project", "create", "acme/app"]).await.0, Some(0));
    for (kind, url, expected) in [
        ("debuginfod", "ftp://symbols.example/", "its scheme is `ftp`"),
        ("ssqp", "symbols.example", "it is no URL"),
        ("ssqp", "https://symbols.example/?x", "it has a `?` or `#` in it"),
        ("native", "http://10.0.0.7/", "the address of 10.0.0.7 is private and is not asked"),
        ("native", "http://[fd00::7]:9000/", "is unique-local and is not asked"),
        ("native", "http://0x7f.1/", "the address of 127.0.0.1 is of this machine itself"),
        ("azure", "https://symbols.example/", "`azure` is no kind of symbol server"),
    ] {
        let (code, told) = run(&["upstream", "add", "--project", "acme/app", "--kind", kind, url]).await;
        assert!(code == Some(1) && told.contains(expected), "{url}: {told}");
    }
    let public = ["upstream", "add", "--project", "acme/app", "--kind", "ssqp", "https://symbols.example/download"];
    assert_eq!(run(&public).await.0, Some(0));
}
