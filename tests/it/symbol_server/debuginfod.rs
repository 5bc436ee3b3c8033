//! debuginfod's paths: files by build id with everything a client may send and wants to hear.

use insta::assert_json_snapshot;
use symdepot::types::{Features, Kind};

use super::{BUILD_ID, COMPANION, STRIPPED, with_calc};
use crate::support::answer::whole;
use crate::support::fixtures;
use crate::support::queries::Queries;
use crate::support::records::Record;
use crate::support::server::TestServer;

const ID: &str = "4ec932a9-e89a-f8cd-96b5-496a980e4efe";

fn path(artifact: &str) -> String {
    format!("/symbols/default/default/buildid/{BUILD_ID}/{artifact}")
}

/// A companion of the build id with a content of one's choice.
fn record(name: &str) -> Record {
    Record { code_id: Some(BUILD_ID.to_owned()), ..Record::new(name, ID) }
}

#[tokio::test]
async fn an_executable_and_its_debug_information_are_told_apart() {
    let server = with_calc().await;
    for (artifact, fixture) in [("debuginfo", COMPANION), ("executable", STRIPPED)] {
        let path = path(artifact);
        for path in [path.replace(BUILD_ID, &BUILD_ID.to_uppercase()), path] {
            let answer = server.get(&path).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{path}");
            assert_eq!(answer.headers()["x-debuginfod-file"], fixture.rsplit('/').next().unwrap());
            assert!(answer.bytes().await.unwrap() == fixtures::read(fixture), "{path}");
        }
    }
}

#[tokio::test]
async fn a_file_has_everything_that_a_client_may_go_by() {
    let server = TestServer::start().await;
    server.put_file(&server.account, record("calc.debug")).await;
    let path = path("debuginfo");
    let etag = format!("\"{}\"", symdepot::types::Sha1::of(b"calc.debug"));
    let changed = server.get(&path).send().await.unwrap().headers()["last-modified"].clone();
    let early = "Thu, 01 Jan 1970 00:00:00 GMT";
    let requests = [
        server.get(&path),
        server.head(&path),
        server.get(&path).header("range", "bytes=5-"),
        server.get(&path).header("range", "bytes=99-"),
        server.get(&path).header("if-none-match", &etag),
        server.get(&path).header("if-modified-since", changed.clone()),
        server.get(&path).header("if-modified-since", early),
        server.get(&path).header("if-modified-since", changed).header("if-none-match", "\"other\""),
        server.get(&path).header("x-debuginfod-maxsize", "10"),
        server.get(&path).header("x-debuginfod-maxsize", "9"),
        server.get(&path).header("x-debuginfod-maxsize", "0"),
        server.get(&path).header("x-debuginfod-maxsize", "much"),
    ];
    let mut answers = Vec::new();
    for request in requests {
        answers.push(whole(request.send().await.unwrap()).await);
    }
    assert_json_snapshot!(answers, { "[].headers[\"last-modified\"]" => "[time]" });
}

#[tokio::test]
async fn what_is_not_there_is_404_whatever_is_asked() {
    let server = TestServer::start().await;
    let library = Record { kind: Kind::Library, features: Features::SYMTAB, ..record("libcalc.so") };
    server.put_file(&server.account, library).await;
    for (path, status) in [
        (path("executable"), 200),
        // A stripped library is no debug information, and a client would keep it for a week.
        (path("debuginfo"), 404),
        (path("nonsense"), 404),
        (path("debuginfo/"), 404),
        (path("").trim_end_matches('/').to_owned(), 404),
        (format!("/symbols/default/default/buildid/{}/executable", &BUILD_ID[..38]), 404),
        ("/symbols/default/default/buildid/xyz/executable".to_owned(), 404),
        ("/symbols/default/default/".to_owned(), 404),
    ] {
        assert_eq!(server.get(&path).send().await.unwrap().status(), status, "{path}");
    }
    assert_eq!(server.post(&path("executable")).send().await.unwrap().status(), 405);
}

#[tokio::test]
async fn the_newest_file_that_fits_is_served_and_a_deleted_one_is_not() {
    let server = TestServer::start().await;
    let path = path("debuginfo");
    let symbols = Record { features: Features::SYMTAB, ..record("symbols") };
    server.put_file(&server.account, symbols).await;
    assert_eq!(server.get(&path).send().await.unwrap().text().await.unwrap(), "symbols");
    server.put_file(&server.account, record("first")).await;
    let second = server.put_file(&server.account, record("second")).await;
    server.put_file(&server.account, Record { features: Features::SYMTAB, ..record("more symbols") }).await;
    assert_eq!(server.get(&path).send().await.unwrap().text().await.unwrap(), "second");
    server.delete_file(&second.id.to_string()).await;
    assert_eq!(server.get(&path).send().await.unwrap().text().await.unwrap(), "first");
}

#[tokio::test]
async fn a_look_asks_the_same_few_questions_however_many_projects_there_are() {
    let queries = Queries::listen();
    let server = TestServer::builder().without_workers().start().await;
    for number in 0..20 {
        let account = server.add_project(&format!("project-{number}")).await;
        server.put_file(&account, Record { name: format!("file {number}"), ..record(&format!("{number}")) }).await;
    }
    let path = format!("/symbols/default/buildid/{BUILD_ID}/debuginfo");
    assert_eq!(server.get(&path).send().await.unwrap().text().await.unwrap(), "19");
    queries.take();
    assert_eq!(server.get(&path).send().await.unwrap().text().await.unwrap(), "19");
    let asked: Vec<_> = queries
        .take()
        .into_iter()
        .filter(|name| !name.contains("organizations.") && !name.contains("tokens."))
        .collect();
    // The path is no request to a single project, so none is searched for.
    assert_eq!(asked, ["db.projects.symbols", "db.debug_files.of_projects"]);
}
