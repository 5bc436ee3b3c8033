//! Sources out of uploaded source bundles, under the paths that debug information has for them.

use symdepot::types::{Features, Format, Kind};

use super::{BUILD_ID, key};
use crate::support::fixtures;
use crate::support::records::Record;
use crate::support::server::TestServer;
use crate::support::uploads::Upload;

const BUNDLE: &str = "sourcebundle/calc.src.zip";

/// A source as the fixtures were built from it.
fn written(name: &str) -> String {
    std::fs::read_to_string(fixtures::path("..").join("src/c").join(name)).unwrap()
}

fn path(source: &str) -> String {
    format!("/symbols/default/default/buildid/{BUILD_ID}/source/{source}")
}

#[tokio::test]
async fn a_source_is_found_by_every_spelling_of_its_path() {
    let server = TestServer::start().await;
    server.upload_ok(&Upload::fixture(BUNDLE)).await;
    for name in ["calc.c", "calc.h", "main.c"] {
        let answer = server.get(&path(&format!("src/fixture/{name}"))).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{name}");
        assert_eq!(answer.headers()["x-debuginfod-file"], format!("/src/fixture/{name}").as_str());
        assert_eq!(answer.text().await.unwrap(), written(name));
    }
    for spelling in
        ["src%2Ffixture%2Fcalc.c", "/src/fixture/calc.c", "src//fixture/%2e/calc.c", "src/x/%2e%2e/fixture/calc%2Ec"]
    {
        let answer = server.get(&path(spelling)).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), written("calc.c"), "{spelling}");
    }
    let upper = path("src/fixture/calc.c").replace(BUILD_ID, &BUILD_ID.to_uppercase());
    assert_eq!(server.get(&upper).send().await.unwrap().status(), 200);
    for absent in
        ["src/fixture/other.c", "calc.c", "manifest.json", "files/src/fixture/calc.c", "etc/passwd", "", "%00"]
    {
        assert_eq!(server.get(&path(absent)).send().await.unwrap().status(), 404, "{absent}");
    }
}

#[tokio::test]
async fn a_source_has_validators_and_ranges() {
    let server = TestServer::start().await;
    server.upload_ok(&Upload::fixture(BUNDLE)).await;
    let (path, text) = (path("src/fixture/calc.c"), written("calc.c"));
    let head = server.head(&path).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], text.len().to_string().as_str());
    let part = server.get(&path).header("range", "bytes=10-19").send().await.unwrap();
    assert_eq!((part.status().as_u16(), part.text().await.unwrap().as_str()), (206, &text[10..20]));
    let same = server.get(&path).header("if-none-match", head.headers()["etag"].clone()).send().await.unwrap();
    assert_eq!(same.status(), 304);
}

#[tokio::test]
async fn a_bundle_of_another_project_or_without_sense_has_no_sources() {
    let server = TestServer::start().await;
    let other = server.add_project("other").await;
    let entry = server.upload_to(&other, &Upload::fixture(BUNDLE)).await;
    assert_eq!(entry["state"], "ok");
    let source = path("src/fixture/calc.c");
    assert_eq!(server.get(&source).send().await.unwrap().status(), 404);
    let key = key(&server, &server.account).await;
    let keyed = source.replace("default/default", &format!("default/default/key/{key}"));
    assert_eq!(super::anonymous(&server, &keyed).await.status(), 404);
    assert_eq!(server.get(&source.replace("default/default", "default/other")).send().await.unwrap().status(), 200);

    let nonsense = Record {
        format: Format::SourceBundle,
        kind: Kind::Sources,
        features: Features::SOURCES,
        ..Record::new("nonsense", "4ec932a9-e89a-f8cd-96b5-496a980e4efe")
    };
    server.put_file(&server.account, nonsense).await;
    assert_eq!(server.get(&source).send().await.unwrap().status(), 404, "no bundle at all");
    let entry = server.upload(&Upload::fixture(BUNDLE)).await;
    assert_eq!(entry["state"], "ok");
    assert_eq!(server.get(&source).send().await.unwrap().text().await.unwrap(), written("calc.c"));
}
