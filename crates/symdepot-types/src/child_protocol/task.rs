//! The task that the server gives to a child process, and the report that comes back. It never says how anything is done.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Detection, Hints, Isolation, Statistics, WalkModule};
use crate::{CodeId, DebugId, Sha1};

/// Version of the symcache format that the converter writes. A test of the parser crate compares it with the writer's.
pub const FORMAT_VERSION: i64 = 9;

/// Names the converter and everything that changes its output.
pub const CONVERTER_VERSION: &str = "symdepot-1+symbolic-13.9.0";

/// Names what makes Breakpad text, and everything that changes its output.
pub const BREAKPAD_VERSION: &str = "from-symcache-1";

/// Names what makes tables of call frame information, and everything that changes its output.
pub const CFI_VERSION: &str = "cfi-1+symbolic-13.9.0";

/// Names what makes tables of ProGuard mappings, and everything that changes its output.
pub const PROGUARD_VERSION: &str = "proguard-5.10.5";

/// The command line verb of the child.
pub const VERB: &str = "sandbox";

/// What a child is asked to do, within which limits.
#[derive(Debug, Serialize, Deserialize)]
pub struct Task {
    /// Address space in bytes beyond the program and the files.
    pub memory: u64,
    /// Processor time.
    pub timeout: Duration,
    /// Process id of the server; a child with another parent ends.
    pub server: u32,
    /// What goes wrong.
    #[cfg(feature = "testing")]
    pub fault: String,
    /// What to do.
    pub work: Work,
}

/// What a child is asked to do.
#[derive(Debug, Serialize, Deserialize)]
pub enum Work {
    /// Say what the file is.
    Detect(Hints),
    /// Make a symcache.
    Convert {
        /// Of this object.
        debug_id: DebugId,
        /// Whether there is a `BCSymbolMap` to apply.
        bcsymbolmap: bool,
        /// Whether there is an il2cpp line mapping to apply.
        il2cpp: bool,
        /// Whether there is the file that `dwz` moved common entries to.
        #[serde(default)]
        supplementary: bool,
        /// How many threads may work at a time; 0 is one.
        #[serde(default)]
        threads: usize,
    },
    /// Write Breakpad text.
    Dump(DumpTask),
    /// Write one source of a source bundle.
    Source {
        /// The path that debug information has for it.
        path: String,
    },
    /// Write lines of sources of a source bundle, as JSON.
    SourceLines(Vec<SourceWant>),
    /// Write the table of call frame information of this object.
    Cfi {
        /// The object.
        debug_id: DebugId,
    },
    /// Write what a dump is of, as JSON.
    Survey,
    /// Walk the stacks of a dump with the tables of these modules, and write them as JSON.
    Walk(Vec<WalkModule>),
    /// Write the table of a ProGuard mapping.
    Proguard,
    /// Write what a crash report of Apple's systems says, as JSON.
    AppleReport,
    /// Write the files of a zip one after the other, and behind them their list.
    Unzip {
        /// Most bytes of content.
        max_size: u64,
    },
    /// Write the one file of a cabinet.
    Uncab {
        /// Most bytes of content.
        max_size: u64,
    },
    /// Say what was given up, and try whether it can be had all the same.
    Probe,
}

/// Lines of one source file that are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceWant {
    /// The path that debug information has for it.
    pub path: String,
    /// Their numbers, from 1.
    pub lines: BTreeSet<u32>,
}

/// A line of a source file and its neighbours, shortened where they are long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceLines {
    /// The path that was asked for.
    pub path: String,
    /// The number of the line.
    pub number: u32,
    /// Up to five lines before it.
    pub before: Vec<String>,
    /// The line.
    pub line: String,
    /// Up to five lines behind it.
    pub behind: Vec<String>,
}

/// A debug file and what else goes into its Breakpad text.
#[derive(Debug, Serialize, Deserialize)]
pub struct DumpTask {
    /// What the text says of the file.
    pub text: BreakpadText,
    /// Whether there is a file with the code, which has unwind information that the debug file may lack.
    pub unwinding: bool,
    /// Whether there is a `BCSymbolMap` to apply.
    pub bcsymbolmap: bool,
    /// Whether there is the file that `dwz` moved common entries to.
    #[serde(default)]
    pub supplementary: bool,
}

