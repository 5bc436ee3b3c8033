//! Where the name of the bucket stands: in the host, as Amazon wants it, or in the path, as most others do.

use std::collections::BTreeSet;

use super::{CALC, CALC_BUILD_ID, Settings, sentence, works};
use crate::support::mounts;
use crate::support::process::TestProcess;
use crate::support::s3::S3Bucket;
use crate::support::s3_door::S3Door;
use crate::support::uploads::Upload;

const DOMAIN: &str = "s3.test";

/// An ELF file that is sent in two parts: behind its end stands what no reader looks at.
fn in_two_parts() -> Upload {
    let mut calc = Upload::fixture(CALC);
    let padding = (0u32..).flat_map(|number| number.wrapping_mul(0x9e37_79b9).to_be_bytes());
    calc.content.extend(padding.take(7 << 20));
    calc
}

/// A bucket behind a door with a name, and what a process is told of it.
async fn named(path_style: bool) -> (S3Bucket, S3Door, Settings) {
    let bucket = S3Bucket::apart();
    let door = S3Door::named(&bucket, DOMAIN).await;
    let bucket = bucket.by_way_of(&door.endpoint);
    let settings = Settings::of(&bucket)
        .with("SYMDEPOT_BLOBS__S3__PATH_STYLE", &path_style.to_string())
        .with("SYMDEPOT_BLOBS__S3__MULTIPART_THRESHOLD", "6291456")
        .with("SYMDEPOT_BLOBS__S3__PART_SIZE", "5242880");
    (bucket, door, settings)
}

/// A line of `/etc/hosts` for the domain and for what stands before it.
fn hosts(bucket: Option<&str>) -> String {
    let bucket = bucket.map_or_else(String::new, |bucket| format!("{bucket}.{DOMAIN}"));
    format!("127.0.0.1 localhost {DOMAIN} {bucket}\n")
}

#[tokio::test]
async fn the_name_of_the_bucket_stands_in_the_host_or_by_setting_in_the_path() {
    for path_style in [false, true] {
        let (bucket, door, settings) = named(path_style).await;
        let known = hosts((!path_style).then_some(bucket.name.as_str()));
        let server = TestProcess::start_with_hosts(&known, &settings.told()).await;
        works(&server, &in_two_parts()).await;
        let swept = server.run(&["gc"]).await;
        assert_eq!(swept.status.code(), Some(0), "{}", String::from_utf8_lossy(&swept.stderr));

        let port = door.address.port();
        let (host, root) = match path_style {
            false => (format!("{}.{DOMAIN}:{port}", bucket.name), "/".to_owned()),
            true => (format!("{DOMAIN}:{port}"), format!("/{}/", bucket.name)),
        };
        let visits = door.visits();
        assert_eq!(visits.iter().map(|visit| &visit.host).collect::<BTreeSet<_>>(), BTreeSet::from([&host]));
        let below = format!("{root}depot/");
        let (objects, others): (Vec<_>, Vec<_>) = visits.iter().partition(|visit| visit.path.starts_with(&below));
        assert!(objects.len() > 1, "{visits:?}");
        // What is about the whole bucket.
        assert_eq!(others.iter().map(|visit| visit.path.as_str()).collect::<BTreeSet<_>>(), BTreeSet::from([&*root]));
    }
}

#[tokio::test]
async fn a_url_that_is_given_away_has_the_bucket_in_its_host_too() {
    let (bucket, door, settings) = named(false).await;
    let settings = settings.with("SYMDEPOT_BLOBS__S3__REDIRECT", "true").with("SYMDEPOT_BLOBS__COMPRESSION", "none");
    let server = TestProcess::start_with_hosts(&hosts(Some(&bucket.name)), &settings.told()).await;
    let (client, calc) = (server.client(), Upload::fixture(CALC));
    client.upload_ok(&calc).await;
    let path = format!("/symbols/default/default/buildid/{CALC_BUILD_ID}/debuginfo");
    let answer = client.get(&path).send().await.unwrap();
    assert_eq!(answer.status(), 302);
    let url = answer.headers()["location"].to_str().unwrap();
    let host = format!("{}.{DOMAIN}", bucket.name);
    assert!(url.starts_with(&format!("http://{host}:{}/depot/chunks/", door.address.port())), "{url}");
    // Whoever follows knows the name as the server does.
    let follower = reqwest::Client::builder().resolve(&host, door.address).build().unwrap();
    let bytes = follower.get(url).send().await.unwrap();
    assert_eq!(bytes.status(), 200);
    assert!(bytes.bytes().await.unwrap() == calc.content, "the URL needs no credential");
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_said_with_the_setting_that_put_it_together() {
    let (bucket, door, settings) = named(false).await;
    let folder = tempfile::TempDir::new().unwrap();
    let said = sentence(mounts::with_hosts(&hosts(None), folder.path()), &settings).await;
    let beginning = format!(
        "symdepot: the blob store `{}` cannot be used: open the bucket `{}`: the server does not answer (",
        bucket.url(),
        bucket.name
    );
    assert!(said.starts_with(&beginning), "{said}");
    assert!(said.ends_with("); look at `blobs.s3.endpoint` and `blobs.s3.path_style`"), "{said}");
    assert_eq!(door.visits(), []);
}
