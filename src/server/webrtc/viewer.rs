//! What one viewer gets of the packets that all viewers share: its own headers, keys, retransmissions and reports.

use super::batch::Batch;
use super::numbering::Numbering;
use super::path::Path;
use super::ring::Rings;
use super::session::Session;
use super::wall::Wall;
use crate::codec::{Codec, MediaKind};
use crate::media::Packet;
use crate::protocol::rtcp::{ReportBlock, SenderInfo, write};
use crate::protocol::rtp::{ExtensionIds, Header, Ssrc, Values};
use crate::protocol::sdp::{Accepted, AcceptedCodec, LocalSources, Negotiated, ProfileLevelId};
use crate::protocol::srtp::{SRTCP_OVERHEAD, Sealer};
use crate::time::{ClockRate, NtpTime, RtpTime, Timestamp};
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

/// The section's name stands in so many packets of a track: until then any receiver has found out where it belongs.
const PACKETS_WITH_MID: u64 = 100;
/// Retransmissions may take this part of what is sent anyway ...
const RETRANSMISSION_SHARE: usize = 4;
/// ... and this much more, so that a loss at the start can be mended; also the most that can be saved up.
const RETRANSMISSION_ALLOWANCE: usize = 256 << 10;
/// A packet that was repeated just now is on its way: the request crossed it.
const REPEAT_INTERVAL: Duration = Duration::from_millis(20);
/// Packets repeated lately, per track.
const MAX_RECENT: usize = 32;

/// One viewer of one feed. Everything here is touched by the shard's thread alone.
pub(super) struct Viewer {
    session: Arc<Session>,
    path: Path,
    sealer: Sealer,
    cname: Arc<str>,
    wall: Wall,
    /// The wall-clock time of the timeline's zero: the one anchor by which the viewer plays sound and picture in step.
    origin: NtpTime,
    audio: Option<Leg>,
    video: Option<Leg>,
    /// Bytes that may be retransmitted.
    allowance: usize,
    scratch: Vec<u8>,
}

/// What the reports of a viewer's session say of us.
pub(super) struct Sender {
    /// Our canonical name (RFC 3550, section 6.5.1).
    pub(super) cname: Arc<str>,
    pub(super) wall: Wall,
    /// [`Stream::origin`](crate::stream::Stream::origin).
    pub(super) origin: NtpTime,
}

/// What happens in a feed, in order.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// The track's codec from here on, and its H.264 profile.
    Codec(Codec, Option<ProfileLevelId>),
    /// A packet that was not there before.
    Packet(MediaKind, Packet),
    /// Packets are missing that nobody can repeat. Video goes on with a key picture.
    Gap(MediaKind),
    /// The source is another, or counts anew.
    Restart(MediaKind),
}

/// One track towards one viewer.
struct Leg {
    section: Accepted,
    sources: LocalSources,
    mid: SmallVec<[u8; 16]>,
    rate: ClockRate,
    encoding: Option<AcceptedCodec>,
    numbering: Numbering,
    first_index: u64,
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

impl Viewer {
    pub(super) fn new(
        session: Arc<Session>,
        negotiated: &Negotiated,
        sender: Sender,
        path: Path,
        sealer: Sealer,
    ) -> Self {
        let leg = |kind| negotiated.section(kind).and_then(Leg::new);
        Self {
            session,
            path,
            sealer,
            cname: sender.cname,
            wall: sender.wall,
            origin: sender.origin,
            audio: leg(MediaKind::Audio),
            video: leg(MediaKind::Video),
            allowance: RETRANSMISSION_ALLOWANCE,
            scratch: Vec::new(),
        }
    }

    /// What is sent goes this way from now on.
    pub(super) const fn set_path(&mut self, path: Path) {
        self.path = path;
    }

    /// Whether the track is wanted and has a codec that the viewer takes, and its next packet must begin a key picture.
    pub(super) fn waits_for_keyframe(&self) -> bool {
        self.video.as_ref().is_some_and(|leg| leg.waits)
    }

    /// Takes what has happened in the feed, in order, and sends it.
    pub(super) fn take(&mut self, now: Instant, steps: &[Step], batch: &mut Batch) {
        let (mut packets, mut bytes) = (0, 0);
        let mut begins = false;
        for step in steps {
            let Some(leg) = leg_of(&mut self.audio, &mut self.video, step.kind()) else { continue };
            match step {
                Step::Packet(_, packet) => {
                    begins |= leg.packets == 0;
                    if leg.send(self.path, &self.sealer, packet, batch) {
                        packets += 1;
                        bytes += packet.payload.len();
                    }
                }
                Step::Codec(codec, profile) => {
                    if leg.set_codec(*codec, *profile) {
                        self.session.carries(*codec);
                    }
                }
                Step::Gap(kind) => {
                    leg.numbering.cut();
                    leg.waits |= *kind == MediaKind::Video;
                }
                Step::Restart(_) => leg.restart(),
            }
        }
        self.allowance = (self.allowance + bytes / RETRANSMISSION_SHARE).min(RETRANSMISSION_ALLOWANCE);
        self.session.figures.packets.fetch_add(packets, Ordering::Relaxed);
        self.session.figures.bytes.fetch_add(bytes as u64, Ordering::Relaxed); // usize is at most 64 bits
        // Without a report of each track the viewer plays them as they come; so it gets them with the first packets.
        if begins && packets > 0 {
            self.send_reports(now, batch);
        }
    }

