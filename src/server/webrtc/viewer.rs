//! What one viewer gets of the packets that all viewers share: of the picture the layer that its line and its tile have
//! room for.

use super::batch::Batch;
use super::leg::{Leg, Out};
use super::line::Share;
use super::path::Path;
use super::picture::{Limit, Picture, Rungs};
use super::ring::Rings;
use super::session::Session;
use super::wall::Wall;
use crate::codec::{Codec, MediaKind};
use crate::media::Packet;
use crate::protocol::congestion::{Filler, Transport};
use crate::protocol::rtcp::{ReportBlock, write};
use crate::protocol::rtp::Ssrc;
use crate::protocol::rtp::twcc::Feedback;
use crate::protocol::sdp::{Negotiated, ProfileLevelId};
use crate::protocol::srtp::{SRTCP_OVERHEAD, Sealer};
use crate::stream::Layer;
use crate::time::{BitRate, NtpTime, Timestamp};
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Retransmissions may take this part of what is sent anyway ...
const RETRANSMISSION_SHARE: usize = 4;
/// ... and this much more, so that a loss at the start can be mended; also the most that can be saved up.
const RETRANSMISSION_ALLOWANCE: usize = 256 << 10;
/// Padding of a probe goes out this often ...
const PADDING_INTERVAL: Duration = Duration::from_millis(10);
/// ... and no more at a time.
const MAX_PADDING: usize = 40;
/// What a packet of padding is on the network, about.
const PADDING_LEN: usize = 320;
/// Receiver reports are waited for so long; a browser sends one each five seconds at the least.
const REPORTED: Duration = Duration::from_secs(10);
/// A viewer that loses picture after picture, or shows the stream otherwise all the time, does not make the publisher send key
/// pictures of a layer to everybody all the time.
const KEYFRAME_INTERVAL: Duration = Duration::from_secs(1);

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
    /// Numbers packets and reads feedback, where that was agreed on.
    transport: Option<Transport>,
    /// The way is another since something was sent last.
    is_moved: bool,
    /// When a receiver report came last.
    reported: Option<Instant>,
    share: Arc<Share>,
    filler: Filler,
    /// When padding is due.
    pads_at: Option<Instant>,
    /// The layer that is sent.
    current: Option<Layer>,
    /// The layer that is to be sent, from its next key picture on.
    wanted: Option<Layer>,
    /// The viewer has no picture, and one of [`Layer::START`] is of use. Who has lost some of one does not get it: what is made there is
    /// a little behind what was sent last, and decoders pass over what is older.
    is_blank: bool,
    rungs: Rungs,
    limit: Limit,
    /// When a key picture of each layer was asked for last.
    asked_for_keyframe: [Option<Instant>; Layer::COUNT],
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

impl Viewer {
    pub(super) fn new(
        session: Arc<Session>,
        negotiated: &Negotiated,
        sender: Sender,
        path: Path,
        sealer: Sealer,
        share: Arc<Share>,
    ) -> Self {
        let leg = |kind| negotiated.section(kind).and_then(Leg::new);
        let (audio, video) = (leg(MediaKind::Audio), leg(MediaKind::Video));
        let is_numbered = audio.iter().chain(&video).any(Leg::is_numbered);
        Self {
            session,
            path,
            sealer,
            cname: sender.cname,
            wall: sender.wall,
            origin: sender.origin,
            wanted: video.is_some().then_some(Layer::BEST),
            audio,
            video,
            transport: is_numbered.then(Transport::new),
            is_moved: false,
            reported: None,
            share,
            filler: Filler::default(),
            pads_at: None,
            current: None,
            is_blank: true,
            rungs: Rungs::new(),
            limit: Limit::None,
            asked_for_keyframe: [None; Layer::COUNT],
            allowance: RETRANSMISSION_ALLOWANCE,
            scratch: Vec::new(),
        }
    }

    /// What is sent goes this way from now on.
    pub(super) const fn set_path(&mut self, path: Path) {
        self.path = path;
        self.is_moved = true;
    }

    /// The layer of which a key picture is waited for. Who has a picture from the start waits for one that comes by itself.
    pub(super) fn waits_for_keyframe_of(&self) -> Option<Layer> {
        let waits = self.video.as_ref().is_some_and(Leg::waits);
        let is_served = self.current == Some(Layer::START) && !self.is_blank && !waits;
        self.wanted.filter(|wanted| !is_served && (waits || self.current != Some(*wanted)))
    }

