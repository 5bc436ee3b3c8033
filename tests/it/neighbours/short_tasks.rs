//! Conversions that take minutes beside the small questions of others: what a file is, what is in a zip, one source.

use std::io::{Cursor, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use reqwest::multipart::{Form, Part};
use symdepot::symcaches::sandbox::{OnBehalf, Sandbox, SandboxSettings};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::support::client::Account;
use crate::support::converter::WatchedConverter;
use crate::support::server::TestServer;
use crate::support::uploads::Upload;
use crate::support::{fixtures, until};

const HOSTILE: &str = "elf-x86_64-gcc-dwarf4/calc.debug";
const BUILD_ID: &str = "a932c94e9ae8cdf896b5496a980e4efee5dad2fc";
const BUNDLE: &str = "sourcebundle/calc.src.zip";
/// Files that need no conversion: a bundle, and an executable without debug information.
const PLAIN: [&str; 2] = [BUNDLE, "elf-x86_64-gcc-dwarf4/calc"];

/// A server that converts two files at a time, and both stand still.
async fn with_conversions_that_stand_still(converter: &WatchedConverter) -> TestServer {
    let program = converter.program();
    let change = |config: &mut symdepot::config::Config| {
        config.converter.program = program;
        config.converter.concurrency = 2;
        config.jobs.concurrency = 2;
    };
    let server = TestServer::builder().settings(change).start().await;
    let hostile = server.add_account("hostile", "app").await;
    for number in 0..4 {
        let upload = Upload::fixture(HOSTILE).another(number);
        server.send(&hostile, &upload).await;
        server.ask(&hostile, &upload).await;
    }
    converter.begun(2).await;
    server
}

fn zip_of(entries: &[&str]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for entry in entries {
        writer.start_file(*entry, SimpleFileOptions::default()).unwrap();
        writer.write_all(&fixtures::read(entry)).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

async fn send_zip(server: &TestServer, account: &Account, zip: Vec<u8>) -> (u16, usize) {
    let path = format!("{}files/dsyms/", account.project_path());
    let form = Form::new().part("file", Part::bytes(zip).file_name("files.zip"));
    let request = server.request_as(&account.token, reqwest::Method::POST, &path);
    let response = request.multipart(form).send().await.unwrap();
    let status = response.status().as_u16();
    let created = response.json::<serde_json::Value>().await.unwrap();
    (status, created.as_array().map_or(0, Vec::len))
}

#[tokio::test]
async fn a_zip_and_a_source_are_answered_while_every_conversion_stands_still() {
    let converter = WatchedConverter::holding();
    let server = with_conversions_that_stand_still(&converter).await;
    assert_eq!(send_zip(&server, &server.account, zip_of(&PLAIN)).await, (201, 2));
    let source = format!("/symbols/default/default/buildid/{}/source/src/fixture/calc.c", BUILD_ID);
    assert_eq!(server.get(&source).send().await.unwrap().status(), 200);
    assert_eq!(converter.conversions(), 2, "the conversions of the other still stand");
    converter.release();
}

#[tokio::test]
async fn a_detection_of_another_is_done_while_the_hostile_files_of_one_stand_still() {
    let converter = WatchedConverter::holding();
    let server = with_conversions_that_stand_still(&converter).await;
    let busy = server.app.db.organization("hostile").await.unwrap().unwrap();
    let sandbox = &server.app.symcaches.sandbox;
    // Its detections stand still as well, as many as one organization may have at a time.
    let mut held = Vec::new();
    while let Some(permit) = now(Box::pin(sandbox.short_permit(OnBehalf::request(busy.id)))) {
        held.push(permit.unwrap());
    }
    assert_eq!(send_zip(&server, &server.account, zip_of(&PLAIN)).await, (201, 2));
    assert_eq!(converter.conversions(), 2, "the conversions of the other still stand");
    converter.release();
}

#[tokio::test]
async fn a_request_beyond_the_queue_is_sent_away_for_now_and_another_organization_is_not() {
    let one_at_a_time = |app: &mut symdepot::app::App| {
        let settings = SandboxSettings { short_concurrency: 1, ..fixtures::settings() };
        app.symcaches.sandbox = Sandbox::new(settings);
    };
    let server = TestServer::builder().tweak(one_at_a_time).start().await;
    server.upload_ok(&Upload::fixture(BUNDLE)).await;
    let other = server.add_account("other", "app").await;
    let (sandbox, own) = (&server.app.symcaches.sandbox, server.account.organization.id);
    let running = sandbox.short_permit(OnBehalf::request(own)).await.unwrap();
    let mut waiting: Vec<_> = (0..64).map(|_| Box::pin(sandbox.short_permit(OnBehalf::request(own)))).collect();
    assert!(waiting.iter_mut().all(|waiter| now(waiter).is_none()));

    let path = format!("{}files/dsyms/", server.account.project_path());
    let form = Form::new().part("file", Part::bytes(zip_of(&PLAIN)).file_name("files.zip"));
    let refused = server.post(&path).multipart(form).send().await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (503, "2"));
    let source = format!("/symbols/default/default/buildid/{BUILD_ID}/source/src/fixture/calc.c");
    let reset = server.get(&source).send().await;
    assert!(reset.is_err(), "a debuginfod client would remember any answer: {reset:?}");

    let zip = zip_of(&PLAIN);
    let (answered, ()) = tokio::join!(send_zip(&server, &other, zip), async {
        until("the newest of the many gives way", || {
            let refused = now(&mut waiting[63]).is_some();
            async move { refused.then_some(()) }
        })
        .await;
        waiting.clear();
        drop(running);
    });
    assert_eq!(answered, (201, 2));
}

/// What a future comes to without any waiting.
fn now<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
    let mut context = Context::from_waker(Waker::noop());
    match Pin::new(&mut future).poll(&mut context) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    }
}
