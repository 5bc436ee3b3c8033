//! The response to a dump or report as text for people: the output of `stackwalk`. It reads a response and nothing else.

use std::fmt::Write as _;

use serde_json::Value;

/// The text of a response, with lines of source below the frames that have some if they are wanted.
pub fn text_report(response: &Value, with_source: bool) -> String {
    let mut text = String::new();
    let system = &response["system_info"];
    let build = match word(&system["os_build"]) {
        "" => String::new(),
        build => format!(" ({build})"),
    };
    line(&mut text, &format!("Operating system: {} {}{build}", word(&system["os_name"]), word(&system["os_version"])));
    line(&mut text, &format!("CPU: {}", word(&system["cpu_arch"])));
    line(&mut text, &format!("Crash reason: {}", word(&response["crash_reason"])));
    let threads = list(&response["stacktraces"]);
    let crashed = |thread: &&Value| thread["is_requesting"] == true;
    let number = |wanted: &Value| threads.iter().position(|thread| std::ptr::eq(thread, wanted)).unwrap_or_default();
    for thread in threads.iter().filter(crashed).chain(threads.iter().filter(|thread| !crashed(thread))) {
        text.push('\n');
        stack(&mut text, number(thread), thread, response, with_source);
    }
    text.push_str("\nLoaded modules:\n");
    for module in list(&response["modules"]) {
        loaded(&mut text, module);
    }
    text
}

fn stack(text: &mut String, number: usize, thread: &Value, response: &Value, with_source: bool) {
    let name = match word(&thread["thread_name"]) {
        "" => String::new(),
        name => format!(" {name}"),
    };
    let crashed = if thread["is_requesting"] == true { " (crashed)" } else { "" };
    line(text, &format!("Thread {number}{name}{crashed} - tid: {}", thread["thread_id"]));
    let frames = list(&thread["frames"]);
    let innermost = frames.first().map(|frame| &frame["original_index"]);
    for (at, frame) in frames.iter().enumerate() {
        let next = frames.get(at + 1).map(|next| &next["original_index"]);
        let inlined = next == Some(&frame["original_index"]);
        let suffix = if inlined { " (inlined)" } else { "" };
        line(text, &format!("{at:>2}  {}{suffix}", place(frame, response)));
        if with_source {
            source(text, frame);
        }
        if inlined {
            continue;
        }
        if innermost == Some(&frame["original_index"]) {
            registers(text, thread);
        }
        if let Some(found) = found_by(word(&frame["trust"])) {
            line(text, &format!("    Found by: {found}"));
        }
    }
}

/// `MODULE!FUNCTION [FILE : LINE]`, or as much of it as is known.
fn place(frame: &Value, response: &Value) -> String {
    let address = number(&frame["instruction_addr"]).unwrap_or_default();
    let module = match word(&frame["package"]) {
        "" => None,
        package => Some(base_name(package)),
    };
    match (module, frame["function"].as_str()) {
        (Some(module), Some(function)) => match (frame["filename"].as_str(), frame["lineno"].as_u64()) {
            (Some(file), Some(line)) => format!("{module}!{function} [{file} : {line}]"),
            _ => format!("{module}!{function}"),
        },
        (Some(module), None) => {
            let begin = begin_of(address, response).unwrap_or_default();
            format!("{module} + {:#x}", address.saturating_sub(begin))
        }
        (None, _) => format!("{address:#x}"),
    }
}

/// Where the module begins that an address is in.
fn begin_of(address: u64, response: &Value) -> Option<u64> {
    let begins = list(&response["modules"]).iter().filter_map(|module| number(&module["image_addr"]));
    begins.filter(|begin| *begin <= address).max()
}

fn registers(text: &mut String, thread: &Value) {
    let Some(registers) = thread["registers"].as_object() else { return };
    let mut row = String::new();
    for (name, value) in registers {
        let one = format!("    {name} = {:#018x}", number(value).unwrap_or_default());
        if row.len() + one.len() > 80 {
            line(text, &row);
            row.clear();
        }
        row.push_str(&one);
    }
    if !row.is_empty() {
        line(text, &row);
    }
}

fn source(text: &mut String, frame: &Value) {
    let (Some(here), Some(at)) = (frame["context_line"].as_str(), frame["lineno"].as_u64()) else { return };
    let (before, behind) = (list(&frame["pre_context"]), list(&frame["post_context"]));
    let first = at.saturating_sub(before.len() as u64);
    for (number, row) in (first..).zip(before) {
        line(text, &format!("      {number:>5} {}", word(row)));
    }
    line(text, &format!("    > {at:>5} {here}"));
    for (number, row) in (at + 1..).zip(behind) {
        line(text, &format!("      {number:>5} {}", word(row)));
    }
}

fn loaded(text: &mut String, module: &Value) {
    let begin = number(&module["image_addr"]).unwrap_or_default();
    let end = begin.saturating_add(module["image_size"].as_u64().unwrap_or_default()).saturating_sub(1).max(begin);
    let status = word(&module["debug_status"]);
    let name = base_name(word(&module["code_file"]));
    let rest = match (status, module["detail"].as_str()) {
        ("found" | "unused", _) | (_, None) => format!("{status}  {}", word(&module["debug_id"])),
        (_, Some(detail)) => format!("{status}: {detail}"),
    };
    line(text, &format!("{begin:#018x} - {end:#018x}  {name}  {rest}"));
}

fn found_by(trust: &str) -> Option<&'static str> {
    Some(match trust {
        "context" => "given as instruction pointer in context",
        "cfi" => "call frame info",
        "fp" => "previous frame's frame pointer",
        "scan" => "stack scanning",
        "cfiscan" => "call frame info with scanning",
        _ => return None,
    })
}

/// Adds a line, in which control characters of names are shown as `?`.
fn line(text: &mut String, line: &str) {
    let shown: String = line.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    let _infallible = writeln!(text, "{}", shown.trim_end());
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn number(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}
