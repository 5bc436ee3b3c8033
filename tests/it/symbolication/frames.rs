//! What a frame becomes: its functions, inlined ones first, or the reason why it has none.

use serde_json::{Value, json};

use super::{BASE, CALC, CALC_CODE_ID, CALC_ID, asked, at_offsets, calc, completed, hex, names};
use crate::support::fixtures;
use crate::support::server::TestServer;
use crate::support::uploads::Upload;

#[tokio::test]
async fn a_stack_is_answered_whole() {
    let server = TestServer::start().await;
    server.upload_ok(&Upload::fixture(CALC)).await;
    let request = json!({
        "platform": "native", "signal": 11, "sources": [], "something": {"else": [1, 2]},
        "stacktraces": [{ "thread_id": 1, "thread_name": "main", "is_requesting": true, "unknown": null,
            "registers": { "rip": hex(BASE + 0x1158) },
            "frames": [{ "instruction_addr": hex(BASE + 0x1158), "trust": "context" }, { "instruction_addr": hex(BASE + 0x112a), "trust": "cfi" }] }],
        "modules": [calc()],
    });
    let response = completed(&server, &request).await;
    let frame = |symbol: &str, line: u32| {
        json!({
            "status": "symbolicated", "original_index": 0, "instruction_addr": hex(BASE + 0x1158), "trust": "context",
            "package": "/opt/calc", "lang": "c", "symbol": symbol, "function": symbol,
            "filename": "calc.c", "abs_path": "/src/fixture/calc.c", "lineno": line,
        })
    };
    let mut calc_run = frame("calc_run", 21);
    let mut main = response["stacktraces"][0]["frames"][3].clone();
    calc_run["sym_addr"] = response["stacktraces"][0]["frames"][2]["sym_addr"].clone();
    assert!(calc_run["sym_addr"].as_str().unwrap().starts_with("0x55d0aa0011"), "{response}");
    assert_eq!((&main["function"], &main["lineno"]), (&json!("main"), &json!(3)));
    assert_eq!(main["instruction_addr"], hex(BASE + 0x1129), "a return address is moved back");
    main["sym_addr"] = Value::Null;
    let expected = json!({
        "status": "completed", "signal": 11,
        "stacktraces": [{ "thread_id": 1, "thread_name": "main", "is_requesting": true,
            "registers": { "rip": hex(BASE + 0x1158) },
            "frames": [frame("square", 6), frame("sum_of_squares", 10), calc_run, response["stacktraces"][0]["frames"][3]] }],
        "modules": [{ "debug_status": "found", "arch": "x86_64", "type": "elf", "code_id": CALC_CODE_ID,
            "code_file": "/opt/calc", "debug_id": CALC_ID, "image_addr": hex(BASE), "image_size": 0x4000,
            "features": { "has_debug_info": true, "has_unwind_info": false, "has_symbols": true, "has_sources": false } }],
    });
    assert_eq!(response, expected);
}

#[tokio::test]
async fn every_known_address_of_every_format_has_its_functions() {
    let server = TestServer::start().await;
    for (number, (path, known)) in fixtures::known().into_iter().enumerate() {
        let [object] = known.objects.as_slice() else { continue };
        if object.lookups.is_empty() || known.refused.is_some() {
            continue;
        }
        let account = server.add_project(&format!("fixture-{number}")).await;
        let hints = known.hints(&path);
        server.upload_to(&account, &Upload::new(&hints.name, fixtures::read(&path))).await;
        for (address, expected) in &object.lookups {
            let request = json!({
                "stacktraces": [{ "frames": [{ "instruction_addr": address, "addr_mode": "rel:0" }] }],
                "modules": [{ "type": object.format, "debug_id": object.debug_id, "image_addr": "0x10000000" }],
            });
            let target = format!("/api/v1/projects/default/fixture-{number}/symbolicate");
            let response: Value = server.post(&target).json(&request).send().await.unwrap().json().await.unwrap();
            let frames = response["stacktraces"][0]["frames"].as_array().unwrap();
            // As the fixtures have them: mangled names, `<` and the like aside, are compared by their number and lines.
            let lines: Vec<_> =
                frames.iter().filter(|frame| frame["status"] == "symbolicated").map(|frame| &frame["lineno"]).collect();
            let known: Vec<_> = expected
                .iter()
                .map(|known| {
                    known.rsplit_once(':').and_then(|(_, line)| line.parse::<u64>().ok()).filter(|line| *line > 0)
                })
                .collect();
            let lines: Vec<_> = lines.into_iter().map(Value::as_u64).collect();
            assert_eq!(lines, known, "{path} {address}: {response}");
            let names = frames.iter().map(|frame| frame["function"].as_str().unwrap_or_default());
            for (name, known) in names.zip(expected) {
                // Some are written down as compilers mangle them.
                assert!(
                    known.starts_with("_R") || known.starts_with("_Z") || known.starts_with(name),
                    "{path} {address}: {name} instead of {known}"
                );
            }
        }
    }
}

#[tokio::test]
async fn frames_come_in_the_order_that_was_asked_for() {
    let server = TestServer::start().await;
    server.upload_ok(&Upload::fixture(CALC)).await;
    let callee_first = completed(&server, &at_offsets(&[0x1158, 0x112a])).await;
    assert_eq!(names(&callee_first, 0), ["square 6", "sum_of_squares 10", "calc_run 21", "main 3"]);
    let mut request = at_offsets(&[0x112a, 0x1158]);
    request["options"] = json!({ "frame_order": "caller_first" });
    let caller_first = completed(&server, &request).await;
    assert_eq!(names(&caller_first, 0), ["main 3", "calc_run 21", "sum_of_squares 10", "square 6"]);
    let indexes: Vec<_> = caller_first["stacktraces"][0]["frames"]
        .as_array()
        .unwrap()
        .iter()
        .map(|frame| &frame["original_index"])
        .collect();
    assert_eq!(indexes, [1, 0, 0, 0], "counted from the innermost one in both orders");
}

