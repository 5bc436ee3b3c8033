//! The child process that reads uploads has nothing but its task: no path, no socket, no other process, and no word of
//! its task where others on the machine can see it. What the kernel lacks for that is in the log.

use std::collections::BTreeMap;
use std::time::Duration;

use seccompiler::{SeccompAction, SeccompFilter};
use symdepot::symcaches::sandbox::{
    BreakpadFiles, BreakpadText, Conversion, Detection, Hints, MappingFiles, OnBehalf, Sandbox, SandboxSettings,
};
use symdepot::types::child_protocol::{Isolation, Lock};

use crate::support::fixtures::{self, sandbox, settings};
use crate::support::process::TestProcess;
use crate::support::until;

const CALC: &str = "elf-x86_64-gcc-dwarf4/calc.debug";
const CALC_ID: &str = "4ec932a9-e89a-f8cd-96b5-496a980e4efe";

/// Does `work` where the kernel answers that it does not have these system calls, as an older or smaller one does.
fn on_a_kernel_without<T: Send>(calls: &[libc::c_long], work: impl AsyncFnOnce() -> T + Send) -> T {
    let absent = calls.iter().map(|call| (*call, Vec::new())).collect::<BTreeMap<_, _>>();
    let not_there = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(absent, SeccompAction::Allow, not_there, arch).unwrap();
    let filter: seccompiler::BpfProgram = filter.try_into().unwrap();
    // A thread of its own, which ends with what it can no longer do, and hands it on to what it starts.
    let restricted = || {
        seccompiler::apply_filter(&filter).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work())
    };
    std::thread::scope(|scope| scope.spawn(restricted).join().unwrap())
}

async fn isolation() -> Isolation {
    sandbox().isolation().await.unwrap()
}

async fn converts() -> bool {
    let id = CALC_ID.parse().unwrap();
    let made = sandbox().convert(&fixtures::open(CALC), &id, &MappingFiles::default()).await.unwrap();
    matches!(made, Conversion::Made { .. })
}

#[tokio::test]
async fn the_child_can_open_no_path_and_no_socket_and_reach_no_process() {
    let isolation = isolation().await;
    assert_eq!(isolation.escapes, [""; 0]);
    assert_eq!(isolation.seccomp, Lock::Closed);
    // A kernel that has no Landlock says that it lacks the call; anything else is a mistake of ours.
    if let Lock::Missing(reason) = &isolation.landlock {
        assert!(!reason.contains("Too many open files"), "{reason}");
    }
}

#[test]
fn without_landlock_the_child_is_held_by_seccomp_alone() {
    let (isolation, converts) =
        on_a_kernel_without(&[libc::SYS_landlock_create_ruleset], async || (isolation().await, converts().await));
    assert!(matches!(isolation.landlock, Lock::Missing(_)), "{isolation:?}");
    assert_eq!((isolation.seccomp, isolation.escapes), (Lock::Closed, Vec::new()));
    assert!(converts);
}

#[test]
fn without_seccomp_the_child_still_opens_no_path() {
    let (isolation, converts) =
        on_a_kernel_without(&[libc::SYS_seccomp], async || (isolation().await, converts().await));
    assert!(matches!(isolation.seccomp, Lock::Missing(_)), "{isolation:?}");
    // It has no descriptor left to open one with, whether or not this kernel has Landlock.
    for escape in ["open a path", "list its descriptors", "make a network socket", "make a local socket"] {
        assert!(!isolation.escapes.iter().any(|escaped| escaped == escape), "{isolation:?}");
    }
    assert!(converts);
}

