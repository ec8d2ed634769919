//! HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, section 8.3.3.1): what enhanced RTMP sends first of all.

use super::{NalKind, Sps};
use crate::codec::ConfigError;
use crate::wire::ByteReader;
use bytes::{BufMut, Bytes, BytesMut};

/// The longest parameter set that is taken, in bytes. Real ones have tens or hundreds.
const MAX_SET: usize = 4_096;
/// Sets of one kind: real streams have one or two.
const MAX_SETS: usize = 64;
/// What the record says before its arrays that this program does not: its parallelism, its frame rate and the like.
const SKIPPED: usize = 20;

/// Parameter sets of a stream: VPS, SPS and PPS NAL units without any framing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HevcConfig {
    vps: Vec<Bytes>,
    sps: Vec<Bytes>,
    pps: Vec<Bytes>,
    /// What the first SPS says.
    said: Sps,
}

impl HevcConfig {
    /// From NAL units of each kind; at least one SPS that can be read and one of each other, none of more than 4 KB.
    pub fn new(vps: Vec<Bytes>, sps: Vec<Bytes>, pps: Vec<Bytes>) -> Result<Self, ConfigError> {
        if vps.is_empty() || pps.is_empty() {
            return Err(ConfigError::NoHeaders);
        }
        let said = Sps::parse(sps.first().ok_or(ConfigError::NoHeaders)?)?;
        let is_long = |sets: &Vec<Bytes>| sets.len() > MAX_SETS || sets.iter().any(|set| set.len() > MAX_SET);
        if [&vps, &sps, &pps].into_iter().any(is_long) {
            return Err(ConfigError::TooLong);
        }
        Ok(Self { vps, sps, pps, said })
    }

    /// Reads an hvcC record; also gives the size in bytes of the NAL unit lengths in the stream's frames.
    pub fn parse(record: &[u8]) -> Result<(Self, usize), ConfigError> {
        let mut reader = ByteReader::new(record);
        match reader.u8()? {
            // Before the standard was there, encoders wrote 0.
            0 | 1 => {}
            other => return Err(ConfigError::Version(other)),
        }
        reader.bytes(SKIPPED)?;
        let length_size = usize::from(reader.u8()? & 3) + 1;
        if length_size == 3 {
            return Err(ConfigError::LengthSize);
        }
        let [mut vps, mut sps, mut pps] = [const { Vec::new() }; 3];
        // Counts and lengths are the peer's, but nothing is made that the record does not have.
        for _ in 0..reader.u8()? {
            reader.u8()?; // the kind stands in each of them, too
            for _ in 0..reader.u16()? {
                let length = reader.u16()?;
                let nal = Bytes::copy_from_slice(reader.bytes(length.into())?);
                let sets = match NalKind::of(&nal) {
                    Some(NalKind::Vps) => &mut vps,
                    Some(NalKind::Sps) => &mut sps,
                    Some(NalKind::Pps) => &mut pps,
                    // SEI for all pictures: who made the stream, mostly.
                    _ => continue,
                };
                if sets.len() >= MAX_SETS {
                    return Err(ConfigError::TooLong);
                }
                sets.push(nal);
            }
        }
        Ok((Self::new(vps, sps, pps)?, length_size))
    }

