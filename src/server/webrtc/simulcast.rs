//! A picture that its publisher sends in several encodings at a time.
//!
//! Each encoding has a reception of its own. The track on the bus is the best that lives: whoever reads it sees one picture
//! without a break, whose size changes at a keyframe. The others are feeds beside it (`stream::Layer`), for viewers whose
//! line or tile is small; nothing is made for them while nobody reads them. A browser stops an encoding whenever its
//! line gets thin, and says nothing of it.

use super::alignment::{Alignment, Scale};
use super::encoding::{Encoding, Placed, Taken};
use super::life::Life;
use super::seam::Seam;
use super::track::write;
use crate::codec::h264::Sps;
use crate::codec::{Codec, MediaKind};
use crate::media::{CodecParams, Packet, StreamClock};
use crate::protocol::rtcp::SenderInfo;
use crate::protocol::rtp::{PacketView, Ssrc, Values, vp8};
use crate::protocol::sdp::Accepted;
use crate::stream::{FeedWriter, Layer, Layers, Publisher};
use crate::time::{ClockRate, Timestamp};
use bytes::Bytes;
use smallvec::SmallVec;
use std::cmp::Reverse;
use std::time::Instant;

/// Sources that are remembered: an encoding has one, and one of its retransmissions.
const MAX_SOURCES: usize = 16;

/// The track.
pub(super) struct Simulcast {
    members: SmallVec<[Member; 3]>,
    /// Whose source is which. Packets name their encoding until the sender knows that it is known.
    sources: SmallVec<[(Ssrc, usize); 8]>,
    scale: Scale,
    /// Which of them the track is at the moment.
    best: Option<usize>,
    seam: Seam,
    writer: Option<FeedWriter>,
}

/// One encoding.
struct Member {
    encoding: Encoding,
    alignment: Alignment,
    /// Lines of its picture, by the last keyframe that could be read.
    height: Option<u32>,
    /// A keyframe has come.
    is_known: bool,
    life: Life,
    /// Its place below the best, once it is known; it never changes.
    layer: Option<Layer>,
    writer: Option<FeedWriter>,
}

impl Simulcast {
    /// `None` for a section that we do not receive.
    pub(super) fn new(section: &Accepted) -> Option<Self> {
        let member = |rid| {
            Some(Member {
                encoding: Encoding::new(section, Some(rid))?,
                alignment: Alignment::default(),
                height: None,
                is_known: false,
                life: Life::default(),
                layer: None,
                writer: None,
            })
        };
        let members: Option<_> = section.encodings.iter().take(Layer::MAX).cloned().map(member).collect();
        Some(Self {
            members: members?,
            sources: SmallVec::new(),
            scale: Scale::default(),
            best: None,
            seam: Seam::default(),
            writer: None,
        })
    }

    pub(super) fn encodings(&self) -> impl Iterator<Item = &Encoding> {
        self.members.iter().map(|member| &member.encoding)
    }

    pub(super) fn encodings_mut(&mut self) -> impl Iterator<Item = &mut Encoding> {
        self.members.iter_mut().map(|member| &mut member.encoding)
    }

    /// Takes a packet of the section.
    pub(super) fn packet(
        &mut self,
        now: Instant,
        arrival: Timestamp,
        view: &PacketView<'_>,
        datagram: &Bytes,
        values: &Values<'_>,
        clock: &mut StreamClock,
    ) -> Taken {
        let Some(at) = self.whose(view.header().ssrc, values) else { return Taken::Ignored };
        // The clock goes by the encoding that the track is; others only follow it.
        let leads = self.best.is_none_or(|best| best == at);
        let scale = &mut self.scale;
        let Some(Member { encoding, alignment, life, .. }) = self.members.get_mut(at) else {
            return Taken::Ignored;
        };
        let mut is_new = false;
        let place = |ticks, is_anew| {
            is_new = alignment.is_new(ticks);
            let ticks = alignment.place(scale, arrival, ticks, is_anew);
            let peeked = clock.peek(MediaKind::Video, ticks).filter(|_| !leads);
            let time =
                peeked.unwrap_or_else(|| clock.packet(MediaKind::Video, ClockRate::VIDEO, arrival, ticks));
            Placed { ticks, time }
        };
        let taken = encoding.packet(now, view, datagram, values, place);
        if taken != Taken::Ignored {
            life.hear(now);
        }
        if is_new {
            let others = self.members.iter_mut().enumerate().filter(|(other, _)| *other != at);
            others.for_each(|(_, other)| other.life.miss());
        }
        taken
    }

