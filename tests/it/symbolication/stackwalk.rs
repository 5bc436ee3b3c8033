//! `symdepot stackwalk`: the same answers for people, with and without a server.

use serde_json::Value;

use super::dumps::{file, path};
use crate::support::process::TestProcess;

#[tokio::test]
async fn a_dump_is_printed_with_names_lines_and_how_each_frame_was_found() {
    let server = TestProcess::start().await;
    let client = server.client();
    for name in ["nolibc/crash-cfi", "nolibc/crash-cfi.debug"] {
        assert_eq!(client.upload(&file(name)).await["state"], "ok");
    }
    let dump = path("nolibc/cfi-null.dmp");
    let arguments = ["stackwalk", dump.to_str().unwrap(), "--project", "default/default"];
    let output = server.run(&arguments).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("Operating system: Linux ") && lines[1] == "CPU: x86_64", "{text}");
    assert_eq!(lines[2..4], ["Crash reason: SIGSEGV / SEGV_MAPERR / 0x0", ""]);
    assert!(lines[4].starts_with("Thread 0") && lines[4].contains(" (crashed) - tid: "), "{text}");
    assert_eq!(lines[5], " 0  crash-cfi!geo::Shape<long>::area(long) const [crash.cpp : 35] (inlined)");
    assert_eq!(lines[6], " 1  crash-cfi!geo::Shape<long>::measure(long) const [crash.cpp : 45]");
    assert!(lines[7].contains(" = 0x") && lines[7].starts_with("    "), "{text}");
    assert!(text.contains("    Found by: given as instruction pointer in context\n 2  crash-cfi!step_three [crash.cpp : 59]\n    Found by: call frame info\n"), "{text}");
    assert!(
        text.contains("crash-cfi!_start [start.S : 10]\n    Found by: call frame info\n\nLoaded modules:\n"),
        "nothing is below `_start`: {text}"
    );
    assert!(text.lines().any(|line| line.starts_with("0x") && line.contains("  crash-cfi  found  ")), "{text}");

    let json = server.run(&[&arguments[..], &["--json"]].concat()).await;
    let json = String::from_utf8(json.stdout).unwrap();
    assert_eq!(json.lines().count(), 1);
    let response: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(response["stacktraces"][0]["frames"][2]["function"], "step_three");
    let found = |module: &&Value| module["debug_status"] == "found";
    let module = response["modules"].as_array().unwrap().iter().find(found).unwrap();
    assert_eq!(module["candidates"].as_array().map(Vec::len), Some(2), "{module}");
}

#[tokio::test]
async fn no_server_need_run_and_reports_of_apple_are_read_too() {
    let mut server = TestProcess::start().await;
    let client = server.client();
    for name in ["nolibc/crash-cfi", "nolibc/crash-cfi.debug"] {
        assert_eq!(client.upload(&file(name)).await["state"], "ok");
    }
    server.terminate().await;
    let signal = path("nolibc/cfi-signal.dmp");
    let output = server.run(&["stackwalk", signal.to_str().unwrap(), "--project", "default/default"]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("crash-cfi!interrupted [start.S : 19]"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let report = path("apple/calc.ips");
    let output = server.run(&["stackwalk", report.to_str().unwrap(), "--project", "default/default"]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("Thread 1 Worker (crashed) - tid: 1"), "{text}");
    assert!(text.contains("libsystem_pthread.dylib!_pthread_start"), "{text}");
}

#[tokio::test]
async fn what_cannot_be_read_ends_with_a_sentence() {
    let server = TestProcess::start().await;
    let code = path("nolibc/start.S");
    for (file, sentence) in
        [(code.to_str().unwrap(), "cannot be read as a crash report"), ("no such file", "cannot be opened")]
    {
        let output = server.run(&["stackwalk", file, "--project", "default/default"]).await;
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains(sentence), "{output:?}");
    }
}
