//! The target `section` for libFuzzer. What it checks is in the library.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| symdepot_fuzz::section(bytes));
