//! Minidumps: what a dump is of, and the walk of its stacks with tables of the modules' files. It never names a frame for people.

mod provider;
mod registers;
mod survey;
mod walk;

pub use survey::survey;
pub use walk::walk;

use minidump::Minidump;

/// A dump as bytes.
type Dump<'a> = Minidump<'a, &'a [u8]>;

fn open(bytes: &[u8]) -> Result<Dump<'_>, String> {
    Minidump::read(bytes).map_err(|error| format!("it is no minidump that can be read: {error}"))
}

#[cfg(test)]
mod tests;
