//! For tests, and in no release: goes wrong in the way that the task says, with the limits in force.

use std::time::Duration;

use rustix::process::Signal;

/// Goes wrong as `fault` says, or returns where it says nothing.
pub(super) fn misbehave(fault: &str) {
    match fault {
        "panic" => panic!("a fault for a test\nwith a second line"),
        "memory" => loop {
            std::mem::forget(Vec::<u8>::with_capacity(1 << 20));
        },
        "deep" => {
            std::hint::black_box(descend(1));
        }
        "hang" => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
        "abort" => rustix::process::kill_process(rustix::process::getpid(), Signal::ABORT).expect("nothing forbids it"),
        _ => {}
    }
}

#[expect(unconditional_recursion, reason = "it is there to overflow the stack")]
fn descend(depth: u64) -> u64 {
    std::hint::black_box(descend(std::hint::black_box(depth + 1))) + depth
}
