//! One track of a publisher: from the packets of its source and of its retransmissions to those of the bus.

use super::inserted::Inserted;
use super::parameter_sets::{ParameterSets, Start};
use crate::codec::h264::AvcConfig;
use crate::codec::opus::OpusConfig;
use crate::codec::{Codec, MediaKind};
use crate::media::{CodecParams, Extensions, MAX_PAYLOAD, Packet, PacketGroup, StreamClock};
use crate::protocol::rtcp::{ReportBlock, SenderInfo};
use crate::protocol::rtp::h264::{PacketizationMode, Packetizer};
use crate::protocol::rtp::nack::NackGenerator;
use crate::protocol::rtp::report::{Arrival, Position, Reception};
use crate::protocol::rtp::{Header, PacketView, Ssrc, Values, rtx, vp8};
use crate::protocol::sdp::{Accepted, AcceptedCodec, Format};
use crate::stream::{FeedKey, FeedWriter, Form, Publisher};
use crate::time::{ClockRate, Timestamp};
use bytes::Bytes;
use std::time::{Duration, Instant};

/// A source that has been silent for so long may be followed by another.
const SILENT: Duration = Duration::from_secs(1);
/// Packets that wait for the first parameter sets, without which nobody could decode them.
const MAX_PENDING: usize = 512;

/// The track.
pub(super) struct Track {
    section: Accepted,
    codec: AcceptedCodec,
    rate: ClockRate,
    source: Option<Source>,
    nack: NackGenerator,
    /// Added to the source's sequence numbers, so that those of a later source follow.
    offset: i64,
    highest: i64,
    /// Packets of ours among the source's.
    inserted: Inserted,
    sets: ParameterSets,
    /// Ticks of the last key picture: only its first packet is marked as a start.
    key_ticks: Option<i64>,
    pending: Vec<Packet>,
    writer: Option<FeedWriter>,
}

struct Source {
    reception: Reception,
    heard: Instant,
}

/// What a packet was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Taken {
    /// A new one.
    Received,
    /// One that was missing.
    Recovered,
    /// Of no use.
    Ignored,
}

impl Track {
    /// `None` for a section that we do not receive.
    pub(super) fn new(section: &Accepted) -> Option<Self> {
        let codec = *section.codecs.first()?;
        Some(Self {
            rate: match section.kind {
                MediaKind::Audio => ClockRate::OPUS,
                MediaKind::Video => ClockRate::VIDEO,
            },
            codec,
            source: None,
            nack: NackGenerator::new(codec.feedback.nack),
            offset: 0,
            highest: 0,
            inserted: Inserted::default(),
            sets: ParameterSets::announced(&section.parameter_sets),
            key_ticks: None,
            pending: Vec::new(),
            writer: None,
            section: section.clone(),
        })
    }

    /// Sound or picture.
    pub(super) const fn kind(&self) -> MediaKind {
        self.section.kind
    }

    /// Whether the section is named so.
    pub(super) fn is_named(&self, mid: &[u8]) -> bool {
        self.section.mid.as_ref().is_some_and(|name| name.as_str().as_bytes() == mid)
    }

    /// Whether the payload type is one of this section.
    pub(super) fn takes(&self, payload_type: u8) -> bool {
        self.section.by_payload_type(payload_type).is_some()
    }

    /// The source, once something has come.
    pub(super) fn ssrc(&self) -> Option<Ssrc> {
        self.source.as_ref().map(|source| source.reception.ssrc())
    }

    /// Whether pictures come.
    pub(super) fn is_live_video(&self) -> bool {
        self.section.kind == MediaKind::Video && self.source.is_some()
    }