    /// Sends packets of `media` again, as far as they are kept and the allowance lasts.
    pub(super) fn retransmit(
        &mut self,
        now: Instant,
        media: Ssrc,
        lost: impl Iterator<Item = u16>,
        rings: &Rings,
        batch: &mut Batch,
    ) {
        let legs = [(&mut self.audio, &rings.audio), (&mut self.video, &rings.video)];
        let leg = legs.into_iter().filter_map(|(leg, ring)| Some((leg.as_mut()?, ring)));
        let Some((leg, ring)) = leg.into_iter().find(|(leg, _)| leg.sources.media == media) else { return };
        let mut count = 0;
        for sequence in lost {
            let Some(source) = leg.numbering.source(sequence) else { continue };
            let Some(packet) = ring.get(source) else { continue };
            let Some(rest) = self.allowance.checked_sub(packet.payload.len()) else { break };
            if !leg.is_recent(source, now) && leg.repeat(self.path, &self.sealer, packet, batch) {
                self.allowance = rest;
                count += 1;
            }
        }
        self.session.figures.retransmitted.fetch_add(count, Ordering::Relaxed);
    }

    /// Takes a receiver report about one of our sources.
    pub(super) fn note_report(&self, now: Instant, block: &ReportBlock) {
        let figures = &self.session.figures;
        if self.video.as_ref().or(self.audio.as_ref()).is_some_and(|leg| leg.sources.media == block.ssrc) {
            figures.lost.store(u64::try_from(block.lost).unwrap_or(0), Ordering::Relaxed);
        }
        if let Some(round_trip) = block.round_trip(self.wall.at(now)) {
            let micros = u32::try_from(round_trip.as_micros()).unwrap_or(u32::MAX);
            figures.round_trip.store(micros, Ordering::Relaxed);
        }
    }

    /// Whether `ssrc` names the picture that this viewer gets.
    pub(super) fn is_video(&self, ssrc: Ssrc) -> bool {
        self.video.as_ref().is_some_and(|leg| leg.sources.media == ssrc)
    }

    /// Sends a report of each track that flows.
    pub(super) fn send_reports(&mut self, now: Instant, batch: &mut Batch) {
        let wall = self.wall.at(now);
        for leg in [&self.audio, &self.video].into_iter().flatten() {
            let Some(info) = leg.sender_info(wall, Timestamp::ZERO + wall.since(self.origin)) else {
                continue;
            };
            let mut plain = Vec::with_capacity(64);
            write::sender_report(&mut plain, leg.sources.media, &info, &[]);
            write::source_description(&mut plain, leg.sources.media, &self.cname);
            send_rtcp(&mut self.sealer, &mut self.scratch, &plain, self.path, batch);
        }
    }

    /// Says that the stream is over.
    pub(super) fn send_goodbye(&mut self, batch: &mut Batch) {
        let sources: SmallVec<[Ssrc; 2]> =
            [&self.audio, &self.video].into_iter().flatten().map(|leg| leg.sources.media).collect();
        let Some(first) = sources.first() else { return };
        let mut plain = Vec::new();
        write::receiver_report(&mut plain, *first, &[]);
        write::source_description(&mut plain, *first, &self.cname);
        write::goodbye(&mut plain, &sources);
        send_rtcp(&mut self.sealer, &mut self.scratch, &plain, self.path, batch);
    }
}

/// Seals an RTCP packet and sends it.
pub(super) fn send_rtcp(
    sealer: &mut Sealer,
    scratch: &mut Vec<u8>,
    plain: &[u8],
    path: Path,
    batch: &mut Batch,
) {
    scratch.clear();
    scratch.reserve(plain.len() + SRTCP_OVERHEAD);
    if sealer.seal_rtcp(scratch, plain) {
        batch.push(path, scratch);
    }
}

const fn leg_of<'a>(
    audio: &'a mut Option<Leg>,
    video: &'a mut Option<Leg>,
    kind: MediaKind,
) -> Option<&'a mut Leg> {
    match kind {
        MediaKind::Audio => audio.as_mut(),
        MediaKind::Video => video.as_mut(),
    }
}

