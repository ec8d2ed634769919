//! One track towards one viewer: its own headers, numbers and retransmissions.

use super::batch::Batch;
use super::numbering::{Given, Numbering, Part};
use super::path::Path;
use crate::codec::{Codec, MediaKind};
use crate::media::Packet;
use crate::protocol::congestion::Transport;
use crate::protocol::rtcp::SenderInfo;
use crate::protocol::rtp::vp8::{Counts, Head};
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
    /// What is between the source's packets and the viewer's; the same for the life of the source.
    part: Option<Part>,
    last: Option<Last>,
    /// Video begins with a key picture.
    waits: bool,
    rtx_index: u64,
    packets: u32,
    octets: u32,
    recent: SmallVec<[(i64, Instant); 8]>,
}

/// The latest picture or sound of a viewer.
#[derive(Clone, Copy)]
struct Last {
    /// As the viewer has them, unwrapped.
    ticks: i64,
    time: Timestamp,
    counts: Counts,
}

/// Where a viewer's packets go, and what becomes of them on the way.
pub(super) struct Out<'a> {
    pub(super) now: Instant,
    pub(super) path: Path,
    pub(super) sealer: &'a Sealer,
    /// Numbers packets, where that was agreed on and unless numbers are left out at the moment.
    pub(super) transport: Option<&'a mut Transport>,
    pub(super) batch: &'a mut Batch,
    /// Bytes sent so, with what the network adds.
    pub(super) sent: u64,
}

impl Leg {
    pub(super) fn new(section: &Accepted) -> Option<Self> {
        let rate = section.clock_rate();
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
            part: None,
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
        let encoding = self.section.best(codec, profile).copied();
        if self.encoding != encoding {
            self.encoding = encoding;
            // What was sent as something else stays what it was.
            self.part = None;
            self.cut();
        }
        encoding.is_some()
    }

    /// Goes on with a key picture of a layer.
    pub(super) const fn switch(&mut self, layer: Layer) {
        self.layer = layer;
        self.part = None;
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
            self.part = None;
            self.waits = self.section.kind == MediaKind::Video;
        }
    }

    /// Sends a packet of the layer under the viewer's own header; false if it is none for this viewer.
    pub(super) fn send(&mut self, packet: &Packet, out: &mut Out<'_>) -> bool {
        let Some(encoding) = self.encoding else { return false };
        if self.waits {
            if !packet.keyframe {
                return false;
            }
            self.waits = false;
            self.numbering.cut();
        }
        let part = self.part(packet, encoding);
        let Some((index, part)) = self.numbering.index(part, packet.sequence) else { return false };
        let ticks = packet.ticks + part.shift;
        if self.last.is_none_or(|last| last.ticks < ticks) {
            let counts = part.counts_of(packet).plus(part.counts);
            self.last = Some(Last { ticks, time: packet.time, counts });
        }
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(packet.payload.len() as u32); // counts modulo 2^32
        let header = self.header(packet, part.encoding.payload_type, index, ticks, self.sources.media);
        self.put(&header, index, None, packet, &part, out);
        true
    }

    /// What was sent under a sequence number, if it is of the layer that is sent now.
    pub(super) fn given(&self, sequence: u16) -> Option<Given> {
        self.numbering.given(sequence).filter(|given| given.part.layer == self.layer)
    }

    /// Sends a packet again: on the source of retransmissions if there is one, else the very same bytes as before.
    pub(super) fn repeat(&mut self, packet: &Packet, given: &Given, out: &mut Out<'_>) -> bool {
        let Given { index, part, .. } = given;
        let encoding = part.encoding;
        let ticks = packet.ticks + part.shift;
        match (self.sources.rtx, encoding.rtx) {
            (Some(ssrc), Some(payload_type)) => {
                self.rtx_index += 1;
                let header = self.header(packet, payload_type, self.rtx_index, ticks, ssrc);
                let original = *index as u16; // the sequence number: the lowest 16 bits
                self.put(&header, self.rtx_index, Some(original), packet, part, out);
            }
            // A transport-wide number would make it another packet under the same index, which gives the keys away.
            _ if self.is_numbered() => return false,
            _ => {
                let header = self.header(packet, encoding.payload_type, *index, ticks, self.sources.media);
                self.put(&header, *index, None, packet, part, out);
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
        let ticks = self.last.map_or(0, |last| last.ticks);
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

    /// Whether packets may carry transport-wide numbers.
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
        let Last { ticks, time, .. } = self.last?;
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

    /// `original` is the number that a retransmission repeats (RFC 4588, section 4).
    fn put(
        &self,
        header: &Header,
        index: u64,
        original: Option<u16>,
        packet: &Packet,
        part: &Part,
        out: &mut Out<'_>,
    ) {
        let since = if original.is_some() { 0 } else { self.first_index };
        let values = Values {
            mid: (index - since <= PACKETS_WITH_MID).then_some(&self.mid[..]),
            audio_level: packet.extensions.audio_level,
            orientation: packet.extensions.orientation,
            ..Values::default()
        };
        let mut prefix = Head::new();
        prefix.extend(original.map(u16::to_be_bytes).into_iter().flatten());
        let head = if part.counts_pictures() { part.counts.added_to(&packet.payload) } else { None };
        let rest = packet.payload.get(head.as_ref().map_or(0, Head::len)..).unwrap_or_default();
        prefix.extend(head.into_iter().flatten());
        self.seal(header, &values, index, 0, &prefix, rest, out);
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
        let transport = out.transport.as_mut().filter(|_| self.is_numbered());
        let mut values = Values { transport_cc: transport.is_some().then_some(0), ..*values };
        let header_len = Header::written_len(&values, ids);
        let len = header_len + prefix.len() + payload.len() + out.sealer.overhead();
        let bytes = len + NETWORK;
        values.transport_cc = transport.map(|transport| transport.send(out.now, bytes));
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

    /// What is between a source's packets and the viewer's from this packet on. Timestamps begin at random; after a change
    /// of source they go on as the timeline does, and VP8's counts one by one.
    fn part(&mut self, packet: &Packet, encoding: AcceptedCodec) -> Part {
        if let Some(part) = self.part {
            return part;
        }
        let mut part = Part { layer: self.layer, encoding, shift: 0, counts: Counts::default() };
        (part.shift, part.counts) = match self.last {
            Some(last) => (
                last.ticks + (packet.time - last.time).to_ticks(self.rate).max(1) - packet.ticks,
                last.counts.up_from(part.counts_of(packet)),
            ),
            None => {
                let mut random = [0; 4];
                aws_lc_rs::rand::fill(&mut random)
                    .expect("the system's random generator cannot fail once it has started");
                (i64::from(u32::from_be_bytes(random)) - packet.ticks, Counts::default())
            }
        };
        self.part = Some(part);
        part
    }
}

impl Part {
    /// VP8's counts of a packet's picture.
    fn counts_of(&self, packet: &Packet) -> Counts {
        if self.counts_pictures() { Counts::of(&packet.payload) } else { Counts::default() }
    }

    fn counts_pictures(&self) -> bool {
        self.encoding.codec == Codec::Vp8
    }
}
