//! Admission control: how much of one kind of work runs at a time, how much may wait for it, and whose work is next.
//!
//! A [`WorkLimiter`] never runs anything itself, never lets its queue grow without bound, and never loses a permit,
//! however a caller is cancelled.

mod limiter;
mod rotation;

pub use limiter::{Overloaded, QueueSlot, WorkLimiter, WorkPermit};
