//! The rules of the house, read from the source: who may import whom, which crate stays in which room, the shape of a
//! file. It looks at text alone and never runs anything.
//!
//! A rule that cannot fail is no rule, so each is also fed a line that breaks it.

mod limits;
mod source;

use std::path::Path;

use source::{Mention, Source, files, sources};

/// Every room, lowest first, and the rooms it may import. A room that is not here does not exist.
const ROOMS: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("clock", &["types"]),
    ("config", &["types"]),
    ("telemetry", &["types", "config"]),
    ("db", &["types", "clock", "config"]),
    ("blobs", &["types", "clock", "config"]),
    ("cache", &["types", "clock", "config"]),
    ("accounts", &["types", "clock", "config", "db", "cache"]),
    ("admission", &[]),
    ("uploads", &["types", "clock", "config", "db", "blobs", "cache", "accounts", "admission"]),
    ("debug_files", &["types", "clock", "config", "db", "blobs", "cache", "accounts", "admission", "uploads"]),
    ("symcaches", BELOW_SYMCACHES),
    ("upstreams", BELOW_UPSTREAMS),
    ("symbolication", BELOW_SYMBOLICATION),
    ("events", BELOW_EVENTS),
    ("upkeep", &["types", "clock", "config", "db", "blobs"]),
    ("app", HANDLES_AND_DOMAIN),
    ("jobs", FRONT_DOOR),
    ("http", FRONT_DOOR),
    ("server", SERVER),
    ("cli", CLI),
    // `main` also names the parser crate: the hidden verb of the child process is reached before anything else is set up.
    ("main", &["cli"]),
    ("lib", &[]),
];

const BELOW_SYMCACHES: &[&str] =
    &["types", "clock", "config", "db", "blobs", "cache", "accounts", "admission", "uploads", "debug_files"];

const BELOW_UPSTREAMS: &[&str] = &[
    "types",
    "clock",
    "config",
    "db",
    "blobs",
    "cache",
    "accounts",
    "admission",
    "uploads",
    "debug_files",
    "symcaches",
];

const BELOW_SYMBOLICATION: &[&str] = &[
    "types",
    "clock",
    "config",
    "db",
    "blobs",
    "cache",
    "accounts",
    "admission",
    "uploads",
    "debug_files",
    "symcaches",
    "upstreams",
];

const BELOW_EVENTS: &[&str] = &[
    "types",
    "clock",
    "config",
    "db",
    "blobs",
    "cache",
    "accounts",
    "admission",
    "uploads",
    "debug_files",
    "symcaches",
    "upstreams",
    "symbolication",
];

const HANDLES_AND_DOMAIN: &[&str] = &[
    "types",
    "clock",
    "config",
    "db",
    "blobs",
    "cache",
    "accounts",
    "admission",
    "uploads",
    "debug_files",
    "symcaches",
    "upstreams",
    "symbolication",
    "events",
    "upkeep",
];

/// Both front doors see the same rooms, and neither sees the other.
const FRONT_DOOR: &[&str] = &[
    "types",
    "clock",
    "config",
    "db",
    "blobs",
    "cache",
    "accounts",
    "admission",
    "uploads",
    "debug_files",
    "symcaches",
    "upstreams",
    "symbolication",
    "events",
    "upkeep",
    "app",
];

const SERVER: &[&str] = &["types", "clock", "config", "telemetry", "accounts", "debug_files", "app", "http", "jobs"];

const CLI: &[&str] = &[
    "types",
    "clock",
    "config",
    "telemetry",
    "db",
    "blobs",
    "cache",
    "accounts",
    "admission",
    "uploads",
    "debug_files",
    "symcaches",
    "upstreams",
    "symbolication",
    "events",
    "upkeep",
    "app",
    "jobs",
    "server",
];

