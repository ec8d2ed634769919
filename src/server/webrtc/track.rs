//! One track of a publisher on its way to the bus: all of it in one encoding, or a picture in several.

use super::encoding::{Encoding, Placed, Taken};
use super::simulcast::Simulcast;
use crate::codec::{Codec, MediaKind};
use crate::media::{Packet, PacketGroup, StreamClock};
use crate::protocol::rtcp::SenderInfo;
use crate::protocol::rtp::{PacketView, Ssrc, Values};
use crate::protocol::sdp::Accepted;
use crate::stream::{FeedWriter, Layers, Publisher};
use crate::time::Timestamp;
use bytes::Bytes;
use std::time::Instant;

/// The track.
pub(super) enum Track {
    /// In one encoding.
    Plain(Box<Plain>),
    /// In several.
    Simulcast(Box<Simulcast>),
}

/// A track in one encoding.
pub(super) struct Plain {
    encoding: Encoding,
    writer: Option<FeedWriter>,
}

impl Track {
    /// `None` for a section that we do not receive.
    pub(super) fn new(section: &Accepted) -> Option<Self> {
        Some(match &section.encodings[..] {
            [] => Self::Plain(Box::new(Plain { encoding: Encoding::new(section, None)?, writer: None })),
            _ => Self::Simulcast(Box::new(Simulcast::new(section)?)),
        })
    }

    /// The section it comes by.
    pub(super) fn section(&self) -> Option<&Accepted> {
        match self {
            Self::Plain(plain) => Some(plain.encoding.section()),
            Self::Simulcast(simulcast) => simulcast.encodings().next().map(Encoding::section),
        }
    }

    /// Takes a packet of its section.
    pub(super) fn packet(
        &mut self,
        now: Instant,
        arrival: Timestamp,
        view: &PacketView<'_>,
        datagram: &Bytes,
        values: &Values<'_>,
        clock: &mut StreamClock,
    ) -> Taken {
        match self {
            Self::Plain(plain) => {
                let kind = plain.encoding.kind();
                let rate = plain.encoding.section().clock_rate();
                let place = |ticks, _| Placed { ticks, time: clock.packet(kind, rate, arrival, ticks) };
                plain.encoding.packet(now, view, datagram, values, place)
            }
            Self::Simulcast(simulcast) => simulcast.packet(now, arrival, view, datagram, values, clock),
        }
    }

    /// Takes a sender report, if it is of this track.
    pub(super) fn sender_report(
        &mut self,
        now: Instant,
        ssrc: Ssrc,
        info: &SenderInfo,
        clock: &mut StreamClock,
    ) {
        match self {
            Self::Plain(plain) => {
                if let Some(ticks) = plain.encoding.sender_report(now, ssrc, info) {
                    clock.report(plain.encoding.kind(), info.ntp, ticks);
                }
            }
            Self::Simulcast(simulcast) => simulcast.sender_report(now, ssrc, info, clock),
        }
    }

    /// Puts what waits onto the bus. Gives the codec when the track has come into being by it.
    pub(super) fn publish(&mut self, now: Instant, publisher: &Publisher) -> Option<Codec> {
        match self {
            Self::Plain(plain) => plain.publish(publisher),
            Self::Simulcast(simulcast) => simulcast.publish(now, publisher),
        }
    }

    /// Somebody needs a key picture of these layers.
    pub(super) fn request_keyframe(&mut self, layers: Layers) {
        match self {
            Self::Plain(plain) if plain.encoding.kind() == MediaKind::Video => plain.encoding.want_keyframe(),
            Self::Plain(_) => {}
            Self::Simulcast(simulcast) => simulcast.request_keyframe(layers),
        }
    }

    /// All encodings, each with a source of its own.
    pub(super) fn encodings(&self) -> impl Iterator<Item = &Encoding> {
        let (plain, simulcast) = match self {
            Self::Plain(plain) => (Some(&plain.encoding), None),
            Self::Simulcast(simulcast) => (None, Some(simulcast.encodings())),
        };
        plain.into_iter().chain(simulcast.into_iter().flatten())
    }

    /// The same, to be worked on.
    pub(super) fn encodings_mut(&mut self) -> impl Iterator<Item = &mut Encoding> {
        let (plain, simulcast) = match self {
            Self::Plain(plain) => (Some(&mut plain.encoding), None),
            Self::Simulcast(simulcast) => (None, Some(simulcast.encodings_mut())),
        };
        plain.into_iter().chain(simulcast.into_iter().flatten())
    }
}

impl Plain {
    fn publish(&mut self, publisher: &Publisher) -> Option<Codec> {
        let packets = self.encoding.take_packets();
        if packets.is_empty() {
            return None;
        }
        let mut opened = None;
        if self.writer.is_none() {
            self.writer = publisher.track(self.encoding.feed());
            opened = self.writer.as_ref().map(|_| self.encoding.codec());
        }
        // Without a writer the stream has ended.
        if let Some(writer) = &self.writer {
            if (self.encoding.take_changed() || opened.is_some())
                && let Some(params) = self.encoding.params()
            {
                writer.set_params(params);
            }
            write(writer, packets);
        }
        opened
    }
}

/// Writes packets in groups: a subscriber that waits for a key picture looks at the first packet of each.
pub(super) fn write(writer: &FeedWriter, packets: impl IntoIterator<Item = Packet>) {
    let mut group: Vec<Packet> = Vec::new();
    for packet in packets {
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
}
