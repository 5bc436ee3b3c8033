//! Who gets in, who does not, and what they are told.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta};
use insta::{assert_json_snapshot, with_settings};
use reqwest::Method;
use serde_json::{Value, json};
use symdepot::accounts::{TokenOrder, issue_token};
use symdepot::clock::Clock;
use symdepot::types::{Scope, Scopes};

use crate::support::answer::whole;
use crate::support::records::Record;
use crate::support::server::TestServer;
use crate::support::until;

const PROJECTS: &str = "/api/0/organizations/default/projects/";
const FILES: &str = "/api/0/projects/default/default/files/dsyms/";
const ID: &str = "3249d99d-0c40-4931-8610-f4e4fb0b6936";

#[tokio::test]
async fn without_a_token_nothing_opens() {
    let server = TestServer::start().await;
    assert_json_snapshot!(whole(server.request(Method::GET, PROJECTS).send().await.unwrap()).await);
}

#[tokio::test]
async fn every_way_to_present_a_wrong_token_is_told_apart() {
    let server = TestServer::start().await;
    let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
    let mut told = Vec::new();
    for header in [
        "Bearer nonsense".to_owned(),
        "Bearer".to_owned(),
        "Bearer a b".to_owned(),
        basic("nonsense:"),
        "Basic ???".to_owned(),
        "Digest nonsense".to_owned(),
    ] {
        let request = server.request(Method::GET, PROJECTS).header("authorization", &header);
        let answer = request.send().await.unwrap();
        told.push(json!({ "header": header, "status": answer.status().as_u16(), "body": answer.json::<Value>().await.unwrap() }));
    }
    assert_json_snapshot!(told);
}

#[tokio::test]
async fn a_token_is_taken_as_bearer_as_user_and_as_password() {
    let server = TestServer::start().await;
    let token = &server.account.token;
    for header in [
        format!("Bearer {token}"),
        format!("bearer {token}"),
        format!("Basic {}", STANDARD.encode(format!("{token}:"))),
        format!("Basic {}", STANDARD.encode(format!("me:{token}"))),
    ] {
        let answer = server.request(Method::GET, PROJECTS).header("authorization", &header).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{header}");
    }
}

#[tokio::test]
async fn a_token_expires_at_its_time() {
    let clock = Clock::settable(DateTime::UNIX_EPOCH + TimeDelta::days(10_000));
    let server = TestServer::builder().clock(clock.clone()).start().await;
    let order = TokenOrder {
        name: "brief".to_owned(),
        scopes: Scopes(vec![Scope::ProjectRead]),
        project_ids: Vec::new(),
        expires_at: Some(clock.now() + TimeDelta::hours(1)),
    };
    let (app, organization) = (&server.app, &server.account.organization);
    let token = issue_token(&app.db, &clock, &app.public_url, organization, order).await.unwrap().text;
    let ask = || async { server.request_as(&token, Method::GET, PROJECTS).send().await.unwrap() };

    assert_eq!(ask().await.status(), 200);
    clock.advance(TimeDelta::minutes(59));
    assert_eq!(ask().await.status(), 200);
    clock.advance(TimeDelta::minutes(1));
    assert_json_snapshot!(whole(ask().await).await);
}

#[tokio::test]
async fn a_revoked_token_stops_working_soon_even_if_another_process_revoked_it() {
    let server = TestServer::start().await;
    let ask = || async { server.get(PROJECTS).send().await.unwrap() };
    assert_eq!(ask().await.status(), 200);
    // Behind the server's back, as another process would.
    let id = server.app.db.tokens(server.account.organization.id).await.unwrap()[0].id;
    assert!(server.app.db.revoke_token(id, server.app.clock.now()).await.unwrap());
    let refused = until("the token is refused", || async { Some(ask().await).filter(|answer| answer.status() != 200) });
    assert_json_snapshot!(whole(refused.await).await);
}

#[tokio::test]
async fn the_last_use_of_a_token_is_noted_once_a_minute() {
    let clock = Clock::settable(DateTime::UNIX_EPOCH + TimeDelta::days(10_000));
    let server = TestServer::builder().clock(clock.clone()).start().await;
    let begun = clock.now();
    let last_used = || async {
        assert_eq!(server.get(PROJECTS).send().await.unwrap().status(), 200);
        server.app.db.tokens(server.account.organization.id).await.unwrap()[0].last_used_at
    };
    assert_eq!(last_used().await, Some(begun));
    clock.advance(TimeDelta::seconds(59));
    assert_eq!(last_used().await, Some(begun));
    clock.advance(TimeDelta::seconds(61));
    let later = clock.now();
    until("the use is noted", || async { (last_used().await == Some(later)).then_some(()) }).await;
}

