//! Starts the program. It decides nothing: the hidden verb `sandbox` goes to the parser of untrusted bytes before
//! anything else is set up, every other one to the command line.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|verb| verb == "sandbox") {
        return symdepot_parser::child_main();
    }
    symdepot::cli::main()
}
