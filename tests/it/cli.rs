//! The verbs of the program, as a shell meets them: what they print and how they end.

use std::process::Output;

use insta::assert_snapshot;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::process::{TestProcess, program};

/// A shell in a folder of its own.
struct Shell(TempDir);

impl Shell {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn command(&self, line: &str) -> Command {
        let mut command = program();
        command.current_dir(self.0.path()).args(line.split_whitespace());
        command
    }

    async fn run(&self, line: &str) -> Output {
        self.command(line).output().await.unwrap()
    }

    /// Everything one sees of a line: what was typed, what came out, how it ended.
    async fn see(&self, line: &str) -> String {
        let output = self.run(line).await;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        format!("$ symdepot {line}\n{out}{err}[exit {}]\n", output.status.code().unwrap())
    }
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test]
async fn organizations_and_projects_are_made_once_and_named_twice() {
    let shell = Shell::new();
    let mut seen = String::new();
    for line in [
        "project create acme/app",
        "org create acme",
        "org create acme",
        "project create acme/app",
        "project create acme/app",
        "project create acme",
        "project create acme/App",
        "org create 42",
        "org create",
        "migrate",
        "migrate",
    ] {
        seen.push_str(&shell.see(line).await);
    }
    assert_snapshot!(seen);
}

#[tokio::test]
async fn a_token_is_printed_alone_and_never_again() {
    let shell = Shell::new();
    stdout(&shell.run("org create acme").await);
    stdout(&shell.run("project create acme/app").await);
    let plain = stdout(&shell.run("token create --org acme").await);
    let limited =
        "token create --org acme --project app --scope project:read --scope project:admin --name ci --expires 90d";
    let limited = stdout(&shell.run(limited).await);
    for token in [&plain, &limited] {
        assert_eq!(token.lines().count(), 1, "{token}");
        assert!(token.starts_with("sntrys_"), "{token}");
    }
    assert_eq!(stdout(&shell.run("token revoke 1").await), "token 1 is revoked\n");

    let list = stdout(&shell.run("token list --org acme").await);
    assert!(!list.contains("sntrys_"), "{list}");
    // Times change with every run.
    let list: Vec<_> =
        list.lines().map(|line| line.split('\t').map(without_time).collect::<Vec<_>>().join(" | ")).collect();
    assert_snapshot!(list.join("\n"));
}

fn without_time(cell: &str) -> &str {
    if cell.len() == 20 && cell.ends_with('Z') { "[time]" } else { cell }
}

#[tokio::test]
async fn a_token_that_cannot_be_made_says_why() {
    let shell = Shell::new();
    stdout(&shell.run("org create acme").await);
    let mut seen = String::new();
    for line in [
        "token create --org nowhere",
        "token create --org acme --project nothing",
        "token create --org acme --scope everything",
        "token create --org acme --expires soon",
        "token revoke 99",
        "token list --org nowhere",
    ] {
        seen.push_str(&shell.see(line).await);
    }
    assert_snapshot!(seen);
}

#[tokio::test]
async fn the_first_start_prints_what_to_paste_and_later_ones_do_not() {
    let mut server = TestProcess::start().await;
    let welcome = server.welcome.join("\n").replace(&server.url, "URL").replace(&server.token, "TOKEN");
    assert_snapshot!(welcome);

    let http = crate::support::client::http();
    let projects = format!("{}/api/0/organizations/default/projects/", server.url);
    let answer = http.get(projects).bearer_auth(&server.token).send().await.unwrap();
    assert_eq!(answer.json::<Value>().await.unwrap()[0]["slug"], "default");
    assert_eq!(url_of(&server.token), server.url);

    drop(http);
    assert_eq!(server.terminate().await, Some(0));
    server.restart().await;
    let tokens = stdout(&server.run(&["token", "list", "--org", "default"]).await);
    assert_eq!(tokens.lines().count(), 2, "{tokens}");
    server.kill().await;
}

