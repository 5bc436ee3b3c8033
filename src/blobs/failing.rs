//! [`Failing`]: a store that breaks on purpose, for tests.

/// A decorator that injects faults.
#[derive(Debug)]
pub struct Failing;
/// What to break.
#[derive(Debug)]
pub enum Fault {}
