//! The only moka (and later redis) of the house: what may be forgotten at any moment without loss.

mod callers;
mod recent;
mod small_blobs;
mod status;
mod throttle;

pub use callers::{CallerCache, TokenHash};
pub use recent::Recent;
pub use small_blobs::SmallBlobs;
pub use status::{Remembered, RememberedState, StatusCache};
pub use throttle::Throttle;
