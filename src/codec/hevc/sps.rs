//! What a sequence parameter set says that a gateway wants to know (ITU-T H.265, section 7.3.2.2).

use super::NalKind;
use crate::codec::ConfigError;
use crate::codec::h264::unescape;
use crate::wire::BitReader;

/// As much as is read: what follows are lists and timing that nobody here asks for.
const MAX_READ: usize = 256;
/// Sub-layers beyond the first one.
const MAX_SUB_LAYERS: u32 = 6;
/// The longest side at level 6.2 (section A.4.1).
const MAX_SIDE: u32 = 16_888;

/// A sequence parameter set.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Sps {
    /// `general_profile_space`, tier and `general_profile_idc`, as they stand in one byte.
    pub profile: u8,
    /// `general_profile_compatibility_flags`, the first one in the highest bit.
    pub compatibility: u32,
    /// The 48 bits of constraints.
    pub constraints: [u8; 6],
    /// Thirty times the level.
    pub level: u8,
    /// Temporal sub-layers.
    pub sub_layers: u8,
    /// Whether one can go up a sub-layer at each picture.
    pub is_nested: bool,
    /// 0: grey, 1: 4:2:0, 2: 4:2:2, 3: 4:4:4.
    pub chroma_format: u8,
    /// Bits of a luma sample.
    pub luma_depth: u8,
    /// Bits of a chroma sample.
    pub chroma_depth: u8,
    /// Shown luma samples in a row.
    pub width: u32,
    /// Shown rows.
    pub height: u32,
}

impl Sps {
    /// Reads an SPS NAL unit.
    pub fn parse(nal: &[u8]) -> Result<Self, ConfigError> {
        let Some(body) = nal.get(2..).filter(|_| NalKind::of(nal) == Some(NalKind::Sps)) else {
            return Err(ConfigError::NoHeaders);
        };
        let rbsp = unescape(body, MAX_READ);
        let mut bits = BitReader::new(&rbsp);
        bits.bits(4)?; // sps_video_parameter_set_id
        let more_layers = bits.bits(3)?;
        if more_layers > MAX_SUB_LAYERS {
            return Err(ConfigError::OutOfRange);
        }
        let is_nested = bits.bit()?;
        let profile = bits.bits(8)? as u8; // so many bits were asked for, here and below
        let compatibility = bits.bits(32)?;
        let mut constraints = [0; 6];
        for byte in &mut constraints {
            *byte = bits.bits(8)? as u8;
        }
        let level = bits.bits(8)? as u8;
        skip_sub_layers(&mut bits, more_layers)?;
        bits.ue()?; // sps_seq_parameter_set_id
        let chroma_format = u8::try_from(bits.ue()?).ok().filter(|format| *format <= 3);
        let chroma_format = chroma_format.ok_or(ConfigError::OutOfRange)?;
        let separate_planes = chroma_format == 3 && bits.bit()?;
        let (coded_width, coded_height) = (bits.ue()?, bits.ue()?);
        let [mut left, mut right, mut top, mut bottom] = [0; 4];
        if bits.bit()? {
            for edge in [&mut left, &mut right, &mut top, &mut bottom] {
                *edge = bits.ue()?;
            }
        }
        // Section 6.2: offsets count in chroma samples.
        let (across, down) = match chroma_format {
            _ if separate_planes => (1, 1),
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        let shown = |coded: u32, unit: u32, before: u32, behind: u32| {
            let cropped = before.checked_add(behind)?.checked_mul(unit)?;
            coded.checked_sub(cropped).filter(|shown| (1..=MAX_SIDE).contains(shown))
        };
        let width = shown(coded_width, across, left, right).ok_or(ConfigError::OutOfRange)?;
        let height = shown(coded_height, down, top, bottom).ok_or(ConfigError::OutOfRange)?;
        let mut depth = || -> Result<u8, ConfigError> {
            let more = bits.ue()?;
            u8::try_from(more)
                .ok()
                .filter(|more| *more <= 8)
                .map(|more| 8 + more)
                .ok_or(ConfigError::OutOfRange)
        };
        let (luma_depth, chroma_depth) = (depth()?, depth()?);
        Ok(Self {
            profile,
            compatibility,
            constraints,
            level,
            sub_layers: more_layers as u8 + 1, // at most 7
            is_nested,
            chroma_format,
            luma_depth,
            chroma_depth,
            width,
            height,
        })
    }

    /// The string that names a track of such pictures (RFC 6381; ISO/IEC 14496-15, annex E), as `hvc1.1.6.L93.B0`.
    pub fn codec_string(&self) -> String {
        let space = ["", "A", "B", "C"][usize::from(self.profile >> 6)]; // two bits
        let tier = if self.profile & 0x20 == 0 { 'L' } else { 'H' };
        let (profile, level) = (self.profile & 0x1f, self.level);
        let compatibility = self.compatibility.reverse_bits();
        let mut text = format!("hvc1.{space}{profile}.{compatibility:X}.{tier}{level}");
        let said = self.constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        for byte in self.constraints.iter().take(said) {
            text.push_str(&format!(".{byte:X}"));
        }
        text
    }
}

/// Profiles and levels of sub-layers (section 7.3.3).
fn skip_sub_layers(bits: &mut BitReader<'_>, more_layers: u32) -> Result<(), ConfigError> {
    let mut present = Vec::new();
    for _ in 0..more_layers {
        present.push((bits.bit()?, bits.bit()?));
    }
    if more_layers > 0 {
        bits.bits(2 * (8 - more_layers))?;
    }
    for (profile, level) in present {
        if profile {
            for _ in 0..11 {
                bits.bits(8)?;
            }
        }
        if level {
            bits.bits(8)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// x265, Main, 320x180 at 30: 184 rows, four of them cropped.
    const X265: &[u8] = &[
        0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00,
        0x3c, 0xa0, 0x0a, 0x08, 0x0c, 0x1f, 0x3e, 0x59, 0x59, 0x52, 0x93, 0x0b, 0xc0, 0x5a, 0x02, 0x00, 0x00,
        0x03, 0x00, 0x02, 0x00, 0x00, 0x03, 0x00, 0x3c, 0x10,
    ];

    #[test]
    fn reads_what_x265_says() {
        let sps = Sps::parse(X265).unwrap();
        assert_eq!((sps.width, sps.height, sps.level), (320, 180, 60));
        assert_eq!((sps.chroma_format, sps.luma_depth, sps.chroma_depth), (1, 8, 8));
        assert_eq!((sps.sub_layers, sps.is_nested), (1, true));
        assert_eq!(sps.codec_string(), "hvc1.1.6.L60.90");
    }

    #[test]
    fn the_examples_of_the_standard() {
        let sps = Sps { constraints: [0xb0, 0, 0, 0, 0, 0], level: 93, ..Sps::parse(X265).unwrap() };
        assert_eq!(sps.codec_string(), "hvc1.1.6.L93.B0");
        let high = Sps { profile: 0x40 | 0x20 | 1, constraints: [0; 6], ..sps };
        assert_eq!(high.codec_string(), "hvc1.A1.6.H93");
    }

    #[test]
    fn hostile_sets_are_errors() {
        for end in 0..24 {
            assert!(Sps::parse(&X265[..end]).is_err(), "cut at {end}");
        }
        assert_eq!(Sps::parse(&[0x44, 1, 1]), Err(ConfigError::NoHeaders), "a PPS");
        assert!(Sps::parse(&[0x42; 5_000]).is_err());
        let mut many_layers = X265.to_vec();
        many_layers[2] = 0x0f;
        assert_eq!(Sps::parse(&many_layers), Err(ConfigError::OutOfRange));
    }
}
