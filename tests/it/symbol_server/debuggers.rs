//! The real clients of Debian, `debuginfod-find` and `gdb`, as child processes against a running server. None is
//! skipped: one that is missing fails the test and says how to have it.

use std::process::{Output, Stdio};
use std::time::Duration;

use symdepot::blobs::{BlobKey, Fault};
use tempfile::TempDir;
use tokio::process::Command;

use super::{BUILD_ID, COMPANION, STRIPPED, key, with_calc};
use crate::support::fixtures;
use crate::support::server::TestServer;
use crate::support::uploads::Upload;

/// How long a client may take before it is taken for hung.
const PATIENCE: Duration = Duration::from_secs(180);

/// Somebody with a debugger, who knows of one server and has a folder for what comes from there.
pub(super) struct Person {
    pub(super) urls: String,
    pub(super) folder: TempDir,
}

impl Person {
    pub(super) fn at(urls: &str) -> Self {
        Self { urls: urls.to_owned(), folder: TempDir::new().unwrap() }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.folder.path()).env("LC_ALL", "C.UTF-8");
        command.env("DEBUGINFOD_URLS", &self.urls).env("DEBUGINFOD_CACHE_PATH", self.folder.path().join("cache"));
        command.env("DEBUGINFOD_HEADERS_FILE", self.folder.path().join("headers"));
        command.current_dir(self.folder.path()).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs a client to its end.
    async fn run(&self, program: &str, arguments: &[&str]) -> Output {
        self.finish(program, self.command(program).args(arguments)).await
    }

    async fn finish(&self, program: &str, command: &mut Command) -> Output {
        match tokio::time::timeout(PATIENCE, command.output()).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => panic!("{program} cannot be run: {error}. Run `tests/setup.sh`, which installs it."),
            Err(_) => panic!("{program} did not end"),
        }
    }

    /// What `debuginfod-find` brings, or what it says.
    pub(super) async fn find(&self, arguments: &[&str]) -> Result<Vec<u8>, String> {
        let output = self.run("debuginfod-find", arguments).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        match output.status.success() {
            true => Ok(std::fs::read(text(&output.stdout)).unwrap()),
            false => Err(text(&output.stderr)),
        }
    }
}

