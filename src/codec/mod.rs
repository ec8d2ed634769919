//! What the bitstreams say of themselves: just enough to recognise, size, split and describe. Pure functions.

pub mod aac;
pub mod h264;
pub mod opus;