/// Crates that only some places may name. Paths are below `src`, or below the top level for other crates.
const CRATES: &[(&str, &[&str])] = &[
    ("axum", &["http/", "server"]),
    ("hyper", &["server/"]),
    ("hyper_util", &["server/"]),
    ("tower", &["server/"]),
    ("sqlx", &["db/"]),
    ("moka", &["cache/"]),
    ("redis", &["cache/"]),
    ("aws_sdk_s3", &["blobs/s3"]),
    ("aws_config", &["blobs/s3"]),
    ("reqwest", &["upstreams/"]),
    ("rustls", &["upstreams/"]),
    ("symdepot_parser", &["main.rs"]),
    ("minidump", &[PARSER]),
    ("minidump_unwind", &[PARSER]),
    ("breakpad_symbols", &[PARSER]),
    ("proguard", &[PARSER, "symbolication/jvm"]),
    ("cab", &[PARSER, "symcaches/"]),
    ("symbolic", &[PARSER, "symcaches/", "symbolication/"]),
    ("symbolic_common", &[DEMANGLE]),
    ("symbolic_demangle", &[DEMANGLE]),
    ("rustc_demangle", &[DEMANGLE]),
    ("symdepot_demangle", &[PARSER, "symcaches/", "symbolication/"]),
    ("gimli", &[PARSER]),
    ("lzma_rust2", &[PARSER]),
    ("object", &[PARSER]),
    ("zip", &[PARSER]),
    ("landlock", &[PARSER]),
    ("libc", &[PARSER]),
    ("seccompiler", &[PARSER]),
    ("anyhow", &["cli/", "jobs/", "main.rs"]),
    ("clap", &["cli/", "main.rs"]),
    ("figment", &["config/"]),
];

const PARSER: &str = "crates/symdepot-parser/";
const DEMANGLE: &str = "crates/symdepot-demangle/";

/// Calls that have one home. A thread that waits for a task holds what the task may need: no code does it but the start.
const CALLS: &[(&str, &[&str])] = &[
    ("Utc::now", &["clock.rs"]),
    ("env::var", &["config/"]),
    ("process::exit", &[]),
    ("process::abort", &[]),
    ("block_on", &["main.rs", "cli/mod.rs", "cli/run.rs"]),
];

/// Words that stand for unfinished work or a silenced warning.
const UNFINISHED: &[&str] = &["todo!(", "unimplemented!(", "dbg!(", "#[ignore", "#[allow(", "#![allow("];
const NOTES_TO_SELF: &[&str] = &["TODO", "FIXME", "XXX", "HACK"];

const LONGEST_FILE: usize = 400;

/// Everything a source file does against the rules, one sentence each.
fn faults(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    for mention in source.mentions() {
        faults.extend(import_fault(source, &mention).map(|fault| format!("{}:{}: {fault}", source.path, mention.line)));
    }
    faults.extend(shape_faults(source).into_iter().map(|fault| format!("{}: {fault}", source.path)));
    faults.dedup();
    faults
}

fn import_fault(source: &Source, mention: &Mention) -> Option<String> {
    let first = mention.names[0].as_str();
    let second = mention.names.get(1).map_or("", String::as_str);
    if first == "super" && second == "super" {
        return Some("`super::super` hides which room is meant; start from `crate`".into());
    }
    if source.path.starts_with("crates/") && first == "crate" {
        return None;
    }
    if first == "crate" || first == "symdepot" {
        return room_fault(source.room(), second);
    }
    let (_, homes) = CRATES.iter().find(|(name, _)| *name == first)?;
    let at_home = homes.iter().any(|home| source.path.starts_with(home));
    (!at_home).then(|| format!("`{first}` may be named only in {}", homes.join(", ")))
}

fn room_fault(room: &str, wanted: &str) -> Option<String> {
    let Some((_, may_import)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        return Some(format!("the room `{room}` is not in the table of rooms"));
    };
    if wanted == room || may_import.contains(&wanted) {
        return None;
    }
    Some(match ROOMS.iter().any(|(name, _)| *name == wanted) {
        true => format!("`{room}` may not import `{wanted}`"),
        false => format!("`crate::{wanted}` is not a room; name the room that holds it"),
    })
}