#[tokio::test]
async fn verbs_work_while_a_server_runs_on_the_same_database() {
    let server = TestProcess::start().await;
    stdout(&server.run(&["org", "create", "acme"]).await);
    stdout(&server.run(&["project", "create", "acme/app"]).await);
    let token = stdout(&server.run(&["token", "create", "--org", "acme", "--scope", "project:read"]).await);
    let http = crate::support::client::http();
    let files = format!("{}/api/0/projects/acme/app/files/dsyms/", server.url);
    let answer = http.get(files).bearer_auth(token.trim()).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (200, "[]"));
}

/// The address that a token leads clients to.
fn url_of(token: &str) -> String {
    let payload = token.trim().split('_').nth(1).unwrap();
    let payload = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, payload).unwrap();
    serde_json::from_slice::<Value>(&payload).unwrap()["url"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_leads_to_where_the_server_listens_unless_the_settings_say_otherwise() {
    let mut server = TestProcess::start().await;
    let create = ["token", "create", "--org", "default"];
    assert_eq!(url_of(&stdout(&server.run(&create).await)), server.url, "the port was only ever in a flag");
    let before = server.url.clone();
    assert_eq!(server.terminate().await, Some(0));
    assert_eq!(url_of(&stdout(&server.run(&create).await)), before, "the address stays when the server ends");
    server.restart().await;
    assert_eq!(url_of(&stdout(&server.run(&create).await)), server.url);

    server.set("SYMDEPOT_PUBLIC_URL", "https://symbols.example/");
    assert_eq!(url_of(&stdout(&server.run(&create).await)), "https://symbols.example");
    let shell = Shell::new();
    stdout(&shell.run("org create acme").await);
    assert_eq!(url_of(&stdout(&shell.run("token create --org acme").await)), "http://127.0.0.1:8000", "never served");
}

#[tokio::test]
async fn health_is_an_exit_code() {
    let mut server = TestProcess::start().await;
    let url = server.url.clone();
    let ready = server.run(&["health", &url]).await;
    assert_eq!((ready.status.code(), stdout(&ready).as_str()), (Some(0), "ready\n"));
    server.kill().await;
    let gone = server.run(&["health", &url]).await;
    assert_eq!(gone.status.code(), Some(1));
    let said = String::from_utf8(gone.stderr).unwrap().replace(&url, "URL");
    assert!(said.starts_with("symdepot: URL cannot be reached"), "{said}");
}

#[tokio::test]
async fn health_without_an_address_asks_the_server_of_its_own_data_folder() {
    // Each listens on a free port, which no setting names.
    let mut first = TestProcess::start().await;
    let second = TestProcess::start().await;
    let ready = async |server: &TestProcess| {
        let asked = server.run(&["health"]).await;
        (asked.status.code(), String::from_utf8([asked.stdout, asked.stderr].concat()).unwrap())
    };
    assert_eq!(ready(&first).await, (Some(0), "ready\n".to_owned()));
    first.kill().await;
    let (code, said) = ready(&first).await;
    assert!(code == Some(1) && said.contains(&first.url) && said.contains("cannot be reached"), "{said}");
    assert_eq!(ready(&second).await.0, Some(0));
}

#[tokio::test]
async fn a_port_that_is_taken_ends_the_start_with_a_sentence() {
    let server = TestProcess::start().await;
    let address = server.url.strip_prefix("http://").unwrap();
    let shell = Shell::new();
    let seen = shell.see(&format!("serve --listen {address}")).await.replace(address, "ADDRESS");
    assert_snapshot!(seen);
    assert!(!shell.0.path().join("symdepot-data").exists());
}

#[tokio::test]
async fn a_worker_works_beside_a_server_until_a_signal() {
    let server = TestProcess::start().await;
    let mut worker = program();
    worker.envs(server.environment()).arg("--data-dir").arg(server.data_dir()).arg("worker").kill_on_drop(true);
    let mut worker = worker.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut out = tokio::io::BufReader::new(worker.stdout.take().unwrap());
    tokio::io::AsyncBufReadExt::read_line(&mut out, &mut line).await.unwrap();
    assert_eq!(line, "working\n");
    let id = rustix::process::Pid::from_raw(worker.id().unwrap().try_into().unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    assert_eq!(worker.wait().await.unwrap().code(), Some(0));
}
