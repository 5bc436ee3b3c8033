//! An upstream behind TLS: believed if this machine trusts who signed its certificate, and not otherwise. The server is
//! `openssl s_server`, in a process of its own as we are.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::support::process::TestProcess;
use crate::support::{fixtures, until};
use crate::symbol_server::{BUILD_ID, COMPANION};

/// A server with the debug companion, whose certificate is signed by an authority of its own.
struct Secure {
    url: String,
    folder: TempDir,
    _child: Child,
}

async fn openssl(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new("openssl");
    let output = command.args(arguments).current_dir(folder).stdin(Stdio::null()).output().await;
    let output = output.unwrap_or_else(|error| panic!("openssl cannot be run: {error}. Run `tests/setup.sh`."));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

impl Secure {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let at = folder.path();
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        let of_authority = ["req", "-x509", "-subj", "/CN=a test", "-days", "2", "-keyout", "ca.key", "-out", "ca.pem"];
        openssl(at, &[&of_authority[..], &key[..]].concat()).await;
        let wanted = ["req", "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr"];
        openssl(at, &[&wanted[..], &key[..]].concat()).await;
        std::fs::write(at.join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
            .unwrap();
        let sign = ["x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
        openssl(at, &[&sign[..], &["-days", "2", "-extfile", "names", "-out", "server.pem"]].concat()).await;

        // What it serves are whole answers, heads and all.
        let content = fixtures::read(COMPANION);
        let path = at.join("buildid").join(BUILD_ID);
        std::fs::create_dir_all(&path).unwrap();
        let head = format!("HTTP/1.0 200 OK\r\ncontent-length: {}\r\n\r\n", content.len());
        std::fs::write(path.join("debuginfo"), [head.as_bytes(), &content].concat()).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("openssl");
        command.args(["s_server", "-HTTP", "-quiet", "-accept", &format!("127.0.0.1:{port}")]);
        command.args(["-cert", "server.pem", "-key", "server.key"]).current_dir(at).kill_on_drop(true);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        until("openssl listens", || async { tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok().map(drop) })
            .await;
        Self { url: format!("https://localhost:{port}/"), folder, _child: child }
    }
}

/// A server that has an upstream behind TLS.
async fn asking(secure: &Secure, settings: &[(&str, &str)]) -> TestProcess {
    let server = TestProcess::start_with(&[&[("SYMDEPOT_UPSTREAMS__ALLOW_PRIVATE", "true")], settings].concat()).await;
    let add = ["upstream", "add", "--project", "default/default", "--kind", "debuginfod", &secure.url];
    assert!(server.run(&add).await.status.success());
    server
}

#[tokio::test]
async fn a_certificate_is_believed_if_this_machine_trusts_who_signed_it() {
    let secure = Secure::start().await;
    let path = format!("/symbols/default/default/buildid/{BUILD_ID}/debuginfo");
    let authority = secure.folder.path().join("ca.pem");
    let trusting = asking(&secure, &[("SSL_CERT_FILE", authority.to_str().unwrap())]).await;
    let answer = trusting.client().get(&path).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", trusting.log());
    assert!(answer.bytes().await.unwrap() == fixtures::read(COMPANION));

    let other = asking(&secure, &[]).await;
    assert!(other.client().get(&path).send().await.is_err(), "whether there is such a file is not known");
    let explain = format!("/api/v1/projects/default/default/explain?code_id={BUILD_ID}");
    let told: Value = other.client().get(&explain).send().await.unwrap().json().await.unwrap();
    let reason = told["upstreams"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("invalid peer certificate"), "{told}");
}
