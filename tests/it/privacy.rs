//! What stays private: secrets in lists, answers and logs, and the files of the data folder.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::process::{TestProcess, program};
use crate::support::uploads::Upload;

const BUILD_ID: &str = "00112233445566778899aabbccddeeff00112233";

/// Everything below a folder.
fn everything_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(everything_below(&path));
        }
        found.push(path);
    }
    found
}

#[tokio::test]
async fn everything_that_a_process_creates_is_readable_by_its_user_alone() {
    let server = TestProcess::start_embedded("its files are what is looked at", &[]).await;
    server.client().upload_ok(&Upload::fixture("elf-x86_64-gcc-dwarf4/calc.debug")).await;
    let folder = server.data_dir();
    let found = everything_below(folder);
    for expected in ["symdepot.db", "url", "tmp", "blobs/chunks"] {
        assert!(found.contains(&folder.join(expected)), "{expected} in {found:?}");
    }
    // The log is written by the shell that starts a server.
    for path in found.iter().filter(|path| !path.ends_with("log")) {
        // A temp file may be removed at any moment.
        let Ok(metadata) = std::fs::metadata(path) else { continue };
        let mode = metadata.permissions().mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{path:?} has mode {mode:o}");
    }
}

#[tokio::test]
async fn a_data_folder_that_others_may_read_is_warned_of_and_used() {
    let mut server = TestProcess::start_embedded("its folder is what is looked at", &[]).await;
    let restart_with = async |server: &mut TestProcess, mode| {
        server.kill().await;
        std::fs::set_permissions(server.data_dir(), std::fs::Permissions::from_mode(mode)).unwrap();
        let before = server.log().matches("may read the data folder").count();
        server.restart().await;
        assert_eq!(server.client().get("/health/ready").send().await.unwrap().status(), 200);
        server.log().matches("may read the data folder").count() - before
    };
    assert_eq!(restart_with(&mut server, 0o755).await, 1);
    assert!(server.log().contains("chmod -R go="), "{}", server.log());
    assert_eq!(restart_with(&mut server, 0o700).await, 0);
}

#[tokio::test]
async fn a_data_folder_is_created_for_its_user_alone() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let output = program().arg("--data-dir").arg(&data).args(["org", "create", "acme"]).output().await.unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "acme\n");
    assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn no_secret_of_a_url_is_in_a_list_an_explanation_or_the_log() {
    let server = TestProcess::start_with(&[("SYMDEPOT_UPSTREAMS__ALLOW_PRIVATE", "true")]).await;
    // Nothing listens there, which is logged.
    for url in [
        "http://geheim-token@127.0.0.1:9/",
        "http://geheim-user:geheim-password@127.0.0.1:9/x/",
        "http://:geheim-password@127.0.0.1:9/y/",
        "http://127.0.0.1:9/symbols/acme/app/key/sdkey_geheim/",
    ] {
        let arguments = ["upstream", "add", "--project", "default/default", "--kind", "debuginfod", url];
        assert!(server.run(&arguments).await.status.success(), "{url}");
    }
    let listed = server.run(&["upstream", "list", "--project", "default/default"]).await.stdout;
    let listed = String::from_utf8(listed).unwrap();
    assert_eq!(listed.matches("http://***@127.0.0.1:9/").count(), 3, "{listed}");

    let client = server.client();
    let path = format!("/symbols/default/default/buildid/{BUILD_ID}/debuginfo");
    // Reset, because the upstreams did not answer.
    let _trouble = client.get(&path).send().await;
    let explain = format!("/api/v1/projects/default/default/explain?code_id={BUILD_ID}");
    let explained: Value = client.get(&explain).send().await.unwrap().json().await.unwrap();
    assert!(!explained["upstreams"].as_array().unwrap().is_empty(), "{explained}");
    let shown = server.run(&["config", "show"]).await.stdout;
    let log = server.log();
    assert!(log.contains("an upstream did not bring a file"), "{log}");
    for text in [listed, explained.to_string(), String::from_utf8(shown).unwrap(), log] {
        assert!(!text.contains("geheim"), "{text}");
    }
}

#[tokio::test]
async fn a_project_with_upstreams_is_made_public_with_a_warning() {
    let server = TestProcess::start().await;
    let set = ["project", "set", "default/default", "--public-symbols", "true"];
    let output = server.run(&set).await;
    assert!(!String::from_utf8(output.stderr).unwrap().contains("warning"));
    let add =
        ["upstream", "add", "--project", "default/default", "--kind", "debuginfod", "https://debuginfod.example/"];
    assert!(server.run(&add).await.status.success());
    let output = server.run(&set).await;
    let warning = String::from_utf8(output.stderr).unwrap();
    assert!(
        warning.contains("warning: the project has upstreams") && warning.contains("upstreams.anonymous"),
        "{warning}"
    );
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "public-symbols\ttrue\n");
}
