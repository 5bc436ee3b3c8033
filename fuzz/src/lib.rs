//! What must hold for any bytes at all, one function per reader of hostile input. Each panics when it does not hold.
//!
//! It knows no fuzzer: libFuzzer drives these on nightly Rust, and the test suite drives them with seeded chance.

use bytes::Bytes;
use serde_json::Value;
use symdepot::debug_files::section_in;
use symdepot::http::multipart::{Event, Malformed, Parser};
use symdepot::http::{Asked, SchemaError, WantedFiles};
use symdepot_parser::{apple_report, detect, survey_dump, symcaches, unzip, walk_dump};
use symdepot_types::Sha1;
use symdepot_types::child_protocol::{Detection, Hints};

/// What one section may inflate to while fuzzing.
const MEMORY: u64 = 16 << 20;
/// What one zip may hold while fuzzing.
const MOST_CONTENT: u64 = 1 << 20;

/// A body is read the same however it is cut into buffers. The first byte says how.
pub fn multipart(bytes: &[u8]) {
    let Some((step, body)) = bytes.split_first() else { return };
    let whole = read_parts(body, body.len().max(1));
    let cut = read_parts(body, usize::from(*step).max(1));
    assert_eq!(whole, cut, "the same in one buffer and in buffers of {step} bytes");
    if let Ok((parts, _)) = whole {
        let content: usize = parts.iter().map(|(_, content)| content.len()).sum();
        assert!(content <= body.len(), "no more content than bytes");
    }
}

type Part = ((String, Option<String>), Vec<u8>);

/// The parts of a body with the boundary `B`, and whether it was complete.
fn read_parts(body: &[u8], step: usize) -> Result<(Vec<Part>, bool), Malformed> {
    let mut parser = Parser::new("B");
    let mut buffers = body.chunks(step);
    let mut parts: Vec<Part> = Vec::new();
    loop {
        match parser.next_event()? {
            Event::Part(head) => parts.push(((head.name, head.filename), Vec::new())),
            Event::Content(bytes) => parts.last_mut().expect("content is in a part").1.extend_from_slice(&bytes),
            Event::PartEnd => {}
            Event::End => return Ok((parts, true)),
            Event::Hungry => match buffers.next() {
                Some(buffer) => parser.feed(Bytes::copy_from_slice(buffer)),
                None => return Ok((parts, false)),
            },
        }
    }
}

/// Most chunks of one file while fuzzing.
const MOST_CHUNKS: usize = 8;

/// An assemble request is read the same however it is cut into buffers, is JSON exactly if it is JSON, and names the files
/// that it names when it is read as a tree. The first byte says how it is cut.
pub fn assemble(bytes: &[u8]) {
    let Some((step, body)) = bytes.split_first() else { return };
    let read = asked(body, body.len().max(1));
    assert_eq!(read, asked(body, usize::from(*step).max(1)), "the same in one buffer and in buffers of {step} bytes");
    let not_json = Err(SchemaError("Invalid json body".to_owned()));
    let Ok(tree) = serde_json::from_slice::<Value>(body) else {
        assert_eq!(read, not_json, "what is no JSON");
        return;
    };
    let Ok(files) = read else {
        assert_ne!(read, not_json, "what is JSON");
        // Without repeated names in it the fault is the same.
        let again = asked(tree.to_string().as_bytes(), 64);
        assert!(again.is_err(), "a fault does not go away");
        return;
    };
    let tree = tree.as_object().expect("files are in an object");
    assert_eq!(files.len(), tree.len(), "every file once");
    for ((sha1, file), (key, entry)) in files.iter().zip(tree) {
        assert_eq!(sha1.to_string(), *key, "in order");
        let chunks: Vec<Sha1> = serde_json::from_value(entry["chunks"].clone()).expect("chunks are checksums");
        let name = entry["name"].as_str().expect("a name is a string");
        match file {
            Ok(file) => {
                assert_eq!((file.sha1, &file.chunks), (*sha1, &chunks), "its chunks");
                assert_eq!(file.debug_id.as_deref(), entry.get("debug_id").and_then(Value::as_str), "its debug id");
                assert!(!file.name.contains(char::is_control), "a plain name");
                assert!(file.name.len() <= 1024 && (name.contains(char::is_control) || file.name == name), "its name");
            }
            Err(message) => {
                let debug_id = entry.get("debug_id").and_then(Value::as_str).unwrap_or_default();
                let beyond = name.len() > 1024 || debug_id.len() > 64 || chunks.len() > MOST_CHUNKS;
                assert!(beyond && !message.is_empty(), "beyond a limit: {message}");
            }
        }
    }
}

