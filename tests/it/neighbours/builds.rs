//! A fleet that asks for everything at once: requests only queue, and what is made for them has bounds.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use symdepot::app::App;
use symdepot::db::{HEAD_START, NewJob};
use symdepot::types::{DebugId, JobKind};

use super::{CALC, CALC_ID, forget_symcaches, no_job_is_left};
use crate::support::answer::whole;
use crate::support::client::Client;
use crate::support::converter::WatchedConverter;
use crate::support::process::TestProcess;
use crate::support::records::Record;
use crate::support::server::{Account, Builder, TestServer};
use crate::support::until;
use crate::support::uploads::Upload;

/// What a process has at one moment.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    descriptors: u64,
    threads: u64,
    /// Bytes of files without a name in its temp folder.
    temp: u64,
    children: u64,
}

impl Held {
    fn of(id: u32, temp_dir: &Path) -> Self {
        let process = Path::new("/proc").join(id.to_string());
        let entries = |name: &str| process.join(name).read_dir().into_iter().flatten().flatten();
        let (mut descriptors, mut inodes, mut temp) = (0, BTreeSet::new(), 0);
        for entry in entries("fd") {
            descriptors += 1;
            let Ok(target) = entry.path().read_link() else { continue };
            let Ok(metadata) = entry.path().metadata() else { continue };
            // A file may be open twice.
            if target.starts_with(temp_dir) && metadata.nlink() == 0 && inodes.insert(metadata.ino()) {
                temp += metadata.len();
            }
        }
        let children = |thread: std::fs::DirEntry| {
            let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            children.split_whitespace().count() as u64
        };
        let threads: Vec<_> = entries("task").collect();
        Self { descriptors, threads: threads.len() as u64, temp, children: threads.into_iter().map(children).sum() }
    }

    fn most(self, other: Self) -> Self {
        Self {
            descriptors: self.descriptors.max(other.descriptors),
            threads: self.threads.max(other.threads),
            temp: self.temp.max(other.temp),
            children: self.children.max(other.children),
        }
    }
}

async fn status(client: &Client, ids: &[String]) -> Value {
    let path = format!("{}status", client.account.symcaches_path());
    let question = json!({ "debug_ids": ids });
    let response = client.request_as(&client.account.token, Method::POST, &path).json(&question).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.json().await.unwrap()
}

fn count(states: &Value, state: &str) -> usize {
    states.as_object().unwrap().values().filter(|one| one["state"] == state).count()
}

