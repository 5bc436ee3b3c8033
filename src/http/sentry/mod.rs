//! Sentry's wire under `/api/0/`: bodies, words and texts as `sentry-cli` knows them. Ids are strings, a last slash
//! is required, answers are never compressed. What the words *mean* is decided in the domain rooms.

pub mod assemble;
mod assemble_answer;
mod assemble_body;
mod assemble_entry;
pub mod assemble_schema;
pub mod chunk_upload;
pub mod debug_files;
mod dif;
pub mod organizations;
pub mod projects;
mod python_text;
pub mod zip_upload;

pub use dif::dif;