/// The files of a request that comes in buffers of `step` bytes.
fn asked(body: &[u8], step: usize) -> Result<Vec<Asked>, SchemaError> {
    let mut files = WantedFiles::new(MOST_CHUNKS);
    body.chunks(step).try_for_each(|bytes| files.feed(bytes))?;
    files.finish()
}

/// Whatever a file is taken for, it has an id; if it is refused, a sentence says why; and it is the same every time.
pub fn detection(bytes: &[u8]) {
    let hints = Hints { name: "file".to_owned(), debug_id: Some("c8374b6d-6e96-34d8-ae38-efaa5fec424f".to_owned()) };
    let found = detect(bytes, &hints, MEMORY);
    match &found {
        Detection::Rejected(reason) | Detection::SomethingElse(reason) => {
            assert!(!reason.trim().is_empty(), "a refusal has a reason")
        }
        Detection::Objects(objects) => {
            assert!(objects.iter().all(|object| !object.debug_id.is_nil()), "a file that is taken has an id");
        }
    }
    assert_eq!(found, detect(bytes, &hints, MEMORY), "the same twice");
}

/// Whatever a file says, a section that is found in it lies in it, and the search stays within its bound of work, which
/// `section_in` asserts.
pub fn section(bytes: &[u8]) {
    for name in [".debug_info", ".text", ".shstrtab", "x", ".nope"] {
        if let Some((at, size)) = section_in(bytes, name, MOST_CONTENT) {
            assert!(at.start <= at.end && at.end <= bytes.len() as u64, "{name} is at {at:?} of {}", bytes.len());
            // Only what is decompressed can be more than the file.
            assert!(size <= MOST_CONTENT.max(bytes.len() as u64), "{name} has {size} bytes");
        }
    }
}

/// A zip never gives more than it may, gives what its list says, and no name leads out of it.
pub fn zip(bytes: &[u8]) {
    let mut content = Vec::new();
    let listed = unzip(bytes, &mut content, MOST_CONTENT);
    // One byte more shows that there is too much.
    assert!(content.len() as u64 <= MOST_CONTENT + 1, "{} bytes came out", content.len());
    if let Ok(entries) = listed {
        let total: u64 = entries.iter().map(|entry| entry.size).sum();
        assert_eq!(total, content.len() as u64, "the list and the content agree");
        for entry in entries {
            let leads_out = entry.name.starts_with('/') || entry.name.split(['/', '\\']).any(|part| part == "..");
            assert!(!leads_out, "{}", entry.name);
        }
    }
}

/// A name is read or left as it is, and never becomes longer than it may; twice the same.
pub fn demangle(bytes: &[u8]) {
    let name = String::from_utf8_lossy(bytes);
    let read = symdepot_demangle::demangle(&name);
    assert!(read.iter().all(|read| read.len() <= symdepot_demangle::LONGEST_READABLE), "not longer than it may be");
    assert_eq!(read, symdepot_demangle::demangle(&name), "the same twice");
}

