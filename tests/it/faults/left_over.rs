//! Temp files: what a process leaves that was killed goes with the next one, whichever it is, and what a running process
//! still needs stays, whichever process cleans up beside it.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, Response};
use symdepot::types::Sha1;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::client::Client;
use crate::support::form::left_over;
use crate::support::process::TestProcess;
use crate::support::until;

/// Nothing is too young to go, so that only its use keeps a temp file.
const AT_ONCE: [(&str, &str); 1] = [("SYMDEPOT_GC__TEMP_GRACE", "0s")];

/// The temp files of a process: its own, and those of the store where that is a folder.
fn temp_files(process: &TestProcess) -> Vec<PathBuf> {
    let folders = [process.data_dir().join("tmp"), process.data_dir().join("blobs/tmp")];
    folders.iter().filter(|folder| folder.exists()).flat_map(|folder| left_over(folder)).collect()
}

/// A chunk of which a half is enough to be written.
static CHUNK: [u8; 1 << 20] = [7; 1 << 20];

/// Sends a chunk of which half comes at once, and the rest once the sender says so.
fn send_slowly(client: &Client, chunk: &'static [u8]) -> (oneshot::Sender<()>, JoinHandle<reqwest::Result<Response>>) {
    let (go_on, rest) = oneshot::channel::<()>();
    let half = chunk.len() / 2;
    let first = futures_util::stream::iter([Ok::<_, std::io::Error>(&chunk[..half])]);
    let second = futures_util::stream::once(async move {
        // A sender that went away lets the rest come.
        let _gone = rest.await;
        Ok(&chunk[half..])
    });
    let body = reqwest::Body::wrap_stream(first.chain(second));
    let form = Form::new().part("file", Part::stream(body).file_name(Sha1::of(chunk).to_string()));
    let path = format!("{}chunk-upload/", client.account.organization_path());
    let request = client.request_as(&client.account.token, Method::POST, &path).multipart(form);
    (go_on, tokio::spawn(request.send()))
}

async fn has_temp_files(process: &TestProcess) {
    until("a temp file is filled", || async { (!temp_files(process).is_empty()).then_some(()) }).await;
}

#[tokio::test]
async fn what_a_web_process_left_that_was_killed_goes_when_it_starts_again() {
    let mut process = TestProcess::start_without_workers(&AT_ONCE).await;
    let (_go_on, sending) = send_slowly(&process.client(), &CHUNK);
    has_temp_files(&process).await;
    process.kill().await;
    sending.await.unwrap().unwrap_err();
    assert_ne!(temp_files(&process), [""; 0].map(PathBuf::from), "nothing else cleans up here");
    process.restart().await;
    until("nothing is left over", || async { temp_files(&process).is_empty().then_some(()) }).await;
}

#[tokio::test]
async fn a_web_process_and_a_worker_clean_up_by_the_interval_and_leave_what_others_need() {
    let settings = [AT_ONCE[0], ("SYMDEPOT_GC__INTERVAL", "50ms")];
    let process = TestProcess::start_without_workers(&settings).await;
    let (go_on, sending) = send_slowly(&process.client(), &CHUNK);
    has_temp_files(&process).await;
    let arriving = temp_files(&process);
    let worker = process.worker();
    for round in 0..3 {
        // What a dead process left is gone at the next interval, so that each round is one at least.
        let dead = process.data_dir().join("tmp").join(format!("of a dead process {round}"));
        std::fs::write(&dead, "left over").unwrap();
        until("the interval is over", || async { (!dead.exists()).then_some(()) }).await;
        for verb in [&["org", "create", "acme"][..], &["gc"]] {
            assert!(process.run(verb).await.status.success());
        }
    }
    assert_eq!(temp_files(&process), arriving, "a file in use stays, whichever process cleans up");
    go_on.send(()).unwrap();
    assert_eq!(sending.await.unwrap().unwrap().status(), 200);
    drop(worker);
    let uploaded = Sha1::of(&CHUNK);
    assert!(process.behind().await.db.owned_chunks(1, &[uploaded]).await.unwrap().contains_key(&uploaded));
}

#[tokio::test]
async fn a_verb_removes_what_a_dead_process_left_and_a_dry_run_only_counts_it() {
    let process = TestProcess::start_without_workers(&[AT_ONCE[0], ("SYMDEPOT_GC__INTERVAL", "0s")]).await;
    let temp = process.data_dir().join("tmp");
    let dead = temp.join("of a dead process");
    // The process cleans up once when it starts; what comes later it leaves for an hour.
    let first = temp.join("of a process that died before");
    std::fs::write(&first, "left over").unwrap();
    tokio::time::timeout(Duration::from_secs(60), process.run(&["org", "create", "acme"])).await.unwrap();
    assert!(!first.exists());
    std::fs::write(&dead, "left over").unwrap();
    let counted = String::from_utf8(process.run(&["gc", "--dry-run"]).await.stdout).unwrap();
    assert!(counted.contains("1 temp files of processes that died\n"), "{counted}");
    assert!(dead.exists());
    let removed = String::from_utf8(process.run(&["gc"]).await.stdout).unwrap();
    assert!(removed.contains("1 temp files of processes that died\n"), "{removed}");
    assert!(!dead.exists());
}
