//! A server that listens on every address of its machine and was not told its own: clients reach it from other machines by
//! whatever address they know, and nothing that it says leads them elsewhere.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::desk::{Desk, VERSIONS, first_account};
use crate::support::fixtures;
use crate::support::process::TestProcess;

/// The server as another machine sees it: any of its addresses but the first loopback one.
fn from_elsewhere(server: &TestProcess) -> String {
    let port = server.url.rsplit_once(':').unwrap().1;
    format!("http://127.0.0.2:{port}")
}

#[tokio::test]
async fn every_client_uploads_by_the_address_it_knows_with_the_token_of_the_first_start() {
    let stories = VERSIONS.map(|version| {
        async move {
            // A server for each, or the first one would leave nothing to upload.
            let server = TestProcess::start_listening_on("0.0.0.0:0", &[]).await;
            let desk = Desk::new(version, &from_elsewhere(&server), first_account(&server.token));
            let screen = desk.upload(&["--wait"], &[fixtures::path("elf-x86_64-gcc-dwarf4/calc.debug")]).run().await;
            screen.took(&["4ec932a9-e89a-f8cd-96b5-496a980e4efe (calc.debug; x86_64 debug companion)"]);
            // A token that names another address makes a client say so and go there.
            screen.lacks("embedded in token");
        }
    });
    join_all(stories).await;
}

#[tokio::test]
async fn answers_name_the_address_that_the_client_used_and_no_other() {
    let server = TestProcess::start_listening_on("0.0.0.0:0", &[]).await;
    let url = from_elsewhere(&server);
    let port = url.rsplit_once(':').unwrap().1;
    let http = crate::support::client::http();
    let ask = async |host: Option<&str>, path: &str| {
        let request = http.get(format!("{url}{path}")).bearer_auth(&server.token);
        let request = host.iter().fold(request, |request, host| request.header("host", *host));
        request.send().await.unwrap()
    };
    let upload = "/api/0/organizations/default/chunk-upload/";
    let named = async |host: Option<&str>| ask(host, upload).await.json::<Value>().await.unwrap()["url"].clone();
    assert_eq!(named(None).await, json!(format!("{url}{upload}")));
    assert_eq!(named(Some("depot.example:1234")).await, json!(format!("http://depot.example:1234{upload}")));
    // What is no address of a server is not repeated, and the path alone works from anywhere.
    for wrong in ["user@depot.example", "depot.example/elsewhere", "a b", "depot.example:99999"] {
        assert_eq!(named(Some(wrong)).await, json!("organizations/default/chunk-upload/"), "{wrong}");
    }
    let files = ask(None, "/api/0/projects/default/default/files/dsyms/").await;
    let link = files.headers()["link"].to_str().unwrap();
    assert!(link.contains(&format!("<http://127.0.0.2:{port}/api/0/")) && !link.contains("0.0.0.0"), "{link}");
}

#[tokio::test]
async fn the_first_lines_say_what_to_set_and_a_token_names_an_address_once_it_is_certain() {
    let mut server = TestProcess::start_listening_on("0.0.0.0:0", &[]).await;
    let port = server.url.rsplit_once(':').unwrap().1.to_owned();
    let welcome = server.welcome.join("\n");
    assert!(welcome.contains(&format!("export SENTRY_URL=http://HOST:{port}\n")), "{welcome}");
    assert!(welcome.contains("Set `public_url` (SYMDEPOT_PUBLIC_URL)"), "{welcome}");
    assert_eq!(urls_of(&server.token), [json!(""), json!("")]);
    let made = server.run(&["token", "create", "--org", "default"]).await;
    assert!(String::from_utf8(made.stderr).unwrap().contains("the token names no address"));
    assert_eq!(urls_of(&String::from_utf8(made.stdout).unwrap()), [json!(""), json!("")]);

    let known = "https://depot.example";
    server.set("SYMDEPOT_PUBLIC_URL", known);
    let made = server.run(&["token", "create", "--org", "default"]).await;
    assert!(!String::from_utf8(made.stderr).unwrap().contains("names no address"));
    assert_eq!(urls_of(&String::from_utf8(made.stdout).unwrap()), [json!(known), json!(known)]);
}

/// The addresses in a token.
fn urls_of(token: &str) -> [Value; 2] {
    let payload = token.trim().split('_').nth(1).unwrap();
    let payload = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, payload).unwrap();
    let payload: Value = serde_json::from_slice(&payload).unwrap();
    ["url", "region_url"].map(|name| payload[name].clone())
}
