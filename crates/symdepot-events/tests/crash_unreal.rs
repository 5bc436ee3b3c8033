//! Containers and contexts of Unreal Engine, built by hand as its crash reporter writes them.

use std::io::Write as _;

use serde_json::{Value, json};
use symdepot_events::Object;
use symdepot_events::crash::unreal::{Fault, UnrealKind, context, event_fields, files, inflate};

const FILES: [(&str, &[u8]); 5] = [
    ("CrashContext.runtime-xml", b"<FGenericCrashContext/>"),
    ("CrashReportClient.ini", b"[CrashReportClient]"),
    ("Game.log", b"Log file open"),
    ("UE4Minidump.dmp", b"MDMP dump"),
    ("empty.txt", b""),
];

fn number(out: &mut Vec<u8>, number: i32) {
    out.extend(number.to_le_bytes());
}

fn name(out: &mut Vec<u8>, name: &str) {
    number(out, 260);
    out.extend(name.as_bytes());
    out.resize(out.len() + 260 - name.len(), 0);
}

fn header(out: &mut Vec<u8>, size: i32, count: i32) {
    name(out, "UECC-Windows-0123456789ABCDEF0123456789ABCDEF_0000");
    name(out, "UECC-Windows-0123456789ABCDEF0123456789ABCDEF_0000.uecrash");
    number(out, size);
    number(out, count);
}

fn bodies(out: &mut Vec<u8>, files: &[(&str, &[u8])]) {
    for (index, (file, data)) in (0..).zip(files) {
        number(out, index);
        name(out, file);
        number(out, data.len() as i32);
        out.extend(*data);
    }
}

fn current() -> Vec<u8> {
    let mut out = b"CR1".to_vec();
    header(&mut out, 1234, FILES.len() as i32);
    bodies(&mut out, &FILES);
    out
}

fn older(first_count: i32) -> Vec<u8> {
    let mut out = Vec::new();
    header(&mut out, -1, first_count);
    bodies(&mut out, &FILES);
    header(&mut out, 1234, FILES.len() as i32);
    out
}

fn zlib(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).expect("memory is writable");
    encoder.finish().expect("memory is writable")
}

fn xml(inside: &str) -> Option<Object> {
    context(
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<FGenericCrashContext>{inside}</FGenericCrashContext>")
            .as_bytes(),
    )
}

fn object(value: Value) -> Object {
    value.as_object().expect("an object").clone()
}

#[test]
fn files_come_out_of_containers_of_all_engines() {
    for container in [current(), older(0), older(-1), older(5)] {
        let unpacked = inflate(&zlib(&container), 1 << 20).unwrap();
        let files = files(&unpacked).unwrap();
        let found: Vec<(&str, &[u8])> = files.iter().map(|file| (&*file.name, file.data)).collect();
        assert_eq!(found, FILES);
        let kinds: Vec<UnrealKind> = files.iter().map(|file| file.kind).collect();
        use UnrealKind::{Context, Log, Minidump, Other};
        assert_eq!(kinds, [Context, Other, Log, Minidump, Other]);
    }
}

#[test]
fn names_lose_their_folders() {
    let mut out = b"CR1".to_vec();
    header(&mut out, 0, 3);
    bodies(&mut out, &[("C:\\secret\\a.log", b"Incident Identifier: 1"), ("../../etc/passwd", b""), ("dir/", b"")]);
    let files = files(&out).unwrap();
    let names: Vec<&str> = files.iter().map(|file| &*file.name).collect();
    assert_eq!(names, ["a.log", "passwd", "unnamed"]);
    assert_eq!(files[0].kind, UnrealKind::AppleCrashReport);
}

#[test]
fn everything_else_is_no_container() {
    let mut no_files = b"CR1".to_vec();
    header(&mut no_files, 0, 0);
    for body in [b"".as_slice(), b"CR1", b"MDMP", &[0; 16], &[0; 100], &[0xff; 600], &no_files] {
        assert_eq!(files(body), Err(Fault::NotContainer));
    }
    assert!(matches!(inflate(b"CR1 without zlib", 100), Err(Fault::Broken(_))));
    let packed = zlib(&current());
    assert!(matches!(inflate(&packed[..packed.len() / 2], 1 << 20), Err(Fault::Broken(_))));
}

#[test]
fn container_that_is_cut_off_anywhere_is_refused() {
    for container in [current(), older(0)] {
        for length in 0..container.len() {
            assert!(files(&container[..length]).is_err(), "{length}");
        }
    }
}

#[test]
fn numbers_of_a_container_are_never_believed() {
    for forged in [i32::MAX, i32::MIN, -1, 1 << 30, 1001] {
        for container in [current(), older(0)] {
            for at in (0..container.len() - 4).step_by(1).filter(|at| *at < 1200 || at % 7 == 0) {
                let mut container = container.clone();
                container[at..at + 4].copy_from_slice(&forged.to_le_bytes());
                let _ = files(&container);
            }
        }
    }
    let mut many = b"CR1".to_vec();
    header(&mut many, 0, i32::MAX);
    many.extend([0; 12].repeat(100_000));
    assert!(files(&many).is_err());
}

#[test]
fn bomb_costs_no_more_than_the_limit() {
    let bomb = zlib(&vec![0; 8 << 20]);
    assert_eq!(inflate(&bomb, 1 << 20), Err(Fault::TooLarge));
    assert_eq!(inflate(&bomb, (8 << 20) - 1), Err(Fault::TooLarge));
    assert_eq!(inflate(&bomb, 8 << 20).unwrap().len(), 8 << 20);
}

