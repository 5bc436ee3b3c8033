//! Many machines: several real processes over one PostgreSQL, one S3 and one Redis, and what happens when one of them, or
//! what they stand on, goes away. Whatever it is, nothing that was acknowledged is lost and every upload ends.

mod database;
mod redis;
mod rolling_kills;
mod s3_costs;
mod start;
mod turns;
mod workers;

/// A file with debug information that everything is known of.
const CALC: &str = "elf-x86_64-gcc-dwarf4/calc.debug";
