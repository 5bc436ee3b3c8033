//! Quotas: what is over one is refused before it is stored, with a sentence, and goes on as soon as there is room.

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};

use futures_util::future::join_all;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use symdepot::db::Owner;
use symdepot::types::{Policy, Quota, Sha1};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::support::fixtures;
use crate::support::process::TestProcess;
use crate::support::server::TestServer;
use crate::support::uploads::Upload;

const CALC: &str = "elf-x86_64-gcc-dwarf4/calc.debug";
const ADVICE: &str = "Delete debug files that are not needed, or ask whoever runs the server to raise the quota.";

async fn of_organization(server: &TestServer, bytes: Option<u64>, files: Option<u64>) {
    let quota = Quota { bytes, files };
    server.app.db.set_organization_quota(server.account.organization.id, quota).await.unwrap();
}

async fn of_project(server: &TestServer, bytes: Option<u64>, files: Option<u64>) {
    let policy = Policy { quota: Quota { bytes, files }, ..Policy::default() };
    server.app.db.set_policy(server.account.project.id, &policy).await.unwrap();
}

/// Status and body after chunks were sent.
async fn sent(server: &TestServer, chunks: &[&[u8]]) -> (u16, String) {
    let response = server.send_chunks(&server.account, chunks).await;
    (response.status().as_u16(), response.text().await.unwrap())
}

async fn owned(server: &TestServer, chunks: &[&[u8]]) -> usize {
    let sha1s: Vec<_> = chunks.iter().map(|chunk| Sha1::of(chunk)).collect();
    server.app.db.owned_chunks(server.account.organization.id, &sha1s).await.unwrap().len()
}

/// Asks for several files at once; state and detail of each.
async fn asked(server: &TestServer, uploads: &[&Upload]) -> Vec<(String, Value)> {
    let body: BTreeMap<_, _> = uploads.iter().map(|upload| (upload.sha1().to_string(), upload.entry())).collect();
    let answer: Value = server.ask_assemble(&server.account, &json!(body)).await.json().await.unwrap();
    let entry = |upload: &&Upload| answer[upload.sha1().to_string()].clone();
    uploads
        .iter()
        .map(entry)
        .map(|entry| (entry["state"].as_str().unwrap().to_owned(), entry["detail"].clone()))
        .collect()
}