    /// The layers that are sent, or are to be.
    pub(super) fn layers(&self) -> impl Iterator<Item = Layer> {
        self.current.into_iter().chain(self.wanted).chain(self.takes_start().then_some(Layer::START))
    }

    /// Whether a key picture of the start is of use: for the track itself, as its layers come from those who can be asked for one.
    fn takes_start(&self) -> bool {
        self.is_blank && self.wanted == Some(Layer::BEST)
    }

    /// Takes what has happened in a layer of the feed, in order, and sends it. Sound comes with the best.
    pub(super) fn take(&mut self, now: Instant, layer: Layer, steps: &[Step], batch: &mut Batch) {
        let (mut packets, mut bytes) = (0, 0);
        let mut begins = false;
        let before = self.current;
        let is_numbered = self.numbers(now);
        let mut out = Out {
            now,
            path: self.path,
            sealer: &self.sealer,
            transport: self.transport.as_mut().filter(|_| is_numbered),
            batch,
            sent: 0,
        };
        for step in steps {
            let kind = step.kind();
            let Some(leg) = leg_of(&mut self.audio, &mut self.video, kind) else { continue };
            match step {
                Step::Packet(_, packet) => {
                    if kind == MediaKind::Video && self.current != Some(layer) {
                        let is_start =
                            layer == Layer::START && self.is_blank && self.wanted == Some(Layer::BEST);
                        if !(is_start || self.wanted == Some(layer)) || !packet.keyframe {
                            continue;
                        }
                        leg.switch(layer);
                        begins |= self.current.replace(layer).is_some();
                    }
                    begins |= leg.is_new();
                    if leg.send(packet, &mut out) {
                        self.is_blank &= kind == MediaKind::Audio || !packet.keyframe;
                        packets += 1;
                        bytes += packet.payload.len();
                    }
                }
                Step::Codec(codec, profile) if layer == Layer::BEST => {
                    if leg.set_codec(*codec, *profile) {
                        self.session.carries(*codec);
                    }
                }
                Step::Codec(..) => {} // that of the track is that of its layers
                Step::Gap(_) if kind == MediaKind::Audio || self.current == Some(layer) => {
                    leg.cut();
                }
                Step::Gap(_) => {}
                Step::Restart(_) => leg.restart(layer),
            }
        }
        self.share.note_sent(out.sent);
        self.allowance = (self.allowance + bytes / RETRANSMISSION_SHARE).min(RETRANSMISSION_ALLOWANCE);
        self.session.figures.packets.fetch_add(packets, Ordering::Relaxed);
        self.session.figures.bytes.fetch_add(bytes as u64, Ordering::Relaxed); // usize is at most 64 bits
        if self.current != before {
            self.tell();
        }
        // Without a report of each track the viewer plays them as they come; so it gets them with the first packets.
        if begins && packets > 0 {
            self.share.alarm(now);
            self.send_reports(now, batch);
        }
    }

    /// Whether what goes out now is numbered: all of one burst is or nothing, so that its packets stay of one size.
    fn numbers(&mut self, now: Instant) -> bool {
        let Some(transport) = &mut self.transport else { return false };
        if std::mem::take(&mut self.is_moved) || transport.take_missed(now) {
            self.share.alarm(now);
        }
        transport.numbers(now, self.share.is_calm())
    }

