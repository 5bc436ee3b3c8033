//! The one integration binary: a file per promise, contract suites that every engine passes.

#![expect(clippy::unwrap_used, reason = "a test that unwraps in vain has failed, and says where")]

mod accounts;
mod architecture;
mod chunk_upload;
mod contract;
mod conversion;
mod detection;
mod peers;
mod support;
mod zip_and_import;
