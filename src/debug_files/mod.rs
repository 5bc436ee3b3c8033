//! Debug files in rows and blobs: finding, opening and deleting them, and which of several files of one id count.
//!
//! It reads no untrusted bytes; the one exception is `elf_section`, which says why.

mod bulk;
mod elf_section;
mod glob;
mod misses;
mod redundancy;
mod registry;
mod shelf;
mod together;
mod unpack_section;
mod uses;
mod wanted;

pub use bulk::{BulkDeleted, BulkError, BulkFilter, announce, delete_many, find_many};
pub use elf_section::{Section, find_section};
pub use glob::glob_matches;
pub use misses::Misses;
pub use redundancy::{best, redundant};
pub use registry::{OpenFile, Search, delete, list, open, open_found, unknown};
pub use shelf::Shelf;
pub use uses::Uses;
pub use wanted::{Wanted, WantedId, What, expired_files, find_wanted, wanted_files};