    /// The source of a layer counts anew.
    pub(super) fn forget(&mut self, layer: Layer) {
        if let Some(leg) = &mut self.video {
            leg.restart(layer);
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
        let is_numbered = self.numbers(now);
        let legs = [(&mut self.audio, MediaKind::Audio), (&mut self.video, MediaKind::Video)];
        let leg = legs.into_iter().filter_map(|(leg, kind)| Some((leg.as_mut()?, kind)));
        let Some((leg, kind)) = leg.into_iter().find(|(leg, _)| leg.sources().media == media) else { return };
        // What was left because the line is narrow does not come back by another door.
        if kind == MediaKind::Video && self.current.is_none() {
            return;
        }
        let mut out = Out {
            now,
            path: self.path,
            sealer: &self.sealer,
            transport: self.transport.as_mut().filter(|_| is_numbered),
            batch,
            sent: 0,
        };
        let (mut count, mut asked) = (0, 0);
        for sequence in lost {
            asked += 1;
            let Some(given) = leg.given(sequence) else { continue };
            let Some(packet) = rings.get(kind, given.part.layer, given.source) else { continue };
            let Some(rest) = self.allowance.checked_sub(packet.payload.len()) else { break };
            if !leg.is_recent(given.source, now) && leg.repeat(packet, &given, &mut out) {
                self.allowance = rest;
                count += 1;
            }
        }
        self.share.note_sent(out.sent);
        if self.transport.as_mut().is_some_and(|transport| transport.asked(now, asked)) {
            self.share.alarm(now);
        }
        self.session.figures.retransmitted.fetch_add(count, Ordering::Relaxed);
    }

    /// Takes a receiver report about one of our sources.
    pub(super) fn note_report(&mut self, now: Instant, block: &ReportBlock) {
        let figures = &self.session.figures;
        let main = self.video.as_ref().filter(|_| self.current.is_some()).or(self.audio.as_ref());
        if main.is_some_and(|leg| leg.sources().media == block.ssrc) {
            figures.lost.store(u64::try_from(block.lost).unwrap_or(0), Ordering::Relaxed);
            self.reported = Some(now);
            self.share.receiver_report(now, f64::from(block.fraction_lost) / 256.0, !self.is_answered());
        }
        if let Some(round_trip) = block.round_trip(self.wall.at(now)) {
            let micros = u32::try_from(round_trip.as_micros()).unwrap_or(u32::MAX);
            figures.round_trip.store(micros, Ordering::Relaxed);
        }
    }

    /// Takes transport-wide feedback. True if another layer is wanted now.
    pub(super) fn feedback(&mut self, now: Instant, feedback: &Feedback<'_>) -> bool {
        let report = self.transport.as_mut().and_then(|transport| transport.feedback(now, feedback));
        let Some(report) = report else { return false };
        self.share.report(now, &report);
        let is_changed = self.choose(now);
        self.probe(now);
        is_changed
    }

    /// Looks after what nobody else starts: silence of the peer, and what other sessions of the client have changed. True if
    /// another layer is wanted now.
    pub(super) fn tick(&mut self, now: Instant) -> bool {
        let is_reported = self.reported.is_some_and(|at| now.saturating_duration_since(at) < REPORTED);
        let is_silent = self.transport.as_mut().is_some_and(|transport| transport.take_silence(now));
        if is_silent && (self.is_answered() || !is_reported) {
            self.share.silent(now);
        }
        self.share.watch(now);
        let is_changed = self.choose(now);
        self.probe(now);
        is_changed
    }

    /// Whether transport-wide feedback comes. Who has agreed to it and never gives it is judged by its reports instead.
    fn is_answered(&self) -> bool {
        self.transport.as_ref().is_some_and(Transport::is_answered)
    }

    /// Begins to fill the line up where a probe is due. What calls this sets the timer for [`pad`](Self::pad) thereafter.
    fn probe(&mut self, now: Instant) {
        if self.pads_at.is_none() && self.is_answered() && self.video.as_ref().is_some_and(Leg::can_pad) {
            self.pads_at = self.share.probe(now).map(|_| now);
        }
    }

    /// What the stream has, at which rates. True if another layer is wanted now.
    pub(super) fn set_rungs(&mut self, now: Instant, sound: BitRate, rungs: &Rungs) -> bool {
        if self.video.is_some() && self.rungs != *rungs {
            self.rungs.clone_from(rungs);
        }
        self.share.set_rungs(if self.audio.is_some() { sound } else { BitRate::ZERO }, &self.rungs);
        self.choose(now)
    }

    /// Decides anew which layer is sent. True if another layer is wanted now.
    pub(super) fn choose(&mut self, now: Instant) -> bool {
        if self.video.is_none() {
            return false;
        }
        let choice = self.share.choose(now);
        // Before anything is known of the layers there is the track itself.
        let wanted = if self.rungs.is_empty() { Some(Layer::BEST) } else { choice.layer };
        let is_changed = wanted != self.wanted;
        if is_changed {
            self.share.alarm(now);
            self.wanted = wanted;
            // A line that cannot carry what is sent is relieved at once; it is not before a key picture comes that less
            // is sent instead. Otherwise what is sent goes on until then.
            let is_too_much = |current: Layer| wanted.is_none_or(|wanted| wanted > current);
            let is_relief = choice.limit == Limit::Bandwidth && self.current.is_some_and(is_too_much);
            if is_relief || wanted.is_none() {
                self.current = None;
                self.is_blank = true;
            }
        }
        let estimate = self.share.estimate().map_or(0, BitRate::bps);
        self.session.figures.estimate.store(estimate, Ordering::Relaxed);
        self.limit = choice.limit;
        self.tell();
        is_changed
    }

    /// When [`pad`](Self::pad) is to be called.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.pads_at
    }

