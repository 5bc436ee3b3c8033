//! The output of a conversion: counted and hashed while it is written. It never reads anything back.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use sha1::Digest as _;
use symdepot_types::Sha1;

/// Counts and hashes what is written.
pub(crate) struct Counted {
    inner: BufWriter<File>,
    size: u64,
    sha1: sha1::Sha1,
}

impl Counted {
    /// Nothing is written to `output` yet.
    pub(crate) fn new(output: File) -> Self {
        Self { inner: BufWriter::with_capacity(1 << 18, output), size: 0, sha1: sha1::Sha1::new() }
    }

    /// How much was written, and its checksum.
    pub(crate) fn finish(mut self) -> io::Result<(u64, Sha1)> {
        self.inner.flush()?;
        Ok((self.size, Sha1::from_bytes(self.sha1.finalize().into())))
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.sha1.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
