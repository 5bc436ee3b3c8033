//! What upstreams have and the project has no room for: it is not there and the reason is told, nobody is asked in vain or
//! blamed for it, and as soon as there is room it comes.

use std::path::PathBuf;

use chrono::{DateTime, TimeDelta};
use reqwest::StatusCode;
use serde_json::{Value, json};
use symdepot::clock::Clock;
use symdepot::types::{Policy, Quota, Sha1, UpstreamKind};

use super::{ask, asking, name, said};
use crate::support::fixtures;
use crate::support::form::left_over;
use crate::support::server::TestServer;
use crate::support::stranger::{Stranger, answer};
use crate::support::uploads::Upload;

const BUILD_ID: &str = super::super::BUILD_ID;
const STRIPPED: &str = super::super::STRIPPED;
const COMPANION: &str = super::super::COMPANION;
const ID: &str = "4ec932a9-e89a-f8cd-96b5-496a980e4efe";
/// A file of another program.
const ANOTHER: &str = "elf-i386-clang-dwarf4/calc.debug";
const ADVICE: &str = "Delete debug files that are not needed, or ask whoever runs the server to raise the quota.";

async fn may_have(server: &TestServer, quota: Quota) {
    let policy = Policy { quota, ..Policy::default() };
    server.app.db.set_policy(server.account.project.id, &policy).await.unwrap();
}

/// An upstream that has the program and its debug information.
async fn rich() -> Stranger {
    Stranger::start(|head| {
        let fixture = if head.contains("/executable") { STRIPPED } else { COMPANION };
        answer(200, "", &fixtures::read(fixture))
    })
    .await
}

async fn told(server: &TestServer, path: &str) -> (u16, Value) {
    let answer = server.get(path).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn a_project_without_room_asks_nobody_and_says_why() {
    let stranger = rich().await;
    let server = asking().start().await;
    name(&server, UpstreamKind::Debuginfod, &stranger.url).await;
    let another = server.upload_ok(&Upload::fixture(ANOTHER)).await;
    may_have(&server, Quota { bytes: None, files: Some(1) }).await;

    let full = format!("The quota of default/default is used up: it may have 1 debug files and no more. {ADVICE}");
    let detail = format!("The project does not have this file, and no room for what its upstreams have. {full}");
    let debug_info = format!("/symbols/default/default/buildid/{BUILD_ID}/debuginfo");
    let symcache = format!("{}{ID}?code_id={BUILD_ID}", server.account.symcaches_path());
    for path in [&debug_info, &format!("{debug_info}?again"), &symcache] {
        assert_eq!(told(&server, path).await, (404, json!({ "detail": detail })), "{path}");
    }
    let list = format!("{}files/dsyms/?code_id={BUILD_ID}", server.account.project_path());
    assert_eq!(told(&server, &list).await, (200, json!([])), "a list has no room for a sentence");
    let (_, explained) = told(&server, &format!("/api/v1/projects/default/default/explain?code_id={BUILD_ID}")).await;
    let reason = format!(
        "The project has no debug file with the code id {BUILD_ID}. Upload the debug file of this build. Upstreams are not asked"
    );
    assert_eq!(explained["reason"], format!("{reason} for it. {full}"));
    let (_, missing) = told(&server, "/api/v1/projects/default/default/missing").await;
    let times: i64 = missing["missing"].as_array().unwrap().iter().map(|one| one["times"].as_i64().unwrap()).sum();
    assert_eq!(times, 4, "all of them missed it: {missing}");
    assert_eq!(stranger.paths(), [""; 0]);

    server.delete_file(another["id"].as_str().unwrap()).await;
    let found = ask(&server, &format!("buildid/{BUILD_ID}/debuginfo")).await;
    assert_eq!(found, (StatusCode::OK, fixtures::read(COMPANION)), "there is room again");
    assert_eq!(stranger.asked().len(), 1);
}

#[tokio::test]
async fn a_file_that_does_not_fit_is_asked_for_once_and_again_as_soon_as_it_fits() {
    let (stranger, second) = (rich().await, rich().await);
    let clock = Clock::settable(DateTime::from_timestamp(1_767_225_600, 0).unwrap());
    let server = asking().clock(clock.clone()).start().await;
    name(&server, UpstreamKind::Debuginfod, &stranger.url).await;
    name(&server, UpstreamKind::Debuginfod, &second.url).await;
    let another = Upload::fixture(ANOTHER);
    server.upload_ok(&another).await;
    let (taken, size) = (another.content.len() as u64, fixtures::read(COMPANION).len() as u64);
    may_have(&server, Quota { bytes: Some(taken + size - 1), files: None }).await;

    let path = format!("/symbols/default/default/buildid/{BUILD_ID}/debuginfo");
    let full = format!(
        "The quota of default/default is used up: it may have {} bytes, {taken} are taken, and this is too much. {ADVICE}",
        taken + size - 1
    );
    let detail = format!("The project does not have this file, and no room for what its upstreams have. {full}");
    for hours in [0, 0, 1, 20] {
        clock.advance(TimeDelta::hours(hours));
        assert_eq!(told(&server, &path).await, (404, json!({ "detail": detail })));
    }
    assert_eq!((stranger.asked().len(), second.asked().len()), (1, 0), "it was not asked for again, of anybody");
    let [answer] = &said(&server, BUILD_ID).await[..] else { panic!("one answer") };
    assert_eq!((&answer["reason"], &answer["misses"]), (&json!(full), &json!(0)));
    assert_eq!(answer["nextAt"], answer["askedAt"], "the upstream is not left alone for it");
    let chunk = Sha1::of(&fixtures::read(COMPANION));
    let owned = server.app.db.owned_chunks(server.account.organization.id, &[chunk]).await.unwrap();
    assert_eq!((owned.len(), server.listed(&server.account).await.len()), (0, 1), "nothing is stored");
    assert_eq!(left_over(&server.app.config.temp_dir()), [""; 0].map(PathBuf::from));
    assert_eq!(server.fsck_when_idle().await, [""; 0]);

    may_have(&server, Quota { bytes: Some(taken + size), files: None }).await;
    assert_eq!(ask(&server, &format!("buildid/{BUILD_ID}/debuginfo")).await.0, 200, "now it fits");
    assert_eq!((stranger.asked().len(), second.asked().len()), (2, 0));
    assert_eq!(said(&server, BUILD_ID).await, [json!(null); 0]);
}