/// What a child says at its end.
#[derive(Debug, Serialize, Deserialize)]
pub enum Report {
    /// What the file is.
    Detected(Detection),
    /// A symcache, or a source, or what was unpacked, is in the file for the result.
    Made {
        /// Its size.
        size: u64,
        /// Its checksum.
        sha1: Sha1,
        /// Of a symcache: what it holds.
        #[serde(default)]
        statistics: Option<Statistics>,
    },
    /// The file does not have what was asked for.
    Absent,
    /// The files of a zip are in the file for the result, and behind them their list.
    Unzipped {
        /// Where the list begins.
        list_at: u64,
    },
    /// What the child gave up, and what it could do all the same.
    Isolated(Isolation),
    /// The file is at fault; the sentence says why.
    Refused(String),
    /// There is no space for the result.
    Full,
    /// Something else is at fault.
    Failed(String),
}

/// Most bytes of what a child writes as JSON.
pub const MAX_JSON: u64 = 64 << 20;

/// Most files of one task.
pub const MOST_FILES: usize = 240;

/// Most bytes of the list behind the files of a zip.
pub const LONGEST_LIST: u64 = 32 << 20;

impl Task {
    /// The refusal of a file with a reason in the middle of a sentence.
    pub fn refused(&self, reason: &str) -> Report {
        let verb = match self.work {
            Work::Detect(_) => "read",
            Work::Convert { .. } | Work::Dump(_) | Work::Proguard | Work::Cfi { .. } => "converted",
            Work::Survey | Work::Walk(_) => "read as a minidump",
            Work::Source { .. } | Work::SourceLines(_) => "searched",
            Work::AppleReport => "read as a crash report",
            Work::Unzip { .. } => "unzipped",
            Work::Uncab { .. } => "unpacked",
            Work::Probe => "looked at",
        };
        Report::Refused(format!("The file cannot be {verb}: {reason}."))
    }

    /// Most bytes that it may write.
    pub fn most_output(&self) -> u64 {
        match self.work {
            Work::Unzip { max_size } => max_size.saturating_add(LONGEST_LIST),
            Work::Uncab { max_size } => max_size.saturating_add(1),
            Work::SourceLines(_) | Work::AppleReport | Work::Survey | Work::Walk(_) => MAX_JSON,
            _ => self.memory,
        }
    }
}

impl Work {
    /// Whether a file that is read comes with it.
    pub fn reads(&self) -> bool {
        !matches!(self, Self::Probe)
    }

    /// Whether a file for the result comes with it.
    pub fn writes(&self) -> bool {
        !matches!(self, Self::Detect(_) | Self::Probe)
    }

    /// Which of its further files come with it.
    pub fn others(&self) -> Vec<bool> {
        match self {
            Self::Convert { bcsymbolmap, il2cpp, supplementary, .. } => vec![*bcsymbolmap, *il2cpp, *supplementary],
            Self::Walk(modules) => {
                vec![true; modules.iter().map(|module| module.cfi + usize::from(module.symcache)).sum()]
            }
            Self::Dump(task) => vec![task.unwinding, task.bcsymbolmap, task.supplementary],
            _ => Vec::new(),
        }
    }

    /// The part of the test setting that is meant for this work.
    #[cfg(feature = "testing")]
    pub fn fault<'a>(&self, setting: &'a str) -> &'a str {
        match self {
            Self::Detect(_) => setting.strip_prefix("detect-").unwrap_or_default(),
            Self::Dump(_) => setting.strip_prefix("dump-").unwrap_or_default(),
            Self::Convert { .. } if !setting.contains('-') => setting,
            _ => "",
        }
    }
}

/// What the text says of the file it is about.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BreakpadText {
    /// Its debug id.
    pub debug_id: DebugId,
    /// Its code id.
    pub code_id: Option<CodeId>,
    /// What it is called, unless it has a name in itself.
    pub name: String,
    /// What the file with the code is called, if that is another one.
    pub code_file: Option<String>,
}

/// One file of a zip; its content stands behind that of the entries before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZipEntry {
    /// Path in the zip.
    pub name: String,
    /// Size of the content in bytes.
    pub size: u64,
}
