//! Bodies of video tags (section E.4.3, and Enhanced RTMP v2 "Enhanced Video").

use super::{FlvError, FourCc, show_fourcc};
use crate::codec::Codec;
use crate::time::{ClockRate, MediaDuration};
use crate::wire::ByteReader;
use bytes::Bytes;
use std::fmt;

const KEYFRAME: u8 = 1;
const COMMAND: u8 = 5;
const SORENSON: u8 = 2;
const VP6: u8 = 4;
const AVC: u8 = 7;
/// As encoders in China send HEVC, in the layout of H.264.
const HEVC: u8 = 12;
/// The bit that says that a FourCC follows.
const EXTENDED: u8 = 0x80;
/// So many modifiers of one packet are read.
const MAX_MODIFIERS: usize = 8;
/// Tracks of one message: as many as a byte can number.
const MAX_TRACKS: usize = 256;

/// `VideoPacketType`.
mod packet {
    pub(super) const SEQUENCE_START: u8 = 0;
    pub(super) const CODED_FRAMES: u8 = 1;
    pub(super) const SEQUENCE_END: u8 = 2;
    pub(super) const CODED_FRAMES_X: u8 = 3;
    pub(super) const METADATA: u8 = 4;
    pub(super) const TS_SEQUENCE_START: u8 = 5;
    pub(super) const MULTITRACK: u8 = 6;
    pub(super) const MOD_EX: u8 = 7;
}

/// What a video message carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum VideoTag {
    /// The decoder configuration record of a codec: avcC, hvcC, av1C or vpcC.
    Config(Codec, Bytes),
    /// One picture.
    Frame {
        /// Any but VP6 with alpha and screen video.
        codec: Codec,
        /// Whether the publisher calls it a key frame.
        keyframe: bool,
        /// From decoding to presentation, whole milliseconds; negative only in streams that break the rules.
        composition: MediaDuration,
        /// H.264 and HEVC: NAL units behind lengths.
        data: Bytes,
    },
    /// The publisher will send no more pictures.
    End,
    /// Nothing to see: an empty body, a command to the player, HDR metadata.
    Empty,
    /// Pictures of another track than the first one, which alone is carried.
    OtherTrack,
    /// A codec that is recognised and not carried.
    Unsupported(VideoCodec),
}

/// Codecs that FLV can carry and that are not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VideoCodec {
    /// 3 and 6: screen video.
    Screen,
    /// 5: On2 VP6 with alpha.
    Vp6Alpha,
    /// Number 13, which some encoders send without the codec's own rules.
    Av1,
    /// `vvc1`.
    Vvc,
    /// A number that is reserved.
    Reserved(u8),
    /// A FourCC that is not known.
    Other(FourCc),
}

/// The FourCC of a codec in enhanced RTMP; `None` where FLV has none of it.
pub const fn video_fourcc(codec: Codec) -> Option<&'static str> {
    match codec {
        Codec::H264 => Some("avc1"),
        Codec::Hevc => Some("hvc1"),
        Codec::Av1 => Some("av01"),
        Codec::Vp9 => Some("vp09"),
        _ => None,
    }
}

/// The five bytes in front of a decoder configuration record.
pub fn video_sequence_header(codec: Codec) -> [u8; 5] {
    match codec {
        Codec::H264 => [KEYFRAME << 4 | AVC, 0, 0, 0, 0],
        other => extended(other, true, packet::SEQUENCE_START),
    }
}

/// What stands in front of the data of a picture. The offset is cut to what 24 bits of milliseconds hold; AV1 and VP9 have
/// none.
pub fn video_frame_header(
    codec: Codec,
    keyframe: bool,
    composition: MediaDuration,
) -> impl AsRef<[u8]> + use<> {
    let offset = composition.to_ticks(ClockRate::MILLISECONDS).clamp(-(1 << 23), (1 << 23) - 1);
    let [.., a, b, c] = offset.to_be_bytes();
    let mut header = smallvec::SmallVec::<[u8; 8]>::new();
    match codec {
        Codec::H264 => header.extend([if keyframe { KEYFRAME } else { 2 } << 4 | AVC, 1, a, b, c]),
        Codec::Hevc if offset != 0 => {
            header.extend(extended(codec, keyframe, packet::CODED_FRAMES));
            header.extend([a, b, c]);
        }
        // Shorter by the offset of 0.
        Codec::Hevc => header.extend(extended(codec, keyframe, packet::CODED_FRAMES_X)),
        other => header.extend(extended(other, keyframe, packet::CODED_FRAMES)),
    }
    header
}

