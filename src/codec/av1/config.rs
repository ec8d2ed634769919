//! AV1CodecConfigurationRecord (ISO binding, section 2.3.3): what enhanced RTMP sends first of all.

use super::{ObuKind, SequenceHeader, obus};
use crate::codec::ConfigError;
use crate::wire::ByteReader;
use bytes::{BufMut, Bytes, BytesMut};

/// The longest sequence header that is taken, in bytes. Real ones have some ten.
const MAX_HEADER: usize = 1_024;
/// Marker and version of the record.
const VERSION: u8 = 0x81;

/// The sequence header of a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Av1Config {
    /// The OBU with its header and its size.
    header: Bytes,
    said: SequenceHeader,
}

impl Av1Config {
    /// From a sequence header OBU.
    pub fn new(header: &[u8]) -> Result<Self, ConfigError> {
        let obu = obus(header).next().filter(|obu| obu.kind == ObuKind::SequenceHeader);
        let payload = obu.ok_or(ConfigError::NoHeaders)?.payload;
        if payload.len() > MAX_HEADER {
            return Err(ConfigError::TooLong);
        }
        let said = SequenceHeader::parse(header)?;
        // With its size, whatever form it came in: other units stand behind it.
        let mut whole = BytesMut::new();
        whole.put_u8(0x0a);
        if payload.len() >= 0x80 {
            whole.put_u8(0x80 | payload.len() as u8 & 0x7f); // the lower seven bits of at most 1,024
            whole.put_u8((payload.len() >> 7) as u8);
        } else {
            whole.put_u8(payload.len() as u8);
        }
        whole.put_slice(payload);
        Ok(Self { header: whole.freeze(), said })
    }

    /// Reads an av1C record. `None`: it has no sequence header, which then stands before the first key frame.
    pub fn parse(record: &[u8]) -> Result<Option<Self>, ConfigError> {
        let mut reader = ByteReader::new(record);
        // Encoders that do not know it yet send nothing at all.
        if reader.is_empty() {
            return Ok(None);
        }
        match reader.u8()? {
            VERSION => {}
            other => return Err(ConfigError::Version(other)),
        }
        reader.bytes(3)?; // all of it stands in the sequence header
        let header = obus(reader.rest()).find(|obu| obu.kind == ObuKind::SequenceHeader);
        header.map(|obu| Self::new(obu.whole)).transpose()
    }

    /// The av1C record.
    pub fn to_record(&self) -> Bytes {
        let said = &self.said;
        let mut out = BytesMut::new();
        out.put_slice(&[VERSION, said.profile << 5 | said.level]); // three bits and five
        let flags = [
            said.is_high_tier,
            said.depth > 8,
            said.depth == 12,
            said.is_monochrome,
            said.subsampling.0,
            said.subsampling.1,
        ];
        let flags = flags.into_iter().fold(0, |bits, flag| bits << 1 | u8::from(flag));
        out.put_u8(flags << 2 | said.chroma_position);
        out.put_u8(0); // nothing is said of a delay
        out.put_slice(&self.header);
        out.freeze()
    }

    /// The sequence header OBU.
    pub const fn header(&self) -> &Bytes {
        &self.header
    }

    /// What it says.
    pub const fn said(&self) -> &SequenceHeader {
        &self.said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ffmpeg 7 with libaom, 320x180.
    const RECORD: &[u8] = &[0x81, 0, 0x0c, 0, 0x0a, 0x0b, 0, 0, 0, 4, 0x3c, 0xfe, 0xcc, 0xda, 0x99, 0, 0x40];

    #[test]
    fn a_record_survives_the_round_trip() {
        let config = Av1Config::parse(RECORD).unwrap().unwrap();
        assert_eq!((config.said().width, config.said().height), (320, 180));
        assert_eq!(config.to_record(), RECORD);
        assert_eq!(Av1Config::new(config.header()), Ok(config));
    }

    #[test]
    fn a_header_that_says_no_size_gets_one() {
        let unsized_header = [&[0x08], &RECORD[6..]].concat();
        assert_eq!(Av1Config::new(&unsized_header).unwrap().header()[..], RECORD[4..]);
        let long = [&[0x08], &RECORD[6..], &[0; 300]].concat();
        let config = Av1Config::new(&long).unwrap();
        assert_eq!(Av1Config::parse(&config.to_record()), Ok(Some(config)));
    }

    #[test]
    fn what_says_nothing_and_what_makes_no_sense() {
        assert_eq!([Av1Config::parse(&[]), Av1Config::parse(&RECORD[..4])], [Ok(None), Ok(None)]);
        assert!(Av1Config::parse(&RECORD[..3]).is_err());
        assert_eq!(Av1Config::parse(&[1, 0, 0, 0]), Err(ConfigError::Version(1)));
        assert_eq!(Av1Config::new(&[&[0x08][..], &[0; 2_000]].concat()), Err(ConfigError::TooLong));
        assert_eq!(Av1Config::new(&[0x12, 0]), Err(ConfigError::NoHeaders));
    }
}
