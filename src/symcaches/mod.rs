//! Fast look-up tables made from debug files: found, made once, remembered with the reason if they cannot be made.

pub mod sandbox;