    /// Takes a sender report, if it is of one of the encodings.
    pub(super) fn sender_report(
        &mut self,
        now: Instant,
        ssrc: Ssrc,
        info: &SenderInfo,
        clock: &mut StreamClock,
    ) {
        for Member { encoding, alignment, .. } in &mut self.members {
            if let Some(ticks) = encoding.sender_report(now, ssrc, info)
                && let Some(common) = alignment.report(&mut self.scale, info.ntp, ticks)
            {
                clock.report(MediaKind::Video, info.ntp, common);
            }
        }
    }

    /// Somebody needs a key picture of these layers.
    pub(super) fn request_keyframe(&mut self, layers: Layers) {
        // What the track is going to be soon counts as well.
        let (best, target) = (self.best, self.target());
        for (at, member) in self.members.iter_mut().enumerate() {
            let is_best = [best, target].contains(&Some(at)) && layers.contains(Layer::BEST);
            if is_best || member.layer.is_some_and(|layer| layers.contains(layer)) {
                member.encoding.want_keyframe();
            }
        }
    }

    /// Puts what waits onto the bus. Gives the codec when the track has come into being by it.
    pub(super) fn publish(&mut self, now: Instant, publisher: &Publisher) -> Option<Codec> {
        let was_there = self.writer.is_some();
        self.members.iter_mut().for_each(|member| member.life.look(now));
        // What the track is first: it goes on, if at all, with what has come of another.
        let first = self.best;
        let others = (0..self.members.len()).filter(|at| Some(*at) != first);
        for at in first.into_iter().chain(others).collect::<SmallVec<[usize; 4]>>() {
            self.publish_one(now, at, publisher);
        }
        for member in &mut self.members {
            if member.life.goes_on() {
                member.open(publisher);
            } else {
                // So that nobody waits there.
                member.writer = None;
            }
        }
        // A better one than the track, or the next best where it has stopped, is waited for with a keyframe.
        if let Some(target) = self.target_at(now).filter(|target| self.best != Some(*target))
            && let Some(member) = self.members.get_mut(target)
        {
            member.encoding.want_keyframe();
            member.encoding.set_in_use(true);
        }
        let codec = self.members.first().map(|member| member.encoding.codec());
        codec.filter(|_| !was_there && self.writer.is_some())
    }

    /// One encoding's packets, to the track if it is that or becomes it, and to its own feed.
    fn publish_one(&mut self, now: Instant, at: usize, publisher: &Publisher) {
        let Some(member) = self.members.get_mut(at) else { return };
        let packets = member.encoding.take_packets();
        if packets.is_empty() {
            return;
        }
        let params_changed = member.encoding.take_changed();
        let key = packets.iter().position(|packet| packet.keyframe);
        if let Some(packet) = key.and_then(|key| packets.get(key)) {
            member.measure(packet);
            self.rank();
        }
        if let Some(packet) = key.and_then(|key| packets.get(key))
            && self.best != Some(at)
            && self.target_at(now) == Some(at)
        {
            self.switch(at, packet, publisher);
        }
        let Some(member) = self.members.get_mut(at) else { return };
        if self.best == Some(at)
            && let Some(writer) = &self.writer
        {
            if (params_changed || key.is_some())
                && let Some(params) = member.encoding.params()
            {
                writer.set_params(params);
                member.height.into_iter().for_each(|height| writer.set_height(height));
            }
            // Behind a seam VP8's counts are written into copies, which are made for readers only.
            if writer.passes_over(payload_len(&packets)) {
                for packet in &packets {
                    self.seam.note(packet);
                }
            } else {
                write(writer, packets.iter().filter_map(|packet| self.seam.pass(packet)));
            }
        }
        member.publish(packets, key.is_some(), params_changed);
        let in_use = self.best == Some(at)
            || member.writer.as_ref().is_some_and(|writer| writer.subscriber_count() > 0);
        member.encoding.set_in_use(in_use);
    }

    /// From this key picture on the track is another encoding.
    fn switch(&mut self, at: usize, key: &Packet, publisher: &Publisher) {
        let Some(member) = self.members.get(at) else { return };
        if self.writer.is_none() {
            self.writer = publisher.track(member.encoding.feed());
        }
        let Some(writer) = &self.writer else { return };
        // What is missing of the one before will not come this way any more.
        let missing =
            self.best.and_then(|best| self.members.get(best)).map_or(0, |old| old.encoding.missing());
        if missing > 0 {
            writer.mark_gap(missing as u64); // usize is at most 64 bits
        }
        self.seam.begin(key, member.encoding.codec() == Codec::Vp8);
        self.best = Some(at);
        tracing::debug!(stream = %publisher.stream().name(), encoding = at, height = member.height, "best encoding");
    }

