//! The target `envelope` for libFuzzer. What it checks stands in the library.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| symdepot_fuzz::envelope(bytes));
