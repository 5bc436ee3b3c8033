//! Settings: where they come from, which source wins, and what is said of a wrong one.

use insta::{assert_json_snapshot, assert_snapshot};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::process::program;

/// Runs `config show` in a folder with a settings file and environment; gives back what it printed and its exit code.
async fn show(file: &str, environment: &[(&str, &str)], flags: &[&str]) -> (String, String, Option<i32>) {
    let folder = TempDir::new().unwrap();
    if !file.is_empty() {
        std::fs::write(folder.path().join("symdepot.toml"), file).unwrap();
    }
    let mut command = program();
    command.current_dir(folder.path()).args(flags).args(["config", "show"]).envs(environment.iter().copied());
    let output = command.output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}

#[tokio::test]
async fn every_setting_has_a_default() {
    let (shown, _, code) = show("", &[], &[]).await;
    assert_eq!(code, Some(0));
    assert_json_snapshot!(serde_json::from_str::<Value>(&shown).unwrap());
}

#[tokio::test]
async fn the_environment_wins_over_the_file_and_a_flag_over_both() {
    let file =
        "listen = \"127.0.0.1:1\"\ndata_dir = \"from-file\"\n[uploads]\nchunk_size = 1024\n[status]\nttl = \"1m\"\n";
    let environment = [("SYMDEPOT_DATA_DIR", "from-env"), ("SYMDEPOT_UPLOADS__CHUNK_SIZE", "2048")];
    let (shown, _, _) = show(file, &environment, &["--data-dir", "from-flag"]).await;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["listen"], "127.0.0.1:1");
    assert_eq!(shown["data_dir"], "from-flag");
    assert_eq!(shown["uploads"]["chunk_size"], 2048);
    assert_eq!(shown["status"]["ttl"], "1m");
    assert_eq!(shown["blobs"]["url"], "file://from-flag/blobs");
}

#[tokio::test]
async fn an_address_for_clients_that_has_more_than_a_host_is_refused_at_the_start() {
    for url in [
        "https://depot.example/symdepot",
        "https://depot.example/a/",
        "depot.example",
        "ftp://depot.example",
        "https://",
        "https://depot.example?x",
        "https://me:geheim@depot.example",
    ] {
        let (_, said, code) = show("", &[("SYMDEPOT_PUBLIC_URL", url)], &[]).await;
        assert_eq!(code, Some(1), "{url}: {said}");
        assert!(said.contains("`public_url`") && said.contains("without a path"), "{url}: {said}");
        assert!(!said.contains("geheim"), "{said}");
    }
    for url in ["https://depot.example", "https://depot.example/", "http://10.0.0.1:8000", "http://[::1]:8000"] {
        let (_, said, code) = show("", &[("SYMDEPOT_PUBLIC_URL", url)], &[]).await;
        assert_eq!(code, Some(0), "{url}: {said}");
    }
}

#[tokio::test]
async fn a_password_is_never_shown() {
    let environment = [
        ("SYMDEPOT_DATABASE__URL", "postgres://me:geheim@db.example/symdepot"),
        ("SYMDEPOT_STATUS__URL", "rediss://:geheim@cache.example:6380/1"),
    ];
    let (shown, _, _) = show("", &environment, &[]).await;
    assert!(!shown.contains("geheim"), "{shown}");
    assert!(shown.contains("postgres://***@db.example/symdepot"), "{shown}");
    assert!(shown.contains("rediss://***@cache.example:6380/1"), "{shown}");
}

#[tokio::test]
async fn no_secret_of_any_url_is_shown_wherever_it_stands_in_it() {
    let environment = [
        ("SYMDEPOT_DATABASE__URL", "postgres://db.example/symdepot?user=geheim&sslmode=require&password=geheim"),
        ("SYMDEPOT_STATUS__URL", "redis://geheim@cache.example:6380/1"),
        ("SYMDEPOT_BLOBS__URL", "s3://geheim:geheim@bucket/prefix"),
        ("SYMDEPOT_BLOBS__S3__ENDPOINT", "https://geheim@s3.example"),
    ];
    let (shown, _, _) = show("", &environment, &[]).await;
    assert!(!shown.contains("geheim"), "{shown}");
    assert!(shown.contains("sslmode=require"), "{shown}");
    // Where a map is expected, the text itself becomes part of the message.
    let (_, said, code) = show("", &[("SYMDEPOT_DATABASE", "postgres://me:geheim@db.example/x")], &[]).await;
    assert_eq!(code, Some(1));
    assert!(!said.contains("geheim"), "{said}");
}

