//! Readers over bytes and bits that end in an error and never in a panic. Depends on nothing.

mod bits;
mod reader;

pub use bits::BitReader;
pub use reader::{ByteReader, Truncated};
