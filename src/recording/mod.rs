//! Recording: each stream in a file of its own, all of a room's on one clock.

pub mod manifest;