#[test]
fn a_server_says_once_what_its_kernel_lacks() {
    let calls = [libc::SYS_landlock_create_ruleset, libc::SYS_seccomp];
    let log = on_a_kernel_without(&calls, async || {
        let process = TestProcess::start_embedded("the kernel is the same in both forms", &[]).await;
        until("the log names what is missing", || async {
            process.log().contains("is not isolated as it should be").then(|| process.log())
        })
        .await
    });
    let lines: Vec<_> = log.lines().filter(|line| line.contains("is not isolated as it should be")).collect();
    let [line] = &lines[..] else { panic!("{log}") };
    assert!(line.contains("Landlock") && line.contains("seccomp"), "{line}");
}

#[tokio::test]
async fn a_server_with_all_of_it_says_nothing() {
    if !isolation().await.is_whole() {
        return;
    }
    let debug = [("SYMDEPOT_LOG", "symdepot=debug,info")];
    let process = TestProcess::start_embedded("the kernel is the same in both forms", &debug).await;
    until("the child was tried", || async { process.log().contains("isolated").then_some(()) }).await;
    assert!(!process.log().contains("is not isolated"), "{}", process.log());
}

/// The arguments of the children of this process, which are those of several tests.
fn arguments_of_children() -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap() {
        let path = entry.unwrap().path();
        let read = |name: &str| std::fs::read_to_string(path.join(name)).unwrap_or_default();
        let arguments: Vec<String> = read("cmdline").split_terminator('\0').map(str::to_owned).collect();
        let is_ours = read("status").contains(&format!("PPid:\t{}\n", std::process::id()));
        if is_ours && arguments.iter().any(|argument| argument == "sandbox") {
            found.push(arguments);
        }
    }
    found
}

#[tokio::test]
async fn others_on_the_machine_see_the_verb_of_a_child_and_no_word_of_its_task() {
    let slow = SandboxSettings { test_fault: "detect-hang".to_owned(), timeout: Duration::from_secs(60), ..settings() };
    let program = slow.program.to_str().unwrap().to_owned();
    let hints = Hints { name: "a-name-that-is-secret".to_owned(), debug_id: Some(CALC_ID.to_owned()) };
    let (sandbox, file) = (Sandbox::new(slow), fixtures::open(CALC));
    let detecting = sandbox.detect(&file, &hints);
    let seen = until("a child runs", || async {
        let found = arguments_of_children();
        found.iter().any(|arguments| arguments[0] == program).then_some(found)
    });
    let seen = tokio::select! { seen = seen => seen, ended = detecting => panic!("{ended:?}") };
    for arguments in seen {
        assert_eq!(arguments.last().map(String::as_str), Some("sandbox"), "{arguments:?}");
        assert!(!arguments.iter().any(|argument| argument.contains(['{', '"'])), "{arguments:?}");
    }
}

#[tokio::test]
async fn a_name_of_five_megabytes_is_no_reason_to_fail() {
    let long = format!("{}.debug", "ü".repeat(2_500_000));
    let sandbox = sandbox();
    let hints = Hints { name: long.clone(), debug_id: None };
    let Detection::Objects(objects) = sandbox.detect(&fixtures::open(CALC), &hints).await.unwrap() else {
        panic!("it is refused")
    };
    assert_eq!(objects.len(), 1);
    let found = sandbox.detect(&fixtures::file_of(b"no debug file"), &hints).await.unwrap();
    assert!(found.refusal().is_some_and(|reason| !reason.is_empty()), "{found:?}");

    let text = BreakpadText {
        debug_id: objects[0].debug_id.clone(),
        code_id: None,
        name: long.clone(),
        code_file: Some(long.clone()),
    };
    let made = sandbox.dump(&fixtures::open(CALC), &text, &BreakpadFiles::default()).await.unwrap();
    let Conversion::Made { size, .. } = made else { panic!("{made:?}") };
    assert!(size > long.len() as u64);

    let permit = sandbox.short_permit(OnBehalf::request(1)).await.unwrap();
    let bundle = fixtures::open("sourcebundle/calc.src.zip");
    let source = sandbox.source(&permit, &bundle, &long).await.unwrap();
    assert!(matches!(source, Ok(None)), "{source:?}");
}
