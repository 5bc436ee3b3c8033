//! The one integration binary: a file per promise, contract suites that every engine passes.

#![expect(clippy::unwrap_used, reason = "a test that unwraps in vain has failed, and says where")]

mod accounts;
mod architecture;
mod assemble;
mod backup;
mod buckets;
mod chunk_upload;
mod cli;
mod clients;
mod cluster;
mod config;
mod contract;
mod conversion;
mod debug_file_api;
mod detection;
mod events;
mod every_format;
mod explain;
mod faults;
mod fuzz_smoke;
mod ingest;
mod isolation;
mod missing;
mod moving_house;
mod neighbours;
mod peers;
mod privacy;
mod properties;
mod quotas;
mod shown;
mod support;
mod symbol_server;
mod symbolication;
mod symcache_api;
mod symcaches;
mod toolchains;
mod torture;
mod upkeep;
mod zip_and_import;
