//! Bits read and written, most significant bit first, with Exp-Golomb codes (ITU-T H.264, section 9.1).

use super::Truncated;

/// Reads bits off the front of a slice.
#[derive(Clone, Debug)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> BitReader<'a> {
    /// Reads from the top bit of the first byte.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// One bit.
    pub fn bit(&mut self) -> Result<bool, Truncated> {
        let byte = self.bytes.get(self.position / 8).ok_or(Truncated)?;
        let bit = byte >> (7 - self.position % 8) & 1;
        self.position += 1;
        Ok(bit == 1)
    }

    /// The next `n` bits, at most 32, as an unsigned number.
    pub fn bits(&mut self, n: u32) -> Result<u32, Truncated> {
        debug_assert!(n <= 32, "more bits than a u32 holds");
        let mut value = 0;
        for _ in 0..n {
            value = value << 1 | u32::from(self.bit()?);
        }
        Ok(value)
    }

    /// `ue(v)`. A code of more than 32 bits counts as truncated: no syntax element has one.
    pub fn ue(&mut self) -> Result<u32, Truncated> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > 31 {
                return Err(Truncated);
            }
        }
        Ok((1 << zeros) - 1 + self.bits(zeros)?)
    }

    /// How many bits have not been read yet.
    pub const fn remaining(&self) -> usize {
        self.bytes.len() * 8 - self.position
    }
}

/// Puts bits behind one another.
#[derive(Clone, Debug, Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    /// Bits of the last byte that are taken: 8, or none, when there is room in no byte.
    filled: u32,
}

impl BitWriter {
    /// The lowest `n` bits of `value`, at most 32.
    pub fn bits(&mut self, value: u32, n: u32) {
        debug_assert!(n <= 32, "more bits than a u32 holds");
        for shift in (0..n).rev() {
            if self.filled.is_multiple_of(8) {
                self.bytes.push(0);
                self.filled = 0;
            }
            let bit = (value >> shift & 1) as u8;
            if let Some(last) = self.bytes.last_mut() {
                *last |= bit << (7 - self.filled);
            }
            self.filled += 1;
        }
    }

    /// One bit.
    pub fn bit(&mut self, value: bool) {
        self.bits(value.into(), 1);
    }

    /// `ue(v)`, below 2^32 - 1.
    pub fn ue(&mut self, value: u32) {
        debug_assert!(value < u32::MAX, "no code of 32 bits and more");
        let code = value + 1;
        let length = u32::BITS - code.leading_zeros();
        self.bits(0, length - 1);
        self.bits(code, length);
    }

    /// Zeros up to the end of the byte.
    pub fn align(&mut self) {
        self.filled = 0;
    }

    /// What was written, with zeros up to the end of the last byte.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(values in prop::collection::vec((any::<u32>(), 0u32..=32, 0..u32::MAX - 1), 0..40)) {
            let mut writer = BitWriter::default();
            for (value, n, code) in &values {
                writer.bits(*value, *n);
                writer.ue(*code);
                writer.bit(true);
            }
            writer.align();
            writer.bits(0xa5, 8);
            let bytes = writer.into_bytes();
            let mut reader = BitReader::new(&bytes);
            for (value, n, code) in values {
                prop_assert_eq!(reader.bits(n), Ok((u64::from(value) & ((1 << n) - 1)) as u32));
                prop_assert_eq!((reader.ue(), reader.bit()), (Ok(code), Ok(true)));
            }
            let left = reader.remaining();
            prop_assert!(reader.bits((left - 8) as u32) == Ok(0) && reader.bits(8) == Ok(0xa5));
        }
    }

    #[test]
    fn exp_golomb_table() {
        // 1, 010, 011, 00100 and then nothing: table 9-2.
        let mut reader = BitReader::new(&[0b1010_0110, 0b0100_0000]);
        assert_eq!([reader.ue(), reader.ue(), reader.ue(), reader.ue()], [Ok(0), Ok(1), Ok(2), Ok(3)]);
        assert_eq!(reader.ue(), Err(Truncated));
    }

    #[test]
    fn a_run_of_zeros_ends_in_an_error() {
        assert_eq!(BitReader::new(&[0; 64]).ue(), Err(Truncated));
    }
}