fn extended(codec: Codec, keyframe: bool, packet_type: u8) -> [u8; 5] {
    let [a, b, c, d] = match video_fourcc(codec).map(str::as_bytes) {
        Some([a, b, c, d]) => [*a, *b, *c, *d],
        _ => [0; 4],
    };
    [EXTENDED | if keyframe { KEYFRAME } else { 2 } << 4 | packet_type, a, b, c, d]
}

impl VideoTag {
    /// Reads a tag body; pictures share its bytes.
    pub fn parse(body: &Bytes) -> Result<Self, FlvError> {
        let mut reader = ByteReader::new(body);
        if reader.is_empty() {
            return Ok(Self::Empty);
        }
        let head = reader.u8()?;
        if head & EXTENDED != 0 {
            return Self::parse_extended(head, body, reader);
        }
        let frame_type = head >> 4;
        let codec = match head & 0x0f {
            AVC => Codec::H264,
            HEVC => Codec::Hevc,
            SORENSON | VP6 if frame_type == COMMAND => return Ok(Self::Empty),
            SORENSON => return Ok(Self::whole(Codec::Sorenson, frame_type, body.slice_ref(reader.rest()))),
            VP6 => {
                // By how much the picture is smaller than its macroblocks.
                reader.u8()?;
                return Ok(Self::whole(Codec::Vp6, frame_type, body.slice_ref(reader.rest())));
            }
            other => return Ok(Self::Unsupported(VideoCodec::from_number(other))),
        };
        if frame_type == COMMAND {
            return Ok(Self::Empty);
        }
        let packet_type = reader.u8()?;
        let composition = milliseconds(reader.i24()?);
        let data = body.slice_ref(reader.rest());
        match packet_type {
            0 => Ok(Self::Config(codec, data)),
            1 if data.is_empty() => Ok(Self::Empty),
            1 => Ok(Self::Frame { codec, keyframe: frame_type == KEYFRAME, composition, data }),
            2 => Ok(Self::End),
            other => Err(FlvError::PacketType(other)),
        }
    }

    /// A picture of a codec that FLV adds nothing to.
    fn whole(codec: Codec, frame_type: u8, data: Bytes) -> Self {
        if data.is_empty() {
            return Self::Empty;
        }
        Self::Frame { codec, keyframe: frame_type == KEYFRAME, composition: MediaDuration::ZERO, data }
    }

    /// Enhanced RTMP: a frame type of 3 bits, a packet type, and the codec as a FourCC.
    fn parse_extended(head: u8, body: &Bytes, mut reader: ByteReader<'_>) -> Result<Self, FlvError> {
        let (frame_type, packet_type) = (head >> 4 & 7, behind_modifiers(head & 0x0f, &mut reader)?);
        if frame_type == COMMAND && packet_type != packet::METADATA {
            return Ok(Self::Empty);
        }
        let keyframe = frame_type == KEYFRAME;
        if packet_type != packet::MULTITRACK {
            let codec = reader.array()?;
            return Self::parse_packet((packet_type, codec, keyframe), body, reader.rest());
        }
        match first_track(&mut reader)? {
            Some((packet_type, codec, data)) => {
                Self::parse_packet((packet_type, codec, keyframe), body, data)
            }
            None => Ok(Self::OtherTrack),
        }
    }

    fn parse_packet(
        (packet_type, code, keyframe): (u8, FourCc, bool),
        body: &Bytes,
        data: &[u8],
    ) -> Result<Self, FlvError> {
        let codec = match &code {
            b"avc1" => Codec::H264,
            b"hvc1" => Codec::Hevc,
            b"av01" => Codec::Av1,
            b"vp09" => Codec::Vp9,
            b"vp08" => Codec::Vp8,
            _ => return Ok(Self::Unsupported(VideoCodec::from_fourcc(code))),
        };
        let mut reader = ByteReader::new(data);
        let has_offset = packet_type == packet::CODED_FRAMES && matches!(codec, Codec::H264 | Codec::Hevc);
        let composition = if has_offset { milliseconds(reader.i24()?) } else { MediaDuration::ZERO };
        let data = body.slice_ref(reader.rest());
        match packet_type {
            packet::SEQUENCE_START => Ok(Self::Config(codec, data)),
            packet::CODED_FRAMES | packet::CODED_FRAMES_X if data.is_empty() => Ok(Self::Empty),
            packet::CODED_FRAMES | packet::CODED_FRAMES_X => {
                Ok(Self::Frame { codec, keyframe, composition, data })
            }
            packet::SEQUENCE_END => Ok(Self::End),
            packet::METADATA | packet::TS_SEQUENCE_START => Ok(Self::Empty),
            other => Err(FlvError::PacketType(other)),
        }
    }
}

