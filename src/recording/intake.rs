//! One stream on its way into a file: read from the bus, put onto the session's clock.

use super::clock::SessionClock;
use super::format::{self, Container};
use super::timeline::ClockMap;
use crate::bridge::{Bridge, Subscription};
use crate::media::{CodecParams, Frame, MediaKind, Repairs};
use crate::stream::{EndReason, Event, Form, QueueLimits, Start, Stream};
use crate::time::{MediaDuration, Timestamp};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// What waits in the bus while the recorder is busy elsewhere: a moment, since the recorder waits for no disk.
const QUEUE: QueueLimits = QueueLimits { bytes: 32 << 20, items: 8_192, age: Duration::from_secs(10) };
/// Of fewer packets than this none is believed more than another.
const LEAST_SAID: usize = 6;
/// Stamps that are further away than this are not mended.
const MAX_STRAIGHTENED: MediaDuration = MediaDuration::from_millis(50);
/// What is held back until the clock is known, in frames; more are placed at once.
const MAX_HELD: usize = 4_096;

/// Reads one stream.
pub(super) struct Intake {
    subscription: Subscription,
    map: ClockMap,
    held: VecDeque<Item>,
    /// The session goes on.
    _live: Arc<()>,
    /// Nothing is held back any more.
    is_released: bool,
    batch: Vec<Event>,
}

/// What comes of a stream, in order.
pub(super) enum Item {
    /// Parameters: before a track's first frame, and at each change.
    Params(CodecParams),
    /// A frame, with its times on the session's clock once it is placed.
    Frame(Frame),
    /// Media is missing.
    Torn(MediaKind),
    /// The stream is no more.
    Ended(EndReason),
}

impl Item {
    /// When it is to be decoded, of a frame.
    pub(super) const fn decoded(&self) -> Option<Timestamp> {
        match self {
            Self::Frame(frame) => Some(frame.dts),
            Self::Params(_) | Self::Torn(_) | Self::Ended(_) => None,
        }
    }
}

impl Intake {
    /// Reads a stream from its beginning, or, where it has gone on for long, from its next key picture.
    pub(super) fn new(
        bridge: &Bridge,
        stream: &Stream,
        container: Container,
        as_published: bool,
        start: Start,
        clock: &SessionClock,
    ) -> Self {
        let accepts = container.accepts(as_published);
        let subscription = bridge.subscribe(stream, accepts, start, QUEUE);
        // Who sends packets has clocks that are followed where they arrive; who sends frames stamps them itself.
        let is_stamped = [MediaKind::Audio, MediaKind::Video]
            .into_iter()
            .filter_map(|kind| stream.track(kind))
            .any(|feed| feed.key.form == Form::Frames);
        let map = ClockMap::new(clock.at(stream.began()), is_stamped);
        let (held, batch) = Default::default();
        Self { subscription, map, held, _live: clock.enter(), is_released: false, batch }
    }

    /// Waits for something to come; what has is then [taken](Self::take). Cancel-safe.
    pub(super) async fn next(&mut self, clock: &SessionClock) {
        self.subscription.next_batch(&mut self.batch).await;
        self.sort(clock.now());
    }

    fn sort(&mut self, now: Timestamp) {
        for event in self.batch.drain(..) {
            self.held.push_back(match event {
                Event::Params(params) => Item::Params(params),
                Event::Frame(frame) => {
                    self.map.arrived(now, frame.dts);
                    Item::Frame(frame)
                }
                Event::Skipped { kind, .. } => Item::Torn(kind),
                Event::TrackEnded(key) => Item::Torn(key.kind()),
                Event::Ended(reason) => Item::Ended(reason),
                Event::Packets(..) => continue,
            });
        }
    }

    /// It is over: what has come by now has its place, as well as that can be known.
    pub(super) fn release(&mut self, clock: &SessionClock) {
        self.is_released = true;
        while let Some(event) = self.subscription.try_next() {
            self.batch.push(event);
        }
        self.sort(clock.now());
    }

