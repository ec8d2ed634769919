//! Bodies of audio tags (section E.4.2, and Enhanced RTMP v2 "Enhanced Audio").

use super::video::{behind_modifiers, first_track};
use super::{FlvError, FourCc, show_fourcc};
use crate::codec::Codec;
use crate::codec::sound::SoundConfig;
use crate::time::ClockRate;
use crate::wire::ByteReader;
use bytes::Bytes;
use smallvec::SmallVec;
use std::fmt;

const AAC: u8 = 10;
const EXTENDED: u8 = 9;
/// By `SoundRate`; the first stands for 5,512.5.
const RATES: [u32; 4] = [5_512, 11_025, 22_050, 44_100];

/// `AudioPacketType`.
mod packet {
    pub(super) const SEQUENCE_START: u8 = 0;
    pub(super) const CODED_FRAMES: u8 = 1;
    pub(super) const SEQUENCE_END: u8 = 2;
    pub(super) const MULTICHANNEL_CONFIG: u8 = 4;
    pub(super) const MULTITRACK: u8 = 5;
}

/// What an audio message carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AudioTag {
    /// What a decoder must know: an AudioSpecificConfig, an Opus identification header, or the header of a FLAC stream.
    Config(Codec, Bytes),
    /// One packet of a codec with a FourCC; AAC without ADTS.
    Packet(Codec, Bytes),
    /// One packet of a codec of FLV's own, with what the head says of it.
    Plain(SoundConfig, Bytes),
    /// Nothing: some publishers send it for silence, and at the end.
    Empty,
    /// Sound of another track than the first one, which alone is carried.
    OtherTrack,
    /// A codec that is recognised and not carried.
    Unsupported(AudioCodec),
}

/// Codecs that FLV can carry and that are not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AudioCodec {
    /// A number that is reserved.
    Reserved(u8),
    /// A FourCC that is not known.
    Other(FourCc),
}

/// The FourCC of a codec of sound in enhanced RTMP; `None` where it has none.
pub const fn audio_fourcc(codec: Codec) -> Option<&'static str> {
    match codec {
        Codec::Aac => Some("mp4a"),
        Codec::Opus => Some("Opus"),
        Codec::Ac3 => Some("ac-3"),
        Codec::Eac3 => Some("ec-3"),
        Codec::Flac => Some("fLaC"),
        Codec::Mp3 => Some(".mp3"),
        _ => None,
    }
}

/// What stands in front of what a decoder must know: an AudioSpecificConfig or an Opus identification header.
pub fn audio_sequence_header(codec: Codec) -> impl AsRef<[u8]> + use<> {
    header(codec, packet::SEQUENCE_START)
}

/// What stands in front of a packet.
pub fn audio_frame_header(codec: Codec) -> impl AsRef<[u8]> + use<> {
    header(codec, packet::CODED_FRAMES)
}

/// AAC has FLV's own form, which all players know; there its rate and channel bits are constants.
fn header(codec: Codec, packet_type: u8) -> SmallVec<[u8; 8]> {
    let mut header = SmallVec::new();
    match audio_fourcc(codec).filter(|_| codec != Codec::Aac) {
        Some(code) => {
            header.push(EXTENDED << 4 | packet_type);
            header.extend_from_slice(code.as_bytes());
        }
        None => header.extend_from_slice(&[AAC << 4 | 0x0f, packet_type]),
    }
    header
}

impl AudioTag {
    /// Reads a tag body; packets share its bytes.
    pub fn parse(body: &Bytes) -> Result<Self, FlvError> {
        let mut reader = ByteReader::new(body);
        if reader.is_empty() {
            return Ok(Self::Empty);
        }
        let head = reader.u8()?;
        match head >> 4 {
            AAC => {
                let packet_type = reader.u8()?;
                let data = body.slice_ref(reader.rest());
                match packet_type {
                    0 => Ok(Self::Config(Codec::Aac, data)),
                    1 if data.is_empty() => Ok(Self::Empty),
                    1 => Ok(Self::Packet(Codec::Aac, data)),
                    other => Err(FlvError::PacketType(other)),
                }
            }
            EXTENDED => Self::parse_extended(head & 0x0f, body, reader),
            format => Ok(match plain(format, head) {
                Some(_) if reader.is_empty() => Self::Empty,
                Some(config) => Self::Plain(config, body.slice_ref(reader.rest())),
                None => Self::Unsupported(AudioCodec::Reserved(format)),
            }),
        }
    }