#[tokio::test]
async fn a_chunk_over_the_quota_is_refused_and_not_stored_until_there_is_room() {
    let server = TestServer::start().await;
    of_organization(&server, Some(1000), None).await;
    let (fits, too_much): (&[u8], &[u8]) = (&[1; 900], &[2; 101]);
    assert_eq!(sent(&server, &[fits]).await.0, 200);
    let detail = format!(
        "The quota of default is used up: it may have 1000 bytes, 900 are taken, and this is too much. {ADVICE}"
    );
    for _twice in 0..2 {
        let (status, body) = sent(&server, &[&[3; 50], too_much, &[4; 10]]).await;
        assert_eq!(
            (status, serde_json::from_str::<Value>(&body).unwrap()),
            (400, json!({ "detail": detail.replace("900", "950") }))
        );
        assert_eq!(owned(&server, &[&[3; 50], too_much, &[4; 10]]).await, 1, "those before it stay");
    }
    assert_eq!(sent(&server, &[fits]).await, (200, String::new()), "what is there takes no room");
    assert_eq!(server.fsck().await, [""; 0]);
    of_organization(&server, Some(2000), None).await;
    assert_eq!(sent(&server, &[too_much]).await.0, 200, "the quota was raised");
    let rival = server.add_account("rival", "app").await;
    assert_eq!(server.send_chunks(&rival, &[&[5; 5000]]).await.status(), 200, "it is the others' own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_uploads_at_once_never_exceed_the_quota() {
    let server = TestServer::start().await;
    of_organization(&server, Some(10_000), None).await;
    let chunks: Vec<_> = (0..64u32).map(|number| number.to_be_bytes().repeat(250)).collect();
    let chunks: Vec<_> = chunks.iter().map(Vec::as_slice).collect();
    let answers = join_all(chunks.chunks(1).map(|chunk| sent(&server, chunk))).await;
    let taken = answers.iter().filter(|(status, _)| *status == 200).count();
    assert!(answers.iter().all(|(status, _)| matches!(status, 200 | 400)));
    assert_eq!((taken, owned(&server, &chunks).await), (10, 10));
    let usage = server.app.db.usage(Owner::Organization(server.account.organization.id)).await.unwrap();
    assert_eq!(usage.waiting_bytes, 10_000);
}

#[tokio::test]
async fn a_file_over_the_quota_of_files_is_an_error_and_the_others_go_on() {
    let server = TestServer::start().await;
    of_project(&server, None, Some(2)).await;
    let calc = Upload::fixture(CALC);
    let files: Vec<_> = (0..3).map(|number| calc.another(number)).collect();
    let dif = server.upload_ok(&calc).await;
    for file in &files {
        server.send(&server.account, file).await;
    }
    let detail =
        json!(format!("The quota of default/default is used up: it may have 2 debug files and no more. {ADVICE}"));
    let answers = asked(&server, &[&calc, &files[0], &files[1], &files[2]]).await;
    let count = |state: &str| answers.iter().filter(|(found, _)| found == state).count();
    assert_eq!((count("ok"), count("created"), count("error")), (1, 1, 2), "{answers:?}");
    assert!(answers.iter().filter(|(state, _)| state == "error").all(|(_, said)| *said == detail));
    let refused: Vec<_> = files.iter().zip(&answers[1..]).filter(|(_, answer)| answer.0 == "error").collect();
    let refused = refused[0].0;
    assert_eq!(server.peek(&server.account, refused).await["state"], "not_found", "it is not remembered");
    let unsent = calc.another(9).chunk_size(4096);
    assert_eq!(asked(&server, &[&unsent]).await, [("error".to_owned(), detail)], "no need to send its chunks");

    server.delete_file(dif["id"].as_str().unwrap()).await;
    assert_eq!(server.poll(&server.account, refused).await["state"], "ok", "there is room again");
    of_project(&server, None, Some(3)).await;
    assert_eq!(server.upload_ok(&unsent).await["debugId"].as_str().map(str::len), Some(36));
}

#[tokio::test]
async fn the_bytes_of_a_file_count_however_few_chunks_are_new() {
    let server = TestServer::start().await;
    let calc = Upload::fixture(CALC).chunk_size(4096);
    let size = calc.content.len() as u64;
    of_project(&server, Some(size + 100), None).await;
    of_organization(&server, Some(2 * size - 1), None).await;
    server.upload_ok(&calc).await;
    let second = calc.another(1);
    server.send(&server.account, &second).await;
    let detail = format!(
        "The quota of default/default is used up: it may have {} bytes, {size} are taken, and this is too much. {ADVICE}",
        size + 100
    );
    assert_eq!(asked(&server, &[&second]).await, [("error".to_owned(), json!(detail))]);
    of_project(&server, None, None).await;
    assert!(asked(&server, &[&second]).await[0].1.as_str().unwrap().starts_with("The quota of default is used up"));
    of_organization(&server, Some(2 * size), None).await;
    assert_eq!(server.poll(&server.account, &second).await["state"], "ok");
    let usage = server.app.db.usage(Owner::Organization(server.account.organization.id)).await.unwrap();
    assert_eq!((usage.files, usage.bytes, usage.waiting_bytes, usage.open_files), (2, 2 * size, 0, 0));
}

#[tokio::test]
async fn a_zip_over_the_quota_is_refused_and_what_fits_of_it_is_taken() {
    let server = TestServer::start().await;
    of_project(&server, None, Some(1)).await;
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for name in ["elf-x86_64-gcc-dwarf4/calc.debug", "elf-i386-clang-dwarf4/calc.debug"] {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(&fixtures::read(name)).unwrap();
    }
    let bytes = zip.finish().unwrap().into_inner();
    for _twice in 0..2 {
        let form = Form::new().part("file", Part::bytes(bytes.clone()).file_name("a.zip"));
        let response =
            server.post("/api/0/projects/default/default/files/dsyms/").multipart(form).send().await.unwrap();
        let detail =
            format!("The quota of default/default is used up: it may have 1 debug files and no more. {ADVICE}");
        assert_eq!(
            (response.status().as_u16(), response.json::<Value>().await.unwrap()),
            (400, json!({ "detail": detail }))
        );
        assert_eq!(server.listed(&server.account).await.len(), 1);
    }
    assert_eq!(server.fsck_when_idle().await, [""; 0]);
}

#[tokio::test]
async fn an_import_over_the_quota_says_which_files_were_left_out() {
    let process = TestProcess::start().await;
    process.run(&["project", "set", "default/default", "--quota-files", "1"]).await;
    let files = ["elf-x86_64-gcc-dwarf4/calc.debug", "elf-i386-clang-dwarf4/calc.debug"].map(fixtures::path);
    let files = files.each_ref().map(|path| path.to_str().unwrap());
    let import = ["import", "--project", "default/default", files[0], files[1]];
    for first in ["1 imported, 0 already there", "0 imported, 1 already there"] {
        let output = process.run(&import).await;
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!(out, format!("{first}, 0 not debug files, 1 failed\n"));
        let sentence = format!("{}: The quota of default/default is used up", files[1]);
        assert!(err.contains(&sentence) && output.status.code() == Some(1), "{err}");
    }
}
