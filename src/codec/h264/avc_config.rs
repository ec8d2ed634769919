//! AVCDecoderConfigurationRecord (ISO/IEC 14496-15, section 5.3.3.1): what FLV calls the AVC sequence header.

use super::sps::{Samples, Sps};
use crate::wire::{ByteReader, Truncated};
use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

/// The longest parameter set that is taken, in bytes. Real ones have tens, or a few hundred with scaling matrices.
pub(super) const MAX_SET: usize = 4_096;
/// As many as the record can count.
const MAX_SPS: usize = 31;
const MAX_PPS: usize = 255;

/// Parameter sets of a stream: SPS and PPS NAL units without any framing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AvcConfig {
    sps: Vec<Bytes>,
    pps: Vec<Bytes>,
}

/// Why a configuration record cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum AvcConfigError {
    /// The record ends too early.
    #[error(transparent)]
    Truncated(#[from] Truncated),
    /// `configurationVersion` is not 1.
    #[error("configuration version {0} is unknown")]
    Version(u8),
    /// Nothing can be decoded without both.
    #[error("no SPS or no PPS")]
    NoParameterSets,
    /// `lengthSizeMinusOne` of 2 is reserved.
    #[error("NAL unit lengths of 3 bytes")]
    LengthSize,
    /// Encoders make sets of some hundred bytes at most.
    #[error("a parameter set of more than {MAX_SET} bytes")]
    TooLong,
    /// More than a record can hold.
    #[error("more than {MAX_SPS} SPS or {MAX_PPS} PPS")]
    TooMany,
}

impl AvcConfig {
    /// From NAL units of kind SPS and PPS; at least one of each, an SPS of 4 bytes at least, none of more than 4 KB.
    pub fn new(sps: Vec<Bytes>, pps: Vec<Bytes>) -> Result<Self, AvcConfigError> {
        if pps.is_empty() || sps.first().is_none_or(|sps| sps.len() < 4) {
            return Err(AvcConfigError::NoParameterSets);
        }
        if sps.len() > MAX_SPS || pps.len() > MAX_PPS {
            return Err(AvcConfigError::TooMany);
        }
        if sps.iter().chain(&pps).any(|set| set.len() > MAX_SET) {
            return Err(AvcConfigError::TooLong);
        }
        Ok(Self { sps, pps })
    }

    /// Reads an avcC record; also gives the size in bytes of the NAL unit lengths in the stream's frames.
    pub fn parse(record: &[u8]) -> Result<(Self, usize), AvcConfigError> {
        let mut reader = ByteReader::new(record);
        match reader.u8()? {
            1 => {}
            other => return Err(AvcConfigError::Version(other)),
        }
        reader.bytes(3)?; // profile, compatibility and level stand in the SPS too
        let length_size = usize::from(reader.u8()? & 3) + 1;
        if length_size == 3 {
            return Err(AvcConfigError::LengthSize);
        }
        // The counts are at most a byte each, so nothing here is sized by the peer beyond the record itself.
        let read = |count: u8, reader: &mut ByteReader<'_>| -> Result<Vec<Bytes>, Truncated> {
            (0..count)
                .map(|_| reader.u16().and_then(|n| reader.bytes(n.into())).map(Bytes::copy_from_slice))
                .collect()
        };
        let sps_count = reader.u8()? & 0x1f;
        let sps = read(sps_count, &mut reader)?;
        let pps_count = reader.u8()?;
        let pps = read(pps_count, &mut reader)?;
        Ok((Self::new(sps, pps)?, length_size))
    }

    /// Every set behind a length of 4 bytes, as they stand in an access unit.
    pub fn length_prefixed(&self) -> Bytes {
        let mut out = BytesMut::new();
        for set in self.sps().iter().chain(self.pps()) {
            out.put_u32(set.len() as u32); // at most 4 KB
            out.put_slice(set);
        }
        out.freeze()
    }

    /// The avcC record, with lengths of 4 bytes.
    pub fn to_record(&self) -> Bytes {
        let mut out = BytesMut::new();
        let first = &self.sps[0]; // `new` refuses an empty list and a short SPS
        out.put_slice(&[1, first[1], first[2], first[3], 0xff]);
        out.put_u8(0xe0 | self.sps.len() as u8); // `new` takes no more than 31
        put_sets(&mut out, &self.sps);
        out.put_u8(self.pps.len() as u8); // nor more than 255
        put_sets(&mut out, &self.pps);
        if matches!(first[1], 100 | 110 | 122 | 144) {
            // High profiles repeat what the SPS says. One that cannot be read is taken for what nearly all are.
            let samples = Sps::parse(first).map_or(Samples::PLAIN, |sps| sps.samples);
            let Samples { chroma_format, luma_bits, chroma_bits } = samples;
            out.put_slice(&[0xfc | chroma_format, 0xf8 | luma_bits & 7, 0xf8 | chroma_bits & 7, 0]);
        }
        out.freeze()
    }

    /// SPS NAL units.
    pub fn sps(&self) -> &[Bytes] {
        &self.sps
    }

    /// PPS NAL units.
    pub fn pps(&self) -> &[Bytes] {
        &self.pps
    }

    /// `profile_idc`, constraint flags and `level_idc`: the three bytes of SDP's `profile-level-id` (RFC 6184).
    pub fn profile_level_id(&self) -> [u8; 3] {
        let first = &self.sps[0]; // `new` refuses an empty list and a short SPS
        [first[1], first[2], first[3]]
    }
}