#[tokio::test]
async fn variables_that_kubernetes_sets_for_services_are_no_settings() {
    let environment = [
        ("SYMDEPOT_PORT", "tcp://10.0.0.1:80"),
        ("SYMDEPOT_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("SYMDEPOT_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("SYMDEPOT_SERVICE_HOST", "10.0.0.1"),
        ("SYMDEPOT_SERVICE_PORT_HTTP", "80"),
        ("SYMDEPOT_DB_SERVICE_HOST", "10.0.0.2"),
        ("SYMDEPOT_DB_PORT", "tcp://10.0.0.2:5432"),
        ("SYMDEPOT_DB_PORT_5432_TCP_PROTO", "tcp"),
        ("SYMDEPOT_UPLOADS__CHUNK_SIZE", "2048"),
    ];
    let (shown, said, code) = show("", &environment, &[]).await;
    assert_eq!(code, Some(0), "{said}");
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["uploads"]["chunk_size"], 2048);
    for (name, value) in [("SYMDEPOT_LISTEN_PORT", "8000"), ("SYMDEPOT_LISEN", "127.0.0.1:1")] {
        let (_, said, code) = show("", &[(name, value)], &[]).await;
        assert_eq!(code, Some(1), "{name} is a typing error");
        assert!(said.contains("unknown field"), "{said}");
    }
}

#[tokio::test]
async fn a_secret_of_the_bucket_is_never_shown() {
    let environment = [
        ("SYMDEPOT_BLOBS__URL", "s3://bucket/depot"),
        ("SYMDEPOT_BLOBS__S3__ACCESS_KEY_ID", "schluessel"),
        ("SYMDEPOT_BLOBS__S3__SECRET_ACCESS_KEY", "geheim"),
    ];
    let (shown, _, _) = show("", &environment, &[]).await;
    assert!(!shown.contains("geheim") && !shown.contains("schluessel"), "{shown}");
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["blobs"]["url"], "s3://bucket/depot");
    assert_eq!(shown["blobs"]["s3"]["secret_access_key"], "***");
}

#[tokio::test]
async fn a_wrong_setting_stops_the_start_with_key_value_and_what_is_allowed() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("", &[("SYMDEPOT_UPLOADS__CHUNK_SIZE", "3000")]),
        ("", &[("SYMDEPOT_UPLOADS__CHUNK_SIZE", "many")]),
        ("", &[("SYMDEPOT_UPLOADS__CONCURRENCY", "0")]),
        ("", &[("SYMDEPOT_STATUS__TTL", "soon")]),
        ("", &[("SYMDEPOT_BLOBS__URL", "ftp://example")]),
        ("", &[("SYMDEPOT_BLOBS__URL", "s3:///nothing")]),
        ("", &[("SYMDEPOT_BLOBS__S3__ENDPOINT", "s3.example")]),
        ("", &[("SYMDEPOT_BLOBS__S3__SECRET_ACCESS_KEY", "geheim")]),
        ("", &[("SYMDEPOT_BLOBS__S3__PART_SIZE", "1048576")]),
        ("", &[("SYMDEPOT_DATABASE__URL", "mysql://me:geheim@db.example/x")]),
        ("", &[("SYMDEPOT_UPSTREAMS__PARALLEL", "0")]),
        ("", &[("SYMDEPOT_UPSTREAMS__HEAD_TIMEOUT", "0s")]),
        ("", &[("SYMDEPOT_UPSTREAMS__LONGEST_BACK_OFF", "1m")]),
        ("", &[("SYMDEPOT_DATABASE__MAX_CONNECTIONS", "1")]),
        ("", &[("SYMDEPOT_STATUS__URL", "memcached://me:geheim@cache.example")]),
        ("", &[("SYMDEPOT_STATUS__TIMEOUT", "0s")]),
        ("", &[("SYMDEPOT_CONVERTER__MEMORY_TOTAL", "1024")]),
        ("", &[("SYMDEPOT_LOG", "==")]),
        ("", &[("SYMDEPOT_LOG_FORMAT", "xml")]),
        ("lisen = \"127.0.0.1:1\"\n", &[]),
        ("listen = \n", &[]),
    ];
    let mut seen = String::new();
    for (file, environment) in cases {
        let (out, err, code) = show(file, environment, &[]).await;
        assert_eq!((out.as_str(), code), ("", Some(1)), "{environment:?}");
        assert!(!err.contains("geheim"), "{err}");
        seen.push_str(&format!("{environment:?} {file:?}\n{err}\n"));
    }
    assert_snapshot!(seen);
}

#[tokio::test]
async fn a_named_file_that_is_not_there_stops_the_start() {
    let (_, said, code) = show("", &[], &["--config", "nowhere.toml"]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("nowhere.toml"), "{said}");
}