fn shape_faults(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    if !source.text.starts_with("//! ") && source.path != "lib.rs" {
        faults.push("a file opens with `//!`, saying what it is for".to_owned());
    }
    let lines = source.text.lines().count();
    if lines > LONGEST_FILE {
        faults.push(format!("{lines} lines are more than {LONGEST_FILE}; which two ideas live here?"));
    }
    if source.shipped_code().contains(".unwrap()") {
        faults.push("`unwrap()` outside tests; `expect` says why it holds".to_owned());
    }
    for word in UNFINISHED.iter().filter(|word| source.code.contains(**word)) {
        faults.push(format!("`{word}` is not for keeping"));
    }
    for word in NOTES_TO_SELF.iter().filter(|word| source.text.contains(**word)) {
        faults.push(format!("`{word}`: do it, or write it into an issue"));
    }
    for (call, homes) in CALLS {
        if source.shipped_code().contains(call) && !homes.contains(&source.path.as_str()) {
            faults.push(format!("`{call}` is called only in {homes:?}"));
        }
    }
    faults
}

/// Names that belong to one machine or to one company's mirror. They are put together here, so that this file holds none.
fn foreign_names() -> Vec<String> {
    let pairs = [
        ("/wo", "rk/"),
        ("/ro", "ot/"),
        ("pypi", ".org"),
        ("pythonhosted", ".org"),
        ("npmjs", ".org"),
        ("npmjs", ".com"),
        ("index.crates", ".io"),
        ("static.crates", ".io"),
        ("deb.debian", ".org"),
    ];
    pairs.iter().map(|(start, end)| format!("{start}{end}")).collect()
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_source_keeps_the_rules_of_the_house() {
    let mut sources = sources(&repository().join("src"));
    assert!(sources.len() > 20, "the sources were found");
    for name in ["symdepot-demangle", "symdepot-parser", "symdepot-types"] {
        let folder = format!("crates/{name}/src");
        let found = source::sources(&repository().join(&folder));
        assert!(found.len() > 5, "the sources of {name} were found");
        sources.extend(found.into_iter().map(|source| Source::new(format!("{folder}/{}", source.path), source.text)));
    }
    let faults: Vec<String> = sources.iter().flat_map(faults).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn no_committed_file_names_a_machine_or_a_registry_host() {
    let skipped = ["target", ".git", "symdepot-data", "corpus", "artifacts"];
    let wanted = |folder: &Path| !folder.file_name().is_some_and(|name| skipped.iter().any(|skip| name == *skip));
    let names = foreign_names();
    let mut faults = Vec::new();
    for path in files(repository(), &wanted) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let name = path.strip_prefix(repository()).expect("the file was found below this folder");
        faults.extend(
            names.iter().filter(|foreign| text.contains(*foreign)).map(|foreign| format!("{name:?}: {foreign}")),
        );
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_room_imports_only_rooms_that_stand_above_it_in_the_table() {
    for (position, (room, may_import)) in ROOMS.iter().enumerate() {
        for wanted in *may_import {
            let found = ROOMS.iter().position(|(name, _)| name == wanted);
            assert!(found.is_some_and(|found| found < position), "{room} -> {wanted}");
        }
    }
    for (one, other) in [("http", "jobs"), ("jobs", "http")] {
        assert!(room_fault(one, other).is_some(), "the front doors meet");
    }
}

#[test]
fn each_rule_catches_the_line_that_breaks_it() {
    let long = "//! Long.\n".to_owned() + &"\n".repeat(LONGEST_FILE);
    let cases = [
        ("db/rows.rs", "use axum::Json;", "`axum` may be named only in http/, server"),
        ("uploads/mod.rs", "use { std::fs, sqlx::{query, query_as} };", "`sqlx` may be named only in db/"),
        ("uploads/mod.rs", "extern crate sqlx;", "`sqlx` may be named only in db/"),
        ("uploads/mod.rs", "#[derive(sqlx::FromRow)] struct Row;", "`sqlx` may be named only in db/"),
        ("http/auth.rs", "type Cache = ::moka::future::Cache<u8, u8>;", "`moka` may be named only in cache/"),
        (
            "jobs/assemble.rs",
            "fn f() { symbolic::debuginfo::Archive::peek(b\"\"); }",
            "`symbolic` may be named only in",
        ),
        ("symcaches/lookup.rs", "use symdepot_parser::detect;", "`symdepot_parser` may be named only in main.rs"),
        (
            "crates/symdepot-types/src/scope.rs",
            "use zip::ZipArchive;",
            "`zip` may be named only in crates/symdepot-parser/",
        ),
        ("crates/symdepot-types/src/scope.rs", "use symdepot::db::Db;", "the room `crates` is not in the table"),
        ("blobs/filesystem.rs", "use aws_sdk_s3 as s3;", "`aws_sdk_s3` may be named only in blobs/s3"),
        ("db/mod.rs", "use anyhow::Context as _;", "`anyhow` may be named only in cli/"),
        ("http/error.rs", "use crate::jobs::Outcome;", "`http` may not import `jobs`"),
        ("jobs/worker.rs", "use crate::{app::App, http::error::ApiError};", "`jobs` may not import `http`"),
        ("jobs/mod.rs", "use super::http;", "`jobs` may not import `http`"),
        ("types/mod.rs", "fn f(db: &crate::db::Db) {}", "`types` may not import `db`"),
        ("uploads/mod.rs", "pub(crate) use crate::debug_files as files;", "`uploads` may not import `debug_files`"),
        ("symcaches/store.rs", "use crate::app::App;", "`symcaches` may not import `app`"),
        ("main.rs", "use symdepot::server;", "`main` may not import `server`"),
        ("db/mod.rs", "use crate::Everything;", "`crate::Everything` is not a room"),
        ("cellar/mod.rs", "use crate::db::Db;", "the room `cellar` is not in the table"),
        ("http/sentry/dif.rs", "use super::super::jobs;", "`super::super` hides which room is meant"),
        ("db/mod.rs", "fn f() { None::<u8>.unwrap(); }", "`unwrap()` outside tests"),
        ("db/mod.rs", "fn f() { todo!() }", "`todo!(` is not for keeping"),
        ("db/mod.rs", "#[allow(dead_code)] fn f() {}", "`#[allow(` is not for keeping"),
        ("db/mod.rs", "// FIXME", "`FIXME`: do it"),
        ("db/mod.rs", "fn f() { chrono::Utc::now(); }", "`Utc::now` is called only in"),
        ("http/auth.rs", "fn f() { std::env::var(\"A\"); }", "`env::var` is called only in"),
        ("blobs/pieces.rs", "fn f() { Handle::current().block_on(g()); }", "`block_on` is called only in"),
        ("types/scope.rs", long.as_str(), "401 lines are more than 400"),
    ];
    for (path, line, expected) in cases {
        let text = if line.starts_with("//!") { line.to_owned() } else { format!("//! A file.\n\n{line}\n") };
        let faults = faults(&Source::new(path, text));
        assert!(faults.len() == 1 && faults[0].contains(expected), "{path}: {line}\n{faults:#?}");
    }
    let bare = faults(&Source::new("db/mod.rs", "use std::fmt;\n"));
    assert_eq!(bare, ["db/mod.rs: a file opens with `//!`, saying what it is for"]);
}

#[test]
fn what_only_looks_like_a_breach_is_left_alone() {
    let text = r##"//! Mentions `axum::Json` and crate::jobs in words.

use super::{Caller, jobs_done};
use crate::http::error::ApiError;

/* use sqlx::query; /* nested axum::Json */ still a comment */
// use crate::jobs::Outcome;
fn f<'a>(quote: char, request: &'a mut Request) -> &'a str {
    let _ = (quote == '"', '\'', "use sqlx::query \" axum::Json", r#"crate::jobs "moka::x" "#, b"sqlx::", br"C:\");
    request.axum::<u8>();
    Vec::<u8>::new();
    Thing::moka::x();
    helper.unwrap_or_default();
    "crate::jobs::f"
}

#[cfg(test)]
mod tests {
    fn f() { None::<u8>.unwrap(); }
}
"##;
    assert_eq!(faults(&Source::new("http/auth.rs", text)), Vec::<String>::new());
}