    /// Fills the line up while a probe runs.
    pub(super) fn pad(&mut self, now: Instant, batch: &mut Batch) {
        if self.pads_at.is_none_or(|at| at > now) {
            return;
        }
        let Some((rate, sent)) = self.share.probe(now) else {
            self.pads_at = None;
            self.filler.reset();
            return;
        };
        self.pads_at = Some(now + PADDING_INTERVAL);
        let Some(leg) = &mut self.video else { return };
        let due = self.filler.due(now, rate, sent).div_ceil(PADDING_LEN);
        let mut out = Out {
            now,
            path: self.path,
            sealer: &self.sealer,
            transport: self.transport.as_mut(),
            batch,
            sent: 0,
        };
        (0..due.min(MAX_PADDING)).for_each(|_| leg.pad(&mut out));
        self.share.note_sent(out.sent);
        self.session.figures.padding.fetch_add(out.sent, Ordering::Relaxed);
        metrics::counter!("commonroom_webrtc_padding_bytes_total").increment(out.sent);
    }

    /// Whether `ssrc` names the picture that this viewer gets.
    pub(super) fn is_video(&self, ssrc: Ssrc) -> bool {
        self.video.as_ref().is_some_and(|leg| leg.sources().media == ssrc)
    }

    /// The layer of which a key picture is to be asked for, as the viewer wants one; `None` if it has just had its turn.
    pub(super) fn keyframe_wanted(&mut self, now: Instant) -> Option<Layer> {
        self.wanted.filter(|layer| self.has_its_turn(now, *layer))
    }

    /// The same, as the viewer waits for one to go on.
    pub(super) fn keyframe_awaited(&mut self, now: Instant) -> Option<Layer> {
        self.waits_for_keyframe_of().filter(|layer| self.has_its_turn(now, *layer))
    }

    /// Whether a key picture of a layer may be asked for; if so, it counts as asked for.
    fn has_its_turn(&mut self, now: Instant, layer: Layer) -> bool {
        let Some(asked) = self.asked_for_keyframe.get_mut(layer.steps()) else { return false };
        let is_recent = |at: Instant| now.saturating_duration_since(at) < KEYFRAME_INTERVAL;
        let is_its_turn = !asked.is_some_and(is_recent);
        if is_its_turn {
            *asked = Some(now);
        }
        is_its_turn
    }

    /// Sends a report of each track that flows.
    pub(super) fn send_reports(&mut self, now: Instant, batch: &mut Batch) {
        let wall = self.wall.at(now);
        for leg in [&self.audio, &self.video].into_iter().flatten() {
            let Some(info) = leg.sender_info(wall, Timestamp::ZERO + wall.since(self.origin)) else {
                continue;
            };
            let mut plain = Vec::with_capacity(64);
            write::sender_report(&mut plain, leg.sources().media, &info, &[]);
            write::source_description(&mut plain, leg.sources().media, &self.cname);
            send_rtcp(&mut self.sealer, &mut self.scratch, &plain, self.path, batch);
        }
    }

    /// Says that the stream is over.
    pub(super) fn send_goodbye(&mut self, batch: &mut Batch) {
        let sources: SmallVec<[Ssrc; 2]> =
            [&self.audio, &self.video].into_iter().flatten().map(|leg| leg.sources().media).collect();
        let Some(first) = sources.first() else { return };
        let mut plain = Vec::new();
        write::receiver_report(&mut plain, *first, &[]);
        write::source_description(&mut plain, *first, &self.cname);
        write::goodbye(&mut plain, &sources);
        send_rtcp(&mut self.sealer, &mut self.scratch, &plain, self.path, batch);
    }

    /// Tells whoever listens which picture is sent.
    fn tell(&self) {
        if self.rungs.is_empty() {
            return;
        }
        // What is made for the start has the size of the track.
        let current = self.current.filter(|layer| *layer != Layer::START);
        let shown = current.or(self.wanted).filter(|_| self.wanted.is_some());
        let rung = self.rungs.iter().find(|rung| Some(rung.layer) == shown);
        self.session.shows(Picture {
            height: rung.and_then(|rung| rung.height),
            limit: self.limit,
            audio_only: self.wanted.is_none(),
        });
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

#[cfg(test)]
pub(super) mod tests;