    /// Enhanced RTMP: a packet type in place of the rate, and the codec as a FourCC.
    fn parse_extended(packet_type: u8, body: &Bytes, mut reader: ByteReader<'_>) -> Result<Self, FlvError> {
        let (packet_type, code, data) = match behind_modifiers(packet_type, &mut reader)? {
            packet::MULTITRACK => match first_track(&mut reader)? {
                Some(track) => track,
                None => return Ok(Self::OtherTrack),
            },
            packet_type => (packet_type, reader.array()?, reader.rest()),
        };
        let Some(codec) = by_fourcc(code) else {
            return Ok(Self::Unsupported(AudioCodec::Other(code)));
        };
        match packet_type {
            packet::SEQUENCE_START => Ok(Self::Config(codec, body.slice_ref(data))),
            packet::CODED_FRAMES if data.is_empty() => Ok(Self::Empty),
            packet::CODED_FRAMES => Ok(Self::Packet(codec, body.slice_ref(data))),
            packet::SEQUENCE_END | packet::MULTICHANNEL_CONFIG => Ok(Self::Empty),
            other => Err(FlvError::PacketType(other)),
        }
    }
}

/// What a tag of one of FLV's own formats carries.
fn plain(format: u8, head: u8) -> Option<SoundConfig> {
    let bits = if head & 2 == 0 { 8 } else { 16 };
    let (rate, channels) = (RATES[usize::from(head >> 2 & 3)], (head & 1) + 1);
    let (codec, rate, channels) = match format {
        // The first is in the order of the machine that made it; none that publishes has the high byte first today.
        0 | 3 => (Codec::Pcm, rate, channels),
        1 => (Codec::Adpcm, rate, channels),
        2 => (Codec::Mp3, rate, channels),
        14 => (Codec::Mp3, 8_000, channels),
        4 => (Codec::Nellymoser, 16_000, 1),
        5 => (Codec::Nellymoser, 8_000, 1),
        6 => (Codec::Nellymoser, rate, channels),
        7 => (Codec::Pcma, 8_000, channels),
        8 => (Codec::Pcmu, 8_000, channels),
        // Whatever the bits say (section E.4.2.1).
        11 => (Codec::Speex, 16_000, 1),
        _ => return None,
    };
    let bits = if codec == Codec::Pcm { bits } else { 16 };
    Some(SoundConfig { bits, ..SoundConfig::new(codec, ClockRate::new(rate)?, channels) })
}

fn by_fourcc(code: FourCc) -> Option<Codec> {
    let codecs = [Codec::Aac, Codec::Opus, Codec::Ac3, Codec::Eac3, Codec::Flac, Codec::Mp3];
    codecs.into_iter().find(|codec| audio_fourcc(*codec).is_some_and(|known| known.as_bytes() == code))
}

