//! The section `converter`: limits of the process that parses what was uploaded.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::MIB;

/// Limits of the process that parses what was uploaded.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Converter {
    /// Address space in bytes beyond the mapped file. `SYMDEPOT_CONVERTER__MEMORY`
    pub memory: u64,
    /// Longest time for one file. `SYMDEPOT_CONVERTER__TIMEOUT`
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Conversions at a time; 0 means the number of cores. `SYMDEPOT_CONVERTER__CONCURRENCY`
    pub concurrency: usize,
    /// Executable to run; empty means this one. `SYMDEPOT_CONVERTER__PROGRAM`
    pub program: PathBuf,
    /// For tests: makes every conversion `panic`, `memory`, `hang` or `abort`. `SYMDEPOT_CONVERTER__TEST_FAULT`
    pub test_fault: String,
}

impl Default for Converter {
    fn default() -> Self {
        Self {
            memory: 4096 * MIB,
            timeout: Duration::from_secs(300),
            concurrency: 0,
            program: PathBuf::new(),
            test_fault: String::new(),
        }
    }
}