/// The packet type behind all modifiers, of sound and pictures alike.
pub(super) fn behind_modifiers(mut packet_type: u8, reader: &mut ByteReader<'_>) -> Result<u8, FlvError> {
    for _ in 0..MAX_MODIFIERS {
        if packet_type != packet::MOD_EX {
            return Ok(packet_type);
        }
        packet_type = skip_modifier(reader)?;
    }
    if packet_type == packet::MOD_EX { Err(FlvError::PacketType(packet_type)) } else { Ok(packet_type) }
}

/// Passes over one modifier (a finer time stamp, for one); the packet type behind it.
fn skip_modifier(reader: &mut ByteReader<'_>) -> Result<u8, FlvError> {
    let mut size = usize::from(reader.u8()?) + 1;
    if size == 256 {
        size = usize::from(reader.u16()?) + 1;
    }
    reader.bytes(size)?;
    Ok(reader.u8()? & 0x0f)
}

/// The packet type, codec and data of one track.
pub(super) type TrackPacket<'a> = (u8, FourCc, &'a [u8]);

/// What there is of track 0, which is the one that players show that know nothing of tracks.
pub(super) fn first_track<'a>(reader: &mut ByteReader<'a>) -> Result<Option<TrackPacket<'a>>, FlvError> {
    const ONE_TRACK: u8 = 0;
    const MANY_CODECS: u8 = 2;
    let head = reader.u8()?;
    let (kind, packet_type) = (head >> 4, head & 0x0f);
    let mut codec: FourCc = if kind == MANY_CODECS { [0; 4] } else { reader.array()? };
    for _ in 0..MAX_TRACKS {
        if reader.is_empty() {
            break;
        }
        if kind == MANY_CODECS {
            codec = reader.array()?;
        }
        let track = reader.u8()?;
        let length = if kind == ONE_TRACK { reader.len() } else { reader.u24()? as usize };
        let data = reader.bytes(length)?;
        if track == 0 {
            return Ok(Some((packet_type, codec, data)));
        }
    }
    Ok(None)
}

impl VideoCodec {
    const fn from_number(number: u8) -> Self {
        match number {
            3 | 6 => Self::Screen,
            5 => Self::Vp6Alpha,
            13 => Self::Av1,
            other => Self::Reserved(other),
        }
    }

    const fn from_fourcc(code: FourCc) -> Self {
        match &code {
            b"vvc1" => Self::Vvc,
            _ => Self::Other(code),
        }
    }
}

