//! Functions that stacks are known by, for those who walk them and those who name their frames.

/// Functions through which a signal handler returns. What is below one was interrupted and called nothing.
const SIGNAL_TRAMPOLINES: [&str; 9] = [
    "__restore_rt",
    "__restore",
    "__default_rt_sa_restorer",
    "__default_sa_restorer",
    "__kernel_rt_sigreturn",
    "__kernel_sigreturn",
    "__vdso_rt_sigreturn",
    "_sigtramp",
    "KiUserExceptionDispatcher",
];

/// The function that every stack of a program begins with.
pub const PROGRAM_ENTRY: &str = "_start";

/// Whether a signal handler returns through the function of this name.
pub fn is_signal_trampoline(function: &str) -> bool {
    SIGNAL_TRAMPOLINES.contains(&function)
}