#[test]
fn context_becomes_a_nested_object() {
    let context = xml(r#"
        <RuntimeProperties>
            <CrashGUID>UECC-1</CrashGUID>
            <!-- <Hidden/> -->
            <ErrorMessage>Assertion failed: a &lt; b &amp;&amp; c &#62; &#x1F600; &unknown; & </ErrorMessage>
            <Note><![CDATA[<raw> & text]]></Note>
            <Empty/>
            <Also empty="a > b" ></Also>
            <Modules><Module>a.dll</Module><Module>b.dll</Module><Module>c.dll</Module></Modules>
        </RuntimeProperties>
        <PlatformProperties><PlatformIsRunningWindows>1</PlatformIsRunningWindows></PlatformProperties>"#);
    let expected = json!({
        "RuntimeProperties": {
            "CrashGUID": "UECC-1",
            "ErrorMessage": "Assertion failed: a < b && c > \u{1f600} &unknown; &",
            "Note": "<raw> & text",
            "Empty": "",
            "Also": "",
            "Modules": { "Module": ["a.dll", "b.dll", "c.dll"] },
        },
        "PlatformProperties": { "PlatformIsRunningWindows": "1" },
    });
    assert_eq!(context.map(Value::Object), Some(expected));
}

#[test]
fn context_in_utf16_is_read() {
    let units: Vec<u8> = "\u{feff}<A><B>\u{e4}\u{1f600}</B></A>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(context(&units), Some(object(json!({ "B": "\u{e4}\u{1f600}" }))));
}

#[test]
fn malformed_or_hostile_context_is_refused() {
    let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    assert!(context(nested(32).as_bytes()).is_some());
    let entities = "<!DOCTYPE a [<!ENTITY b \"cccc\">]><a><b>&b;</b></a>";
    let documents = [
        nested(33),
        nested(100_000),
        entities.into(),
        "<a><b></a></b>".into(),
        "<a><b>".into(),
        "<a>".into(),
        "text".into(),
        "".into(),
    ];
    for document in documents {
        assert_eq!(context(document.as_bytes()), None, "{document:.40}");
    }
    for hostile in ["<", "<a ", "<a x='", "&", "<a><![CDATA[", "<!--", "<?", "<a/>", "\u{0}", "]]>"] {
        let repeated = format!("<r>{}</r>", hostile.repeat((1 << 20) / hostile.len() - 10));
        let _ = context(repeated.as_bytes());
        let _ = context(&repeated.as_bytes()[..repeated.len() - 4]);
    }
    assert_eq!(context(&[b' '; (1 << 20) + 1]), None);
}

#[test]
fn event_takes_what_it_lacks_from_the_context() {
    let context = xml(r#"
        <RuntimeProperties>
            <ErrorMessage>Assertion failed</ErrorMessage><BuildVersion>++Game+Main-CL-17</BuildVersion>
            <BuildConfiguration>Shipping</BuildConfiguration><UserName>bob</UserName><LoginId></LoginId><EpicAccountId>e7</EpicAccountId>
            <Misc.PrimaryGPUBrand>GPU 1</Misc.PrimaryGPUBrand><MemoryStats.TotalPhysical>17059237888</MemoryStats.TotalPhysical>
        </RuntimeProperties>
        <GameData>
            <__sentry>{"dist":"7","environment":"prod","event_id":"x","tags":{"a":"game","b":"game"}}</__sentry><Level>7</Level>
        </GameData>"#)
    .unwrap();
    let mut event = object(json!({ "tags": { "a": "client" }, "event_id": "y" }));
    event_fields(&context, &mut event);
    assert_eq!(event["event_id"], "y");
    assert_eq!(event["tags"], json!({ "a": "client", "b": "game" }));
    assert_eq!((&event["dist"], &event["environment"]), (&json!("7"), &json!("prod")));
    assert_eq!(event["release"], "++Game+Main-CL-17");
    assert_eq!(event["message"], "Assertion failed");
    assert_eq!(event["user"], json!({ "id": "e7", "username": "bob" }));
    assert_eq!(event["extra"], json!({ "Level": "7" }));
    assert_eq!(event["contexts"]["gpu"]["name"], "GPU 1");
    assert_eq!(event["contexts"]["device"]["memory_size"], 17_059_237_888_u64);
    assert_eq!(event["contexts"]["unreal"]["RuntimeProperties"]["BuildConfiguration"], "Shipping");
    assert_eq!(event["contexts"]["unreal"]["GameData"], json!({ "Level": "7" }));
}

#[test]
fn event_keeps_its_own_values_and_the_stock_engine_is_no_release() {
    let context = xml("<RuntimeProperties><BuildVersion>++UE5+Release-5.3-CL-1</BuildVersion><UserName>bob</UserName>\
        <ErrorMessage>m</ErrorMessage></RuntimeProperties><GameData><__sentry>{broken</__sentry></GameData>");
    let mut event = object(json!({ "user": { "id": "5" }, "logentry": { "message": "own" } }));
    event_fields(&context.unwrap(), &mut event);
    assert_eq!(event["user"], json!({ "id": "5" }));
    assert!(!event.contains_key("release") && !event.contains_key("message") && !event.contains_key("extra"));
    assert_eq!(event["errors"], json!([{ "type": "invalid_data", "name": "__sentry", "value": "{broken" }]));
}