/// A token as it stands in a URL, where some of its letters mean something else.
fn escaped(token: &str) -> String {
    token.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

#[tokio::test]
async fn debuginfod_find_brings_the_very_bytes_by_every_way_in() {
    let server = with_calc().await;
    let account = &server.account;
    let host = server.url.trim_start_matches("http://");
    let token = escaped(&account.token);
    let key = key(&server, account).await;

    let by_key = Person::at(&format!("{}/symbols/default/default/key/{key}", server.url));
    let with_slash = Person::at(&format!("{}/symbols/default/default/key/{key}/", server.url));
    let by_password = Person::at(&format!("http://anything:{token}@{host}/symbols/default/default"));
    let by_user = Person::at(&format!("http://{token}:@{host}/symbols/default"));
    let by_header = Person::at(&format!("{}/symbols/default", server.url));
    let headers = format!("Authorization: Bearer {}\n", account.token);
    std::fs::write(by_header.folder.path().join("headers"), headers).unwrap();
    for person in [by_key, with_slash, by_password, by_user, by_header] {
        for (artifact, fixture) in [("debuginfo", COMPANION), ("executable", STRIPPED)] {
            let found = person.find(&[artifact, BUILD_ID]).await;
            assert!(found == Ok(fixtures::read(fixture)), "{} {artifact}: {:?}", person.urls, found.err());
        }
        let absent = person.find(&["debuginfo", &"0".repeat(40)]).await;
        assert!(absent.is_err_and(|said| said.contains("No such file or directory")));
    }
}

#[tokio::test]
async fn debuginfod_find_gets_nothing_without_a_credential() {
    let server = with_calc().await;
    for base in ["default/default", "default", "default/default/key/sdkey_made_up"] {
        let person = Person::at(&format!("{}/symbols/{base}", server.url));
        let said = person.find(&["debuginfo", BUILD_ID]).await.unwrap_err();
        assert!(said.contains("No such file or directory"), "{base}: {said}");
    }
}

#[tokio::test]
async fn debuginfod_find_forgets_trouble_and_heeds_its_own_limit() {
    let server = with_calc().await;
    let key = key(&server, &server.account).await;
    let person = Person::at(&format!("{}/symbols/default/default/key/{key}", server.url));
    let mut limited = person.command("debuginfod-find");
    limited.env("DEBUGINFOD_MAXSIZE", "100").args(["debuginfo", BUILD_ID]);
    let limited = person.finish("debuginfod-find", &mut limited).await;
    assert!(String::from_utf8_lossy(&limited.stderr).contains("File too large"), "{limited:?}");

    let pieces = server.app.db.debug_file_pieces(companion_id(&server).await).await.unwrap();
    server.faults.inject(Fault::Lost(BlobKey::from_row(&pieces[0].key)));
    assert!(person.find(&["debuginfo", BUILD_ID]).await.is_err(), "the bytes cannot be read just now");
    server.faults.heal();
    let found = person.find(&["debuginfo", BUILD_ID]).await;
    assert!(found == Ok(fixtures::read(COMPANION)), "it asks again as soon as it is asked: {:?}", found.err());
}

/// Row id of the debug companion.
async fn companion_id(server: &TestServer) -> i64 {
    let files = server.listed(&server.account).await;
    let companion = files.iter().find(|file| file["objectName"] == "calc.debug").unwrap();
    companion["id"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn gdb_knows_functions_and_lines_of_a_stripped_program() {
    let server = with_calc().await;
    let key = key(&server, &server.account).await;
    let person = Person::at(&format!("{}/symbols/default/default/key/{key}", server.url));
    // Away from its companion, which gdb would find beside it.
    let program = person.folder.path().join("calc");
    std::fs::write(&program, fixtures::read(STRIPPED)).unwrap();
    let said = gdb(&person, "calc", &["info line calc_run", "info symbol 0x113c", "info address crash_here"]).await;
    assert!(said.contains("Line 20 of \"calc.c\""), "{said}");
    assert!(said.contains("crash_here"), "{said}");

    let alone = Person::at("");
    std::fs::write(alone.folder.path().join("calc"), fixtures::read(STRIPPED)).unwrap();
    let said = gdb(&alone, "calc", &["info line calc_run"]).await;
    assert!(!said.contains("calc.c"), "without the server gdb knows nothing: {said}");
}

#[tokio::test]
async fn debuginfod_find_and_gdb_bring_sections_and_sources() {
    let server = with_calc().await;
    server.upload_ok(&Upload::fixture("sourcebundle/calc.src.zip")).await;
    let key = key(&server, &server.account).await;
    let person = Person::at(&format!("{}/symbols/default/default/key/{key}", server.url));
    let written = std::fs::read(fixtures::path("..").join("src/c/calc.c")).unwrap();
    assert_eq!(person.find(&["source", BUILD_ID, "/src/fixture/calc.c"]).await, Ok(written));
    let section = person.find(&["section", BUILD_ID, ".debug_line"]).await.unwrap();
    let companion = fixtures::read(COMPANION);
    assert!(companion.windows(section.len()).any(|part| part == section), "it is a part of the companion");
    assert!(person.find(&["section", BUILD_ID, ".nothing"]).await.is_err());

    std::fs::write(person.folder.path().join("calc"), fixtures::read(STRIPPED)).unwrap();
    let said = gdb(&person, "calc", &["list calc_run"]).await;
    assert!(said.contains("int r = sum_of_squares(argc, argc + 1);"), "{said}");
}

/// What gdb says to these commands.
pub(super) async fn gdb(person: &Person, program: &str, commands: &[&str]) -> String {
    let mut arguments = vec!["-nx", "-batch", "-iex", "set debuginfod enabled on"];
    for command in commands {
        arguments.extend(["-ex", command]);
    }
    arguments.push(program);
    let output = person.run("gdb", &arguments).await;
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