impl fmt::Display for VideoCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Screen => "screen video",
            Self::Vp6Alpha => "VP6 with alpha",
            Self::Av1 => "AV1 by number",
            Self::Vvc => "VVC",
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

    fn frame(codec: Codec, keyframe: bool, ms: i64) -> Result<VideoTag, FlvError> {
        let composition = MediaDuration::from_millis(ms);
        Ok(VideoTag::Frame { codec, keyframe, composition, data: Bytes::from_static(&[9]) })
    }

    fn config(codec: Codec) -> Result<VideoTag, FlvError> {
        Ok(VideoTag::Config(codec, Bytes::from_static(&[9])))
    }

    #[test]
    fn avc_in_both_forms() {
        use Codec::H264;
        let wanted = config(H264);
        assert_eq!([parse(&[0x17, 0, 0, 0, 0, 9]), parse(b"\x90avc1\x09")], [wanted.clone(), wanted]);
        assert_eq!(
            [parse(&[0x17, 1, 0, 0, 67, 9]), parse(b"\x91avc1\x00\x00\x43\x09")],
            [frame(H264, true, 67), frame(H264, true, 67)]
        );
        assert_eq!(parse(&[0x27, 1, 0xff, 0xff, 0xfe, 9]), frame(H264, false, -2), "offsets are signed");
        assert_eq!(parse(b"\xa3avc1\x09"), frame(H264, false, 0), "without an offset");
        assert_eq!([parse(&[0x17, 2, 0, 0, 0]), parse(b"\x92avc1")], [Ok(VideoTag::End), Ok(VideoTag::End)]);
    }

    #[test]
    fn the_codecs_of_enhanced_rtmp() {
        use Codec::{Av1, Hevc, Vp9};
        assert_eq!([parse(b"\x90hvc1\x09"), parse(&[0x1c, 0, 0, 0, 0, 9])], [config(Hevc), config(Hevc)]);
        assert_eq!(parse(b"\x91hvc1\x00\x00\x43\x09"), frame(Hevc, true, 67), "ffmpeg 7");
        assert_eq!(parse(b"\xa3hvc1\x09"), frame(Hevc, false, 0));
        assert_eq!(parse(&[0x2c, 1, 0, 0, 67, 9]), frame(Hevc, false, 67));
        assert_eq!([parse(b"\x90av01\x09"), parse(b"\x90vp09\x09")], [config(Av1), config(Vp9)]);
        assert_eq!(
            [parse(b"\x91av01\x09"), parse(b"\xa1vp09\x09")],
            [frame(Av1, true, 0), frame(Vp9, false, 0)]
        );
        assert_eq!(parse(b"\x90av01"), Ok(VideoTag::Config(Av1, Bytes::new())), "ffmpeg 7, before it knows");
        assert_eq!(parse(b"\xd4hvc1abc"), Ok(VideoTag::Empty), "what the colours are");
    }

    #[test]
    fn headers_say_what_the_parser_reads() {
        use Codec::{Av1, H264, Hevc, Vp9};
        for (codec, keyframe, ms) in [
            (H264, true, 0),
            (H264, false, 166),
            (H264, false, -40),
            (H264, true, 8_388_607),
            (Hevc, true, 0),
            (Hevc, false, 166),
            (Hevc, false, -40),
            (Av1, true, 0),
            (Av1, false, 0),
            (Vp9, true, 0),
            (Vp9, false, 0),
        ] {
            let mut body =
                video_frame_header(codec, keyframe, MediaDuration::from_millis(ms)).as_ref().to_vec();
            body.push(9);
            assert_eq!(parse(&body), frame(codec, keyframe, ms));
        }
        for codec in [H264, Hevc, Av1, Vp9] {
            let mut body = video_sequence_header(codec).to_vec();
            body.push(9);
            assert_eq!(parse(&body), config(codec));
        }
    }

    #[test]
    fn of_several_tracks_the_first_one_is_taken() {
        use Codec::{Av1, Hevc};
        assert_eq!(parse(b"\x96\x01hvc1\x00\x00\x00\x43\x09"), frame(Hevc, true, 67), "one track");
        assert_eq!(parse(b"\x96\x01hvc1\x01\x00\x00\x43\x09"), Ok(VideoTag::OtherTrack));
        let many = b"\xa6\x13hvc1\x02\x00\x00\x02\x07\x07\x00\x00\x00\x01\x09";
        assert_eq!(parse(many), frame(Hevc, false, 0));
        let many_codecs = b"\x96\x20hvc1\x01\x00\x00\x01\x07av01\x00\x00\x00\x01\x09";
        assert_eq!(parse(many_codecs), config(Av1));
        assert_eq!(parse(&many_codecs[..11]), Ok(VideoTag::OtherTrack), "none of them");
        assert_eq!(parse(&many_codecs[..14]), Err(Truncated.into()));
    }

    #[test]
    fn the_codecs_of_flash() {
        assert_eq!(
            [parse(&[0x12, 9]), parse(&[0x32, 9])],
            [true, false].map(|key| frame(Codec::Sorenson, key, 0))
        );
        assert_eq!(parse(&[0x14, 0x80, 9]), frame(Codec::Vp6, true, 0), "behind how much is cut off");
        assert_eq!(
            [parse(&[0x22]), parse(&[0x24, 0]), parse(&[0x52, 0])],
            [const { Ok(VideoTag::Empty) }; 3]
        );
        assert_eq!(parse(&[0x14]), Err(Truncated.into()));
    }

    #[test]
    fn modifiers_are_passed_over() {
        // A time stamp in nanoseconds, and one of more than 256 bytes.
        assert_eq!(parse(b"\x97\x02\x00\x00\x07\x01hvc1\x00\x00\x43\x09"), frame(Codec::Hevc, true, 67));
        let long = [b"\x97\xff\x01\x00".as_slice(), &[0; 257], b"\x13vp09\x09"].concat();
        assert_eq!(parse(&long), frame(Codec::Vp9, true, 0));
        assert_eq!(parse(&[0x97; 64]), Err(Truncated.into()));
        let endless = [0x97].into_iter().chain([0, 0, 7].into_iter().cycle().take(300)).collect::<Vec<u8>>();
        assert_eq!(parse(&endless), Err(FlvError::PacketType(7)));
    }

    #[test]
    fn what_is_not_carried_has_a_name() {
        let name = |body: &[u8]| match parse(body) {
            Ok(VideoTag::Unsupported(codec)) => codec.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(name(b"\x90vvc1\x01"), "VVC");
        assert_eq!(name(&[0x25]), "VP6 with alpha");
        assert_eq!(name(&[0x1d]), "AV1 by number");
        assert_eq!(name(b"\x96\x01vvc1\x00"), "VVC");
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
        assert_eq!(parse(b"\x99avc1"), Err(FlvError::PacketType(9)));
        assert_eq!(parse(b"\x90avc"), Err(Truncated.into()));
    }
}
