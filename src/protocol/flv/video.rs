//! Bodies of video tags (section E.4.3).

use super::{FlvError, FourCc, show_fourcc};
use crate::time::{ClockRate, MediaDuration};
use crate::wire::ByteReader;
use bytes::Bytes;
use std::fmt;

const KEYFRAME: u8 = 1;
const COMMAND: u8 = 5;
const AVC: u8 = 7;

/// What a video message carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum VideoTag {
    /// An AVCDecoderConfigurationRecord.
    AvcConfig(Bytes),
    /// One H.264 picture.
    AvcFrame {
        /// Whether the publisher calls it a key frame.
        keyframe: bool,
        /// From decoding to presentation, whole milliseconds; negative only in streams that break the rules.
        composition: MediaDuration,
        /// NAL units behind lengths.
        data: Bytes,
    },
    /// The publisher will send no more pictures.
    AvcEnd,
    /// Nothing to see: an empty body, a command to the player, HDR metadata.
    Empty,
    /// A codec that is recognised and not carried.
    Unsupported(VideoCodec),
}

/// Codecs that FLV can carry, apart from H.264.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VideoCodec {
    /// 2: Sorenson H.263.
    Sorenson,
    /// 3 and 6: screen video.
    Screen,
    /// 4 and 5: On2 VP6, without or with alpha.
    Vp6,
    /// `hvc1`, and number 12 as some encoders send it.
    Hevc,
    /// `av01`, and number 13 as some encoders send it.
    Av1,
    /// `vp08`.
    Vp8,
    /// `vp09`.
    Vp9,
    /// `vvc1`.
    Vvc,
    /// Several tracks in one message (Enhanced RTMP v2).
    Multitrack,
    /// A number that is reserved.
    Reserved(u8),
    /// A FourCC that is not known.
    Other(FourCc),
}

/// The five bytes in front of an AVCDecoderConfigurationRecord.
pub const fn avc_sequence_header() -> [u8; 5] {
    [KEYFRAME << 4 | AVC, 0, 0, 0, 0]
}

/// The five bytes in front of the NAL units of a picture. The offset is cut to what 24 bits of milliseconds hold.
pub fn avc_frame_header(keyframe: bool, composition: MediaDuration) -> [u8; 5] {
    let offset = composition.to_ticks(ClockRate::MILLISECONDS).clamp(-(1 << 23), (1 << 23) - 1);
    let [.., a, b, c] = offset.to_be_bytes();
    [if keyframe { KEYFRAME } else { 2 } << 4 | AVC, 1, a, b, c]
}

impl VideoTag {
    /// Reads a tag body; H.264 shares its bytes.
    pub fn parse(body: &Bytes) -> Result<Self, FlvError> {
        let mut reader = ByteReader::new(body);
        if reader.is_empty() {
            return Ok(Self::Empty);
        }
        let head = reader.u8()?;
        if head & 0x80 != 0 {
            return Self::parse_extended(head, body, reader);
        }
        let frame_type = head >> 4;
        if head & 0x0f != AVC {
            return Ok(Self::Unsupported(VideoCodec::from_number(head & 0x0f)));
        }
        if frame_type == COMMAND {
            return Ok(Self::Empty);
        }
        let packet_type = reader.u8()?;
        let composition = milliseconds(reader.i24()?);
        let data = body.slice_ref(reader.rest());
        match packet_type {
            0 => Ok(Self::AvcConfig(data)),
            1 if data.is_empty() => Ok(Self::Empty),
            1 => Ok(Self::AvcFrame { keyframe: frame_type == KEYFRAME, composition, data }),
            2 => Ok(Self::AvcEnd),
            other => Err(FlvError::PacketType(other)),
        }
    }

    /// Enhanced RTMP: a frame type of 3 bits, a packet type, and the codec as a FourCC.
    fn parse_extended(head: u8, body: &Bytes, mut reader: ByteReader<'_>) -> Result<Self, FlvError> {
        let (frame_type, packet_type) = (head >> 4 & 7, head & 0x0f);
        if frame_type == COMMAND {
            return Ok(Self::Empty);
        }
        if packet_type == 6 {
            return Ok(Self::Unsupported(VideoCodec::Multitrack));
        }
        let code: FourCc = reader.array()?;
        if &code != b"avc1" {
            return Ok(Self::Unsupported(VideoCodec::from_fourcc(code)));
        }
        let keyframe = frame_type == KEYFRAME;
        let composition = if packet_type == 1 { milliseconds(reader.i24()?) } else { MediaDuration::ZERO };
        let data = body.slice_ref(reader.rest());
        match packet_type {
            0 => Ok(Self::AvcConfig(data)),
            1 | 3 if data.is_empty() => Ok(Self::Empty),
            1 | 3 => Ok(Self::AvcFrame { keyframe, composition, data }),
            2 => Ok(Self::AvcEnd),
            4 => Ok(Self::Empty),
            other => Err(FlvError::PacketType(other)),
        }
    }
}

