#![doc = include_str!("../ARCHITECTURE.md")]

pub mod accounts;
pub mod admission;
pub mod app;
pub mod blobs;
pub mod cache;
pub mod cli;
pub mod clock;
pub mod config;
pub mod db;
pub mod debug_files;
pub mod events;
pub mod http;
pub mod jobs;
pub mod server;
pub mod symbolication;
pub mod symcaches;
pub mod telemetry;
pub mod upkeep;
pub mod uploads;
pub mod upstreams;

pub use symdepot_types as types;
