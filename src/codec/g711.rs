//! ITU-T G.711: sound in 8 bits a sample, on a scale that is finer where it is quiet.

/// What mu-law adds before it looks for the segment.
const BIAS: i32 = 0x84;
/// The largest magnitude that mu-law holds, of 32,768.
const CLIP: i32 = 32_635;
/// Every second bit of A-law is inverted on the line.
const ALAW_LINE: u8 = 0x55;

/// Which of the two scales.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Law {
    /// Europe, and most of the world.
    A,
    /// North America and Japan.
    Mu,
}

impl Law {
    /// The sample that a byte stands for.
    pub const fn decode(self, byte: u8) -> i16 {
        match self {
            Self::Mu => {
                let bits = !byte;
                let magnitude = ((((bits & 0x0f) as i32) << 3) + BIAS) << ((bits & 0x70) >> 4);
                let sample = magnitude - BIAS;
                (if bits & 0x80 != 0 { -sample } else { sample }) as i16 // up to 32,124
            }
            Self::A => {
                let bits = byte ^ ALAW_LINE;
                let (step, segment) = (((bits & 0x0f) as i32) << 4, (bits & 0x70) >> 4);
                let sample = match segment {
                    0 => step + 0x08,
                    _ => (step + 0x108) << (segment - 1),
                };
                (if bits & 0x80 != 0 { sample } else { -sample }) as i16 // up to 32,256
            }
        }
    }

    /// The byte for a sample.
    pub const fn encode(self, sample: i16) -> u8 {
        match self {
            Self::Mu => {
                let sign = if sample < 0 { 0x80 } else { 0 };
                let magnitude = (sample as i32).abs();
                let biased = (if magnitude > CLIP { CLIP } else { magnitude }) + BIAS;
                // From 0x84 to 0x7fff: the highest bit stands between 7 and 14.
                let segment = 24 - biased.leading_zeros();
                let step = (biased >> (segment + 3)) & 0x0f;
                !(sign | (segment as u8) << 4 | step as u8)
            }
            Self::A => {
                let (sign, magnitude) =
                    if sample < 0 { (0, !(sample as i32)) } else { (0x80, sample as i32) };
                // 16 steps of 16 in each of the two lowest segments; each higher one is twice as coarse.
                let bits = if magnitude < 0x100 {
                    magnitude >> 4
                } else {
                    let segment = 24 - magnitude.leading_zeros();
                    (segment as i32) << 4 | (magnitude >> (segment + 3)) & 0x0f
                };
                (sign | bits as u8) ^ ALAW_LINE
            }
        }
    }

    /// The byte for silence.
    pub const fn silence(self) -> u8 {
        self.encode(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        // The ends and the middle of both scales (G.711, tables 1a to 2b), on 16 bits.
        let mu = [0xff, 0x7f, 0x80, 0x00].map(|byte| Law::Mu.decode(byte));
        assert_eq!(mu, [0, 0, 32_124, -32_124]);
        let a = [0xd5, 0x55, 0xaa, 0x2a].map(|byte| Law::A.decode(byte));
        assert_eq!(a, [8, -8, 32_256, -32_256]);
        assert_eq!([Law::Mu.silence(), Law::A.silence()], [0xff, 0xd5]);
    }

    #[test]
    fn every_byte_comes_back() {
        for law in [Law::Mu, Law::A] {
            for byte in 0..=255 {
                let again = law.encode(law.decode(byte));
                // Mu-law has two zeros.
                assert!(again == byte || (law == Law::Mu && byte == 0x7f && again == 0xff), "{law:?} {byte}");
            }
        }
    }

    #[test]
    fn every_sample_stays_near() {
        for law in [Law::Mu, Law::A] {
            for sample in i16::MIN..=i16::MAX {
                let off = (i32::from(law.decode(law.encode(sample))) - i32::from(sample)).abs();
                let allowed = 16 + i32::from(sample).abs() / 16;
                let clipped = i32::from(sample).abs() > 32_200;
                assert!(off <= allowed || clipped && off < 1_200, "{law:?} {sample} is off by {off}");
            }
        }
    }
}
