//! The form that RTMP, recording and transcoders exchange.

use super::{AccessUnit, MediaKind};
use crate::time::Timestamp;
use bytes::Bytes;

/// One access unit (video) or one codec packet (audio), in decode order. Cloning shares the payload.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Which track it belongs to.
    pub kind: MediaKind,
    /// When it is to be decoded; never goes back within a track.
    pub dts: Timestamp,
    /// When it is to be shown or heard.
    pub pts: Timestamp,
    /// Whether a decoder can start here; always for audio.
    pub keyframe: bool,
    /// The coded data.
    pub payload: Payload,
}

/// The coded data of a [`Frame`].
#[derive(Clone, Debug)]
pub enum Payload {
    /// H.264.
    Nalus(AccessUnit),
    /// VP8, VP9, AV1 (a temporal unit without delimiters; a key frame with its sequence header), HEVC (NAL units behind
    /// lengths of 4 bytes, without parameter sets), AAC (without ADTS), Opus.
    Packet(Bytes),
}

impl Frame {
    /// A packet of sound that plays at `time`.
    pub const fn audio(time: Timestamp, packet: Bytes) -> Self {
        Self {
            kind: MediaKind::Audio,
            dts: time,
            pts: time,
            keyframe: true,
            payload: Payload::Packet(packet),
        }
    }
}

impl Payload {
    /// Size in bytes, framing included.
    pub const fn len(&self) -> usize {
        self.bytes().len()
    }

    /// Whether there is nothing.
    pub const fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    /// The bytes: a codec packet as it is, an access unit with lengths of 4 bytes.
    pub const fn bytes(&self) -> &Bytes {
        match self {
            Self::Nalus(unit) => unit.as_length_prefixed(),
            Self::Packet(packet) => packet,
        }
    }
}