    /// The parameter sets that stand among these NAL units in place of those of the same kind. `None` when there are none,
    /// or those that there are.
    pub fn updated_by<'a>(
        known: Option<&Self>,
        nals: impl Iterator<Item = &'a [u8]>,
    ) -> Option<Result<Self, ConfigError>> {
        let [mut vps, mut sps, mut pps] = [const { Vec::new() }; 3];
        for nal in nals {
            let sets = match NalKind::of(nal) {
                Some(NalKind::Vps) => &mut vps,
                Some(NalKind::Sps) => &mut sps,
                Some(NalKind::Pps) => &mut pps,
                _ => continue,
            };
            // A copy: the slice would keep a whole picture in memory.
            sets.push(Bytes::copy_from_slice(nal));
        }
        let within = |new: &[Bytes], old: fn(&Self) -> &[Bytes]| {
            known.is_some_and(|known| new.iter().all(|set| old(known).contains(set)))
        };
        if (vps.is_empty() && sps.is_empty() && pps.is_empty())
            || (within(&vps, Self::vps) && within(&sps, Self::sps) && within(&pps, Self::pps))
        {
            return None;
        }
        if let Some(known) = known {
            for (new, old) in [(&mut vps, &known.vps), (&mut sps, &known.sps), (&mut pps, &known.pps)] {
                if new.is_empty() {
                    new.clone_from(old);
                }
            }
        }
        Some(Self::new(vps, sps, pps))
    }

    /// Every set behind a length of 4 bytes, as they stand in an access unit.
    pub fn length_prefixed(&self) -> Bytes {
        let mut out = BytesMut::new();
        for set in self.sets() {
            out.put_u32(set.len() as u32); // at most 4 KB
            out.put_slice(set);
        }
        out.freeze()
    }

    /// The hvcC record, with lengths of 4 bytes.
    pub fn to_record(&self) -> Bytes {
        let said = &self.said;
        let mut out = BytesMut::new();
        out.put_slice(&[1, said.profile]);
        out.put_u32(said.compatibility);
        out.put_slice(&said.constraints);
        out.put_u8(said.level);
        out.put_u16(0xf000); // min_spatial_segmentation_idc: nothing is said
        out.put_u8(0xfc); // parallelismType: nor of this
        out.put_u8(0xfc | said.chroma_format);
        out.put_slice(&[0xf8 | (said.luma_depth - 8), 0xf8 | (said.chroma_depth - 8)]); // 8 to 16
        out.put_u16(0); // avgFrameRate: nor of this
        out.put_u8(said.sub_layers << 3 | u8::from(said.is_nested) << 2 | 3);
        out.put_u8(3);
        for (kind, sets) in [(32, &self.vps), (33, &self.sps), (34, &self.pps)] {
            out.put_u8(0x80 | kind); // all of this kind that there are
            out.put_u16(sets.len() as u16); // at most 64
            for set in sets {
                out.put_u16(set.len() as u16); // at most 4 KB
                out.put_slice(set);
            }
        }
        out.freeze()
    }

    /// What the first SPS says.
    pub const fn said(&self) -> &Sps {
        &self.said
    }

    /// All sets, in the order in which a decoder needs them.
    pub fn sets(&self) -> impl Iterator<Item = &Bytes> {
        self.vps.iter().chain(&self.sps).chain(&self.pps)
    }

    fn vps(&self) -> &[Bytes] {
        &self.vps
    }

    fn sps(&self) -> &[Bytes] {
        &self.sps
    }

    fn pps(&self) -> &[Bytes] {
        &self.pps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ffmpeg 7 with x265, Main, 320x180, without the SEI at its end.
    const RECORD: &str = "010160000000900000000000 3cf000fcfdf8f800000f03\
        200001001840010c01ffff01600000030090000003000003003c959409\
        210001002b42010101600000030090000003000003003ca00a080c1f3e595952930bc05a020000030002000003003c10\
        22000100064401c073c189";

    fn record() -> Vec<u8> {
        let digits: Vec<u8> = RECORD.bytes().filter(u8::is_ascii_hexdigit).collect();
        let text = std::str::from_utf8(&digits).unwrap();
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn a_record_survives_the_round_trip() {
        let (config, length_size) = HevcConfig::parse(&record()).unwrap();
        assert_eq!((length_size, config.said().width, config.said().height), (4, 320, 180));
        let mut wanted = record();
        // That the arrays are whole is something that x265 does not promise.
        for kind in [32, 33, 34] {
            let at = wanted.windows(3).position(|bytes| bytes == [kind, 0, 1]).unwrap();
            wanted[at] |= 0x80;
        }
        assert_eq!(config.to_record(), wanted);
        assert_eq!(HevcConfig::parse(&wanted), Ok((config.clone(), 4)));
        assert_eq!(config.length_prefixed().len(), 24 + 43 + 6 + 3 * 4);
    }

    #[test]
    fn every_cut_is_an_error() {
        let record = record();
        for end in 0..record.len() {
            assert!(HevcConfig::parse(&record[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn more_or_longer_sets_than_real_ones_are_refused() {
        let (config, _) = HevcConfig::parse(&record()).unwrap();
        let with = |count, length| {
            let pps = vec![Bytes::from(vec![0x44; length]); count];
            HevcConfig::new(config.vps.clone(), config.sps.clone(), pps)
        };
        assert!(with(MAX_SETS, MAX_SET).is_ok());
        assert_eq!([with(1, MAX_SET + 1), with(MAX_SETS + 1, 1)], [const { Err(ConfigError::TooLong) }; 2]);
        assert_eq!(with(0, 0), Err(ConfigError::NoHeaders));
    }

    #[test]
    fn sets_in_band_replace_those_of_their_kind() {
        let (config, _) = HevcConfig::parse(&record()).unwrap();
        let same: Vec<_> = config.sets().map(|set| &set[..]).collect();
        assert_eq!(HevcConfig::updated_by(Some(&config), same.iter().copied()), None);
        assert_eq!(HevcConfig::updated_by(None, same.iter().copied()), Some(Ok(config.clone())));
        assert_eq!(HevcConfig::updated_by(Some(&config), [&[0x26, 1, 9][..]].into_iter()), None);
        let other = [&[0x44, 1, 7][..]];
        let updated = HevcConfig::updated_by(Some(&config), other.into_iter()).unwrap().unwrap();
        assert_eq!((updated.pps(), updated.sps()), (&[Bytes::from_static(other[0])][..], config.sps()));
        assert_eq!(HevcConfig::updated_by(None, other.into_iter()), Some(Err(ConfigError::NoHeaders)));
    }
}
