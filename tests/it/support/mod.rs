//! What tests need and do not test: databases.

pub mod database;
mod postgres;
