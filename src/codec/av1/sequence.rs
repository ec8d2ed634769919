//! The sequence header (section 5.5).

use super::{ObuKind, obus};
use crate::codec::ConfigError;
use crate::wire::{BitReader, Truncated};

/// What a sequence header says that a gateway wants to know.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SequenceHeader {
    /// `seq_profile`: 0 main, 1 high, 2 professional.
    pub profile: u8,
    /// `seq_level_idx` of the first operating point.
    pub level: u8,
    /// `seq_tier` of it.
    pub is_high_tier: bool,
    /// `reduced_still_picture_header`: all frames are key frames, and say nothing of it.
    pub is_still: bool,
    /// Columns at most.
    pub width: u32,
    /// Lines at most.
    pub height: u32,
    /// Bits of a sample: 8, 10 or 12.
    pub depth: u8,
    /// Grey.
    pub is_monochrome: bool,
    /// Whether chroma has half the columns, and half the lines.
    pub subsampling: (bool, bool),
    /// `chroma_sample_position`.
    pub chroma_position: u8,
    /// Samples have all values, and not only those of television.
    pub is_full_range: bool,
}

/// The longest side: what 16 bits of its length say, and level 6 allows.
const MAX_SIDE: u32 = 16_384;

impl SequenceHeader {
    /// Reads it off an OBU with its header.
    pub fn parse(obu: &[u8]) -> Result<Self, ConfigError> {
        let obu = obus(obu).next().filter(|obu| obu.kind == ObuKind::SequenceHeader);
        let mut bits = BitReader::new(obu.ok_or(ConfigError::NoHeaders)?.payload);
        let profile = bits.bits(3)? as u8; // so many bits were asked for
        bits.bit()?; // still_picture
        let is_still = bits.bit()?;
        let (level, is_high_tier) =
            if is_still { (bits.bits(5)? as u8, false) } else { operating_points(&mut bits)? };
        let (width_bits, height_bits) = (bits.bits(4)? + 1, bits.bits(4)? + 1);
        let (width, height) = (bits.bits(width_bits)? + 1, bits.bits(height_bits)? + 1);
        if profile > 2 || width > MAX_SIDE || height > MAX_SIDE {
            return Err(ConfigError::OutOfRange);
        }
        tools(&mut bits, is_still)?;
        let colour = Colour::read(&mut bits, profile)?;
        Ok(Self {
            profile,
            level,
            is_high_tier,
            is_still,
            width,
            height,
            depth: colour.depth,
            is_monochrome: colour.is_monochrome,
            subsampling: colour.subsampling,
            chroma_position: colour.chroma_position,
            is_full_range: colour.is_full_range,
        })
    }

    /// The string that names a track of such pictures (ISO binding, section 5), as `av01.0.04M.08`.
    pub fn codec_string(&self) -> String {
        let tier = if self.is_high_tier { 'H' } else { 'M' };
        format!("av01.{}.{:02}{tier}.{:02}", self.profile, self.level, self.depth)
    }
}

/// Timing, the decoder's model and the operating points; the level and tier of the first one.
fn operating_points(bits: &mut BitReader<'_>) -> Result<(u8, bool), Truncated> {
    let mut delay_bits = None;
    if bits.bit()? {
        bits.bits(32)?; // num_units_in_display_tick
        bits.bits(32)?; // time_scale
        if bits.bit()? {
            uvlc(bits)?; // num_ticks_per_picture_minus_1
        }
        if bits.bit()? {
            delay_bits = Some(bits.bits(5)? + 1);
            bits.bits(32)?; // num_units_in_decoding_tick
            bits.bits(10)?; // two more lengths
        }
    }
    let says_display_delay = bits.bit()?;
    let mut first = None;
    for _ in 0..=bits.bits(5)? {
        bits.bits(12)?; // operating_point_idc
        let level = bits.bits(5)? as u8; // so many bits were asked for
        let tier = level > 7 && bits.bit()?;
        if let Some(delay_bits) = delay_bits
            && bits.bit()?
        {
            bits.bits(delay_bits)?;
            bits.bits(delay_bits)?;
            bits.bit()?; // low_delay_mode_flag
        }
        if says_display_delay && bits.bit()? {
            bits.bits(4)?;
        }
        first.get_or_insert((level, tier));
    }
    Ok(first.unwrap_or_default())
}

