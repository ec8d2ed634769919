//! A bit reader, most significant bit first, with Exp-Golomb codes (ITU-T H.264, section 9.1).

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

#[cfg(test)]
mod tests {
    use super::*;

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
