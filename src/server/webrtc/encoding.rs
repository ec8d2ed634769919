//! One encoding of a publisher's track: from the packets of its source and of its retransmissions to those of the bus.

use super::inserted::Inserted;
use super::parameter_sets::{ParameterSets, Start};
use crate::codec::h264::AvcConfig;
use crate::codec::opus::OpusConfig;
use crate::codec::sound::SoundConfig;
use crate::codec::{Codec, MediaKind};
use crate::media::{CodecParams, Extensions, MAX_PAYLOAD, Packet};
use crate::protocol::rtcp::{ReportBlock, SenderInfo};
use crate::protocol::rtp::h264::{PacketizationMode, Packetizer};
use crate::protocol::rtp::nack::NackGenerator;
use crate::protocol::rtp::report::{Arrival, Position, Reception};
use crate::protocol::rtp::{Header, PacketView, Ssrc, Values, rtx, vp8};
use crate::protocol::sdp::{Accepted, AcceptedCodec, Format, Rid};
use crate::stream::{FeedKey, Form};
use crate::time::{ClockRate, Timestamp};
use bytes::Bytes;
use std::time::{Duration, Instant};

/// A source that has been silent for so long may be followed by another.
const SILENT: Duration = Duration::from_secs(1);
/// Packets that wait for the first parameter sets, without which nobody could decode them.
const MAX_PENDING: usize = 512;

/// Between keyframe requests of our own, after losses that could not be mended.
const KEYFRAME_INTERVAL: Duration = Duration::from_millis(500);

/// The encoding: all there is of a track, or one of several of a picture.
pub(super) struct Encoding {
    rid: Option<Rid>,
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
    keyframe: Keyframe,
    /// Whether anybody gets it: what is lost of the others need not be made up for.
    in_use: bool,
}

/// When a key picture is asked for.
#[derive(Default)]
struct Keyframe {
    wanted: bool,
    asked: Option<Instant>,
}

struct Source {
    reception: Reception,
    heard: Instant,
}

/// Where a packet lies on the picture's or the sound's timeline.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub(super) ticks: i64,
    pub(super) time: Timestamp,
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

impl Encoding {
    /// `None` for a section that we do not receive.
    pub(super) fn new(section: &Accepted, rid: Option<Rid>) -> Option<Self> {
        let codec = *section.codecs.first()?;
        Some(Self {
            rid,
            keyframe: Keyframe::default(),
            in_use: true,
            rate: section.clock_rate(),
            codec,
            source: None,
            nack: NackGenerator::new(codec.feedback.nack),
            offset: 0,
            highest: 0,
            inserted: Inserted::default(),
            sets: ParameterSets::announced(&section.parameter_sets),
            key_ticks: None,
            pending: Vec::new(),
            section: section.clone(),
        })
    }

    /// Sound or picture.
    pub(super) const fn kind(&self) -> MediaKind {
        self.section.kind
    }

    /// The section it is of.
    pub(super) const fn section(&self) -> &Accepted {
        &self.section
    }

    /// Whether it is named so.
    pub(super) fn is_named(&self, rid: &[u8]) -> bool {
        self.rid.as_ref().is_some_and(|name| name.as_str().as_bytes() == rid)
    }

    /// Its codec.
    pub(super) const fn codec(&self) -> Codec {
        self.codec.codec
    }

    /// The source, once something has come.
    pub(super) fn ssrc(&self) -> Option<Ssrc> {
        self.source.as_ref().map(|source| source.reception.ssrc())
    }

    /// Takes a packet of this encoding; `place` tells where it lies, by its source's unwrapped ticks and by whether these begin
    /// anew with it.
    pub(super) fn packet(
        &mut self,
        now: Instant,
        view: &PacketView<'_>,
        datagram: &Bytes,
        values: &Values<'_>,
        place: impl FnOnce(i64, bool) -> Placed,
    ) -> Taken {
        let header = view.header();
        let ssrc = self.ssrc();
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
        let (position, is_anew) = match arrived {
            Arrival::Fresh(position) => (position, self.ssrc() != ssrc),
            Arrival::Restart(position) => {
                self.nack.reset();
                (position, true)
            }
            Arrival::Duplicate | Arrival::Stray => return Taken::Ignored,
        };
        self.nack.received(position.sequence, now);
        let placed = place(position.ticks, is_anew);
        let extensions = Extensions { audio_level: values.audio_level, orientation: values.orientation };
        self.push(position, placed, header.marker, extensions, datagram.slice_ref(payload));
        taken
    }

    /// Takes a sender report, if it is of this encoding's source; gives its ticks, unwrapped.
    pub(super) fn sender_report(&mut self, now: Instant, ssrc: Ssrc, info: &SenderInfo) -> Option<i64> {
        let source = self.source.as_mut().filter(|source| source.reception.ssrc() == ssrc)?;
        source.reception.sender_report(info.ntp, now);
        source.reception.ticks_of(info.rtp)
    }

