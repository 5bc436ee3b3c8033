//! The section `converter`: limits of the process that parses what was uploaded.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ConfigError, MIB, or_cores, refuse};

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
    /// Threads of a conversion while no other runs; 0 means the number of cores. `SYMDEPOT_CONVERTER__THREADS`
    pub threads: usize,
    /// Address space in bytes for all conversions at a time together; 0 means no limit but their number.
    /// `SYMDEPOT_CONVERTER__MEMORY_TOTAL`
    pub memory_total: u64,
    /// Executable to run; empty means this one. One that stands in front of it ends with `exec`.
    /// `SYMDEPOT_CONVERTER__PROGRAM`
    pub program: PathBuf,
    /// Makes every conversion `panic`, `memory`, `hang` or `abort`. `SYMDEPOT_CONVERTER__TEST_FAULT`
    #[cfg(feature = "testing")]
    pub test_fault: String,
}

impl Default for Converter {
    fn default() -> Self {
        Self {
            memory: 4096 * MIB,
            timeout: Duration::from_secs(300),
            concurrency: 0,
            threads: 0,
            memory_total: 0,
            program: PathBuf::new(),
            #[cfg(feature = "testing")]
            test_fault: String::new(),
        }
    }
}

impl Converter {
    /// Refuses a room in which not even one file could be converted.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.memory_total != 0 && self.memory_total < self.memory {
            let allowed = "0, or at least `converter.memory`";
            return refuse("converter.memory_total", self.memory_total.to_string(), allowed);
        }
        Ok(())
    }

    /// Short tasks at a time beside the conversions: what a file is, what is in a zip, one source. They are many and small,
    /// so there are more of them than cores, and some are left when an organization has hostile files in the others.
    pub fn short_at_a_time(&self) -> usize {
        let wanted = (or_cores(0) + 2).clamp(4, 16);
        match self.memory_total {
            0 => wanted,
            // Together no more than the conversions.
            total => wanted.min(usize::try_from(total / self.memory.max(1)).unwrap_or(usize::MAX)).max(2),
        }
    }

    /// Conversions at a time: as many as are wanted and have room together.
    pub fn at_a_time(&self) -> usize {
        let wanted = or_cores(self.concurrency);
        match self.memory_total {
            0 => wanted,
            total => wanted.min(usize::try_from(total / self.memory.max(1)).unwrap_or(usize::MAX)).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_at_a_time_have_room_together() {
        let with = |concurrency, memory_total| Converter { concurrency, memory_total, ..Converter::default() };
        assert_eq!(with(8, 0).at_a_time(), 8);
        assert_eq!(with(8, 12 << 30).at_a_time(), 3, "of 4 GiB each");
        assert_eq!(with(8, (12 << 30) - 1).at_a_time(), 2);
        assert_eq!(with(2, 1 << 50).at_a_time(), 2);
        assert!(with(8, 1 << 30).check().is_err(), "no room for one");
        assert!(with(8, 4 << 30).check().is_ok());
    }
}
