//! A big-endian byte reader over a slice.

use thiserror::Error;

/// The input ended before the value did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("input ends too early")]
pub struct Truncated;

/// Reads big-endian integers and byte strings off the front of a slice.
#[derive(Clone, Debug)]
pub struct ByteReader<'a> {
    rest: &'a [u8],
}

impl<'a> ByteReader<'a> {
    /// Reads from the start of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `n` bytes.
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8], Truncated> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Truncated> {
        self.array().map(|[byte]| byte)
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Result<u16, Truncated> {
        self.array().map(u16::from_be_bytes)
    }

    /// Three bytes.
    pub fn u24(&mut self) -> Result<u32, Truncated> {
        self.array().map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }

    /// Three bytes, two's complement.
    pub fn i24(&mut self) -> Result<i32, Truncated> {
        self.array().map(|[a, b, c]| i32::from_be_bytes([a, b, c, 0]) >> 8)
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32, Truncated> {
        self.array().map(u32::from_be_bytes)
    }

    /// Four bytes, least significant first.
    pub fn u32_le(&mut self) -> Result<u32, Truncated> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Result<u64, Truncated> {
        self.array().map(u64::from_be_bytes)
    }

    /// Eight bytes of IEEE 754.
    pub fn f64(&mut self) -> Result<f64, Truncated> {
        self.array().map(f64::from_be_bytes)
    }

    /// What has not been read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// How much has not been read yet.
    pub const fn len(&self) -> usize {
        self.rest.len()
    }

    /// Whether all has been read.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_in_order_and_stops_at_the_end() {
        let mut reader = ByteReader::new(&[1, 0, 2, 0, 0, 3, 0xff, 0xff, 0xfe, 9]);
        assert_eq!((reader.u8(), reader.u16(), reader.u24(), reader.i24()), (Ok(1), Ok(2), Ok(3), Ok(-2)));
        assert_eq!(reader.u32(), Err(Truncated));
        assert_eq!(reader.rest(), &[9], "a failed read takes nothing");
    }
}
