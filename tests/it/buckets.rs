//! Ways to a bucket: by its own name, with credentials from anywhere, through TLS, and past us by a signed URL. Each is
//! gone by the real program, and the bucket's side tells which way it took.

mod addressing;
mod credentials;
mod redirects;
mod sessions;
mod tls;

use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::Command;

use crate::support::process::TestProcess;
use crate::support::s3::{S3Bucket, SECRET};
use crate::support::symcaches::frames;
use crate::support::uploads::Upload;

/// A file with debug information that everything is known of.
const CALC: &str = "elf-x86_64-gcc-dwarf4/calc.debug";
const CALC_ID: &str = "4ec932a9-e89a-f8cd-96b5-496a980e4efe";
const CALC_BUILD_ID: &str = "a932c94e9ae8cdf896b5496a980e4efee5dad2fc";

/// Why these processes have a bucket of their own in either pass.
const OWN: &str = "the way to the bucket is what is tested";

/// What a process is told of a bucket.
struct Settings(Vec<(String, String)>);

impl Settings {
    /// All of it, with the credentials.
    fn of(bucket: &S3Bucket) -> Self {
        let told = bucket.environment().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        // What fails here fails for good.
        Self(told).with("SYMDEPOT_BLOBS__S3__BACK_OFF", "1ms")
    }

    /// All but credentials, and there are none anywhere.
    fn without_credentials(bucket: &S3Bucket) -> Self {
        let mut settings = Self::of(bucket);
        settings.0.retain(|(name, _)| !name.ends_with("_KEY_ID") && !name.ends_with("_ACCESS_KEY"));
        let settings = settings.with("AWS_CONFIG_FILE", "/dev/null").with("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        settings.with("AWS_EC2_METADATA_DISABLED", "true")
    }

    /// The same and this, in the place of what was said before.
    fn with(mut self, name: &str, value: &str) -> Self {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    /// As a process takes them.
    fn told(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// A server that was told.
    async fn start(&self) -> TestProcess {
        TestProcess::start_embedded(OWN, &self.told()).await
    }
}

/// An upload comes back as it was, with its symcache, and rows and bytes agree.
async fn works(server: &TestProcess, calc: &Upload) {
    let client = server.client();
    let dif = client.upload_ok(calc).await;
    let path = format!("{}files/dsyms/?id={}", client.account.project_path(), dif["id"].as_str().unwrap());
    let answer = client.get(&path).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.bytes().await.unwrap() == calc.content, "it came back as it was");
    let symcache = client.symcache_bytes(&client.account, CALC_ID).await;
    assert_eq!(frames(&symcache, 0x1129), ["main @ /src/fixture/main.c:3"]);
    let checked = server.run(&["fsck", "--deep"]).await;
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(said.ends_with(" checked, 0 things wrong\n"), "{said}");
}

/// The sentence with which a start ends that cannot be. Nothing is printed that was made for it.
async fn sentence(mut program: Command, settings: &Settings) -> String {
    let folder = TempDir::new().unwrap();
    program.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(folder.path()).current_dir(folder.path());
    let output = program.envs(settings.told()).stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    let (out, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!((output.status.code(), out.as_str()), (Some(1), ""), "{said}");
    assert!(!said.contains(SECRET), "{said}");
    said.lines().last().unwrap_or_default().to_owned()
}