    /// Takes a packet of this section.
    pub(super) fn packet(
        &mut self,
        now: Instant,
        arrival: Timestamp,
        view: &PacketView<'_>,
        datagram: &Bytes,
        values: &Values<'_>,
        clock: &mut StreamClock,
    ) -> Taken {
        let header = view.header();
        let (arrived, payload, taken) = if header.payload_type == self.codec.payload_type {
            let Some(source) = self.source(header, now) else { return Taken::Ignored };
            source.heard = now;
            (source.reception.packet(header, now), view.payload(), Taken::Received)
        } else if self.codec.rtx == Some(header.payload_type) {
            let Some((original, payload)) = rtx::split(view.payload()) else { return Taken::Ignored };
            let Some(source) = &mut self.source else { return Taken::Ignored };
            (source.reception.recovered(original, header.timestamp, now), payload, Taken::Recovered)
        } else {
            return Taken::Ignored;
        };
        let position = match arrived {
            Arrival::Fresh(position) => position,
            Arrival::Restart(position) => {
                self.nack.reset();
                position
            }
            Arrival::Duplicate | Arrival::Stray => return Taken::Ignored,
        };
        self.nack.received(position.sequence, now);
        let time = clock.packet(self.kind(), self.rate, arrival, position.ticks);
        let extensions = Extensions { audio_level: values.audio_level, orientation: values.orientation };
        self.push(position, time, header.marker, extensions, datagram.slice_ref(payload));
        taken
    }

    /// Takes a sender report, if it is of this track's source.
    pub(super) fn sender_report(
        &mut self,
        now: Instant,
        ssrc: Ssrc,
        info: &SenderInfo,
        clock: &mut StreamClock,
    ) {
        let kind = self.kind();
        let Some(source) = self.source.as_mut().filter(|source| source.reception.ssrc() == ssrc) else {
            return;
        };
        source.reception.sender_report(info.ntp, now);
        if let Some(ticks) = source.reception.ticks_of(info.rtp) {
            clock.report(kind, info.ntp, ticks);
        }
    }

    /// Puts what waits onto the bus. Gives the codec when the track has come into being by it.
    pub(super) fn publish(&mut self, publisher: &Publisher) -> Option<Codec> {
        if self.pending.is_empty() {
            return None;
        }
        let mut opened = None;
        if self.writer.is_none() {
            let Some(params) = self.params() else {
                if self.pending.len() > MAX_PENDING {
                    self.pending.clear();
                }
                return None;
            };
            self.writer = publisher.track(self.feed());
            opened = self.writer.as_ref().map(|_| self.codec.codec);
            self.sets.take_changed();
            self.announce(params);
        } else if self.sets.take_changed()
            && let Some(params) = self.params()
        {
            self.announce(params);
        }
        let Some(writer) = &self.writer else {
            // The stream has ended.
            self.pending.clear();
            return None;
        };
        // A subscriber that waits for a key picture looks at the first packet of a group.
        let mut group = Vec::with_capacity(self.pending.len());
        for packet in self.pending.drain(..) {
            if packet.keyframe
                && let Some(group) = PacketGroup::new(std::mem::take(&mut group))
            {
                writer.write_packets(group);
            }
            group.push(packet);
        }
        if let Some(group) = PacketGroup::new(group) {
            writer.write_packets(group);
        }
        opened
    }

    /// Sequence numbers to ask for now, and whether some were given up.
    pub(super) fn losses(&mut self, now: Instant) -> (Vec<u16>, bool) {
        let mut lost = Vec::new();
        self.nack.requests(now, &mut lost);
        (lost, self.nack.take_given_up() > 0)
    }