#[tokio::test]
async fn a_status_request_of_many_ids_queues_them_and_what_is_made_of_them_has_bounds() {
    const FILES: u32 = 40;
    const CHILDREN: u64 = 2;
    let settings = [("SYMDEPOT_CONVERTER__CONCURRENCY", "2"), ("SYMDEPOT_JOBS__CONCURRENCY", "32")];
    let server = TestProcess::start_with(&settings).await;
    let client = server.client();
    let calc = Upload::fixture(CALC);
    // As large as a file of which its temp file can be told from others.
    let large = |number| {
        let mut file = calc.another(number);
        file.content.resize(4 << 20, 0);
        file
    };
    let mut ids = Vec::new();
    for number in 0..FILES {
        let dif = client.upload_ok(&large(number)).await;
        ids.push(dif["debugId"].as_str().unwrap().to_owned());
    }
    let behind = server.behind().await;
    let known: Vec<DebugId> = ids.iter().map(|id| id.parse().unwrap()).collect();
    let files = behind.db.debug_files_by_id(client.account.project.id, &known).await.unwrap();
    assert_eq!(files.len(), FILES as usize);
    forget_symcaches(&behind, &files).await;
    let unknown = (0..1000 - FILES).map(|number| format!("{number:08x}-0000-0000-0000-000000000000"));
    let asked: Vec<_> = ids.iter().cloned().chain(unknown).collect();

    let first = status(&client, &asked).await;
    assert_eq!((count(&first, "building"), count(&first, "missing")), (ids.len(), asked.len() - ids.len()));
    let temp_dir = server.data_dir().join("tmp");
    let mut most = Held::default();
    loop {
        for _ in 0..20 {
            most = most.most(Held::of(server.id(), &temp_dir));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if count(&status(&client, &asked).await, "ready") == ids.len() {
            break;
        }
        assert!(behind.db.open_jobs(client.account.organization.id, 100).await.unwrap() <= 100);
    }
    assert!(most.children >= 1 && most.children <= CHILDREN, "{most:?}");
    assert!(most.descriptors < 256, "{most:?}");
    assert!(most.threads < 64, "{most:?}");
    // Beside each file its symcache, which is small.
    assert!(most.temp > 0 && most.temp <= (CHILDREN + 1) * (5 << 20), "{most:?}");
    no_job_is_left(&behind, client.account.organization.id).await;
}

#[tokio::test]
async fn a_web_process_without_workers_converts_nothing_and_says_that_it_is_being_built() {
    let converter = WatchedConverter::new();
    let program = converter.program();
    let server = TestServer::builder().settings(|config| config.converter.program = program).start().await;
    server.upload_ok(&Upload::fixture(CALC)).await;
    let files = server.app.db.debug_files_by_id(server.account.project.id, &[CALC_ID.parse().unwrap()]).await.unwrap();
    let server = server.restart(Builder::without_workers).await;
    forget_symcaches(&server.app, &files).await;
    let before = (converter.conversions(), converter.texts());
    for wait in [0, 1, 0] {
        let answer = whole(server.symcache(&server.account, CALC_ID, wait).await).await;
        assert_eq!((&answer["status"], &answer["body"]), (&json!(202), &json!({ "state": "building" })));
        assert_eq!(answer["headers"]["retry-after"], "1");
    }
    assert_eq!(server.symcache_status(&server.account, CALC_ID).await["state"], "building");
    assert_eq!((converter.conversions(), converter.texts()), before);
    assert_eq!(server.app.db.open_jobs(server.account.organization.id, 10).await.unwrap(), 1, "one row for all");

    // A worker elsewhere does it, and whoever waits here hears of it.
    let waiting = server.symcache(&server.account, CALC_ID, 60);
    let working = async { server.beside().start().await };
    let (answer, worker) = tokio::join!(waiting, working);
    assert_eq!(answer.status(), 200);
    assert_eq!(converter.conversions(), before.0 + 1);
    drop(worker);
    assert_eq!(server.fsck().await, [""; 0]);
}

#[tokio::test]
async fn one_symcache_of_an_organization_does_not_wait_for_the_thousands_of_another() {
    let converter = WatchedConverter::new();
    let program = converter.program();
    let change = |config: &mut symdepot::config::Config| {
        config.converter.program = program;
        config.jobs.concurrency = 1;
    };
    let server = TestServer::builder().settings(change).start().await;
    let small = server.add_account("small", "app").await;
    server.upload_ok(&Upload::fixture(CALC)).await;
    server.upload_to(&small, &Upload::fixture(CALC)).await;
    let of = async |account: &Account| {
        server.app.db.debug_files_by_id(account.project.id, &[CALC_ID.parse().unwrap()]).await.unwrap()
    };
    let (large_files, small_files) = (of(&server.account).await, of(&small).await);
    forget_symcaches(&server.app, &large_files).await;
    forget_symcaches(&server.app, &small_files).await;
    // The large one is first, with one under way and thousands behind it.
    converter.hold();
    assert_eq!(server.symcache(&server.account, CALC_ID, 0).await.status(), 202);
    converter.begun(3).await;
    let crowd = |number: u32| NewJob {
        kind: JobKind::Symcache,
        organization_id: server.account.organization.id,
        project_id: Some(server.account.project.id),
        dedup_key: Some(format!("one of many {number}")),
        lane: None,
        payload: json!({ "make": "cab", "debug_file_id": 4711, "version": "another" }).to_string(),
    };
    let crowd: Vec<_> = (0..3000).map(crowd).collect();
    let now = server.app.clock.now();
    server.app.db.queue_jobs(&crowd, now - HEAD_START * 2, now).await.unwrap();
    let (answer, ()) = tokio::join!(server.symcache(&small, CALC_ID, 60), async {
        a_job_is_queued(&server.app, small.organization.id).await;
        converter.release();
    });
    assert_eq!(answer.status(), 200);
    assert_eq!(converter.conversions(), 4, "the one under way, and then this one");
    let open = server.app.db.open_jobs(server.account.organization.id, 4000).await.unwrap();
    assert!(open > 2900, "{open} of 3000");
}

/// Waits until an organization has a job.
async fn a_job_is_queued(app: &App, organization_id: i64) {
    let one = || async { (app.db.open_jobs(organization_id, 1).await.unwrap() == 1).then_some(()) };
    until("a job is queued", one).await;
}

#[tokio::test]
async fn an_organization_whose_queue_is_full_is_sent_away_and_another_is_served() {
    let server = TestServer::builder().without_workers().tweak(|app| app.symcaches.most_open = 2).start().await;
    let other = server.add_account("other", "app").await;
    let id = |number: u32| format!("{number:08x}-0000-0000-0000-000000000000");
    for number in 0..4 {
        let record = |account| server.put_file(account, Record::new(&format!("file {number}"), &id(number)));
        record(&server.account).await;
        record(&other).await;
    }
    for number in 0..2 {
        assert_eq!(server.symcache(&server.account, &id(number), 0).await.status(), 202);
    }
    let answer = whole(server.symcache(&server.account, &id(2), 0).await).await;
    let sentence = "The organization has as many jobs in the queue as it may have. Ask again when some are done.";
    assert_eq!((&answer["status"], &answer["body"]), (&json!(503), &json!({ "detail": sentence })));
    assert_eq!(answer["headers"]["retry-after"], "2");
    assert_eq!(server.symcache(&server.account, &id(1), 0).await.status(), 202, "what is queued stays queued");
    assert_eq!(server.symcache(&other, &id(2), 0).await.status(), 202);
}
