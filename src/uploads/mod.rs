//! Chunks become files: what a client is told to send, and how what it sent is put together and verified.
//!
//! Nothing here knows what a debug file is.

mod answer;
mod assembly;
mod chunks;
mod gate;
mod intake;
mod known;
mod local;
mod reception;
mod requests;

pub use answer::{Answer, Wanted, refused};
pub use assembly::{PiecesError, StitchError, Stitched, stitch, write_pieces};
pub use chunks::{ChunkError, accept_chunk, has_chunk};
pub use gate::{Gate, Turn};
pub use intake::{IntakeError, Packing, Taken, take_in};
pub use known::known_files;
pub use local::LocalFiles;
pub use reception::{Arriving, Reception, UploadError};
pub use requests::Requests;
