//! What the child gives up before it looks at a byte of what was uploaded: all paths, sockets, other processes, and any
//! right to run new code. What the kernel lacks is reported and is no failure.
//!
//! Two locks hold each other's place. Landlock lets no path be opened and no other process be signalled. seccomp lets
//! only the system calls through that reading memory, computing and writing to open descriptors need. The list names what
//! is allowed, because a list of what is forbidden would be out of date with the next kernel. A call that is not in the list
//! fails as if the kernel did not have it, which every library has an answer for, so an unusual file costs one error
//! and not the process.

use std::collections::BTreeMap;
use std::{env, io};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, LandlockStatus, Ruleset, RulesetAttr as _, RulesetStatus, Scope,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use symdepot_types::child_protocol::{Isolation, Lock};

/// The newest rights of Landlock that are asked for. An older kernel grants what it knows.
const LANDLOCK: ABI = ABI::V6;

/// What is called without any condition.
const CALLS: &[libc::c_long] = &[
    // Descriptors that are open already.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_close,
    // Memory. Mapping and protecting have conditions.
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    // Threads. Starting one has a condition.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getcpu,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Signals of its own, by which a full stack is found.
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    // Time and chance.
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_sysinfo,
];

/// Gives up what the kernel lets a process give up. From here on no descriptor can be opened.
pub(super) fn enter() -> io::Result<Isolation> {
    // In this order: Landlock needs a descriptor for a moment, and seccomp lets no limit be set.
    let landlock = landlock();
    super::limits::open_no_more()?;
    let seccomp = match seccomp() {
        Ok(()) => Lock::Closed,
        Err(reason) => Lock::Missing(reason),
    };
    Ok(Isolation { landlock, seccomp, escapes: Vec::new() })
}

fn landlock() -> Lock {
    // No rule follows, so nothing of what is handled is allowed.
    let restricted = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK))
        .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(LANDLOCK)))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(LANDLOCK)))
        .and_then(|ruleset| ruleset.create())
        .and_then(|ruleset| ruleset.restrict_self());
    match restricted {
        Ok(status) if status.ruleset != RulesetStatus::NotEnforced => Lock::Closed,
        Ok(status) => Lock::Missing(match status.landlock {
            LandlockStatus::NotEnabled => "the kernel has it and it is not enabled".to_owned(),
            _ => "the kernel does not have it".to_owned(),
        }),
        Err(error) => Lock::Missing(error.to_string()),
    }
}

fn seccomp() -> Result<(), String> {
    let program = program().map_err(|error| error.to_string())?;
    seccompiler::apply_filter(&program).map_err(|error| error.to_string())
}

fn program() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = CALLS.iter().map(|call| (*call, Vec::new())).collect();
    let own_id = u64::from(std::process::id());
    let no_code = || bits(2, libc::PROT_EXEC, 0);
    rules.insert(libc::SYS_mmap, vec![SeccompRule::new(vec![no_code()?])?]);
    rules.insert(libc::SYS_mprotect, vec![SeccompRule::new(vec![no_code()?])?]);
    // A thread and no process. `clone3` has its flags where no filter can look; without it, the C library takes this one.
    rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![bits(0, libc::CLONE_THREAD, libc::CLONE_THREAD)?])?]);
    rules.insert(libc::SYS_kill, vec![SeccompRule::new(vec![equal(0, own_id)?])?]);
    rules.insert(libc::SYS_tgkill, vec![SeccompRule::new(vec![equal(0, own_id)?])?]);
    // The name of a thread, and nothing else that can be set so.
    rules
        .insert(libc::SYS_prctl, vec![SeccompRule::new(vec![equal(0, u64::from(libc::PR_SET_NAME.unsigned_abs()))?])?]);
    // Limits can be read.
    rules.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![equal(0, 0)?, nothing(2)?])?]);
    let absent = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let arch: TargetArch = env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, absent, SeccompAction::Allow, arch)?.try_into()
}

/// Argument `at` has of the bits `mask` those that are in `bits`.
fn bits(at: u8, mask: libc::c_int, bits: libc::c_int) -> Result<SeccompCondition, seccompiler::BackendError> {
    let op = SeccompCmpOp::MaskedEq(u64::from(mask.unsigned_abs()));
    SeccompCondition::new(at, SeccompCmpArgLen::Dword, op, u64::from(bits.unsigned_abs()))
}

/// Argument `at`, an `int`, is `value`.
fn equal(at: u8, value: u64) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(at, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

/// Argument `at` is no pointer.
fn nothing(at: u8) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(at, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)
}
