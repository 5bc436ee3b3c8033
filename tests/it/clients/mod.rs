//! The real clients, three versions of `sentry-cli`, as child processes against a running server: what people see on
//! their screens, whole, and that what was uploaded can be looked up. Nothing here speaks the upload wire itself.

mod addresses;
mod apple;
mod crowds;
pub mod desk;
mod door;
mod formats;
mod maps;
mod questions;
mod refusals;
mod repeats;
mod restart;
pub mod screen;
mod sources;