#[tokio::test]
async fn a_missing_scope_is_named() {
    let server = TestServer::start().await;
    let reader = server.add_token(&server.account.organization, &[Scope::ProjectRead], &[]).await;
    let symbols = server.add_token(&server.account.organization, &[Scope::SymbolsRead], &[]).await;
    let delete = server.delete(&format!("{FILES}?id=1"));
    let upload = server.request_as(&reader, Method::POST, &format!("{FILES}associate/"));
    let read = server.request_as(&symbols, Method::GET, FILES);
    let answers = [
        whole(delete.send().await.unwrap()).await,
        whole(upload.send().await.unwrap()).await,
        whole(read.send().await.unwrap()).await,
    ];
    assert_json_snapshot!(answers);
}

#[tokio::test]
async fn each_scope_opens_what_it_should() {
    let server = TestServer::start().await;
    let symcache = format!("/api/v1/projects/default/default/symcaches/{ID}");
    let mut table = serde_json::Map::new();
    for scope in Scope::ALL {
        let token = server.add_token(&server.account.organization, &[*scope], &[]).await;
        let mut opened = Vec::new();
        for (what, method, path) in [
            ("read", Method::GET, FILES.to_owned()),
            ("upload", Method::POST, format!("{FILES}associate/")),
            ("delete", Method::DELETE, format!("{FILES}?id=1")),
            ("symbols", Method::GET, symcache.clone()),
        ] {
            match server.request_as(&token, method, &path).send().await.unwrap().status().as_u16() {
                403 => {}
                200 | 404 => opened.push(what),
                other => panic!("{scope} {what}: {other}"),
            }
        }
        table.insert(scope.to_string(), opened.into());
    }
    assert_json_snapshot!(table);
}

#[tokio::test]
async fn what_is_foreign_is_not_there() {
    let server = TestServer::start().await;
    let other = server.add_account("other", "app").await;
    let foreign = server.put_file(&other, Record::new("secret", ID)).await;
    let not_there = json!({ "detail": "The requested resource does not exist" });
    let other_id = other.organization.id;
    for path in [
        "/api/0/organizations/other/projects/".to_owned(),
        format!("/api/0/organizations/{other_id}/projects/"),
        "/api/0/organizations/nowhere/projects/".to_owned(),
        "/api/0/organizations/%FF/projects/".to_owned(),
        "/api/0/projects/other/app/files/dsyms/".to_owned(),
        "/api/0/projects/default/app/files/dsyms/".to_owned(),
        format!("/api/0/projects/default/{}/files/dsyms/", other.project.id),
        format!("{FILES}?id={}", foreign.id),
        format!("{FILES}?id=999999999999999999999999"),
        format!("{FILES}?id=x"),
        "/api/v1/projects/other/app/symcaches/x".to_owned(),
    ] {
        let answer = server.get(&path).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/json", "{path}");
        assert_eq!(answer.json::<Value>().await.unwrap(), not_there, "{path}");
    }
}

