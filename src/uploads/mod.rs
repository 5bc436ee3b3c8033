//! Chunks become files: what a client is told to send, and how what it sent is put together and verified.
//!
//! Nothing here knows what a debug file is.

mod assembly;
mod requests;

pub use assembly::{PiecesError, StitchError, Stitched, stitch, write_pieces};
pub use requests::{Answer, Requests, Wanted};