#[tokio::test]
async fn addresses_are_read_in_every_spelling_and_relative_to_a_module() {
    let server = TestServer::start().await;
    server.upload_ok(&Upload::fixture(CALC)).await;
    for address in [
        json!(hex(BASE + 0x1158)),
        json!("0x55D0AA001158"),
        json!("0X55d0aa001158"),
        json!((BASE + 0x1158).to_string()),
        json!(BASE + 0x1158),
    ] {
        let request = json!({ "stacktraces": [{ "frames": [{ "instruction_addr": address }] }], "modules": [calc()] });
        assert_eq!(names(&completed(&server, &request).await, 0)[0], "square 6", "{address}");
    }
    let relative = json!({ "stacktraces": [{ "frames": [{ "instruction_addr": "0x1158", "addr_mode": "rel:0" }, { "instruction_addr": "0x1158", "addr_mode": "rel:1" }] }], "modules": [calc()] });
    let response = completed(&server, &relative).await;
    let frames = &response["stacktraces"][0]["frames"];
    assert_eq!(
        (&frames[0]["function"], &frames[0]["instruction_addr"], &frames[0]["addr_mode"]),
        (&json!("square"), &json!(hex(BASE + 0x1158)), &Value::Null)
    );
    assert_eq!(
        frames[3],
        json!({ "status": "unknown_image", "original_index": 1, "instruction_addr": "0x1158", "addr_mode": "rel:1" })
    );
    for wrong in [
        json!("0x1_0"),
        json!("-1"),
        json!(-1),
        json!(1.5),
        json!("0x10000000000000000"),
        json!("+1"),
        json!("0x+1"),
        json!(null),
        json!([]),
    ] {
        let request = json!({ "stacktraces": [{ "frames": [{ "instruction_addr": wrong }] }] });
        assert_eq!(asked(&server, &request).await.0, 400, "{wrong}");
    }
    for wrong in ["rel:", "rel:x", "rel:-1", "rel:+1", "relative", ""] {
        let request = json!({ "stacktraces": [{ "frames": [{ "instruction_addr": 1, "addr_mode": wrong }] }] });
        assert_eq!(asked(&server, &request).await.0, 400, "{wrong}");
    }
}

#[tokio::test]
async fn a_frame_without_a_name_keeps_what_was_sent_and_says_why() {
    let server = TestServer::start().await;
    server.upload_ok(&Upload::fixture(CALC)).await;
    let sent = json!({ "platform": "native", "package": "/lib/other.so", "lang": "cpp", "symbol": "_ZN3foo3barEv", "sym_addr": "0x70", "filename": "a.c", "abs_path": "/a.c", "lineno": 7, "pre_context": ["one"], "context_line": "two", "post_context": ["three"], "in_app": true, "trust": "fp" });
    let mut frames = Vec::new();
    for address in [0x10, BASE + 0x3fff, BASE + 0x4000, 0x7000_0000_0000 + 1] {
        let mut frame = sent.clone();
        frame["instruction_addr"] = json!(hex(address));
        frames.push(frame);
    }
    let other =
        json!({ "type": "elf", "debug_id": "00000000-0000-0000-0000-000000000001", "image_addr": "0x700000000000" });
    let request = json!({ "stacktraces": [{ "frames": frames }], "modules": [calc(), other] });
    let response = completed(&server, &request).await;
    let answered = response["stacktraces"][0]["frames"].as_array().unwrap();
    let statuses: Vec<_> = answered.iter().map(|frame| frame["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["unknown_image", "missing_symbol", "unknown_image", "missing"]);
    for (frame, sent) in answered.iter().zip(&frames) {
        for (name, value) in sent.as_object().unwrap().iter().filter(|(name, _)| *name != "package") {
            assert_eq!(&frame[name], value, "{name}: {frame}");
        }
        assert_eq!(frame["function"], "foo::bar()", "{frame}");
    }
    let packages: Vec<_> = answered.iter().map(|frame| &frame["package"]).collect();
    assert_eq!(packages, ["/lib/other.so", "/opt/calc", "/lib/other.so", "/lib/other.so"]);
}

#[tokio::test]
async fn what_a_walk_took_for_a_frame_is_left_out() {
    let server = TestServer::start().await;
    server.upload_ok(&Upload::fixture(CALC)).await;
    let scanned = |address: u64| json!({ "instruction_addr": hex(address), "trust": "scan" });
    let request = json!({
        "stacktraces": [
            { "frames": [{ "instruction_addr": hex(BASE + 0x1158) }, scanned(BASE + 0x3fff), scanned(0x77), scanned(BASE + 0x112a)] },
            { "frames": [{ "instruction_addr": hex(BASE + 0x1158) }, { "instruction_addr": "0xfff" }] },
            { "frames": [{ "instruction_addr": hex(BASE + 0x1158) }, { "instruction_addr": "0x1000" }] },
            { "frames": [{ "instruction_addr": "0x0" }] },
        ],
        "modules": [calc()],
    });
    let response = completed(&server, &request).await;
    let inlined = ["square 6", "sum_of_squares 10", "calc_run 21"];
    assert_eq!(names(&response, 0), [&inlined[..], &["main 3"]].concat());
    assert_eq!(response["stacktraces"][0]["frames"][3]["original_index"], 3);
    assert_eq!(names(&response, 1), inlined, "behind the end of a stack lies what is below all code");
    assert_eq!(names(&response, 2), [&inlined[..], &["unknown_image"]].concat());
    assert_eq!(names(&response, 3), ["unknown_image"], "the only frame stays");
}
