//! One track towards one viewer: its own headers, numbers and retransmissions.

use super::batch::Batch;
use super::numbering::{Given, Numbering, Part};
use super::path::Path;
use crate::codec::{Codec, MediaKind};
use crate::media::Packet;
use crate::protocol::congestion::Transport;
use crate::protocol::rtcp::SenderInfo;
use crate::protocol::rtp::{Header, Ssrc, Values};
use crate::protocol::sdp::{Accepted, AcceptedCodec, LocalSources, ProfileLevelId};
use crate::protocol::srtp::Sealer;
use crate::stream::Layer;
use crate::time::{ClockRate, NtpTime, RtpTime, Timestamp};
use smallvec::SmallVec;
use std::time::{Duration, Instant};

/// The section's name stands in so many packets of a track: until then any receiver has found out where it belongs.
const PACKETS_WITH_MID: u64 = 100;
/// A packet that was repeated just now is on its way: the request crossed it.
const REPEAT_INTERVAL: Duration = Duration::from_millis(20);
/// Packets repeated lately, per track.
const MAX_RECENT: usize = 32;
/// What IP and UDP add to a datagram.
const NETWORK: usize = 28;
/// The P bit: padding follows, and its last byte says how much (RFC 3550, section 5.1).
const PADDED: u8 = 0x20;
/// As much padding as a packet can have.
const PADDING: [u8; 255] = {
    let mut padding = [0; 255];
    padding[254] = 255;
    padding
};

/// One track towards one viewer.
pub(super) struct Leg {
    section: Accepted,
    sources: LocalSources,
    mid: SmallVec<[u8; 16]>,
    rate: ClockRate,
    encoding: Option<AcceptedCodec>,
    numbering: Numbering,
    first_index: u64,
    layer: Layer,
    /// The viewer's RTP timestamp less the source's ticks; the same for the life of the source.
    shift: Option<i64>,
    last: Option<(i64, Timestamp)>,
    /// Video begins with a key picture.
    waits: bool,
    rtx_index: u64,
    packets: u32,
    octets: u32,
    recent: SmallVec<[(i64, Instant); 8]>,
}

/// Where a viewer's packets go, and what becomes of them on the way.
pub(super) struct Out<'a> {
    pub(super) now: Instant,
    pub(super) path: Path,
    pub(super) sealer: &'a Sealer,
    /// Numbers packets, where that was agreed on.
    pub(super) transport: Option<&'a mut Transport>,
    pub(super) batch: &'a mut Batch,
    /// Bytes sent so, with what the network adds.
    pub(super) sent: u64,
}

impl Leg {
    pub(super) fn new(section: &Accepted) -> Option<Self> {
        let rate = match section.kind {
            MediaKind::Audio => ClockRate::OPUS,
            MediaKind::Video => ClockRate::VIDEO,
        };
        let numbering = Numbering::new();
        Some(Self {
            sources: section.local?,
            mid: section
                .mid
                .as_ref()
                .map(|mid| SmallVec::from_slice(mid.as_str().as_bytes()))
                .unwrap_or_default(),
            rate,
            encoding: None,
            first_index: numbering.highest(),
            numbering,
            layer: Layer::BEST,
            shift: None,
            last: None,
            waits: section.kind == MediaKind::Video,
            rtx_index: 0,
            packets: 0,
            octets: 0,
            recent: SmallVec::new(),
            section: section.clone(),
        })
    }

    pub(super) fn set_codec(&mut self, codec: Codec, profile: Option<ProfileLevelId>) -> bool {
        self.encoding = self.section.best(codec, profile).copied();
        self.encoding.is_some()
    }

    /// Goes on with a key picture of a layer.
    pub(super) const fn switch(&mut self, layer: Layer) {
        self.layer = layer;
        self.shift = None;
        self.waits = true;
    }

    /// Packets of the source are missing that nobody can repeat.
    pub(super) fn cut(&mut self) {
        self.numbering.cut();
        self.waits |= self.section.kind == MediaKind::Video;
    }

