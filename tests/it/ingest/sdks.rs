//! The real clients: SDKs of Python and Node, and `sentry-cli` in three versions.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::process::Command;

use super::Sdk;
use crate::support::server::TestServer;
use crate::support::until;

const VERSIONS: [&str; 3] = ["3.8.2", "2.58.6", "2.14.2"];

/// What `tests/setup.sh` installed, beside the folder of the server's binary.
fn installed(path: &str) -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_symdepot")).ancestors().nth(2).unwrap().join(path)
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/ingest/scripts").join(name)
}

fn dsn(sdk: &Sdk<'_>) -> String {
    sdk.server.url.replace("http://", &format!("http://{}@", sdk.key)) + &format!("/{}", sdk.project.id)
}

async fn lines(command: &mut Command) -> Vec<String> {
    let output = command.output().await.unwrap_or_else(|error| panic!("{command:?}: {error}; run tests/setup.sh"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn the_python_sdk_sends_exceptions_and_messages_without_their_secrets() {
    let server = TestServer::start().await;
    let sdk = Sdk::of(&server).await;
    let python = installed("sdks/python/bin/python");
    let ids = lines(Command::new(python).arg(script("events.py")).arg(dsn(&sdk))).await;
    let exception = sdk.event(&ids[0]).await;
    assert_eq!(
        (&exception["title"], &exception["culprit"]),
        (&json!("ValueError: bad value 42"), &json!("__main__ in pay"))
    );
    assert_eq!((&exception["release"], &exception["environment"]), (&json!("shop@1.0"), &json!("test")));
    assert_eq!(exception["user"]["id"], "5");
    let text = sdk.get(&format!("{}/events/{}/json/", sdk.base(), ids[0])).await;
    let frames = text["exception"]["values"][0]["stacktrace"]["frames"].as_array().unwrap().clone();
    let vars = &frames.last().unwrap()["vars"];
    assert_eq!((&vars["password"], &vars["card"]), (&json!("[Filtered]"), &json!("'[Filtered]'")));
    assert_eq!(sdk.event(&ids[1]).await["title"], "hello 17");
    let outcomes = sdk.settled(2).await;
    assert_eq!(outcomes["stored"], 2);
}

#[tokio::test]
async fn the_node_sdk_sends_messages_and_exceptions() {
    let server = TestServer::start().await;
    let sdk = Sdk::of(&server).await;
    let modules = installed("sdks/node/node_modules");
    let ids = lines(Command::new("node").arg(script("events.js")).arg(dsn(&sdk)).env("NODE_PATH", modules)).await;
    let message = sdk.event(&ids[0]).await;
    assert_eq!(
        (&message["title"], &message["platform"], &message["level"]),
        (&json!("node msg"), &json!("node"), &json!("info"))
    );
    assert_eq!(sdk.event(&ids[1]).await["title"], "TypeError: x is undefined");
}

#[tokio::test]
async fn sentry_cli_sends_events_and_lists_them() {
    let server = TestServer::start().await;
    let sdk = Sdk::of(&server).await;
    for (number, version) in VERSIONS.iter().enumerate() {
        let program = installed(&format!("clients/{version}/sentry-cli"));
        let sent = format!("sent by {version}");
        lines(Command::new(&program).args(["send-event", "-m", &sent, "--no-environ"]).env("SENTRY_DSN", dsn(&sdk)))
            .await;
        until("the event is digested", || async {
            let events = sdk.get(&format!("{}/events/", sdk.base())).await;
            (events.as_array().unwrap().len() == number + 1).then_some(())
        })
        .await;
    }
    let events: Value = sdk.get(&format!("{}/events/", sdk.base())).await;
    let ids: Vec<&str> = events.as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap()).collect();
    for version in VERSIONS {
        let program = installed(&format!("clients/{version}/sentry-cli"));
        let mut command = Command::new(&program);
        command.args(["events", "list", "-o", "default", "-p", "default", "-U", "-T"]);
        command.env("SENTRY_URL", &server.url).env("SENTRY_AUTH_TOKEN", &sdk.token);
        let text = lines(&mut command).await.join("\n").replace('-', "");
        for id in &ids {
            assert!(text.contains(id), "{version}: {text}");
        }
    }
}
