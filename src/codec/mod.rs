//! What the bitstreams say of themselves: just enough to recognise, size, split and describe. Pure functions.

pub mod aac;
pub mod h264;
mod kind;
pub mod opus;
pub mod vp8;

pub use kind::{Codec, MediaKind};
