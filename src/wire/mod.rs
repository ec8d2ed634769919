//! Readers over bytes and bits that end in an error and never in a panic, and a writer of bits. Depends on nothing.

mod bits;
mod reader;

pub use bits::{BitReader, BitWriter};
pub use reader::{ByteReader, Truncated};
