//! What the bitstreams say of themselves: just enough to recognise, size, split and describe. Pure functions.

pub mod aac;
pub mod av1;
mod config_error;
pub mod g711;
pub mod h264;
pub mod hevc;
mod kind;
pub mod opus;
pub mod sound;
pub mod vp8;
pub mod vp9;

pub use config_error::ConfigError;
pub use kind::{Codec, MediaKind};
