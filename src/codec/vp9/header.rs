//! The uncompressed header of a key frame (section 6.2).

use crate::codec::ConfigError;
use crate::wire::BitReader;

/// What a key frame says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct KeyHeader {
    /// 0 to 3.
    pub profile: u8,
    /// Bits of a sample: 8, 10 or 12.
    pub depth: u8,
    /// `color_space`; 7 is RGB.
    pub colour_space: u8,
    /// Samples have all values, and not only those of television.
    pub is_full_range: bool,
    /// Whether chroma has half the columns, and half the lines.
    pub subsampling: (bool, bool),
    /// Columns.
    pub width: u32,
    /// Lines.
    pub height: u32,
}

/// `frame_sync_code`.
const SYNC: u32 = 0x49_8342;
const RGB: u8 = 7;

impl KeyHeader {
    /// Reads it off a frame, or the first one of a superframe; `None` where that is no key frame that is shown.
    pub fn parse(frame: &[u8]) -> Result<Option<Self>, ConfigError> {
        let mut bits = BitReader::new(frame);
        if bits.bits(2)? != 2 {
            return Err(ConfigError::OutOfRange);
        }
        let profile = u8::from(bits.bit()?) | u8::from(bits.bit()?) << 1;
        if profile == 3 && bits.bit()? {
            return Err(ConfigError::OutOfRange);
        }
        let shows_another = bits.bit()?;
        if shows_another || bits.bit()? || !bits.bit()? {
            return Ok(None);
        }
        bits.bit()?; // error_resilient_mode
        if bits.bits(24)? != SYNC {
            return Err(ConfigError::OutOfRange);
        }
        let depth = match profile >= 2 {
            true if bits.bit()? => 12,
            true => 10,
            false => 8,
        };
        let colour_space = bits.bits(3)? as u8; // so many bits were asked for
        let mut subsampling = (profile == 0 || profile == 2, profile == 0 || profile == 2);
        let is_full_range = colour_space == RGB || bits.bit()?;
        if profile == 1 || profile == 3 {
            if colour_space != RGB {
                subsampling = (bits.bit()?, bits.bit()?);
            }
            bits.bit()?; // reserved
        } else if colour_space == RGB {
            return Err(ConfigError::OutOfRange);
        }
        let (width, height) = (bits.bits(16)? + 1, bits.bits(16)? + 1);
        Ok(Some(Self { profile, depth, colour_space, is_full_range, subsampling, width, height }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_libvpx_says() {
        let key = [0x82, 0x49, 0x83, 0x42, 0x00, 0x13, 0xf0, 0x0b, 0x36, 0x06];
        let header = KeyHeader::parse(&key).unwrap().unwrap();
        assert_eq!((header.width, header.height), (320, 180));
        assert_eq!((header.profile, header.depth, header.is_full_range), (0, 8, false));
        assert_eq!(header.subsampling, (true, true));
        for end in 0..9 {
            assert!(KeyHeader::parse(&key[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn other_frames_are_none() {
        for head in [0x86, 0x80, 0x88, 0x92] {
            let said = KeyHeader::parse(&[head, 0, 0x40, 0x92]);
            assert!(matches!(said, Ok(None) | Err(ConfigError::OutOfRange)), "{head:02x}: {said:?}");
        }
        assert_eq!(KeyHeader::parse(&[0x86, 0, 0x40]), Ok(None));
        assert_eq!(KeyHeader::parse(&[0x42, 0, 0]), Err(ConfigError::OutOfRange), "no marker");
        assert_eq!(KeyHeader::parse(&[0x82, 0, 0, 0, 0]), Err(ConfigError::OutOfRange), "no sync code");
    }

    #[test]
    fn ten_bits_and_whole_chroma() {
        // Profile 2: 10 bits, BT.709. Profile 1: 4:4:4, full range.
        let mut bits = crate::wire::BitWriter::default();
        for (value, n) in [(0b1001_0010, 8), (SYNC, 24), (0, 1), (2, 3), (0, 1), (639, 16), (359, 16)] {
            bits.bits(value, n);
        }
        let header = KeyHeader::parse(&bits.into_bytes()).unwrap().unwrap();
        assert_eq!((header.profile, header.depth, header.width, header.height), (2, 10, 640, 360));
        let mut bits = crate::wire::BitWriter::default();
        for (value, n) in [(0b1010_0010, 8), (SYNC, 24), (2, 3), (1, 1), (0, 3), (639, 16), (359, 16)] {
            bits.bits(value, n);
        }
        let header = KeyHeader::parse(&bits.into_bytes()).unwrap().unwrap();
        assert_eq!((header.profile, header.subsampling, header.is_full_range), (1, (false, false), true));
    }
}
