//! The text form: a head of `Name: value` lines, threads, the registers of the crashed one, and the images. What a line is, its
//! beginning tells; a line of no known form is passed over.

use serde_json::{Map, json};

use super::{Frame, Image, Report, Thread, timestamp};

/// Which part of a report the lines belong to.
enum Part {
    Head,
    Details,
    /// Frames of the last thread.
    Thread,
    /// Registers of the thread with this number.
    Registers(u64),
    Images,
}

/// Reads a report.
pub(super) fn read(text: &str) -> Result<Report, String> {
    let mut report = Report::default();
    let mut part = Part::Head;
    let (mut details, mut other_details) = (Vec::new(), [None, None, None]);
    let mut triggered = None;
    for line in text.lines().map(str::trim_end) {
        if let Some(begun) = thread_line(line, &mut report) {
            part = begun;
            continue;
        }
        match part {
            Part::Images => report.images.extend(image(line)),
            Part::Registers(_) | Part::Thread | Part::Details if line.is_empty() => part = Part::Head,
            Part::Registers(id) => {
                if let Some(thread) = report.threads.iter_mut().find(|thread| thread.id == id) {
                    registers(line, &mut thread.registers);
                }
            }
            Part::Thread => {
                if let Some(thread) = report.threads.last_mut() {
                    thread.frames.extend(frame(line));
                }
            }
            Part::Details => details.push(line.to_owned()),
            Part::Head => match line.split_once(':').map(|(name, value)| (name, value.trim())) {
                Some(("Binary Images", "")) => part = Part::Images,
                Some(("Application Specific Information", value)) => {
                    details.extend((!value.is_empty()).then(|| value.to_owned()));
                    part = Part::Details;
                }
                Some(("Exception Message", value)) => other_details[0] = Some(value.to_owned()),
                Some(("Exception Subtype", value)) => other_details[1] = Some(value.to_owned()),
                Some(("Exception Codes", value)) => other_details[2] = Some(value.to_owned()),
                Some(("Crashed Thread" | "Triggered by Thread", value)) => {
                    triggered = value.split_whitespace().next().and_then(|number| number.parse().ok());
                }
                Some((name, value)) => head(name, value, &mut report),
                None => {}
            },
        }
    }
    if report.cpu.is_empty() && report.os.is_empty() && report.reason.is_empty() {
        return Err("it has none of the lines that a crash report begins with".to_owned());
    }
    report.details = match details.is_empty() {
        true => other_details.into_iter().flatten().next().unwrap_or_default(),
        false => details.join("\n"),
    };
    if !report.threads.iter().any(|thread| thread.crashed)
        && let Some(thread) = report.threads.iter_mut().find(|thread| Some(thread.id) == triggered)
    {
        thread.crashed = true;
    }
    Ok(report)
}

fn head(name: &str, value: &str, report: &mut Report) {
    match name {
        "Hardware Model" => value.clone_into(&mut report.device),
        "Code Type" => value.clone_into(&mut report.cpu),
        "Date/Time" => report.timestamp = timestamp(value),
        "OS Version" => value.clone_into(&mut report.os),
        "Exception Type" => value.clone_into(&mut report.reason),
        _ => {}
    }
}

/// What begins with a line such as `Thread 1 Crashed:`, if it is one.
fn thread_line(line: &str, report: &mut Report) -> Option<Part> {
    let rest = line.strip_prefix("Thread ")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let id = rest[..digits].parse().ok()?;
    let rest = &rest[digits..];
    if let Some(name) = rest.strip_prefix(" name:") {
        thread(report, id).name = some(name);
        return Some(Part::Head);
    }
    if rest.starts_with(" crashed with ") || rest.starts_with(" Crashed with ") {
        return Some(Part::Registers(id));
    }
    let (crashed, rest) = match rest.strip_prefix(" Crashed:") {
        Some(rest) => (true, rest),
        None => (false, rest.strip_prefix(':')?),
    };
    let thread = thread(report, id);
    thread.crashed |= crashed;
    // Newer systems put the name of the thread or of its queue behind a second colon.
    let name = rest.trim_start_matches(':').trim();
    if thread.name.is_none() {
        thread.name = some(
            name.rsplit_once("Dispatch queue: ")
                .map_or(name, |(name, queue)| if name.trim().is_empty() { queue } else { name.trim() }),
        );
    }
    Some(Part::Thread)
}

/// The thread with a number, which is that of the last line about threads or a new one.
fn thread(report: &mut Report, id: u64) -> &mut Thread {
    if report.threads.last().is_none_or(|last| last.id != id) {
        report.threads.push(Thread { id, ..Thread::default() });
    }
    report.threads.last_mut().expect("a thread was just added")
}

fn some(text: &str) -> Option<String> {
    Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// `1   calc    0x0000000102a5c3dc calc_run + 52`; the name of an image may have blanks.
pub(super) fn frame(line: &str) -> Option<Frame> {
    let line = line.trim_start();
    let digits = line.find(|c: char| !c.is_ascii_digit()).filter(|digits| *digits > 0)?;
    let line = &line[digits..];
    let at = line.match_indices("0x").map(|(at, _)| at).find(|at| line[..*at].ends_with(char::is_whitespace))?;
    let package = line[..at].trim().to_owned();
    let (address, rest) = line[at + 2..].split_once(' ').unwrap_or((&line[at + 2..], ""));
    let address = u64::from_str_radix(address, 16).ok()?;
    let symbol = rest.rsplit_once(" + ").map_or(rest, |(symbol, _)| symbol);
    let symbol = symbol.split_once(" (in ").map_or(symbol, |(symbol, _)| symbol).trim();
    let symbol = Some(symbol).filter(|symbol| !symbol.is_empty() && !symbol.starts_with("0x")).map(str::to_owned);
    Some(Frame { address, package, symbol })
}

/// `x0: 0x0000000000000000   x1: 0x0000000000000001`.
fn registers(line: &str, registers: &mut Map<String, serde_json::Value>) {
    let words: Vec<_> = line.split_whitespace().collect();
    for pair in words.windows(2) {
        let (Some(name), Some(digits)) = (pair[0].strip_suffix(':'), pair[1].strip_prefix("0x")) else { continue };
        if let Ok(value) = u64::from_str_radix(digits, 16) {
            registers.insert(name.to_owned(), json!(value));
        }
    }
}

/// `0x102a5c000 - 0x102a5ffff calc arm64  <4c4c442c55553144a176e1e20aa6f22d> /Applications/calc`.
fn image(line: &str) -> Option<Image> {
    let (start, rest) = line.trim_start().split_once(" - ")?;
    let (end, rest) = rest.trim_start().split_once(' ')?;
    let number = |text: &str| u64::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok();
    let (address, end) = (number(start)?, number(end)?);
    let (before, path) = rest.split_once('>')?;
    let uuid = before.rsplit_once('<')?.1.trim().to_lowercase();
    Some(Image { address, size: end.checked_sub(address)?.saturating_add(1), uuid, path: path.trim().to_owned() })
}