    /// When [`losses`](Self::losses) has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.nack.deadline()
    }

    /// The block for a receiver report.
    pub(super) fn report(&mut self, now: Instant) -> Option<ReportBlock> {
        self.source.as_mut()?.reception.report_block(now)
    }

    /// Packets that were missing.
    pub(super) fn lost(&self) -> u64 {
        self.source.as_ref().map_or(0, |source| source.reception.lost())
    }

    /// The source of a packet: the one there is, or a new one where there is none or it has fallen silent.
    fn source(&mut self, header: &Header, now: Instant) -> Option<&mut Source> {
        let is_other = self.ssrc().is_some_and(|ssrc| ssrc != header.ssrc);
        if is_other {
            let silent = self
                .source
                .as_ref()
                .is_none_or(|source| now.saturating_duration_since(source.heard) > SILENT);
            if !silent {
                return None;
            }
            self.source = None;
            self.nack.reset();
            self.offset = self.highest + 1 - i64::from(header.sequence);
            self.inserted = Inserted::default();
        }
        let rate = self.rate;
        Some(
            self.source
                .get_or_insert_with(|| Source { reception: Reception::new(header.ssrc, rate), heard: now }),
        )
    }

    fn push(
        &mut self,
        position: Position,
        time: Timestamp,
        marker: bool,
        extensions: Extensions,
        payload: Bytes,
    ) {
        let ticks = position.ticks;
        let is_new = self.kind() == MediaKind::Audio || self.key_ticks != Some(ticks);
        let start = match self.codec.codec {
            Codec::H264 => self.sets.look(&payload),
            Codec::Vp8 if !vp8::starts_keyframe(&payload) => Start::No,
            Codec::Vp8 | Codec::Opus | Codec::Aac => Start::Here,
        };
        let keyframe = match start {
            Start::Behind(config) if is_new => {
                self.insert_sets(position, time, &config);
                false
            }
            start => start == Start::Here && is_new,
        };
        if keyframe {
            self.key_ticks = Some(ticks);
        }
        let sequence = position.sequence + self.offset + self.inserted.shift(position.sequence);
        self.highest = self.highest.max(sequence);
        self.pending.push(Packet { sequence, ticks, time, marker, keyframe, extensions, payload });
    }

    /// Puts parameter sets before a key picture whose publisher sends none, as viewers get them in band only. Behind a
    /// packet that has come late there is no room; who waits for a key picture waits for the next.
    fn insert_sets(&mut self, position: Position, time: Timestamp, config: &AvcConfig) {
        self.key_ticks = Some(position.ticks);
        let first = position.sequence + self.offset + self.inserted.shift(position.sequence);
        if first <= self.highest {
            return;
        }
        let mode = match self.feed().form {
            Form::SingleNal => PacketizationMode::SingleNal,
            Form::Packets | Form::Frames => PacketizationMode::NonInterleaved,
        };
        let sets = config.sps().iter().chain(config.pps()).cloned();
        let Ok(payloads) = Packetizer::new(MAX_PAYLOAD, mode).packetize(sets) else { return };
        self.inserted.insert(position.sequence, payloads.len() as i64); // a few
        self.pending.extend((first..).zip(payloads).map(|(sequence, payload)| Packet {
            sequence,
            ticks: position.ticks,
            time,
            marker: false,
            keyframe: sequence == first,
            extensions: Extensions::default(),
            payload: payload.bytes,
        }));
    }

    fn announce(&self, params: CodecParams) {
        if let Some(writer) = &self.writer {
            writer.set_params(params);
        }
    }

    fn feed(&self) -> FeedKey {
        let form = match self.codec.format {
            Format::H264(format) if format.is_single_nal() => Form::SingleNal,
            _ => Form::Packets,
        };
        FeedKey::new(self.codec.codec, form)
    }

    /// `None` while they are not known.
    fn params(&self) -> Option<CodecParams> {
        match (self.codec.codec, self.codec.format) {
            (Codec::H264, _) => self.sets.config().map(CodecParams::H264),
            (Codec::Vp8, _) => Some(CodecParams::Vp8),
            (Codec::Opus, Format::Opus(format)) => {
                Some(CodecParams::Opus(OpusConfig { channels: if format.sends_stereo { 2 } else { 1 } }))
            }
            // Neither is ever agreed on.
            (Codec::Opus | Codec::Aac, _) => None,
        }
    }
}
