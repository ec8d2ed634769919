//! One stream on its way into a file: read from the bus, put onto the session's clock.

use super::clock::SessionClock;
use super::format::Container;
use super::timeline::ClockMap;
use crate::bridge::{Bridge, Subscription};
use crate::media::{CodecParams, Frame, MediaKind};
use crate::stream::{EndReason, Event, Form, QueueLimits, Start, Stream};
use crate::time::Timestamp;
use std::collections::VecDeque;
use std::time::Duration;

/// What waits in the bus while the recorder is busy elsewhere: a moment, since the recorder waits for no disk.
const QUEUE: QueueLimits = QueueLimits { bytes: 32 << 20, items: 8_192, age: Duration::from_secs(10) };
/// What is held back until the clock is known, in frames; more are placed at once.
const MAX_HELD: usize = 4_096;

/// Reads one stream.
pub(super) struct Intake {
    subscription: Subscription,
    map: ClockMap,
    held: VecDeque<Item>,
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
        Self { subscription, map, held: VecDeque::new(), batch: Vec::new() }
    }

    /// Waits for something to come; what has is then [taken](Self::take). Cancel-safe.
    pub(super) async fn next(&mut self, clock: &SessionClock) {
        self.subscription.next_batch(&mut self.batch).await;
        let now = clock.now();
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

    /// What has come and has its place, in order.
    pub(super) fn take(&mut self, now: Timestamp) -> Vec<Item> {
        let ended = matches!(self.held.back(), Some(Item::Ended(_)));
        let mut items = Vec::new();
        if let Some(until) = self.map.held_until() {
            if now < until && !ended && self.held.len() < MAX_HELD {
                return items;
            }
            self.map.settle();
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

    /// How the stream's clock was mapped so far.
    pub(super) const fn map(&self) -> &ClockMap {
        &self.map
    }
}
