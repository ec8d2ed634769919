//! The boolean entropy encoder (RFC 6386, section 7): arithmetic coding of yes and no, each with its own probability.

/// Writes the bits of one partition.
pub(super) struct BoolEncoder {
    bytes: Vec<u8>,
    /// The lower end of the interval that stands for what was written. Its low 8 bits are on the scale of `range`, those
    /// above are decided but for a carry.
    low: u32,
    /// The width of the interval: 128 to 255.
    range: u32,
    /// How many bits above the low 8 are not among `bytes` yet: 0 to 7.
    pending: u32,
}

impl BoolEncoder {
    pub(super) const fn new() -> Self {
        Self { bytes: Vec::new(), low: 0, range: 255, pending: 0 }
    }

    /// A bit that is 0 in `probability` of 256 cases.
    pub(super) fn bit(&mut self, probability: u8, bit: bool) {
        let split = 1 + (((self.range - 1) * u32::from(probability)) >> 8);
        if bit {
            self.low += split;
            self.range -= split;
        } else {
            self.range = split;
        }
        while self.range < 128 {
            self.range <<= 1;
            self.shift();
        }
    }

    /// A flag: both values are as likely.
    pub(super) fn flag(&mut self, bit: bool) {
        self.bit(128, bit);
    }

    /// A number of `bits` bits, the highest first.
    pub(super) fn literal(&mut self, value: u32, bits: u32) {
        for at in (0..bits).rev() {
            self.flag(value >> at & 1 == 1);
        }
    }

    /// The partition. Behind its end a decoder reads zeros, and takes them for as many zero bits of any probability.
    pub(super) fn finish(mut self) -> Vec<u8> {
        // The whole of `low` goes out; its last byte is the one on the scale of `range`.
        for _ in self.pending..16 {
            self.shift();
        }
        self.bytes
    }

    fn shift(&mut self) {
        self.low <<= 1;
        self.pending += 1;
        if self.pending == 8 {
            self.pending = 0;
            if self.low & 0x1_0000 != 0 {
                self.carry();
            }
            self.bytes.push((self.low >> 8 & 0xff) as u8); // masked
            self.low &= 0xff;
        }
    }

    fn carry(&mut self) {
        for byte in self.bytes.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The decoder of section 7.3, in its simplest shape: one bit is shifted in at a time.
    struct Decoder<'a> {
        bytes: &'a [u8],
        bits: usize,
        value: u32,
        range: u32,
    }

    impl<'a> Decoder<'a> {
        fn new(bytes: &'a [u8]) -> Self {
            Self { bytes, bits: 8, value: bytes.first().copied().unwrap_or(0).into(), range: 255 }
        }

        fn bit(&mut self, probability: u8) -> bool {
            let split = 1 + (((self.range - 1) * u32::from(probability)) >> 8);
            let bit = self.value >= split;
            if bit {
                self.value -= split;
                self.range -= split;
            } else {
                self.range = split;
            }
            while self.range < 128 {
                let byte = self.bytes.get(self.bits / 8).copied().unwrap_or(0);
                self.value = self.value << 1 | u32::from(byte >> (7 - self.bits % 8) & 1);
                self.range <<= 1;
                self.bits += 1;
            }
            bit
        }
    }

    #[test]
    fn a_carry_goes_as_far_as_it_must() {
        // At the top of the interval the bytes are all ones, until a bit carries through them.
        let bits = [vec![(1, true); 40], vec![(255, true)], vec![(128, false); 3]].concat();
        let mut encoder = BoolEncoder::new();
        bits.iter().for_each(|(probability, bit)| encoder.bit(*probability, *bit));
        let bytes = encoder.finish();
        let mut decoder = Decoder::new(&bytes);
        assert!(bits.iter().all(|(probability, bit)| decoder.bit(*probability) == *bit));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bits in prop::collection::vec((1u8..=255, any::<bool>()), 0..2_000)) {
            let mut encoder = BoolEncoder::new();
            bits.iter().for_each(|(probability, bit)| encoder.bit(*probability, *bit));
            let bytes = encoder.finish();
            let mut decoder = Decoder::new(&bytes);
            for (at, (probability, bit)) in bits.iter().enumerate() {
                prop_assert_eq!(decoder.bit(*probability), *bit, "bit {}", at);
            }
            // Zeros without end behind it.
            prop_assert!((0..200).all(|at| !decoder.bit([1, 128, 255][at % 3])));
        }
    }
}
