//! VPCodecConfigurationRecord (ISO binding): what enhanced RTMP sends first of all, with the size that is not in it.

use super::KeyHeader;
use crate::codec::ConfigError;
use crate::wire::ByteReader;
use bytes::{BufMut, Bytes, BytesMut};

/// Version and flags of the box, which stand before the record.
const VERSION: [u8; 4] = [1, 0, 0, 0];
/// 4:2:0 with chroma where luma is, 4:2:2, 4:4:4, as the record has them.
const CHROMA: [((bool, bool), u8); 4] =
    [((true, true), 1), ((true, false), 2), ((false, false), 3), ((false, true), 1)];

/// Levels by the samples of a picture that they allow (annex A): ten times the level.
const LEVELS: [(u32, u8); 10] = [
    (36_864, 10),
    (73_728, 11),
    (122_880, 20),
    (245_760, 21),
    (552_960, 30),
    (983_040, 31),
    (2_228_224, 40),
    (8_912_896, 50),
    (35_651_584, 60),
    (u32::MAX, 62),
];

/// What is known of a stream: what its key frames say, and what only the record does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vp9Config {
    key: KeyHeader,
    level: u8,
    /// Primaries, transfer and matrix by ISO/IEC 23001-8.
    colour: [u8; 3],
}

impl Vp9Config {
    /// Of a stream with this record, if it has sent one, and this key frame, whose word is the later.
    pub fn new(record: Option<&[u8]>, key: KeyHeader) -> Result<Self, ConfigError> {
        let samples = key.width.saturating_mul(key.height);
        let level = LEVELS.iter().find(|(most, _)| samples <= *most).map_or(62, |(_, level)| *level);
        // "Unspecified", where the frames do not say it.
        let matrix = match key.colour_space {
            1 => 6,
            2 => 1,
            7 => 0,
            _ => 2,
        };
        let guess = Self { key, level, colour: [2, 2, matrix] };
        let Some(record) = record else { return Ok(guess) };
        // No record begins like that itself: its samples would have no bits.
        let record = record.strip_prefix(&VERSION).unwrap_or(record);
        let mut reader = ByteReader::new(record);
        let [_profile, level, _depth, primaries, transfer, matrix] = reader.array()?;
        let level = if level == 0 { guess.level } else { level };
        Ok(Self { key, level, colour: [primaries, transfer, matrix] })
    }

    /// The record, behind version and flags as in files.
    pub fn to_record(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_slice(&VERSION);
        out.put_slice(&[self.key.profile, self.level]);
        out.put_u8(self.key.depth << 4 | self.chroma() << 1 | u8::from(self.key.is_full_range));
        out.put_slice(&self.colour);
        out.put_u16(0); // no initialisation data
        out.freeze()
    }

    /// The string that names a track of such pictures (ISO binding, "Codecs Parameter String"), as `vp09.00.31.08`.
    pub fn codec_string(&self) -> String {
        format!("vp09.{:02}.{:02}.{:02}", self.key.profile, self.level, self.key.depth)
    }

    /// What the key frames say.
    pub const fn key(&self) -> &KeyHeader {
        &self.key
    }

    /// Ten times the level.
    pub const fn level(&self) -> u8 {
        self.level
    }

    /// How the record says how chroma is sampled.
    fn chroma(&self) -> u8 {
        CHROMA
            .iter()
            .find(|(subsampling, _)| *subsampling == self.key.subsampling)
            .map_or(1, |(_, code)| *code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: KeyHeader = KeyHeader {
        profile: 0,
        depth: 8,
        colour_space: 0,
        is_full_range: false,
        subsampling: (true, true),
        width: 320,
        height: 180,
    };

    #[test]
    fn a_record_says_what_frames_do_not() {
        // ffmpeg 7 with libvpx.
        let record = [1, 0, 0, 0, 0, 11, 0x82, 2, 2, 2, 0, 0];
        let config = Vp9Config::new(Some(&record), KEY).unwrap();
        assert_eq!((config.level(), config.codec_string()), (11, "vp09.00.11.08".to_owned()));
        assert_eq!(config.to_record()[..], record);
        assert_eq!(Vp9Config::new(Some(&record[4..]), KEY), Ok(config), "without version and flags");
        assert!(Vp9Config::new(Some(&record[..7]), KEY).is_err() && Vp9Config::new(Some(&[]), KEY).is_err());
    }

    #[test]
    fn without_a_record_the_size_says_the_level() {
        let level = |width, height| Vp9Config::new(None, KeyHeader { width, height, ..KEY }).unwrap().level();
        assert_eq!([level(1, 1), level(640, 360), level(1_280, 720)], [10, 21, 31]);
        assert_eq!([level(1_920, 1_080), level(3_840, 2_160), level(65_536, 65_536)], [40, 50, 62]);
        let hd = KeyHeader { width: 1_280, height: 720, ..KEY };
        assert_eq!(Vp9Config::new(None, hd).unwrap().codec_string(), "vp09.00.31.08");
    }
}
