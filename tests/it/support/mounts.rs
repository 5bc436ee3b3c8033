//! The binary among mounts of its own, which no other process sees: a volume, or other names of hosts.

use std::ffi::OsStr;
use std::path::Path;

use tokio::process::Command;

use super::process::unconfigured;

/// Puts two files in the place of the machine's, then becomes the program.
const NAMES: &str = r#"
mount --bind "$1/hosts" /etc/hosts && mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf && shift && exec "$@""#;

/// The binary, after `script` has mounted what its `arguments` say. It takes them away and becomes what is left.
pub(super) fn program<'a>(script: &str, arguments: impl IntoIterator<Item = &'a OsStr>) -> Command {
    let mut command = Command::new("unshare");
    command.args(namespace()).args(["sh", "-c", script, "sh"]).args(arguments);
    command.arg(env!("CARGO_BIN_EXE_symdepot"));
    unconfigured(command)
}

/// The binary, which knows the names in `hosts` and no others. Files for that are made in `folder`.
pub fn with_hosts(hosts: &str, folder: &Path) -> Command {
    std::fs::write(folder.join("hosts"), hosts).unwrap();
    std::fs::write(folder.join("nsswitch.conf"), "hosts: files\n").unwrap();
    program(NAMES, [folder.as_os_str()])
}

/// Which namespaces a process needs that wants to mount something. It takes root, or else a user of its own.
fn namespace() -> &'static [&'static str] {
    const WAYS: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
    let works = |way: &&&[&str]| {
        let mut unshare = std::process::Command::new("unshare");
        let mount = unshare.args(**way).args(["mount", "-t", "tmpfs", "none", "/mnt"]);
        mount.output().is_ok_and(|output| output.status.success())
    };
    WAYS.iter()
        .find(works)
        .expect("`unshare` may mount a volume for one process; a container needs CAP_SYS_ADMIN for it")
}
