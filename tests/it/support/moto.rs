//! `moto`: a second S3 server, which is right and wrong about other things than the first. It knows conditions, lists
//! unfinished uploads, and lets everybody in.
//!
//! `tests/setup.sh` installs it. It is a process of its own that ends with ours, however that happens.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// Ends the server when its own input ends, which is when the process of the tests does.
const SERVER: &str = r#""$1" -H 127.0.0.1 -p 0 2>&1 & cat >/dev/null; kill $!"#;

/// Where the one server of this process listens: `http://127.0.0.1:<port>`.
pub fn endpoint() -> &'static str {
    static RUNNING: OnceLock<(String, Child)> = OnceLock::new();
    &RUNNING.get_or_init(start).0
}

fn start() -> (String, Child) {
    // The server's binary lies in `<target>/<profile>/`, moto in `<target>/moto/`.
    let target = Path::new(env!("CARGO_BIN_EXE_symdepot")).ancestors().nth(2).expect("a binary lies in a profile");
    let program = target.join("moto/bin/moto_server");
    assert!(program.is_file(), "moto is not installed: run tests/setup.sh");
    let mut command = Command::new("sh");
    command.args(["-c", SERVER, "sh"]).arg(program);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell can be started");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let (_, url) = line.split_once("Running on ")?;
        Some(url.split_whitespace().next().unwrap().to_owned())
    });
    // It writes a line for each request, and somebody has to read them.
    std::thread::spawn(move || lines.for_each(drop));
    (url.expect("moto says where it listens"), child)
}