    /// What has come and has its place, in order.
    pub(super) fn take(&mut self, now: Timestamp) -> Vec<Item> {
        let ended = self.is_released || matches!(self.held.back(), Some(Item::Ended(_)));
        let mut items = Vec::new();
        if let Some(until) = self.map.held_until() {
            if now < until && !ended && self.held.len() < MAX_HELD {
                return items;
            }
            self.map.settle();
            straighten(self.held.make_contiguous());
        }
        items.extend(self.held.drain(..).map(|item| match item {
            Item::Frame(frame) => {
                Item::Frame(Frame { dts: self.map.place(frame.dts), pts: self.map.place(frame.pts), ..frame })
            }
            other => other,
        }));
        items
    }

    /// Asks the publisher for a key picture.
    pub(super) fn request_keyframe(&self) {
        self.subscription.request_keyframe();
    }

    /// Whether the publisher stamps what it sends, over TCP: what is late comes all the same.
    pub(super) const fn is_stamped(&self) -> bool {
        self.map.follows()
    }

    /// How often the stream's clock had to be placed anew since the last call.
    pub(super) fn take_repairs(&mut self) -> Repairs {
        self.map.take_repairs()
    }

    /// How the stream's clock was mapped so far.
    pub(super) const fn map(&self) -> &ClockMap {
        &self.map
    }
}

/// Gives the first packet of sound the time that those behind it say it has: from it on they are counted, and its own stamp
/// may have been cut off at zero, or rounded. Of a moment's packets the middle one is believed.
fn straighten(held: &mut [Item]) {
    let mut length = None;
    let mut sum = MediaDuration::ZERO;
    let mut said = Vec::new();
    for item in held.iter() {
        match item {
            Item::Params(params) if params.codec().kind() == MediaKind::Audio => length = Some(params),
            Item::Frame(frame) if frame.kind == MediaKind::Audio => {
                let Some(length) = length.and_then(|params| format::length(params, frame)) else { return };
                said.push(frame.pts - sum);
                sum += length;
            }
            // From here on the count is another one.
            Item::Torn(MediaKind::Audio) => break,
            _ => {}
        }
    }
    if said.len() < LEAST_SAID {
        return;
    }
    said.sort_unstable();
    let Some(&middle) = said.get(said.len() / 2) else { return };
    let first = held.iter_mut().find_map(|item| match item {
        Item::Frame(frame) if frame.kind == MediaKind::Audio => Some(frame),
        _ => None,
    });
    if let Some(frame) = first.filter(|frame| (middle - frame.pts).abs() <= MAX_STRAIGHTENED) {
        (frame.dts, frame.pts) = (middle, middle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::aac::AudioSpecificConfig;
    use bytes::Bytes;

    /// Packets of 20 ms and one third with these stamps; where the first lies then.
    fn first(stamps: impl IntoIterator<Item = i64>) -> i64 {
        let params = Item::Params(CodecParams::Aac(AudioSpecificConfig::aac_lc(48_000, 2).unwrap()));
        let frame = |ms| Item::Frame(Frame::audio(Timestamp::from_millis(ms), Bytes::from_static(b"a")));
        let mut held: Vec<_> = [params].into_iter().chain(stamps.into_iter().map(frame)).collect();
        straighten(&mut held);
        match &held[1] {
            Item::Frame(frame) => frame.pts.since_origin().as_millis(),
            _ => unreachable!("it is a frame"),
        }
    }

    #[test]
    fn a_first_stamp_that_was_cut_off_is_mended() {
        // Minus 21, then what follows from there, with the jitter of milliseconds.
        assert_eq!(first([0, 0].into_iter().chain((2..20).map(|index| index * 64 / 3 - 21))), -21);
        // A true one stays, also where a packet is missing further on.
        assert_eq!(first((0..20).map(|index| index * 64 / 3)), 0);
        assert_eq!(first((0..20).map(|index| if index < 12 { index } else { index + 1 } * 64 / 3)), 0);
        // Few say little, and what is far away is something else.
        assert_eq!(first([0, 0, 21]), 0);
        assert_eq!(first([0].into_iter().chain((1..20).map(|index| index * 64 / 3 + 200))), 0);
    }
}