fn put_sets(out: &mut BytesMut, sets: &[Bytes]) {
    for set in sets {
        out.put_u16(set.len() as u16); // `new` takes none longer than MAX_SET
        out.put_slice(set);
    }
}

#[cfg(test)]
mod tests {
    use super::super::nal::nal_unit;
    use super::*;
    use crate::wire::BitWriter;

    const RECORD: &[u8] =
        &[1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 4, 0x67, 0x42, 0xc0, 0x1e, 1, 0, 2, 0x68, 0xce];

    #[test]
    fn a_record_survives_the_round_trip() {
        let (config, length_size) = AvcConfig::parse(RECORD).unwrap();
        assert_eq!(length_size, 4);
        assert_eq!(config.profile_level_id(), [0x42, 0xc0, 0x1e]);
        assert_eq!(config.to_record(), RECORD);
        let sets = [0, 0, 0, 4, 0x67, 0x42, 0xc0, 0x1e, 0, 0, 0, 2, 0x68, 0xce];
        assert_eq!(config.length_prefixed()[..], sets, "as they stand in an access unit");
    }

    #[test]
    fn high_profiles_say_what_samples_there_are() {
        // 160x96: of profile, chroma format, and bits of luma and chroma beyond 8.
        let sps = |profile: u8, chroma: u32, luma: u32, chroma_bits: u32| {
            let mut bits = BitWriter::default();
            [u32::from(profile), 0, 30].into_iter().for_each(|byte| bits.bits(byte, 8));
            bits.ue(0); // seq_parameter_set_id
            [chroma, luma, chroma_bits].into_iter().for_each(|value| bits.ue(value));
            bits.bit(false); // qpprime_y_zero_transform_bypass_flag
            bits.bit(false); // seq_scaling_matrix_present_flag
            [0, 2, 1].into_iter().for_each(|value| bits.ue(value)); // frame numbers, order, references
            bits.bit(false); // gaps_in_frame_num_value_allowed_flag
            [9, 5].into_iter().for_each(|value| bits.ue(value)); // macroblocks
            // Frames alone, direct_8x8_inference_flag, neither cropping nor VUI, and the end.
            [true, true, false, false, true].into_iter().for_each(|flag| bits.bit(flag));
            nal_unit(0x67, &bits.into_bytes())
        };
        for (profile, chroma, luma, chroma_bits) in
            [(100, 1, 0, 0), (110, 1, 2, 2), (122, 2, 2, 1), (100, 0, 0, 0)]
        {
            let sps = sps(profile, chroma, luma, chroma_bits);
            let config = AvcConfig::new(vec![sps], vec![Bytes::from_static(&[0x68, 0xce])]).unwrap();
            let record = config.to_record();
            let tail = &record[record.len() - 4..];
            assert_eq!(tail, [0xfc | chroma as u8, 0xf8 | luma as u8, 0xf8 | chroma_bits as u8, 0]);
            assert_eq!(AvcConfig::parse(&record), Ok((config, 4)));
        }
    }

    #[test]
    fn every_cut_is_an_error() {
        for end in 0..RECORD.len() {
            assert!(AvcConfig::parse(&RECORD[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn more_or_longer_sets_than_real_ones_are_refused() {
        let sps = Bytes::from_static(&[0x67, 0x42, 0xc0, 0x1e]);
        let with =
            |count, length| AvcConfig::new(vec![sps.clone()], vec![Bytes::from(vec![0x68; length]); count]);
        let most = with(MAX_PPS, MAX_SET).unwrap();
        assert_eq!(AvcConfig::parse(&most.to_record()), Ok((most, 4)));
        assert_eq!(with(1, MAX_SET + 1), Err(AvcConfigError::TooLong));
        assert_eq!(with(MAX_PPS + 1, 1), Err(AvcConfigError::TooMany));
        let pps = vec![Bytes::from_static(&[0x68])];
        assert_eq!(AvcConfig::new(vec![sps; MAX_SPS + 1], pps), Err(AvcConfigError::TooMany));
    }
}
