//! What children say of minidumps and of crash reports. Plain values; nothing here looks at bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a dump is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DumpSurvey {
    /// How many threads it has.
    pub threads: u64,
    /// Its modules, by address.
    pub modules: Vec<DumpModule>,
}

/// A module of a dump.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DumpModule {
    /// `elf`, `macho` or `pe`.
    pub kind: String,
    /// Where it is loaded.
    pub address: u64,
    /// How many bytes it has there.
    pub size: u64,
    /// Path of the module.
    pub code_file: String,
    /// Path of its debug file.
    pub debug_file: Option<String>,
    /// Debug id, in any spelling.
    pub debug_id: Option<String>,
    /// Code id.
    pub code_id: Option<String>,
}

/// The tables of a module that come with the task to walk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalkModule {
    /// Where it is loaded.
    pub address: u64,
    /// Tables of call frame information, the first to ask first.
    pub cfi: usize,
    /// Whether its symcache comes behind them.
    pub symcache: bool,
}

/// The stacks of a dump.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WalkedDump {
    /// Fields of the response beside threads and modules.
    pub facts: Map<String, Value>,
    /// Its threads, in its order.
    pub threads: Vec<WalkedThread>,
    /// Beginnings of the modules whose call frame information was used.
    pub used: Vec<u64>,
}

/// The stack of a thread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalkedThread {
    /// Number of the thread.
    pub id: u32,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Whether it crashed.
    pub crashed: bool,
    /// Registers of its innermost frame.
    pub registers: BTreeMap<String, u64>,
    /// Its frames, innermost first.
    pub frames: Vec<WalkedFrame>,
    /// Whether there are more.
    pub truncated: bool,
}

/// A frame of a walked stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalkedFrame {
    /// Where the thread is, or will go on.
    pub address: u64,
    /// How it was found, in the word of the wire.
    pub trust: String,
}

/// What a crash report of Apple's systems says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppleReport {
    /// Fields of the response beside threads and modules.
    pub facts: Map<String, Value>,
    /// Of each thread, whether frames were left out.
    pub truncated: Vec<bool>,
    /// Threads and modules, in the form of a request to name frames.
    pub request: Value,
}