    /// The source of a layer is another, or counts anew.
    pub(super) fn restart(&mut self, layer: Layer) {
        self.numbering.forget(layer);
        self.recent.clear();
        if layer == self.layer {
            self.shift = None;
            self.waits = self.section.kind == MediaKind::Video;
        }
    }

    /// Sends a packet of the layer under the viewer's own header; false if it is none for this viewer.
    pub(super) fn send(&mut self, packet: &Packet, out: &mut Out<'_>) -> bool {
        let Some(payload_type) = self.encoding.map(|encoding| encoding.payload_type) else { return false };
        if self.waits {
            if !packet.keyframe {
                return false;
            }
            self.waits = false;
            self.numbering.cut();
        }
        let part = Part { layer: self.layer, shift: self.shift(packet) };
        let Some((index, part)) = self.numbering.index(part, packet.sequence) else { return false };
        let ticks = packet.ticks + part.shift;
        if self.last.is_none_or(|(last, _)| last < ticks) {
            self.last = Some((ticks, packet.time));
        }
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(packet.payload.len() as u32); // counts modulo 2^32
        let header = self.header(packet, payload_type, index, ticks, self.sources.media);
        self.put(&header, index, &[], packet, self.names_section(index), out);
        true
    }

    /// What was sent under a sequence number, if it is of the layer that is sent now.
    pub(super) fn given(&self, sequence: u16) -> Option<Given> {
        self.numbering.given(sequence).filter(|given| given.part.layer == self.layer)
    }

    /// Sends a packet again: on the source of retransmissions if there is one, else the very same bytes as before.
    pub(super) fn repeat(&mut self, packet: &Packet, given: &Given, out: &mut Out<'_>) -> bool {
        let Some(encoding) = self.encoding else { return false };
        let ticks = packet.ticks + given.part.shift;
        match (self.sources.rtx, encoding.rtx) {
            (Some(ssrc), Some(payload_type)) => {
                self.rtx_index += 1;
                let header = self.header(packet, payload_type, self.rtx_index, ticks, ssrc);
                let original = (given.index as u16).to_be_bytes(); // the sequence number: the lowest 16 bits
                let named = self.rtx_index <= PACKETS_WITH_MID;
                self.put(&header, self.rtx_index, &original, packet, named, out);
            }
            // A transport-wide number would make it another packet under the same index, which gives the keys away.
            _ if self.is_numbered() => return false,
            _ => {
                let payload_type = encoding.payload_type;
                let header = self.header(packet, payload_type, given.index, ticks, self.sources.media);
                self.put(&header, given.index, &[], packet, self.names_section(given.index), out);
            }
        }
        true
    }

    /// Whether [`pad`](Self::pad) can send.
    pub(super) fn can_pad(&self) -> bool {
        self.is_numbered()
            && self.sources.rtx.is_some()
            && self.encoding.is_some_and(|encoding| encoding.rtx.is_some())
    }

    /// Sends a packet of nothing but padding on the source of retransmissions.
    pub(super) fn pad(&mut self, out: &mut Out<'_>) {
        let payload_type = self.encoding.and_then(|encoding| encoding.rtx);
        let (Some(ssrc), Some(payload_type)) = (self.sources.rtx, payload_type) else { return };
        self.rtx_index += 1;
        let index = self.rtx_index;
        let ticks = self.last.map_or(0, |(ticks, _)| ticks);
        let header = Header {
            marker: false,
            payload_type,
            sequence: index as u16,           // the lowest 16 bits
            timestamp: RtpTime(ticks as u32), // modulo 2^32 by definition
            ssrc,
        };
        let values =
            Values { mid: (index <= PACKETS_WITH_MID).then_some(&self.mid[..]), ..Values::default() };
        self.seal(&header, &values, index, PADDED, &[], &PADDING, out);
    }

    /// Whether packets carry transport-wide numbers.
    pub(super) fn is_numbered(&self) -> bool {
        self.section.is_numbered()
    }

