//! Bodies of audio tags (section E.4.2).

use super::{FlvError, FourCc, show_fourcc};
use crate::wire::ByteReader;
use bytes::Bytes;
use std::fmt;

const AAC: u8 = 10;
const EXTENDED: u8 = 9;

/// What an audio message carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AudioTag {
    /// An AudioSpecificConfig.
    AacConfig(Bytes),
    /// One AAC packet, without ADTS.
    Aac(Bytes),
    /// Nothing: some publishers send it for silence, and at the end.
    Empty,
    /// A codec that is recognised and not carried.
    Unsupported(AudioCodec),
}

/// Codecs that FLV can carry, apart from AAC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AudioCodec {
    /// 0 and 3: linear PCM.
    Pcm,
    /// 1: ADPCM.
    Adpcm,
    /// 2 and 14, `.mp3`.
    Mp3,
    /// 4, 5 and 6.
    Nellymoser,
    /// 7: G.711 A-law.
    Alaw,
    /// 8: G.711 mu-law.
    Mulaw,
    /// 11.
    Speex,
    /// `Opus`.
    Opus,
    /// `ac-3`.
    Ac3,
    /// `ec-3`.
    Eac3,
    /// `fLaC`.
    Flac,
    /// Several tracks in one message (Enhanced RTMP v2).
    Multitrack,
    /// A number that is reserved.
    Reserved(u8),
    /// A FourCC that is not known.
    Other(FourCc),
}

/// The two bytes in front of an AAC packet or, with `config`, an AudioSpecificConfig. For AAC the rate and channel bits
/// are constants; the configuration counts.
pub const fn aac_header(config: bool) -> [u8; 2] {
    [0xaf, if config { 0 } else { 1 }]
}

impl AudioTag {
    /// Reads a tag body; AAC shares its bytes.
    pub fn parse(body: &Bytes) -> Result<Self, FlvError> {
        let mut reader = ByteReader::new(body);
        if reader.is_empty() {
            return Ok(Self::Empty);
        }
        let head = reader.u8()?;
        let format = head >> 4;
        let packet_type = match format {
            AAC => reader.u8()?,
            EXTENDED => match (head & 0x0f, reader.array()?) {
                (5, _) => return Ok(Self::Unsupported(AudioCodec::Multitrack)),
                (packet_type, code) if &code == b"mp4a" => packet_type,
                (_, code) => return Ok(Self::Unsupported(AudioCodec::from_fourcc(code))),
            },
            other => return Ok(Self::Unsupported(AudioCodec::from_format(other))),
        };
        let data = body.slice_ref(reader.rest());
        match packet_type {
            0 => Ok(Self::AacConfig(data)),
            1 if data.is_empty() => Ok(Self::Empty),
            1 => Ok(Self::Aac(data)),
            // Enhanced RTMP: end of sequence, and the order of the channels.
            2 | 4 if format == EXTENDED => Ok(Self::Empty),
            other => Err(FlvError::PacketType(other)),
        }
    }
}

impl AudioCodec {
    const fn from_format(format: u8) -> Self {
        match format {
            0 | 3 => Self::Pcm,
            1 => Self::Adpcm,
            2 | 14 => Self::Mp3,
            4..=6 => Self::Nellymoser,
            7 => Self::Alaw,
            8 => Self::Mulaw,
            11 => Self::Speex,
            other => Self::Reserved(other),
        }
    }

    const fn from_fourcc(code: FourCc) -> Self {
        match &code {
            b"Opus" => Self::Opus,
            b"ac-3" => Self::Ac3,
            b"ec-3" => Self::Eac3,
            b"fLaC" => Self::Flac,
            b".mp3" => Self::Mp3,
            _ => Self::Other(code),
        }
    }
}

impl fmt::Display for AudioCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pcm => "PCM",
            Self::Adpcm => "ADPCM",
            Self::Mp3 => "MP3",
            Self::Nellymoser => "Nellymoser",
            Self::Alaw => "G.711 A-law",
            Self::Mulaw => "G.711 mu-law",
            Self::Speex => "Speex",
            Self::Opus => "Opus",
            Self::Ac3 => "AC-3",
            Self::Eac3 => "E-AC-3",
            Self::Flac => "FLAC",
            Self::Multitrack => "multitrack audio",
            Self::Reserved(format) => return write!(f, "audio format {format}"),
            Self::Other(code) => return write!(f, "audio codec '{}'", show_fourcc(*code)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Truncated;

    fn parse(body: &'static [u8]) -> Result<AudioTag, FlvError> {
        AudioTag::parse(&Bytes::from_static(body))
    }

    #[test]
    fn aac_in_both_forms() {
        let config = Ok(AudioTag::AacConfig(Bytes::from_static(&[0x11, 0x90])));
        assert_eq!(parse(&[0xaf, 0, 0x11, 0x90]), config);
        assert_eq!(parse(b"\x90mp4a\x11\x90"), config);
        assert_eq!(parse(&[0xaf, 1, 7]), Ok(AudioTag::Aac(Bytes::from_static(&[7]))));
        assert_eq!(parse(b"\x91mp4a\x07"), Ok(AudioTag::Aac(Bytes::from_static(&[7]))));
        assert_eq!(parse(b"\x92mp4a"), Ok(AudioTag::Empty));
        assert_eq!([parse(&[]), parse(&[0xaf, 1])], [Ok(AudioTag::Empty), Ok(AudioTag::Empty)]);
    }

    #[test]
    fn what_is_not_carried_has_a_name() {
        let name = |body| match parse(body) {
            Ok(AudioTag::Unsupported(codec)) => codec.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(name(&[0x2f, 1, 2]), "MP3");
        assert_eq!(name(&[0xb2]), "Speex");
        assert_eq!(name(&[0x62]), "Nellymoser");
        assert_eq!(name(b"\x90Opus"), "Opus");
        assert_eq!(name(b"\x90ab\x00d"), "audio codec 'ab\\x00d'");
        assert_eq!(name(b"\x95....."), "multitrack audio");
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        assert_eq!(parse(&[0xaf]), Err(Truncated.into()));
        assert_eq!(parse(&[0xaf, 9, 1]), Err(FlvError::PacketType(9)));
        assert_eq!(parse(b"\x90mp4"), Err(Truncated.into()));
    }
}
