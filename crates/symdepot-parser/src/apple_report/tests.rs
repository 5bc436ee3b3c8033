//! Reports of either form, and what is no report.

use serde_json::json;

use super::*;

const TEXT: &str = include_str!("../../../../fixtures/crashes/apple/calc.crash");
const IPS: &str = include_str!("../../../../fixtures/crashes/apple/calc.ips");

#[test]
fn both_forms_of_one_crash_say_the_same() {
    let [text, ips] = [TEXT, IPS].map(|report| read(report.as_bytes()).expect("a report"));
    for (name, value) in [
        ("timestamp", json!(1_685_615_445)),
        ("crashed", json!(true)),
        ("crash_reason", json!("EXC_BAD_ACCESS (SIGSEGV)")),
        ("crash_details", json!("calc went wrong\nin two lines")),
        (
            "system_info",
            json!({ "os_name": "macOS", "os_version": "13.4", "os_build": "22F66", "cpu_arch": "arm64", "device_model": "Mac14,7" }),
        ),
    ] {
        assert_eq!((&text.facts[name], &ips.facts[name]), (&value, &value), "{name}");
    }
    for report in [&text, &ips] {
        let threads = &report.request["stacktraces"];
        assert_eq!(
            (&threads[0]["thread_name"], &threads[0]["is_requesting"]),
            (&json!("com.apple.main-thread"), &json!(false))
        );
        assert_eq!((&threads[1]["thread_name"], &threads[1]["is_requesting"]), (&json!("Worker"), &json!(true)));
        assert_eq!(threads[1]["registers"]["pc"], 0x1_02a5_c390_u64);
        assert_eq!(threads[1]["registers"]["x3"], 3);
        let frame = json!({ "instruction_addr": 0x1_02a5_c3dc_u64, "package": "calc", "function": "calc_run" });
        assert_eq!(threads[1]["frames"][1], frame);
        assert_eq!(threads[1]["frames"][0]["function"], Value::Null);
        let module = &report.request["modules"][0];
        assert_eq!((&module["image_addr"], &module["image_size"]), (&json!(0x1_02a5_c000_u64), &json!(0x4000)));
        assert_eq!(module["code_id"], "4c4c442c55553144a176e1e20aa6f22d");
    }
}

#[test]
fn systems_and_architectures_have_the_names_of_the_wire() {
    let names = |text: &str| system(text);
    let owned = |name: &str, version: &str, build: &str| (name.to_owned(), version.to_owned(), build.to_owned());
    assert_eq!(names("Mac OS X 10.15.7 (19H15)"), owned("macOS", "10.15.7", "19H15"));
    assert_eq!(names("iPhone OS 16.5 (20F66)"), owned("iOS", "16.5", "20F66"));
    assert_eq!(names("macOS 13.4"), owned("macOS", "13.4", ""));
    assert_eq!(names("something else"), owned("something else", "", ""));
    for (text, arch) in
        [("X86-64 (Translated)", "x86_64"), ("ARM-64", "arm64"), ("X86 (Native)", "x86"), ("PPC", "ppc")]
    {
        assert_eq!(architecture(text), arch);
    }
}

#[test]
fn times_are_read_with_their_zone() {
    for (text, seconds) in [
        ("1970-01-01 00:00:00 +0000", Some(0)),
        ("2023-06-01 12:30:45.1234 +0200", Some(1_685_615_445)),
        ("2023-06-01 04:00:45 -0630", Some(1_685_615_445)),
        ("2024-02-29 00:00:00", Some(1_709_164_800)),
        ("2023-13-01 00:00:00", None),
        ("yesterday", None),
        ("", None),
    ] {
        assert_eq!(timestamp(text), seconds, "{text}");
    }
}

#[test]
fn frames_are_read_with_blanks_in_names_and_with_files() {
    let read = |line: &str| text::frame(line).map(|frame| (frame.package, frame.address, frame.symbol));
    for (line, package, address, symbol) in [
        ("3   ???    0x0000000054485244 0x0 + 1414025796", "???", 0x5448_5244, None),
        ("12  My App 2   0x0000000100000010 -[Foo bar:] + 16", "My App 2", 0x1_0000_0010, Some("-[Foo bar:]")),
        ("0   calc  0x10 main (in calc) (main.c:3)", "calc", 0x10, Some("main")),
        ("0   calc  0x10", "calc", 0x10, None),
    ] {
        assert_eq!(read(line), Some((package.to_owned(), address, symbol.map(str::to_owned))), "{line}");
    }
    for line in ["", "no frame", "0 calc 10 main", "calc 0x10 main"] {
        assert_eq!(read(line), None, "{line}");
    }
}

#[test]
fn what_is_no_report_is_refused_and_what_is_damaged_is_read_as_far_as_it_goes() {
    for text in
        ["", "hello", "MDMP\0\0", "{", "{}", "{\"bug_type\":\"309\"}\n{\"threads\":7}", "[1]", "{\"a\":1}\nnonsense"]
    {
        assert!(read(text.as_bytes()).is_err(), "{text}");
    }
    for form in [TEXT, IPS] {
        for end in (0..form.len()).step_by(7) {
            // The whole of a report of any length is answered or refused.
            let _either = read(&form.as_bytes()[..end]);
        }
    }
    let deep = format!("{{}}\n{}", "{\"a\":".repeat(100_000));
    assert!(read(deep.as_bytes()).is_err());
}

#[test]
fn threads_and_frames_beyond_the_limits_are_counted() {
    let frames = "0 a 0x10 b + 1\n".repeat(2_000);
    let mut report = "OS Version: macOS 1 (2)\n".to_owned();
    for thread in 0..5_000 {
        report.push_str(&format!(
            "Thread {thread}{}:\n0 a 0x10 b + 1\n\n",
            if thread == 4_999 { " Crashed" } else { "" }
        ));
    }
    let read_report = read(report.as_bytes()).expect("a report");
    assert_eq!(read_report.facts["threads_left_out"], 904);
    assert_eq!(read_report.request["stacktraces"][4_095]["thread_id"], 4_999, "the one that crashed is there");
    let long = format!("OS Version: macOS 1 (2)\nThread 0 Crashed:\n{frames}");
    let read_long = read(long.as_bytes()).expect("a report");
    assert_eq!(read_long.truncated, [true]);
    assert_eq!(read_long.request["stacktraces"][0]["frames"].as_array().map(Vec::len), Some(1_024));
}