    /// The sources of the track.
    pub(super) const fn sources(&self) -> &LocalSources {
        &self.sources
    }

    /// Whether the next packet must begin a key picture.
    pub(super) const fn waits(&self) -> bool {
        self.waits
    }

    /// Whether nothing has been sent.
    pub(super) const fn is_new(&self) -> bool {
        self.packets == 0
    }

    /// Whether it was repeated a moment ago; if not, it counts as repeated now.
    pub(super) fn is_recent(&mut self, source: i64, now: Instant) -> bool {
        self.recent.retain(|(_, when)| now.saturating_duration_since(*when) < REPEAT_INTERVAL);
        let found = self.recent.iter().any(|(repeated, _)| *repeated == source);
        if !found && self.recent.len() < MAX_RECENT {
            self.recent.push((source, now));
        }
        found
    }

    /// `None` while nothing was sent.
    pub(super) fn sender_info(&self, wall: NtpTime, now: Timestamp) -> Option<SenderInfo> {
        let (ticks, time) = self.last?;
        let ticks = ticks + (now - time).to_ticks(self.rate);
        Some(SenderInfo { ntp: wall, rtp: RtpTime(ticks as u32), packets: self.packets, octets: self.octets })
    }

    const fn header(&self, packet: &Packet, payload_type: u8, index: u64, ticks: i64, ssrc: Ssrc) -> Header {
        Header {
            marker: packet.marker,
            payload_type,
            sequence: index as u16,           // the lowest 16 bits
            timestamp: RtpTime(ticks as u32), // modulo 2^32 by definition
            ssrc,
        }
    }

    fn put(
        &self,
        header: &Header,
        index: u64,
        prefix: &[u8],
        packet: &Packet,
        named: bool,
        out: &mut Out<'_>,
    ) {
        let values = Values {
            mid: named.then_some(&self.mid[..]),
            audio_level: packet.extensions.audio_level,
            orientation: packet.extensions.orientation,
            ..Values::default()
        };
        self.seal(header, &values, index, 0, prefix, &packet.payload, out);
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one packet; a struct of them would have one user"
    )]
    fn seal(
        &self,
        header: &Header,
        values: &Values<'_>,
        index: u64,
        flags: u8,
        prefix: &[u8],
        payload: &[u8],
        out: &mut Out<'_>,
    ) {
        let ids = &self.section.extensions;
        let mut values = Values { transport_cc: self.is_numbered().then_some(0), ..*values };
        let header_len = Header::written_len(&values, ids);
        let len = header_len + prefix.len() + payload.len() + out.sealer.overhead();
        let bytes = len + NETWORK;
        if self.is_numbered() {
            values.transport_cc = out.transport.as_mut().map(|transport| transport.send(out.now, bytes));
        }
        out.sent += bytes as u64; // usize is at most 64 bits
        let sealer = out.sealer;
        out.batch.write(out.path, len, |place| {
            let Some(mut head) = place.get_mut(..header_len) else { return false };
            header.write(&values, ids, &mut head);
            if let Some(first) = place.first_mut() {
                *first |= flags;
            }
            sealer.seal_rtp(place, header_len, header.ssrc.0, index, prefix, payload)
        });
    }

    const fn names_section(&self, index: u64) -> bool {
        index - self.first_index <= PACKETS_WITH_MID
    }

    /// What is added to the source's ticks: random at first; after a change of source such that the viewer's timestamps
    /// go on as the timeline does.
    fn shift(&mut self, packet: &Packet) -> i64 {
        if let Some(shift) = self.shift {
            return shift;
        }
        let shift = match self.last {
            Some((ticks, time)) => ticks + (packet.time - time).to_ticks(self.rate).max(1) - packet.ticks,
            None => {
                let mut random = [0; 4];
                aws_lc_rs::rand::fill(&mut random)
                    .expect("the system's random generator cannot fail once it has started");
                i64::from(u32::from_be_bytes(random)) - packet.ticks
            }
        };
        self.shift = Some(shift);
        shift
    }
}
