//! symdepot
pub mod app;
pub mod blobs;
pub mod cache;
pub mod clock;
pub mod config;
pub mod db;
pub mod debug_files;
pub mod jobs;
pub mod symcaches;
pub mod types;
pub mod uploads;