/// What frames may use.
fn tools(bits: &mut BitReader<'_>, is_still: bool) -> Result<(), Truncated> {
    if !is_still && bits.bit()? {
        bits.bits(4 + 3)?; // lengths of frame numbers
    }
    bits.bits(3)?; // large superblocks, two kinds of intra prediction
    if !is_still {
        bits.bits(4)?; // four kinds of inter prediction
        let order_hints = bits.bit()?;
        if order_hints {
            bits.bits(2)?;
        }
        // Whether there are tools for screens: always, never, or as each frame says.
        let screens = bits.bit()? || bits.bit()?;
        if screens && !bits.bit()? {
            bits.bit()?; // seq_force_integer_mv
        }
        if order_hints {
            bits.bits(3)?;
        }
    }
    bits.bits(3)?; // superres, CDEF, restoration
    Ok(())
}

struct Colour {
    depth: u8,
    is_monochrome: bool,
    subsampling: (bool, bool),
    chroma_position: u8,
    is_full_range: bool,
}

impl Colour {
    /// Section 5.5.2.
    fn read(bits: &mut BitReader<'_>, profile: u8) -> Result<Self, Truncated> {
        /// BT.709, sRGB and RGB: then chroma is whole.
        const RGB: (u32, u32, u32) = (1, 13, 0);
        let high = bits.bit()?;
        let depth = match high {
            true if profile == 2 && bits.bit()? => 12,
            true => 10,
            false => 8,
        };
        let is_monochrome = profile != 1 && bits.bit()?;
        let described = if bits.bit()? { Some((bits.bits(8)?, bits.bits(8)?, bits.bits(8)?)) } else { None };
        let (is_full_range, subsampling) = if is_monochrome {
            (bits.bit()?, (true, true))
        } else if described == Some(RGB) {
            (true, (false, false))
        } else {
            let is_full_range = bits.bit()?;
            let subsampling = match profile {
                0 => (true, true),
                1 => (false, false),
                _ if depth == 12 => {
                    let across = bits.bit()?;
                    (across, across && bits.bit()?)
                }
                _ => (true, false),
            };
            (is_full_range, subsampling)
        };
        let has_position = !is_monochrome && subsampling == (true, true);
        let chroma_position = if has_position { bits.bits(2)? as u8 } else { 0 };
        Ok(Self { depth, is_monochrome, subsampling, chroma_position, is_full_range })
    }
}

/// Section 4.10.3: so many zeros, and so many bits behind them.
fn uvlc(bits: &mut BitReader<'_>) -> Result<(), Truncated> {
    let mut zeros = 0;
    while !bits.bit()? {
        zeros += 1;
    }
    if zeros < 32 {
        bits.bits(zeros)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// libaom, main profile, 320x180.
    const LIBAOM: &[u8] = &[0x0a, 0x0b, 0, 0, 0, 4, 0x3c, 0xfe, 0xcc, 0xda, 0x99, 0, 0x40];

    #[test]
    fn reads_what_libaom_says() {
        let header = SequenceHeader::parse(LIBAOM).unwrap();
        assert_eq!((header.width, header.height, header.depth), (320, 180, 8));
        assert_eq!((header.profile, header.level, header.is_high_tier), (0, 0, false));
        assert_eq!((header.subsampling, header.is_monochrome, header.is_still), ((true, true), false, false));
        assert_eq!(header.codec_string(), "av01.0.00M.08");
    }

    #[test]
    fn the_example_of_the_specification() {
        let header = SequenceHeader::parse(LIBAOM).unwrap();
        assert_eq!(SequenceHeader { level: 4, ..header }.codec_string(), "av01.0.04M.08");
        let high = SequenceHeader { level: 13, is_high_tier: true, depth: 10, ..header };
        assert_eq!(high.codec_string(), "av01.0.13H.10");
    }

    #[test]
    fn hostile_headers_are_errors() {
        for length in 0..10 {
            let cut = [&[0x0a, length], &LIBAOM[2..2 + usize::from(length)]].concat();
            assert!(SequenceHeader::parse(&cut).is_err(), "cut at {length}");
        }
        assert_eq!(SequenceHeader::parse(&[0x12, 0]), Err(ConfigError::NoHeaders), "a delimiter");
        assert!(SequenceHeader::parse(&[[0x08].as_slice(), &[0xff; 500]].concat()).is_err());
        assert!(SequenceHeader::parse(&[[0x08].as_slice(), &[0; 500]].concat()).is_ok(), "1 by 1");
    }
}
