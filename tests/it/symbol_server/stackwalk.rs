//! `minidump-stackwalk`, which symbolizes a real minidump with the Breakpad paths of a running server. The dump is of a
//! program that crashed in `libboom.so`; nobody else's symbols are there.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::person::{Person, said};
use crate::support::fixtures;
use crate::support::server::TestServer;
use crate::support::uploads::Upload;

/// What was crashed in, with its debug information.
pub const LIBRARY: &str = "minidump/libboom.so";

/// Its symbols as `dump_syms` writes them.
const SYMBOLS: &str = "\
MODULE Linux x86_64 9E6A915B22E8D028BC590242C5FA542B0 libboom.so
INFO CODE_ID 5B916A9EE82228D0BC590242C5FA542B008BA89A
FILE 0 /src/fixture/boom.c
INLINE_ORIGIN 0 middle
FUNC 1109 f 0 crash_here
1109 6 8 0
110f 8 9 0
1117 1 10 0
FUNC 1118 28 0 calc_boom
INLINE 0 19 0 0 1125 e
1118 d 18 0
1125 8 14 0
112d 6 15 0
1133 d 20 0
STACK CFI INIT 1109 f .cfa: $rsp 8 + .ra: .cfa -8 + ^
STACK CFI INIT 1118 28 .cfa: $rsp 8 + .ra: .cfa -8 + ^
STACK CFI 1119 .cfa: $rsp 16 + $rbx: .cfa -16 + ^
STACK CFI 113f .cfa: $rsp 8 +
";

/// What the frames of the library must be, innermost first: how each was found, and what is there.
pub const FRAMES: [&str; 3] = ["context crash_here boom.c:8", "inlined middle boom.c:14", "cfi calc_boom boom.c:19"];

/// The frames of the library that `minidump-stackwalk` finds with a symbol server, as in [`FRAMES`].
pub async fn walked(person: &Person) -> Vec<String> {
    let dump = fixtures::path("minidump/crash.dmp");
    let folder = person.folder.path();
    for name in ["symbols", "temp"] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
    }
    let mut command = person.command(program().to_str().unwrap());
    command.args(["--json", "--symbols-url", &format!("{}/", person.urls), "--symbols-cache"]);
    command.arg(folder.join("symbols")).arg("--symbols-tmp").arg(folder.join("temp")).arg(dump);
    let output = person.finish("minidump-stackwalk", &mut command).await;
    assert!(output.status.success(), "{}", said(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let frames = report["crashing_thread"]["frames"].as_array().unwrap();
    frames.iter().filter(|frame| frame["module"] == "libboom.so").flat_map(lines).collect()
}

/// A frame of the report and what was inlined there.
fn lines(frame: &Value) -> Vec<String> {
    let line = |how: &Value, frame: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
        let file = text(&frame["file"]);
        let file = file.rsplit('/').next().unwrap();
        format!("{} {} {file}:{}", text(how), text(&frame["function"]), frame["line"])
    };
    let inlined = frame["inlines"].as_array().into_iter().flatten();
    inlined.map(|inline| line(&"inlined".into(), inline)).chain([line(&frame["trust"], frame)]).collect()
}

fn program() -> PathBuf {
    // The server's binary lies in `<target>/<profile>/`, installed tools in `<target>/tools/bin/`.
    let target = Path::new(env!("CARGO_BIN_EXE_symdepot")).ancestors().nth(2).unwrap();
    let program = target.join("tools/bin/minidump-stackwalk");
    assert!(program.is_file(), "minidump-stackwalk is not installed at {}: run `tests/setup.sh`.", program.display());
    program
}

#[tokio::test]
async fn a_minidump_is_walked_with_uploaded_symbols() {
    let server = TestServer::start().await;
    let person = Person::with_key(&server).await;
    let before = walked(&person).await;
    assert!(before.iter().all(|frame| frame.contains("? ?:null")), "without symbols it knows nothing: {before:?}");
    server.upload_ok(&Upload::new("libboom.so.sym", SYMBOLS)).await;
    assert_eq!(walked(&person).await, FRAMES, "and it asks again");
}

#[tokio::test]
async fn a_minidump_is_walked_with_symbols_made_from_the_library_when_they_are_asked_for() {
    let server = TestServer::start().await;
    server.upload_ok(&Upload::fixture(LIBRARY)).await;
    assert_eq!(walked(&Person::with_key(&server).await).await, FRAMES);
}
