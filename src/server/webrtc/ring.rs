//! The packets of one track that can still be asked for, shared by all viewers of a feed.

use crate::codec::MediaKind;
use crate::media::Packet;
use crate::stream::Layer;
use std::collections::VecDeque;

/// Packets kept: two seconds of video at some 6 Mbit/s.
const MAX_PACKETS: usize = 1_536;
/// Payload bytes kept; the payloads are shared with whatever else holds them.
const MAX_BYTES: usize = 4 << 20;

/// The rings of a feed.
#[derive(Default)]
pub(super) struct Rings {
    audio: Ring,
    video: [Ring; Layer::COUNT],
}

/// What became of a packet given to a [`Ring`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Inserted {
    /// It is new.
    Next,
    /// It is new, and its number has nothing to do with those before: they are forgotten, and may come again.
    Anew,
    /// It was there already, or is too old to be kept: it must not be sent.
    Refused,
}

/// Recent packets by source sequence number; numbers that have not come are holes.
#[derive(Default)]
pub(super) struct Ring {
    /// Sequence number of the first slot.
    first: i64,
    slots: VecDeque<Option<Packet>>,
    bytes: usize,
}

impl Rings {
    /// That of a track, and of its layer.
    pub(super) const fn of(&mut self, kind: MediaKind, layer: Layer) -> &mut Ring {
        match kind {
            MediaKind::Audio => &mut self.audio,
            MediaKind::Video => &mut self.video[layer.steps()],
        }
    }

    /// The packet of a number, if it has come and is still kept.
    pub(super) fn get(&self, kind: MediaKind, layer: Layer, sequence: i64) -> Option<&Packet> {
        let ring = match kind {
            MediaKind::Audio => Some(&self.audio),
            MediaKind::Video => self.video.get(layer.steps()),
        };
        ring?.get(sequence)
    }
}

impl Ring {
    /// Keeps a packet.
    pub(super) fn insert(&mut self, packet: &Packet) -> Inserted {
        let next = self.first + self.slots.len() as i64; // at most MAX_PACKETS
        let ahead = packet.sequence.saturating_sub(next);
        let anew = self.slots.is_empty() || ahead > MAX_PACKETS as i64 || ahead < -(1 << 15);
        if anew {
            self.clear();
            self.first = packet.sequence;
        }
        let Ok(at) = usize::try_from(packet.sequence - self.first) else { return Inserted::Refused };
        while self.slots.len() <= at {
            self.slots.push_back(None);
        }
        match self.slots.get_mut(at) {
            Some(slot @ None) => *slot = Some(packet.clone()),
            _ => return Inserted::Refused,
        }
        self.bytes += packet.payload.len();
        while self.slots.len() > MAX_PACKETS || self.bytes > MAX_BYTES {
            let oldest = self.slots.pop_front().flatten();
            self.bytes -= oldest.map_or(0, |packet| packet.payload.len());
            self.first += 1;
        }
        if anew { Inserted::Anew } else { Inserted::Next }
    }

    /// The packet of a number, if it has come and is still kept.
    fn get(&self, sequence: i64) -> Option<&Packet> {
        let at = usize::try_from(sequence.checked_sub(self.first)?).ok()?;
        self.slots.get(at)?.as_ref()
    }

    /// Forgets all: the source is another.
    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Extensions;
    use crate::time::Timestamp;
    use bytes::Bytes;

    fn packet(sequence: i64, len: usize) -> Packet {
        Packet {
            sequence,
            ticks: 0,
            time: Timestamp::ZERO,
            marker: false,
            keyframe: false,
            extensions: Extensions::default(),
            payload: Bytes::from(vec![0; len]),
        }
    }

    #[test]
    fn packets_come_in_any_order_and_once() {
        let mut ring = Ring::default();
        let mut insert = |sequence| ring.insert(&packet(sequence, 1));
        assert_eq!([5, 8, 6].map(&mut insert), [Inserted::Anew, Inserted::Next, Inserted::Next]);
        assert_eq!(insert(6), Inserted::Refused, "there already");
        assert_eq!(insert(4), Inserted::Refused, "older than the oldest");
        assert!(
            ring.get(6).is_some() && ring.get(7).is_none() && ring.get(4).is_none() && ring.get(9).is_none()
        );
    }

    #[test]
    fn the_oldest_go_first() {
        let mut ring = Ring::default();
        for sequence in 0..MAX_PACKETS as i64 + 10 {
            ring.insert(&packet(sequence, 1));
        }
        assert!(ring.get(9).is_none() && ring.get(10).is_some());
        assert_eq!((ring.slots.len(), ring.bytes), (MAX_PACKETS, MAX_PACKETS));
        for sequence in 0..5 {
            ring.insert(&packet(10_000 + sequence, 1 << 20));
        }
        assert!(ring.bytes <= MAX_BYTES && ring.get(10_000).is_none() && ring.get(10_004).is_some());
    }

    #[test]
    fn other_numbers_begin_anew() {
        let mut ring = Ring::default();
        ring.insert(&packet(1_000_000, 7));
        assert_eq!(ring.insert(&packet(3, 7)), Inserted::Anew);
        assert!(ring.get(1_000_000).is_none());
        assert_eq!(ring.bytes, 7);
    }
}
