//! The only moka and redis of the house: what may be forgotten at any moment without loss.

mod by_room;
mod callers;
mod circuit;
mod recent;
mod results;
mod shared_status;
mod small_blobs;
mod status;
mod throttle;

pub use by_room::ByRoom;
pub use callers::{CallerCache, TokenHash};
pub use recent::Recent;
pub use results::{RememberedResult, ResultCache};
pub use shared_status::{SharedStatus, StatusError};
pub use small_blobs::SmallBlobs;
pub use status::{Remembered, RememberedState, StatusCache};
pub use throttle::Throttle;