impl fmt::Display for AudioCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reserved(format) => write!(f, "audio format {format}"),
            Self::Other(code) => write!(f, "audio codec '{}'", show_fourcc(*code)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Truncated;

    fn parse(body: &[u8]) -> Result<AudioTag, FlvError> {
        AudioTag::parse(&Bytes::copy_from_slice(body))
    }

    fn packet(codec: Codec) -> Result<AudioTag, FlvError> {
        Ok(AudioTag::Packet(codec, Bytes::from_static(&[7])))
    }

    #[test]
    fn aac_in_both_forms() {
        let config = Ok(AudioTag::Config(Codec::Aac, Bytes::from_static(&[0x11, 0x90])));
        assert_eq!(parse(&[0xaf, 0, 0x11, 0x90]), config);
        assert_eq!(parse(b"\x90mp4a\x11\x90"), config);
        assert_eq!(parse(&[0xaf, 1, 7]), packet(Codec::Aac));
        assert_eq!(parse(b"\x91mp4a\x07"), packet(Codec::Aac));
        assert_eq!(parse(b"\x92mp4a"), Ok(AudioTag::Empty));
        assert_eq!([parse(&[]), parse(&[0xaf, 1])], [Ok(AudioTag::Empty), Ok(AudioTag::Empty)]);
    }

    #[test]
    fn what_a_head_says_of_flvs_own_codecs() {
        let said = |head: u8| match parse(&[head, 9]) {
            Ok(AudioTag::Plain(config, data)) if data[..] == [9] => {
                (config.codec, config.rate.get(), config.channels, config.bits)
            }
            other => panic!("{head:02x}: {other:?}"),
        };
        // As FFmpeg writes them.
        assert_eq!(said(0x72), (Codec::Pcma, 8_000, 1, 16));
        assert_eq!(said(0x83), (Codec::Pcmu, 8_000, 2, 16));
        assert_eq!(said(0x3f), (Codec::Pcm, 44_100, 2, 16));
        assert_eq!(said(0x04), (Codec::Pcm, 11_025, 1, 8));
        assert_eq!(said(0x1a), (Codec::Adpcm, 22_050, 1, 16));
        assert_eq!(said(0x2f), (Codec::Mp3, 44_100, 2, 16));
        assert_eq!(said(0xe2), (Codec::Mp3, 8_000, 1, 16));
        assert_eq!(said(0x42), (Codec::Nellymoser, 16_000, 1, 16));
        assert_eq!(said(0x52), (Codec::Nellymoser, 8_000, 1, 16));
        assert_eq!(said(0x6a), (Codec::Nellymoser, 22_050, 1, 16));
        assert_eq!(said(0xb6), (Codec::Speex, 16_000, 1, 16), "with bits that mean nothing");
        assert_eq!([parse(&[0xb6]), parse(&[0x2f])], [Ok(AudioTag::Empty), Ok(AudioTag::Empty)]);
    }

    #[test]
    fn the_codecs_of_enhanced_rtmp() {
        use Codec::{Ac3, Eac3, Flac, Mp3, Opus};
        for (codec, code) in [(Opus, "Opus"), (Ac3, "ac-3"), (Eac3, "ec-3"), (Flac, "fLaC"), (Mp3, ".mp3")] {
            let tag = |packet_type: u8| [&[0x90 | packet_type], code.as_bytes(), &[7]].concat();
            assert_eq!(parse(&tag(1)), packet(codec), "{code}");
            assert_eq!(parse(&tag(0)), Ok(AudioTag::Config(codec, Bytes::from_static(&[7]))));
            assert_eq!([parse(&tag(2)), parse(&tag(4))], [Ok(AudioTag::Empty), Ok(AudioTag::Empty)]);
            assert_eq!(parse(&tag(3)), Err(FlvError::PacketType(3)));
        }
    }

    #[test]
    fn headers_say_what_the_parser_reads() {
        for codec in [Codec::Aac, Codec::Opus] {
            let tag = |head: &dyn AsRef<[u8]>| [head.as_ref(), &[7]].concat();
            let config = Ok(AudioTag::Config(codec, Bytes::from_static(&[7])));
            assert_eq!(parse(&tag(&audio_sequence_header(codec))), config);
            assert_eq!(parse(&tag(&audio_frame_header(codec))), packet(codec));
        }
        assert_eq!(audio_frame_header(Codec::Aac).as_ref(), [0xaf, 1]);
    }

    #[test]
    fn of_several_tracks_the_first_one_is_taken() {
        assert_eq!(parse(b"\x95\x01Opus\x00\x07"), packet(Codec::Opus), "one track");
        assert_eq!(parse(b"\x95\x01Opus\x01\x07"), Ok(AudioTag::OtherTrack));
        assert_eq!(parse(b"\x95\x11Opus\x02\x00\x00\x01\x09\x00\x00\x00\x01\x07"), packet(Codec::Opus));
        let many = b"\x95\x21Opus\x01\x00\x00\x01\x09mp4a\x00\x00\x00\x01\x07";
        assert_eq!(parse(many), packet(Codec::Aac));
        assert_eq!(parse(b"\x95\x01abcd\x00\x07"), Ok(AudioTag::Unsupported(AudioCodec::Other(*b"abcd"))));
    }

    #[test]
    fn modifiers_are_passed_over() {
        assert_eq!(parse(b"\x97\x02\x00\x00\x07\x01Opus\x07"), packet(Codec::Opus));
        let endless = [0x97].into_iter().chain([0, 0, 7].into_iter().cycle().take(300)).collect::<Vec<u8>>();
        assert_eq!(parse(&endless), Err(FlvError::PacketType(7)));
    }

    #[test]
    fn what_is_not_carried_has_a_name() {
        let name = |body| match parse(body) {
            Ok(AudioTag::Unsupported(codec)) => codec.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(name(&[0xc2, 1]), "audio format 12");
        assert_eq!(name(b"\x90ab\x00d"), "audio codec 'ab\\x00d'");
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        assert_eq!(parse(&[0xaf]), Err(Truncated.into()));
        assert_eq!(parse(&[0xaf, 9, 1]), Err(FlvError::PacketType(9)));
        assert_eq!(parse(b"\x90mp4"), Err(Truncated.into()));
    }
}