#[tokio::test]
async fn organizations_and_projects_are_known_by_slug_and_by_id() {
    let server = TestServer::start().await;
    let account = server.add_account("acme", "app").await;
    let ids = (account.organization.id.to_string(), account.project.id.to_string());
    for (org, project) in [("acme", "app"), (&ids.0, &ids.1), ("acme", &ids.1), (&ids.0, "app")] {
        let path = format!("/api/0/projects/{org}/{project}/files/dsyms/");
        let answer = server.request_as(&account.token, Method::GET, &path).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn a_token_limited_to_projects_reaches_no_other() {
    let server = TestServer::start().await;
    let (app, lib) = (server.add_project("app").await, server.add_project("lib").await);
    let token = server.add_token(&server.account.organization, &[Scope::OrgCi], &[&app.project, &lib.project]).await;
    let status = |project: &str| {
        let path = format!("/api/0/projects/default/{project}/files/dsyms/");
        let request = server.request_as(&token, Method::GET, &path);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!([status("app").await, status("lib").await, status("default").await], [200, 200, 404]);
    let listed = server.request_as(&token, Method::GET, PROJECTS).send().await.unwrap().json::<Value>().await.unwrap();
    let slugs: Vec<_> = listed.as_array().unwrap().iter().map(|project| project["slug"].as_str().unwrap()).collect();
    assert_eq!(slugs, ["app", "lib"]);
}

#[tokio::test]
async fn a_client_learns_about_its_token_and_what_it_reaches() {
    let server = TestServer::start().await;
    let mut answers = Vec::new();
    for path in [
        "/api/0/",
        "/api/0/organizations/?cursor=",
        "/api/0/organizations/default/projects/?cursor=",
        "/api/0/users/me/regions/",
    ] {
        answers.push(json!({ "path": path, "answer": whole(server.get(path).send().await.unwrap()).await }));
    }
    assert_json_snapshot!(answers, { "[].answer.body[].dateCreated" => "[time]" });
}

#[tokio::test]
async fn unrouted_paths_are_answered_as_sentry_does() {
    let server = TestServer::start().await;
    let plain = server.get("/api/0/organizations/default/projects").send().await.unwrap();
    let as_json =
        server.post("/api/0/projects/default/default/files/difs/assemble").json(&json!({})).send().await.unwrap();
    let bare = server.get("/api/0/nothing/").send().await.unwrap();
    let elsewhere = server.get("/nothing").send().await.unwrap();
    let wrong_method = server.request(Method::PUT, "/api/0/").send().await.unwrap();
    let mut answers = Vec::new();
    for answer in [plain, as_json, bare, elsewhere, wrong_method] {
        answers.push(whole(answer).await);
    }
    with_settings!({ sort_maps => true }, { assert_json_snapshot!(answers) });
}

#[tokio::test]
async fn every_path_of_the_interfaces_that_leads_nowhere_is_answered_in_json() {
    let server = TestServer::start().await;
    for path in [
        "/api/0/organizations//",
        "/api/0/organizations//chunk-upload/",
        "/api/0/organizations//default/chunk-upload",
        "/api/0/organizations/./chunk-upload/",
        "/api/0/organizations/./default",
        "/api/0/organizations/default/./chunk-upload/",
        "/api/0/organizations/default/../x",
        "/api/0/organizations/default%2fchunk-upload/",
        "/api/0/organizations/%2f/chunk-upload/",
        "/api/0/organizations/%2Fdefault",
        "/api/0/organizations/%ff/chunk-upload/",
        "/api/0/organizations/nowhere/chunk-upload/",
        "/api/0/projects/default//files/dsyms/",
        "/api/0/projects/default/%2f/files/dsyms/",
        "/api/0/nothing/",
        "/api/0//",
        "/api//0/",
        "/api/v1//projects/default/default/explain",
        "/api/v1/projects/default/%2e/explain",
        "/api/v1/projects/default/default/symcaches/",
        "/api/",
        "/api",
    ] {
        let (status, content_type, body) = raw(&server, path).await;
        assert_eq!((status, content_type.as_str()), (404, "application/json"), "{path}: {body}");
        let body: serde_json::Map<String, Value> = serde_json::from_str(&body).unwrap();
        assert!(body.len() == 1 && body["detail"].is_string(), "{path}: {body:?}");
    }
}

/// Status, content type and body of a path as it is, which no client has brought into order.
async fn raw(server: &TestServer, path: &str) -> (u16, String, String) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(server.url.strip_prefix("http://").unwrap()).await.unwrap();
    let token = &server.account.token;
    let head =
        format!("GET {path} HTTP/1.1\r\nhost: depot\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let content_type = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    (status, content_type.to_owned(), body.to_owned())
}

#[tokio::test]
async fn health_is_asked_without_a_token() {
    let server = TestServer::start().await;
    let parts = json!({ "database": "ok", "blobs": "ok", "status": "ok", "events": "ok" });
    for (path, expected) in
        [("/health/live", json!({ "status": "ok" })), ("/health/ready", json!({ "status": "ok", "parts": parts }))]
    {
        let answer = server.request(Method::GET, path).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.json::<Value>().await.unwrap()), (200, expected), "{path}");
    }
}