    /// What has come since the last call and can be decoded. Nothing while the parameter sets are not known, without which
    /// nobody could.
    pub(super) fn take_packets(&mut self) -> Vec<Packet> {
        if self.codec() == Codec::H264 && self.sets.config().is_none() {
            if self.pending.len() > MAX_PENDING {
                self.pending.clear();
            }
            return Vec::new();
        }
        std::mem::take(&mut self.pending)
    }

    /// Whether the parameters are others than at the last call.
    pub(super) const fn take_changed(&mut self) -> bool {
        self.sets.take_changed()
    }

    /// Whether anybody gets it.
    pub(super) const fn set_in_use(&mut self, in_use: bool) {
        self.in_use = in_use;
    }

    /// Sequence numbers to ask for now. Where some were given up, a key picture is wanted.
    pub(super) fn losses(&mut self, now: Instant) -> Vec<u16> {
        let mut lost = Vec::new();
        if !self.in_use {
            self.nack.forget();
            return lost;
        }
        self.nack.requests(now, &mut lost);
        if self.nack.take_given_up() > 0 {
            self.want_keyframe();
        }
        lost
    }

    /// Packets that are missing and waited for.
    pub(super) fn missing(&self) -> usize {
        self.nack.missing()
    }

    /// Somebody needs a key picture.
    pub(super) const fn want_keyframe(&mut self) {
        self.keyframe.wanted = true;
    }

    /// Whether a key picture is to be asked for now; it counts as asked for then.
    pub(super) fn asks_for_keyframe(&mut self, now: Instant) -> bool {
        let is_due = self.has_pictures() && self.keyframe.deadline(now).is_some_and(|due| due <= now);
        if is_due {
            self.keyframe = Keyframe { wanted: false, asked: Some(now) };
        }
        is_due
    }

    /// When [`losses`](Self::losses) or [`asks_for_keyframe`](Self::asks_for_keyframe) has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let keyframe = self.keyframe.asked.and_then(|asked| self.keyframe.deadline(asked));
        [self.nack.deadline(), keyframe.filter(|_| self.has_pictures())].into_iter().flatten().min()
    }

    fn has_pictures(&self) -> bool {
        self.section.kind == MediaKind::Video && self.source.is_some()
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
        placed: Placed,
        marker: bool,
        extensions: Extensions,
        payload: Bytes,
    ) {
        let ticks = position.ticks;
        let is_new = self.kind() == MediaKind::Audio || self.key_ticks != Some(ticks);
        let start = match self.codec.codec {
            Codec::H264 => self.sets.look(&payload),
            Codec::Vp8 if !vp8::starts_keyframe(&payload) => Start::No,
            // Sound, and what is never agreed on.
            _ => Start::Here,
        };
        let keyframe = match start {
            Start::Behind(config) if is_new => {
                self.insert_sets(position, placed, &config);
                false
            }
            start => start == Start::Here && is_new,
        };
        if keyframe {
            self.key_ticks = Some(ticks);
        }
        let sequence = position.sequence + self.offset + self.inserted.shift(position.sequence);
        self.highest = self.highest.max(sequence);
        let Placed { ticks, time } = placed;
        self.pending.push(Packet { sequence, ticks, time, marker, keyframe, extensions, payload });
    }

    /// Puts parameter sets before a key picture whose publisher sends none, as viewers get them in band only. Behind a
    /// packet that has come late there is no room; who waits for a key picture waits for the next.
    fn insert_sets(&mut self, position: Position, placed: Placed, config: &AvcConfig) {
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
            ticks: placed.ticks,
            time: placed.time,
            marker: false,
            keyframe: sequence == first,
            extensions: Extensions::default(),
            payload: payload.bytes,
        }));
    }

    /// The feed of the bus that it is, if it is all there is of its track.
    pub(super) fn feed(&self) -> FeedKey {
        let form = match self.codec.format {
            Format::H264(format) if format.is_single_nal() => Form::SingleNal,
            _ => Form::Packets,
        };
        FeedKey::new(self.codec.codec, form)
    }

    /// Codec parameters; `None` while they are not known.
    pub(super) fn params(&self) -> Option<CodecParams> {
        match (self.codec.codec, self.codec.format) {
            (Codec::H264, _) => self.sets.config().cloned().map(CodecParams::H264),
            (Codec::Vp8, _) => Some(CodecParams::Vp8),
            (Codec::Opus, Format::Opus(format)) => {
                Some(CodecParams::Opus(OpusConfig { channels: if format.sends_stereo { 2 } else { 1 } }))
            }
            (codec @ (Codec::Pcmu | Codec::Pcma), _) => {
                Some(CodecParams::Sound(SoundConfig::telephone(codec)))
            }
            // None of the others is ever agreed on.
            _ => None,
        }
    }
}

impl Keyframe {
    /// When to ask, if a key picture is wanted: at `now`, unless one was asked for a moment ago.
    fn deadline(&self, now: Instant) -> Option<Instant> {
        self.wanted.then(|| self.asked.map_or(now, |asked| asked + KEYFRAME_INTERVAL))
    }
}
