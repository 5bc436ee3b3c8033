//! A throw-away Redis: one server per test process that everybody shares under keys of their own, and servers of one
//! test that can be stopped, frozen, emptied and started again. Never skipped: without Redis the tests fail and say
//! what to install.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use symdepot::config::Config;
use tempfile::TempDir;

use super::authority::Authority;

/// Runs a server until the end of its own input, which comes when the test process ends, however that happens.
const SERVER: &str = r#"
case "$3" in
'') set -- "$1" "$2" --port "$1" ;;
*) set -- "$1" "$2" --port 0 --tls-port "$1" --tls-ca-cert-file "$3" --tls-cert-file "$4" --tls-key-file "$5" --tls-auth-clients no ;;
esac
dir=$2
shift 2
redis-server "$@" --bind 127.0.0.1 --save '' --appendonly no --dir "$dir" --daemonize no --pidfile "$dir/pid" >"$dir/log" 2>&1 &
server=$!
echo "$server" >"$dir/id"
cat >/dev/null
kill -9 "$server"
"#;

/// A server that goes when this is dropped.
pub struct RedisServer {
    port: u16,
    tls: Option<Authority>,
    shell: Option<Child>,
    folder: TempDir,
}

impl RedisServer {
    /// A server of its own, on a free port.
    pub fn start() -> Self {
        Self::begin(false)
    }

    /// The same behind TLS, with a certificate of an authority of its own.
    pub fn start_with_tls() -> Self {
        Self::begin(true)
    }

    fn begin(tls: bool) -> Self {
        // Between finding a free port and taking it, somebody else may do so.
        for _ in 0..20 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let tls = tls.then(Authority::fresh);
            let mut server = Self { port, tls, shell: None, folder: TempDir::new().unwrap() };
            if server.run() {
                return server;
            }
        }
        panic!("no port was free for redis-server for long enough");
    }

    /// What the setting `status.url` takes.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}/0", if self.tls.is_some() { "rediss" } else { "redis" }, self.port)
    }

    /// The certificate of the authority that vouches for it.
    pub fn authority(&self) -> std::path::PathBuf {
        self.tls.as_ref().expect("the server was started with TLS").certificate()
    }

    /// Ends it as a power cut would. What it held is gone.
    pub fn stop(&mut self) {
        let Some(mut shell) = self.shell.take() else { return };
        kill_process(self.id(), Signal::KILL).ok();
        drop(shell.stdin.take());
        shell.wait().unwrap();
    }

    /// Starts it again on the same port.
    pub fn start_again(&mut self) {
        assert!(self.shell.is_none(), "the server still runs");
        assert!(self.run(), "port {} was taken by somebody else meanwhile", self.port);
    }

    /// Has it take connections and answer nothing.
    pub fn freeze(&self) {
        kill_process(self.id(), Signal::STOP).unwrap();
    }

    /// Ends that.
    pub fn thaw(&self) {
        kill_process(self.id(), Signal::CONT).unwrap();
    }

    /// Has it forget everything.
    pub fn flush(&self) {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        connection.write_all(b"FLUSHALL\r\n").unwrap();
        let mut answer = [0; 5];
        std::io::Read::read_exact(&mut connection, &mut answer).unwrap();
        assert_eq!(&answer, b"+OK\r\n");
    }

    /// Points settings at it, under keys that nobody else has.
    pub fn settings(&self, config: &mut Config) {
        config.status.url = self.url();
        config.status.prefix = fresh_prefix();
    }

    fn run(&mut self) -> bool {
        let mut command = Command::new("sh");
        command.args(["-c", SERVER, "sh"]).arg(self.port.to_string()).arg(self.folder.path());
        if let Some(tls) = &self.tls {
            command.args([tls.certificate(), tls.server_certificate(), tls.server_key()]);
        }
        // Not in the group of the tests, so that what kills them does not keep it from ending the server.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        self.shell = Some(command.spawn().expect("a shell can be started"));
        let begun = Instant::now();
        loop {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            if log.contains("Ready to accept connections") && TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            assert!(
                !log.contains("not found"),
                "redis-server is not installed: install the Debian package `redis-server`, as tests/setup.sh does"
            );
            if log.contains("Address already in use") || begun.elapsed() > Duration::from_secs(60) {
                self.stop();
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn id(&self) -> Pid {
        let id = std::fs::read_to_string(self.folder.path().join("id")).unwrap();
        Pid::from_raw(id.trim().parse().unwrap()).unwrap()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(shell) = &mut self.shell {
            // The shell and what it runs.
            let group = Pid::from_raw(i32::try_from(shell.id()).unwrap()).unwrap();
            kill_process_group(group, Signal::KILL).ok();
            shell.wait().ok();
        }
    }
}

/// The server that all tests of this process share.
pub fn shared() -> &'static RedisServer {
    static SERVER: OnceLock<RedisServer> = OnceLock::new();
    SERVER.get_or_init(RedisServer::start)
}

/// A beginning of keys that nobody else in this process has.
pub fn fresh_prefix() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}
