//! `llvm-symbolizer` and `addr2line`, asked for many addresses of one file.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::answers::{Answer, Frame};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LlvmAnswer {
    #[serde(default)]
    symbol: Vec<LlvmFrame>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LlvmFrame {
    function_name: String,
    file_name: String,
    line: u32,
}

/// The answers of `llvm-symbolizer --inlines`, in the order of the addresses.
pub fn llvm_symbolizer(file: &Path, addresses: &[u64]) -> Result<Vec<Answer>, String> {
    let program = (14..=22).rev().map(|version| format!("llvm-symbolizer-{version}")).find(|name| is_there(name));
    let program = program.unwrap_or_else(|| "llvm-symbolizer".to_owned());
    let mut command = Command::new(program);
    command.args(["--inlines", "--no-demangle", "--output-style=JSON", "--obj"]).arg(file);
    let output = ask(command, addresses)?;
    let answer = |line: &str| -> Result<Answer, String> {
        let answer: LlvmAnswer = serde_json::from_str(line).map_err(|error| format!("llvm-symbolizer: {error}"))?;
        let frames = answer.symbol.into_iter().map(|frame| Frame {
            name: frame.function_name,
            file: frame.file_name,
            line: frame.line,
        });
        Ok(known(frames.collect()))
    };
    let answers: Vec<_> = output.lines().filter(|line| !line.is_empty()).map(answer).collect::<Result<_, _>>()?;
    complete("llvm-symbolizer", answers, addresses)
}

/// The answers of `addr2line -f -i`, in the order of the addresses.
pub fn addr2line(file: &Path, addresses: &[u64]) -> Result<Vec<Answer>, String> {
    let mut command = Command::new("addr2line");
    command.args(["-a", "-f", "-i", "-e"]).arg(file);
    let output = ask(command, addresses)?;
    let mut answers: Vec<Answer> = Vec::with_capacity(addresses.len());
    let mut name = None;
    for line in output.lines() {
        if name.is_none() && line.starts_with("0x") {
            answers.push(Answer::new());
        } else if let Some(name) = name.take() {
            let line = line.split(" (discriminator").next().unwrap_or(line);
            let (file, number) = line.rsplit_once(':').unwrap_or((line, "0"));
            let file = if file == "??" { String::new() } else { file.to_owned() };
            let frame = Frame { name, file, line: number.parse().unwrap_or(0) };
            answers.last_mut().ok_or("addr2line answered without an address")?.push(frame);
        } else {
            name = Some(if line == "??" { String::new() } else { line.to_owned() });
        }
    }
    complete("addr2line", answers.into_iter().map(known).collect(), addresses)
}

/// An answer without frames that say nothing.
fn known(frames: Answer) -> Answer {
    if frames.iter().all(|frame| frame.name.is_empty() && frame.line == 0) { Answer::new() } else { frames }
}

fn complete(tool: &str, answers: Vec<Answer>, addresses: &[u64]) -> Result<Vec<Answer>, String> {
    if answers.len() == addresses.len() {
        return Ok(answers);
    }
    Err(format!("{tool} answered {} of {} addresses", answers.len(), addresses.len()))
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

fn ask(mut command: Command, addresses: &[u64]) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("{error}");
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().map_err(failed)?;
    let mut stdin = child.stdin.take().ok_or("no standard input")?;
    let questions: String = addresses.iter().map(|address| format!("{address:#x}\n")).collect();
    // A thread of its own: the tool answers while it is still asked.
    let writer = std::thread::spawn(move || stdin.write_all(questions.as_bytes()));
    let output = child.wait_with_output().map_err(failed)?;
    // A tool that ended early shows in the number of its answers.
    let _ended_early = writer.join();
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
