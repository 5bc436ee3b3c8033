//! [`SmallDisk`]: a volume of a few megabytes that really is full when it is, for one process alone.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use symdepot::app::App;
use symdepot::clock::Clock;
use symdepot::config::Config;
use tempfile::TempDir;
use tokio::process::Command;

use super::mounts;

/// The folder that is the volume, as seen from outside.
pub struct SmallDisk(PathBuf);

/// Mounts the volume where nobody else sees it, then becomes the program.
const MOUNT: &str = r#"mount -t tmpfs -o "size=$1" none "$2" && shift 2 && exec "$@""#;

impl SmallDisk {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// The binary, with `folder` on a volume of `size` bytes.
    pub(super) fn program(size: u64, folder: &Path) -> Command {
        mounts::program(MOUNT, [size.to_string().as_ref(), folder.as_os_str()])
    }

    /// Fills the volume but for so many bytes.
    pub fn fill_but(&self, left: u64) {
        self.make_space();
        let mut ballast = File::create(self.ballast()).unwrap();
        let block = [0; 4096];
        loop {
            match ballast.write_all(&block) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("{error}"),
            }
        }
        let size = ballast.metadata().unwrap().len();
        ballast.set_len(size.checked_sub(left).expect("the volume is larger than what is to be left")).unwrap();
    }

    /// Takes away what fills it.
    pub fn make_space(&self) {
        match fs::remove_file(self.ballast()) {
            Err(error) if error.kind() != ErrorKind::NotFound => panic!("{error}"),
            _ => {}
        }
    }

    /// A copy of all that is on it, opened. The process must be at rest.
    pub async fn copy(&self) -> (TempDir, App) {
        let copy = TempDir::new().unwrap();
        copy_folder(&self.0, copy.path());
        // The memory that connections share is made anew from the log.
        fs::remove_file(copy.path().join("symdepot.db-shm")).unwrap();
        let config = Config { data_dir: copy.path().to_owned(), ..Config::default() };
        let app = App::build(config, Clock::System).await.unwrap();
        (copy, app)
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => {
                fs::create_dir(&target).unwrap();
                copy_folder(&entry.path(), &target);
            }
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}
