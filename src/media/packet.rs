//! The form that WebRTC peers exchange: RTP packets without what is each viewer's own.

use crate::time::Timestamp;
use bytes::Bytes;
use std::sync::Arc;

/// What a viewer's headers leave of a datagram: with IPv6 and UDP (48), RTP with extensions (12 + 20), SRTP's tag (16)
/// and RTX's sequence number (2) the datagram stays within the 1,280 bytes that every IPv6 path carries.
pub const MAX_PAYLOAD: usize = 1_180;

/// One RTP packet of a track, in plaintext, shared by all viewers.
///
/// SSRC, payload type and the 16-bit sequence number are not here: every viewer has its own.
#[derive(Clone, Debug)]
pub struct Packet {
    /// The source's sequence number, unwrapped. A missing number is a packet that was lost or has yet to come.
    pub sequence: i64,
    /// The source's RTP timestamp, unwrapped, in ticks of the payload's clock (presentation time).
    pub ticks: i64,
    /// The same instant on the stream's timeline.
    pub time: Timestamp,
    /// The RTP marker bit: last packet of a picture, or first of a talk spurt.
    pub marker: bool,
    /// Whether a decoder can start at this packet: it is the first of an IDR or key picture; always for audio.
    pub keyframe: bool,
    /// Values of the header extensions that are passed on.
    pub extensions: Extensions,
    /// The RTP payload.
    pub payload: Bytes,
}

/// Header extensions that travel from publisher to viewer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Extensions {
    /// RFC 6464: voice activity in the top bit, level in -dBov below.
    pub audio_level: Option<u8>,
    /// 3GPP TS 26.114 video orientation (CVO): one byte.
    pub orientation: Option<u8>,
}

/// Packets that were made or came together, in sequence order; cloning shares them. Never empty.
#[derive(Clone, Debug)]
pub struct PacketGroup(Arc<[Packet]>);

impl PacketGroup {
    /// `None` for no packets.
    pub fn new(packets: Vec<Packet>) -> Option<Self> {
        (!packets.is_empty()).then(|| Self(packets.into()))
    }

    /// Sum of the payload sizes in bytes.
    pub fn payload_len(&self) -> usize {
        self.0.iter().map(|packet| packet.payload.len()).sum()
    }

    /// Whether a decoder can start at the first packet.
    pub fn keyframe(&self) -> bool {
        self.0.first().is_some_and(|packet| packet.keyframe)
    }
}

impl From<Packet> for PacketGroup {
    fn from(packet: Packet) -> Self {
        Self(Arc::new([packet]))
    }
}

impl std::ops::Deref for PacketGroup {
    type Target = [Packet];
    fn deref(&self) -> &[Packet] {
        &self.0
    }
}