/// A debug file with DWARF is converted or refused with a reason, and the number of threads makes no difference.
pub fn conversion(bytes: &[u8]) {
    let one = symcaches(bytes, MEMORY, 1);
    for made in one.iter().flatten() {
        match made {
            Ok(symcache) => assert!(symcache.starts_with(b"SYMC"), "a symcache begins like one"),
            Err(reason) => assert!(!reason.trim().is_empty(), "a refusal has a reason"),
        }
    }
    assert_eq!(one, symcaches(bytes, MEMORY, 3), "the same with several threads");
}

/// A dump is walked within its limits or refused with a reason.
pub fn walk(bytes: &[u8]) {
    let surveyed = survey_dump(bytes);
    match walk_dump(bytes, &[], &[]) {
        Ok(walked) => {
            assert!(surveyed.is_ok(), "what can be walked can be surveyed");
            assert!(walked.threads.len() <= 4_096, "no more threads than may be");
            assert!(walked.threads.iter().all(|thread| thread.frames.len() <= 1_024), "no more frames than may be");
        }
        Err(reason) => assert!(!reason.trim().is_empty(), "a refusal has a reason"),
    }
}

/// A crash report is read within its limits or refused with a reason; twice the same.
pub fn report(bytes: &[u8]) {
    let read = apple_report(bytes);
    match &read {
        Ok(report) => {
            let threads = report.request["stacktraces"].as_array().map_or(0, Vec::len);
            assert!((1..=4_096).contains(&threads), "{threads} threads");
        }
        Err(reason) => assert!(!reason.trim().is_empty(), "a refusal has a reason"),
    }
    assert_eq!(read, apple_report(bytes), "the same twice");
}

/// An envelope keeps the grammar or is refused with a reason; its payloads lie within it, one behind the other.
pub fn envelope(bytes: &[u8]) {
    match symdepot_events::envelope::parse(bytes) {
        Ok(envelope) => {
            let mut at = 0;
            for item in &envelope.items {
                assert!(
                    at <= item.payload.start && item.payload.end <= bytes.len(),
                    "payloads lie within the envelope"
                );
                at = item.payload.end;
            }
        }
        Err(fault) => assert!(!fault.to_string().trim().is_empty(), "a refusal has a reason"),
    }
}

/// An event is refused by both readers or by none; normalizing and scrubbing it twice changes nothing, and it is grouped the same
/// twice.
pub fn event(bytes: &[u8]) {
    use symdepot_events::grouping::{Mode, Rules, apply_in_app, group};
    use symdepot_events::{envelope, normalize, scrub, summary};
    let checked = envelope::check_event(bytes, 1 << 20);
    let read = envelope::read_event(bytes, 1 << 20);
    assert_eq!(checked.is_ok(), read.is_ok(), "both readers accept the same");
    let Ok(read) = read else { return };
    let receipt = normalize::Receipt {
        event_id: envelope::EventId([7; 16]),
        received_at: "2026-01-01T00:00:00Z".parse().expect("it is a time"),
        sent_at: None,
        client_ip: None,
    };
    let mut event = normalize::event(read, &receipt);
    assert_eq!(normalize::event(event.clone(), &receipt), event, "normalizing twice changes nothing");
    let scrubber = scrub::Scrubber::default();
    scrubber.scrub(&mut event);
    let once = event.clone();
    scrubber.scrub(&mut event);
    assert_eq!(event, once, "scrubbing twice changes nothing");
    let rules = Rules::builtin();
    let grouping = group(&event, &rules, Mode::Hierarchical);
    apply_in_app(&mut event, &rules);
    assert_eq!(group(&event, &rules, Mode::Hierarchical), grouping, "a stored event has the same hashes");
    assert!(!summary::summary(&event, None).title.is_empty(), "every event has a title");
}

/// Rules are read or refused with the number of a line.
pub fn rules(bytes: &[u8]) {
    use symdepot_events::grouping::Rules;
    let text = String::from_utf8_lossy(bytes);
    for (stack, fingerprint) in [(&*text, ""), ("", &*text)] {
        if let Err(error) = Rules::parse(stack, fingerprint) {
            assert!(error.to_string().contains(", line "), "{error}");
        }
    }
}
