//! symdepot
pub mod app;
pub mod blobs;
pub mod cache;
pub mod clock;
pub mod config;
pub mod db;
pub mod symcaches;
pub mod types;
