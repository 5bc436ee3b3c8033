//! What an upstream could not bring is remembered, for longer each time, and forgotten when an upload may change it.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use symdepot::clock::Clock;
use symdepot::types::UpstreamKind;
use tokio::sync::Semaphore;

use super::{ask, asking, name, reason, said};
use crate::support::server::TestServer;
use crate::support::stranger::{Step, Stranger, answer};
use crate::support::uploads::Upload;
use crate::support::{fixtures, until};

const BUILD_ID: &str = super::super::BUILD_ID;
const STRIPPED: &str = super::super::STRIPPED;
const COMPANION: &str = super::super::COMPANION;
const ID: &str = "4ec932a9-e89a-f8cd-96b5-496a980e4efe";

fn path(word: &str) -> String {
    format!("buildid/{BUILD_ID}/{word}")
}

fn clock() -> Clock {
    Clock::settable(DateTime::from_timestamp(1_767_225_600, 0).unwrap())
}

#[tokio::test]
async fn an_upstream_without_a_file_is_asked_again_after_ten_minutes_then_twenty_and_at_most_a_day() {
    let stranger = Stranger::start(|_| answer(404, "", b"no")).await;
    let clock = clock();
    let server = asking().clock(clock.clone()).start().await;
    name(&server, UpstreamKind::Debuginfod, &stranger.url).await;
    let asked = async || {
        let before = stranger.asked().len();
        assert_eq!(ask(&server, &path("debuginfo")).await.0, 404);
        stranger.asked().len() - before
    };
    assert_eq!((asked().await, asked().await), (1, 0));
    assert_eq!(reason(&server, BUILD_ID).await, "it does not have the file");
    for minutes in [10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440] {
        clock.advance(TimeDelta::minutes(minutes) - TimeDelta::seconds(1));
        assert_eq!(asked().await, 0, "before {minutes} minutes");
        clock.advance(TimeDelta::seconds(1));
        assert_eq!(asked().await, 1, "after {minutes} minutes");
    }
    assert_eq!(said(&server, BUILD_ID).await[0]["misses"], 11);
    assert_eq!(ask(&server, &path("executable")).await.0, 404);
    assert_eq!(
        stranger.paths().last(),
        Some(&format!("/{}", path("executable"))),
        "another file of the id is asked for"
    );
}

