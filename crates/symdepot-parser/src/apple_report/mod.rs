//! Crash reports of Apple's systems: the text form and the JSON form (`.ips`) become one request to name their frames. Every
//! line is looked at once. It never looks an address up.
//!
//! The forms are those of "Understanding the exception types in a crash report" and "Interpreting the JSON format of a crash
//! report" in Apple's documentation.

mod ips;
mod text;

use serde_json::{Map, Value, json};
use symdepot_types::child_protocol::AppleReport;

/// Threads of a report.
const MAX_THREADS: usize = 4_096;

/// Frames of a thread.
const MAX_FRAMES_OF_THREAD: usize = 1_024;

/// Frames of a report.
const MAX_FRAMES: usize = 100_000;

/// Images of a report.
const MAX_IMAGES: usize = 20_000;

/// What is read of a report, whatever its form.
#[derive(Debug, Default)]
struct Report {
    timestamp: Option<i64>,
    os: String,
    os_build: Option<String>,
    cpu: String,
    device: String,
    reason: String,
    details: String,
    threads: Vec<Thread>,
    images: Vec<Image>,
}

#[derive(Debug, Default)]
struct Thread {
    id: u64,
    name: Option<String>,
    crashed: bool,
    registers: Map<String, Value>,
    frames: Vec<Frame>,
}

#[derive(Debug)]
struct Frame {
    address: u64,
    package: String,
    symbol: Option<String>,
}

#[derive(Debug)]
struct Image {
    address: u64,
    size: u64,
    uuid: String,
    path: String,
}

/// Reads a report, or says what is wrong with it.
pub fn read(bytes: &[u8]) -> Result<AppleReport, String> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).trim_start();
    let report = if text.starts_with('{') { ips::read(text)? } else { text::read(text)? };
    if report.threads.is_empty() {
        return Err("it has no thread".to_owned());
    }
    Ok(report.finished())
}

impl Report {
    fn finished(mut self) -> AppleReport {
        let left_out = self.threads.len().saturating_sub(MAX_THREADS);
        if left_out > 0 {
            // The thread that crashed is always told of.
            let crashed = self.threads.iter().position(|thread| thread.crashed).filter(|at| *at >= MAX_THREADS);
            if let Some(at) = crashed {
                self.threads.swap(at, MAX_THREADS - 1);
            }
            self.threads.truncate(MAX_THREADS);
        }
        self.images.truncate(MAX_IMAGES);
        let mut left = MAX_FRAMES;
        let mut truncated = Vec::with_capacity(self.threads.len());
        for thread in &mut self.threads {
            let most = MAX_FRAMES_OF_THREAD.min(left);
            truncated.push(thread.frames.len() > most);
            thread.frames.truncate(most);
            left -= thread.frames.len();
        }
        let (name, version, build) = system(&self.os);
        let mut facts = Map::new();
        if let Some(timestamp) = self.timestamp {
            facts.insert("timestamp".to_owned(), json!(timestamp));
        }
        let system_info = json!({
            "os_name": name, "os_version": version, "os_build": self.os_build.unwrap_or(build),
            "cpu_arch": architecture(&self.cpu), "device_model": self.device,
        });
        facts.insert("system_info".to_owned(), system_info);
        facts.insert("crashed".to_owned(), json!(true));
        facts.insert("crash_reason".to_owned(), json!(self.reason));
        facts.insert("crash_details".to_owned(), json!(self.details));
        if left_out > 0 {
            facts.insert("threads_left_out".to_owned(), json!(left_out));
        }
        let request = json!({
            "stacktraces": self.threads.iter().map(Thread::wire).collect::<Vec<_>>(),
            "modules": self.images.iter().map(Image::wire).collect::<Vec<_>>(),
        });
        AppleReport { facts, truncated, request }
    }
}

impl Thread {
    fn wire(&self) -> Value {
        let mut thread = json!({
            "thread_id": self.id,
            "thread_name": self.name,
            "is_requesting": self.crashed,
            "frames": self.frames.iter().map(Frame::wire).collect::<Vec<_>>(),
        });
        if !self.registers.is_empty() {
            thread["registers"] = Value::Object(self.registers.clone());
        }
        thread
    }
}

impl Frame {
    fn wire(&self) -> Value {
        json!({ "instruction_addr": self.address, "package": self.package, "function": self.symbol })
    }
}

impl Image {
    fn wire(&self) -> Value {
        json!({
            "type": "macho", "debug_id": self.uuid, "code_id": self.uuid.replace('-', ""), "code_file": self.path,
            "debug_file": self.path, "image_addr": self.address, "image_size": self.size,
        })
    }
}

/// Name, version and build out of `macOS 13.4 (22F66)`. What has another form is a name as a whole.
fn system(text: &str) -> (String, String, String) {
    let (rest, build) = match text.rsplit_once(" (") {
        Some((rest, build)) => (rest, build.trim_end_matches(')')),
        None => (text, ""),
    };
    let is_version = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    match rest.rsplit_once(' ') {
        Some((name, version)) if is_version(version) => {
            let name = match name {
                "Mac OS X" => "macOS",
                "iPhone OS" => "iOS",
                name => name,
            };
            (name.to_owned(), version.to_owned(), build.to_owned())
        }
        _ => (text.to_owned(), String::new(), String::new()),
    }
}

/// The architecture out of `ARM-64 (Native)`.
fn architecture(code_type: &str) -> String {
    match code_type.split(" (").next().unwrap_or_default().trim() {
        "X86-64" => "x86_64".to_owned(),
        "ARM-64" => "arm64".to_owned(),
        "X86" => "x86".to_owned(),
        "ARM" => "arm".to_owned(),
        other => other.to_lowercase(),
    }
}

/// Seconds since 1970 of `2023-06-01 12:30:45.123 +0200`.
fn timestamp(text: &str) -> Option<i64> {
    let mut words = text.split_whitespace();
    let mut date = words.next()?.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let mut time = words.next()?.split('.').next()?.splitn(3, ':').map(str::parse::<i64>);
    let (hour, minute, second) = (time.next()?.ok()?, time.next()?.ok()?, time.next()?.ok()?);
    let in_range = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    if !in_range {
        return None;
    }
    let zone = words.next().and_then(zone).unwrap_or(0);
    // Days since 1970 in the proleptic Gregorian calendar, years beginning in March.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second - zone)
}

/// Seconds east of Greenwich of `+0200`.
fn zone(text: &str) -> Option<i64> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits = text.strip_prefix(['+', '-'])?;
    let (hours, minutes) = (digits.get(..2)?.parse::<i64>().ok()?, digits.get(2..4)?.parse::<i64>().ok()?);
    Some(sign * (hours * 3_600 + minutes * 60))
}

#[cfg(test)]
mod tests;
