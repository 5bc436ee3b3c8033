//! Requests per second, counted by `wrk` over kept-alive connections. It runs on the same cores as the server.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::table::median;

/// Connections kept busy.
const CONNECTIONS: &str = "16";
/// Measurements, of which the middle one counts.
const RUNS: usize = 3;

/// What to ask.
pub struct Load<'a> {
    /// `host:port`.
    pub address: &'a str,
    /// Path of the URL.
    pub path: &'a str,
    /// Token to send.
    pub token: &'a str,
    /// Body of a POST; without one it is a GET.
    pub body: Option<&'a str>,
}

/// The middle of several counts of answers per second, asked by one thread.
pub fn requests_per_second(load: &Load<'_>) -> Result<f64> {
    counted(load, 1, true)
}

/// The same asked by so many threads, where every answer is to be a file, or none is.
pub fn counted(load: &Load<'_>, threads: u32, found: bool) -> Result<f64> {
    let script = crate::files::folder()?.join("load.lua");
    let mut lua = format!("wrk.headers[\"Authorization\"] = \"Bearer {}\"\n", load.token);
    if let Some(body) = load.body {
        lua.push_str("wrk.method = \"POST\"\nwrk.headers[\"Content-Type\"] = \"application/json\"\n");
        lua.push_str(&format!("wrk.body = [==[{body}]==]\n"));
    }
    std::fs::write(&script, lua)?;
    let url = format!("http://{}{}", load.address, load.path);
    let mut counts = Vec::new();
    for _ in 0..RUNS {
        let mut command = Command::new("wrk");
        command.args([&format!("-t{threads}"), "-c", CONNECTIONS, "-d4s", "-s"]).arg(&script).arg(&url);
        let output = command.output().context("wrk cannot be run")?;
        let text = String::from_utf8_lossy(&output.stdout);
        if text.contains("Non-2xx") == found {
            bail!("some answers were not as they should be: {text}");
        }
        let count = text.lines().find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok());
        counts.push(count.with_context(|| format!("no count in {text}"))?);
    }
    Ok(median(counts))
}