#[tokio::test]
async fn trouble_is_not_told_as_absence_and_is_tried_again_soon() {
    let stranger = Stranger::start(|_| answer(503, "", b"busy")).await;
    let clock = clock();
    let server = asking().clock(clock.clone()).start().await;
    name(&server, UpstreamKind::Native, &stranger.url).await;
    let folders = format!("{}/{}.debug", &BUILD_ID[..2], &BUILD_ID[2..]);
    for (wait, status) in [(0, 503), (30, 503), (60, 503), (120, 404), (240, 404)] {
        clock.advance(TimeDelta::seconds(wait));
        let before = stranger.asked().len();
        assert_eq!(ask(&server, &folders).await.0, status, "after {wait} seconds");
        assert_eq!(ask(&server, &folders).await.0, status, "the same is told without a question");
        assert_eq!(stranger.asked().len(), before + 1);
    }
    assert_eq!(reason(&server, BUILD_ID).await, "it answers 503");
    let debuginfod = format!("/symbols/default/default/{}", path("debuginfo"));
    assert_eq!(server.get(&debuginfod).send().await.unwrap().status(), 404, "nobody is asked on this path");

    name(&server, UpstreamKind::Debuginfod, &stranger.url).await;
    until("the list of upstreams is read anew", || async {
        server.get(&debuginfod).send().await.is_err().then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_upstream_in_trouble_again_and_again_is_left_alone_whatever_is_asked() {
    let stranger = Stranger::start(|_| answer(500, "", b"")).await;
    let clock = clock();
    let server = asking().clock(clock.clone()).start().await;
    name(&server, UpstreamKind::Native, &stranger.url).await;
    let other = |number: u32| format!("{number:02}/{}.debug", &BUILD_ID[2..]);
    for number in 0..20 {
        assert_eq!(ask(&server, &other(number)).await.0, 503);
    }
    assert_eq!(stranger.asked().len(), 5);
    clock.advance(TimeDelta::seconds(30));
    for number in 20..30 {
        assert_eq!(ask(&server, &other(number)).await.0, 503);
    }
    assert_eq!(stranger.asked().len(), 6, "one is let through");
    clock.advance(TimeDelta::minutes(10));
    assert_eq!(ask(&server, &other(30)).await.0, 503, "it was asked, and may not be in trouble for long");
    assert_eq!(ask(&server, &other(31)).await.0, 404, "a dead one does not make every miss an error for ever");
}

#[tokio::test]
async fn an_upload_clears_what_upstreams_said_of_its_ids_at_once() {
    let stranger = Stranger::start(|_| answer(404, "", b"no")).await;
    let server = asking().start().await;
    name(&server, UpstreamKind::Debuginfod, &stranger.url).await;
    let other = format!("{:0<40}", "ab");
    for id in [BUILD_ID, &other] {
        for _ in 0..2 {
            assert_eq!(ask(&server, &format!("buildid/{id}/debuginfo")).await.0, 404);
        }
    }
    assert_eq!(stranger.asked().len(), 2);
    server.upload_ok(&Upload::fixture(STRIPPED)).await;
    assert!(said(&server, BUILD_ID).await.is_empty());
    assert_eq!(said(&server, &other).await.len(), 1, "what is said of other ids stands");
    assert_eq!(ask(&server, &path("debuginfo")).await.0, 404, "the executable is no debug information");
    assert_eq!(stranger.asked().len(), 3, "and so the upstream is asked again");
    server.upload_ok(&Upload::fixture(COMPANION)).await;
    assert_eq!(ask(&server, &path("debuginfo")).await, (reqwest::StatusCode::OK, fixtures::read(COMPANION)));
    assert_eq!(stranger.asked().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_askers_at_once_make_one_request() {
    for found in [true, false] {
        let gate = Arc::new(Semaphore::new(0));
        let held = Arc::clone(&gate);
        let stranger = Stranger::start(move |_| {
            let mut steps = vec![Step::Wait(Arc::clone(&held))];
            steps.extend(if found { answer(200, "", &fixtures::read(COMPANION)) } else { answer(404, "", b"") });
            steps
        })
        .await;
        let server = Arc::new(asking().start().await);
        name(&server, UpstreamKind::Debuginfod, &stranger.url).await;
        let askers: Vec<_> = (0..64)
            .map(|_| {
                let server: Arc<TestServer> = Arc::clone(&server);
                tokio::spawn(async move { ask(&server, &path("debuginfo")).await })
            })
            .collect();
        until("the upstream is asked", || async { (!stranger.asked().is_empty()).then_some(()) }).await;
        // Those that come after the answer find the file or what was said.
        gate.add_permits(64);
        for asker in askers {
            let (status, bytes) = asker.await.unwrap();
            let expected = if found { fixtures::read(COMPANION) } else { Vec::new() };
            assert_eq!(status, if found { 200 } else { 404 });
            assert!(!found || bytes == expected);
        }
        assert_eq!(stranger.asked().len(), 1);
        assert_eq!(server.listed(&server.account).await.len(), usize::from(found));
    }
}

#[tokio::test]
async fn the_next_upstream_is_asked_when_the_first_has_nothing() {
    let empty = Stranger::start(|_| answer(404, "", b"")).await;
    let full = Stranger::start(|_| answer(200, "", &fixtures::read(COMPANION))).await;
    let server = asking().start().await;
    name(&server, UpstreamKind::Debuginfod, &empty.url).await;
    name(&server, UpstreamKind::Debuginfod, &full.url).await;
    assert_eq!(ask(&server, &path("debuginfo")).await, (reqwest::StatusCode::OK, fixtures::read(COMPANION)));
    assert_eq!((empty.asked().len(), full.asked().len()), (1, 1));
}

#[tokio::test]
async fn who_waited_long_enough_is_sent_away_and_the_file_comes_all_the_same() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let stranger = Stranger::start(move |_| {
        let mut steps = vec![Step::Wait(Arc::clone(&held))];
        steps.extend(answer(200, "", &fixtures::read(COMPANION)));
        steps
    })
    .await;
    let wait = std::time::Duration::from_millis(50);
    let server = asking().settings(move |config| config.upstreams.max_wait = wait).start().await;
    name(&server, UpstreamKind::Native, &stranger.url).await;
    let folders = format!("{}/{}.debug", &BUILD_ID[..2], &BUILD_ID[2..]);
    let (status, told) = ask(&server, &folders).await;
    assert_eq!(status, 503);
    assert!(String::from_utf8_lossy(&told).contains("still sending"), "{}", String::from_utf8_lossy(&told));
    let symcache = format!("{}{ID}?code_id={BUILD_ID}", server.account.symcaches_path());
    assert_eq!(server.get(&symcache).send().await.unwrap().status(), 202, "it is not there yet, and it comes");
    gate.add_permits(1);
    until("the symcache comes", || async {
        (server.get(&symcache).send().await.unwrap().status() == 200).then_some(())
    })
    .await;
    until("the file comes", || async { (ask(&server, &folders).await.0 == 200).then_some(()) }).await;
    assert_eq!(stranger.asked().len(), 1);
}
