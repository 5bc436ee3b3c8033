//! The only moka (and later redis) of the house: what may be forgotten at any moment without loss.

mod callers;
mod recent;
mod status;

pub use callers::{CallerCache, TokenHash};
pub use recent::Recent;
pub use status::{Remembered, RememberedState, StatusCache};
