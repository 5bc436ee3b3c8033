//! Chunks become files: what a client is told to send, and how what it sent is put together and verified.
//!
//! Nothing here knows what a debug file is.

mod answer;
mod assembly;
mod chunk_decoder;
mod chunk_receiver;
mod chunks;
mod known;
mod limits;
mod local;
mod requests;
mod supplements;

pub use answer::{Answer, Wanted, refused};
pub use assembly::{PiecesError, StitchError, Stitched, stitch, write_pieces};
pub use chunk_decoder::{ChunkDecoder, ChunkEncoding, DecodeError, ReceivedChunk, receive};
pub use chunk_receiver::{ChunkReceiver, ChunkStorage, IncomingChunk, UploadError};
pub use chunks::{ChunkError, accept_chunk, has_chunk};
pub use known::known_files;
pub use limits::UploadLimits;
pub use local::LocalFiles;
pub use requests::Requests;
pub use supplements::{missing_supplements, note_with_supplement};