impl Step {
    const fn kind(&self) -> MediaKind {
        match self {
            Self::Codec(codec, _) => codec.kind(),
            Self::Packet(kind, _) | Self::Gap(kind) | Self::Restart(kind) => *kind,
        }
    }
}

impl Leg {
    fn new(section: &Accepted) -> Option<Self> {
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

    fn set_codec(&mut self, codec: Codec, profile: Option<ProfileLevelId>) -> bool {
        self.encoding = self.section.best(codec, profile).copied();
        self.encoding.is_some()
    }

    /// Sends a packet under the viewer's own header; false if it is none for this viewer.
    fn send(&mut self, path: Path, sealer: &Sealer, packet: &Packet, batch: &mut Batch) -> bool {
        let Some(payload_type) = self.encoding.map(|encoding| encoding.payload_type) else { return false };
        if self.waits {
            if !packet.keyframe {
                return false;
            }
            self.waits = false;
            self.numbering.cut();
        }
        let Some(index) = self.numbering.index(packet.sequence) else { return false };
        let ticks = packet.ticks + self.shift(packet);
        if self.last.is_none_or(|(last, _)| last < ticks) {
            self.last = Some((ticks, packet.time));
        }
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(packet.payload.len() as u32); // counts modulo 2^32
        let header = self.header(packet, payload_type, index, ticks, self.sources.media);
        self.put(path, sealer, &header, index, &[], packet, self.names_section(index), batch);
        true
    }

    /// Sends a packet again: on the source of retransmissions if there is one, else the very same bytes as before.
    fn repeat(&mut self, path: Path, sealer: &Sealer, packet: &Packet, batch: &mut Batch) -> bool {
        let (Some(encoding), Some(shift)) = (self.encoding, self.shift) else { return false };
        let Some(index) = self.numbering.index(packet.sequence) else { return false };
        let ticks = packet.ticks + shift;
        match (self.sources.rtx, encoding.rtx) {
            (Some(ssrc), Some(payload_type)) => {
                self.rtx_index += 1;
                let header = self.header(packet, payload_type, self.rtx_index, ticks, ssrc);
                let original = (index as u16).to_be_bytes(); // the sequence number: the lowest 16 bits
                let named = self.rtx_index <= PACKETS_WITH_MID;
                self.put(path, sealer, &header, self.rtx_index, &original, packet, named, batch);
            }
            _ => {
                let header = self.header(packet, encoding.payload_type, index, ticks, self.sources.media);
                self.put(path, sealer, &header, index, &[], packet, self.names_section(index), batch);
            }
        }
        true
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

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one packet; a struct of them would have one user"
    )]
    fn put(
        &self,
        path: Path,
        sealer: &Sealer,
        header: &Header,
        index: u64,
        prefix: &[u8],
        packet: &Packet,
        named: bool,
        batch: &mut Batch,
    ) {
        let ids: &ExtensionIds = &self.section.extensions;
        // No transport-wide numbers: nothing here is steered by the feedback they would bring, and a packet that is sent
        // twice must be the same to the last bit.
        let values = Values {
            mid: named.then_some(&self.mid[..]),
            audio_level: packet.extensions.audio_level,
            orientation: packet.extensions.orientation,
            ..Values::default()
        };
        let header_len = Header::written_len(&values, ids);
        let len = header_len + prefix.len() + packet.payload.len() + sealer.overhead();
        batch.write(path, len, |place| {
            let Some(mut head) = place.get_mut(..header_len) else { return false };
            header.write(&values, ids, &mut head);
            sealer.seal_rtp(place, header_len, header.ssrc.0, index, prefix, &packet.payload)
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

    fn restart(&mut self) {
        self.numbering.restart();
        self.shift = None;
        self.waits = self.section.kind == MediaKind::Video;
        self.recent.clear();
    }

    /// Whether it was repeated a moment ago; if not, it counts as repeated now.
    fn is_recent(&mut self, source: i64, now: Instant) -> bool {
        self.recent.retain(|(_, when)| now.saturating_duration_since(*when) < REPEAT_INTERVAL);
        let found = self.recent.iter().any(|(repeated, _)| *repeated == source);
        if !found && self.recent.len() < MAX_RECENT {
            self.recent.push((source, now));
        }
        found
    }

    /// `None` while nothing was sent.
    fn sender_info(&self, wall: NtpTime, now: Timestamp) -> Option<SenderInfo> {
        let (ticks, time) = self.last?;
        let ticks = ticks + (now - time).to_ticks(self.rate);
        Some(SenderInfo { ntp: wall, rtp: RtpTime(ticks as u32), packets: self.packets, octets: self.octets })
    }
}

#[cfg(test)]
pub(super) mod tests;
