//! [`Authority`]: vouches for a server on the loopback, and is trusted only by who is told of it. `openssl` makes it.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// An authority of its own, and a server that it vouches for.
const MAKE: &str = r#"
set -e
cd "$1"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=authority $$" -keyout ca.key -out ca.pem
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=server -keyout server.key -out server.csr
printf 'subjectAltName=IP:127.0.0.1' >names
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem
"#;

/// Certificates that go when this is dropped.
pub struct Authority {
    folder: TempDir,
}

impl Authority {
    /// One that nobody knows yet.
    pub fn fresh() -> Self {
        let folder = TempDir::new().unwrap();
        let made = Command::new("sh").args(["-c", MAKE, "sh"]).arg(folder.path()).output().unwrap();
        assert!(made.status.success(), "certificates need `openssl`: {}", String::from_utf8_lossy(&made.stderr));
        Self { folder }
    }

    /// What who trusts it has to be told.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// What the server shows.
    pub fn server_certificate(&self) -> PathBuf {
        self.folder.path().join("server.pem")
    }

    /// What the server keeps for itself.
    pub fn server_key(&self) -> PathBuf {
        self.folder.path().join("server.key")
    }
}