impl VideoCodec {
    const fn from_number(number: u8) -> Self {
        match number {
            2 => Self::Sorenson,
            3 | 6 => Self::Screen,
            4 | 5 => Self::Vp6,
            12 => Self::Hevc,
            13 => Self::Av1,
            other => Self::Reserved(other),
        }
    }

    const fn from_fourcc(code: FourCc) -> Self {
        match &code {
            b"hvc1" => Self::Hevc,
            b"av01" => Self::Av1,
            b"vp08" => Self::Vp8,
            b"vp09" => Self::Vp9,
            b"vvc1" => Self::Vvc,
            _ => Self::Other(code),
        }
    }
}

impl fmt::Display for VideoCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sorenson => "Sorenson H.263",
            Self::Screen => "screen video",
            Self::Vp6 => "VP6",
            Self::Hevc => "HEVC",
            Self::Av1 => "AV1",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Vvc => "VVC",
            Self::Multitrack => "multitrack video",
            Self::Reserved(number) => return write!(f, "video codec {number}"),
            Self::Other(code) => return write!(f, "video codec '{}'", show_fourcc(*code)),
        })
    }
}

fn milliseconds(raw: i32) -> MediaDuration {
    MediaDuration::from_millis(raw.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Truncated;

    fn parse(body: &[u8]) -> Result<VideoTag, FlvError> {
        VideoTag::parse(&Bytes::copy_from_slice(body))
    }

    fn frame(keyframe: bool, ms: i64) -> Result<VideoTag, FlvError> {
        let composition = MediaDuration::from_millis(ms);
        Ok(VideoTag::AvcFrame { keyframe, composition, data: Bytes::from_static(&[9]) })
    }

    #[test]
    fn avc_in_both_forms() {
        let config = Ok(VideoTag::AvcConfig(Bytes::from_static(&[9])));
        assert_eq!([parse(&[0x17, 0, 0, 0, 0, 9]), parse(b"\x90avc1\x09")], [config.clone(), config]);
        assert_eq!(
            [parse(&[0x17, 1, 0, 0, 67, 9]), parse(b"\x91avc1\x00\x00\x43\x09")],
            [frame(true, 67), frame(true, 67)]
        );
        assert_eq!(parse(&[0x27, 1, 0xff, 0xff, 0xfe, 9]), frame(false, -2), "offsets are signed");
        assert_eq!(parse(b"\xa3avc1\x09"), frame(false, 0), "without an offset");
        assert_eq!(
            [parse(&[0x17, 2, 0, 0, 0]), parse(b"\x92avc1")],
            [Ok(VideoTag::AvcEnd), Ok(VideoTag::AvcEnd)]
        );
    }

    #[test]
    fn headers_say_what_the_parser_reads() {
        for (keyframe, ms) in [(true, 0), (false, 166), (false, -40), (true, 8_388_607)] {
            let mut body = avc_frame_header(keyframe, MediaDuration::from_millis(ms)).to_vec();
            body.push(9);
            assert_eq!(parse(&body), frame(keyframe, ms));
        }
        let mut body = avc_sequence_header().to_vec();
        body.push(9);
        assert_eq!(parse(&body), Ok(VideoTag::AvcConfig(Bytes::from_static(&[9]))));
    }

    #[test]
    fn what_is_not_carried_has_a_name() {
        let name = |body: &[u8]| match parse(body) {
            Ok(VideoTag::Unsupported(codec)) => codec.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(name(b"\x90hvc1\x01"), "HEVC", "ffmpeg 9");
        assert_eq!(name(&[0x1c, 0, 0, 0, 0]), "HEVC", "the number that is not in the specification");
        assert_eq!(name(&[0x24]), "VP6");
        assert_eq!(name(b"\x90av01"), "AV1");
        assert_eq!(name(b"\x96....."), "multitrack video");
        assert_eq!(name(&[0x1f]), "video codec 15");
    }

    #[test]
    fn nothing_to_see() {
        for body in [&[][..], &[0x57, 0], &[0xd1], b"\xd4avc1", &[0x27, 1, 0, 0, 0], b"\x94avc1abc"] {
            assert_eq!(parse(body), Ok(VideoTag::Empty), "{body:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        assert_eq!([parse(&[0x17]), parse(&[0x17, 1, 0, 0])], [Err(Truncated.into()), Err(Truncated.into())]);
        assert_eq!(parse(&[0x17, 3, 0, 0, 0, 1]), Err(FlvError::PacketType(3)));
        assert_eq!(parse(b"\x97avc1"), Err(FlvError::PacketType(7)));
        assert_eq!(parse(b"\x90avc"), Err(Truncated.into()));
    }
}