    /// Gives the encodings their layers, once two heights show in which order they are offered.
    fn rank(&mut self) {
        if self.members.iter().any(|member| member.layer.is_some()) {
            return;
        }
        let known: SmallVec<[u32; 4]> = self.members.iter().filter_map(|member| member.height).collect();
        let (Some(first), Some(last)) = (known.first(), known.last()) else { return };
        // Of equals the one offered first is the better, if they are equal all.
        if known.len() < 2 || (first == last && known.len() < self.members.len()) {
            return;
        }
        let mut order: SmallVec<[usize; 4]> = (0..self.members.len()).collect();
        if first < last {
            order.reverse();
        }
        if known.len() == self.members.len() {
            let height = |at: &usize| self.members.get(*at).and_then(|member| member.height);
            order.sort_by_key(|at| Reverse(height(at)));
        }
        for (steps, at) in order.into_iter().enumerate().skip(1) {
            if let Some(member) = self.members.get_mut(at) {
                member.layer = Layer::below_best(steps);
            }
        }
    }

    /// What the track should be: the largest that can be relied on, or else that goes on.
    fn target_at(&self, now: Instant) -> Option<usize> {
        let living = || self.members.iter().enumerate().filter(|(_, member)| member.life.goes_on());
        let steady = || living().filter(|(_, member)| member.life.is_steady(now));
        // Of equals the one whose place is higher, or that is offered first. A size that is not known is the least.
        let size = |(at, member): &(usize, &Member)| {
            (member.height, Reverse(member.layer.map_or(0, Layer::steps)), Reverse(*at))
        };
        let largest = steady().max_by_key(size).or_else(|| living().max_by_key(size))?;
        // One that has sent no keyframe so far is to do so, or it would never be known.
        let unknown = living().find(|(_, member)| !member.is_known).map(|(at, _)| at);
        match self.best {
            Some(best) if best == largest.0 => unknown.or(Some(best)),
            _ => Some(largest.0),
        }
    }

    /// The same by what has come last.
    fn target(&self) -> Option<usize> {
        let latest = self.members.iter().filter_map(|member| member.life.heard()).max()?;
        self.target_at(latest)
    }

    /// The encoding of a packet: by name, or by a source whose name has come before.
    fn whose(&mut self, ssrc: Ssrc, values: &Values<'_>) -> Option<usize> {
        let known = self.sources.iter().find(|(known, _)| *known == ssrc).map(|(_, at)| *at);
        let Some(rid) = values.rid.or(values.repaired_rid) else { return known };
        let at = self.members.iter().position(|member| member.encoding.is_named(rid))?;
        if known != Some(at) {
            self.sources.retain(|(known, _)| *known != ssrc);
            if self.sources.len() == MAX_SOURCES {
                self.sources.remove(0);
            }
            self.sources.push((ssrc, at));
        }
        Some(at)
    }
}

impl Member {
    /// Reads the size of the picture off its keyframe.
    fn measure(&mut self, packet: &Packet) {
        self.is_known = true;
        let height = match self.encoding.params() {
            Some(CodecParams::H264(config)) => {
                config.sps().first().and_then(|sps| Sps::parse(sps).ok()).map(|sps| sps.height)
            }
            _ => vp8::height(&packet.payload),
        };
        self.height = height.or(self.height);
    }

    /// Opens its own feed once its place is known: whoever reads it waits for a keyframe anyway.
    fn open(&mut self, publisher: &Publisher) {
        let Some(layer) = self.layer.filter(|_| self.writer.is_none()) else { return };
        self.writer = publisher.track(self.encoding.feed().in_layer(layer));
        self.describe();
    }

    /// Says of its own feed what is known of the picture.
    fn describe(&self) {
        let Some(writer) = &self.writer else { return };
        self.encoding.params().into_iter().for_each(|params| writer.set_params(params));
        self.height.into_iter().for_each(|height| writer.set_height(height));
    }

    /// Writes its own feed, if it is open.
    fn publish(&self, packets: Vec<Packet>, is_key: bool, params_changed: bool) {
        let Some(writer) = &self.writer else { return };
        if is_key || params_changed {
            self.describe();
        }
        if !writer.passes_over(payload_len(&packets)) {
            write(writer, packets);
        }
    }
}

/// Payload bytes of all.
fn payload_len(packets: &[Packet]) -> usize {
    packets.iter().map(|packet| packet.payload.len()).sum()
}
