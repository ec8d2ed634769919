//! One stream as one shard's viewers get it: one subscription, one ring, many viewers.

use super::batch::Batch;
use super::ring::{Inserted, Rings};
use super::viewer::{Step, Viewer};
use crate::bridge::{Accepts, Bridge, Subscription};
use crate::codec::h264::AvcConfig;
use crate::codec::{Codec, MediaKind};
use crate::media::{CodecParams, PacketGroup};
use crate::protocol::sdp::{Format, Negotiated, ProfileLevelId};
use crate::stream::{EndReason, Event, FeedKey, Form, QueueLimits, Start, Stream};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// What may wait for a shard: two seconds of 16 Mbit/s. What is older than that is of no use to a live viewer.
const LIMITS: QueueLimits = QueueLimits { bytes: 4 << 20, items: 4_096, age: Duration::from_secs(5) };

/// What viewers of one feed have in common: the feeds of the bus that they take, best first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Takes {
    audio: Vec<FeedKey>,
    video: Vec<FeedKey>,
}

/// The shared part of a feed.
pub(super) struct Feed {
    stream: Stream,
    takes: Takes,
    viewers: Vec<Rc<RefCell<Viewer>>>,
    rings: Rings,
    audio: Option<(Codec, Option<ProfileLevelId>)>,
    video: Option<(Codec, Option<ProfileLevelId>)>,
    steps: Vec<Step>,
}

impl Takes {
    /// What was agreed with a viewer.
    pub(super) fn new(negotiated: &Negotiated) -> Self {
        let keys = |kind| {
            let mut keys: Vec<FeedKey> = Vec::new();
            for accepted in negotiated.section(kind).into_iter().flat_map(|section| &section.codecs) {
                // Whoever takes fragments and aggregates takes single NAL units as well.
                let forms: &[Form] = match accepted.format {
                    Format::H264(format) if format.is_single_nal() => &[Form::SingleNal],
                    Format::H264(_) => &[Form::Packets, Form::SingleNal],
                    _ => &[Form::Packets],
                };
                for key in forms.iter().map(|form| FeedKey::new(accepted.codec, *form)) {
                    if !keys.contains(&key) {
                        keys.push(key);
                    }
                }
            }
            keys
        };
        Self { audio: keys(MediaKind::Audio), video: keys(MediaKind::Video) }
    }

    fn accepts(&self) -> Accepts {
        Accepts { audio: self.audio.clone(), video: self.video.clone() }
    }
}

impl Feed {
    pub(super) fn new(stream: Stream, takes: Takes) -> Self {
        Self {
            stream,
            takes,
            viewers: Vec::new(),
            rings: Rings::default(),
            audio: None,
            video: None,
            steps: Vec::new(),
        }
    }

    /// Whether a viewer of the stream that takes these codecs belongs here.
    pub(super) fn is_for(&self, stream: &Stream, takes: &Takes) -> bool {
        self.stream.is(stream) && self.takes == *takes
    }

    /// What can still be asked for.
    pub(super) const fn rings(&self) -> &Rings {
        &self.rings
    }

    /// Adds a viewer: sound begins at once, the picture with the next key picture, which is asked for.
    pub(super) fn join(&mut self, now: Instant, viewer: Rc<RefCell<Viewer>>, batch: &mut Batch) {
        let codecs = [self.audio, self.video].into_iter().flatten();
        let steps: Vec<_> = codecs.map(|(codec, profile)| Step::Codec(codec, profile)).collect();
        viewer.borrow_mut().take(now, &steps, batch);
        self.viewers.push(viewer);
        self.stream.request_keyframe();
    }

    /// Takes a viewer out; says whether it was the last.
    pub(super) fn leave(&mut self, viewer: &Rc<RefCell<Viewer>>) -> bool {
        self.viewers.retain(|other| !Rc::ptr_eq(other, viewer));
        self.viewers.is_empty()
    }

    /// Gives a burst to all viewers, one after the other, so that what goes to one of them makes one run.
    pub(super) fn distribute(
        &mut self,
        now: Instant,
        events: &mut Vec<Event>,
        batch: &mut Batch,
    ) -> Option<EndReason> {
        let mut end = None;
        for event in events.drain(..) {
            match event {
                Event::Params(params) => self.codec(&params),
                Event::Packets(kind, group) => self.packets(kind, &group),
                Event::Skipped { kind, .. } => self.steps.push(Step::Gap(kind)),
                Event::TrackEnded(key) => {
                    self.rings.of(key.kind()).clear();
                    self.steps.push(Step::Restart(key.kind()));
                }
                Event::Ended(reason) => end = Some(reason),
                // Nobody here has asked for frames.
                Event::Frame(_) => {}
            }
        }
        for viewer in &self.viewers {
            viewer.borrow_mut().take(now, &self.steps, batch);
        }
        batch.flush();
        self.steps.clear();
        end
    }

    fn codec(&mut self, params: &CodecParams) {
        let codec = params.codec();
        let profile = match params {
            CodecParams::H264(config) => Some(profile(config)),
            _ => None,
        };
        let slot = match codec.kind() {
            MediaKind::Audio => &mut self.audio,
            MediaKind::Video => &mut self.video,
        };
        let known = slot.replace((codec, profile));
        if known.is_some_and(|(known, _)| known != codec) {
            self.rings.of(codec.kind()).clear();
            self.steps.push(Step::Restart(codec.kind()));
        }
        self.steps.push(Step::Codec(codec, profile));
    }

    fn packets(&mut self, kind: MediaKind, group: &PacketGroup) {
        let ring = self.rings.of(kind);
        for packet in group.iter() {
            match ring.insert(packet) {
                Inserted::Refused => continue,
                Inserted::Anew => self.steps.push(Step::Restart(kind)),
                Inserted::Next => {}
            }
            self.steps.push(Step::Packet(kind, packet.clone()));
        }
    }
}

/// Reads the feed's subscription until the stream ends.
pub(super) async fn run(
    feed: Rc<RefCell<Feed>>,
    mut subscription: Subscription,
    batch: Rc<RefCell<Batch>>,
) -> EndReason {
    let mut events = Vec::new();
    loop {
        subscription.next_batch(&mut events).await;
        let now = tokio::time::Instant::now().into_std();
        if let Some(reason) = feed.borrow_mut().distribute(now, &mut events, &mut batch.borrow_mut()) {
            return reason;
        }
    }
}

/// Subscribes for a feed's viewers.
pub(super) fn subscribe(bridge: &Bridge, feed: &Feed) -> Subscription {
    bridge.subscribe(&feed.stream, feed.takes.accepts(), Start::NextKeyframe, LIMITS)
}

fn profile(config: &AvcConfig) -> ProfileLevelId {
    let [profile, constraints, level] = config.profile_level_id();
    ProfileLevelId { profile, constraints, level }
}

#[cfg(test)]
mod tests {
    use super::super::viewer::tests::{Seat, packet};
    use super::*;
    use crate::stream::StreamName;
    use crate::time::NtpTime;

    fn feed(seat: &mut Seat) -> Feed {
        let name = StreamName { room: "room".into(), participant: "alice".into(), stream: "s".into() };
        let (stream, _) = Stream::publish(name, NtpTime::default());
        let mut feed = Feed::new(stream, Takes::new(&seat.negotiated));
        feed.join(seat.now, seat.viewer.clone(), &mut seat.batch);
        feed
    }

    /// Numbers of the pictures that the viewer gets of these events, and why the feed ended.
    fn pictures(feed: &mut Feed, seat: &mut Seat, mut events: Vec<Event>) -> (Vec<u8>, Option<EndReason>) {
        let end = feed.distribute(seat.now, &mut events, &mut seat.batch);
        (seat.rtp().into_iter().map(|packet| packet.3).collect(), end)
    }

    fn video(sequence: i64, keyframe: bool) -> Event {
        Event::Packets(MediaKind::Video, packet(sequence, keyframe).into())
    }

    const VP8: Event = Event::Params(CodecParams::Vp8);

    #[test]
    fn takes_are_feeds_of_the_bus() {
        let takes = Takes::new(&Seat::new().negotiated);
        assert_eq!(takes.audio, [FeedKey::new(Codec::Opus, Form::Packets)]);
        assert_eq!(takes.video, [FeedKey::new(Codec::Vp8, Form::Packets)]);
    }

    #[test]
    fn each_packet_goes_out_once_and_late_ones_in_their_place() {
        let mut seat = Seat::new();
        let mut feed = feed(&mut seat);
        let events = vec![VP8, video(1, true), video(3, false), video(1, true), video(2, false)];
        assert_eq!(pictures(&mut feed, &mut seat, events), (vec![1, 3, 2], None));
    }

    #[test]
    fn who_joins_later_knows_the_codec_and_waits_for_a_key_picture() {
        let mut first = Seat::new();
        let mut feed = feed(&mut first);
        pictures(&mut feed, &mut first, vec![VP8, video(1, true)]);
        let mut late = Seat::new();
        feed.join(late.now, late.viewer.clone(), &mut late.batch);
        let mut events = vec![video(2, false), video(3, true)];
        feed.distribute(first.now, &mut events, &mut first.batch);
        assert_eq!(first.count(), 3, "both to the one, the key picture to the other");
        assert!(!late.viewer.borrow().waits_for_keyframe());
        assert!(!feed.leave(&first.viewer) && feed.leave(&late.viewer));
    }

    #[test]
    fn gaps_and_ends_of_tracks_wait_for_a_key_picture() {
        let mut seat = Seat::new();
        let mut feed = feed(&mut seat);
        let skipped = Event::Skipped { kind: MediaKind::Video, frames: 3 };
        let ended = Event::TrackEnded(FeedKey::new(Codec::Vp8, Form::Packets));
        for gap in [skipped, ended] {
            let events = vec![VP8, video(1, true), gap, video(5, false), video(6, true)];
            assert_eq!(pictures(&mut feed, &mut seat, events).0, [1, 6]);
            pictures(&mut feed, &mut seat, vec![Event::TrackEnded(FeedKey::new(Codec::Vp8, Form::Packets))]);
        }
        let end = vec![video(7, true), Event::Ended(EndReason::Vanished)];
        assert_eq!(pictures(&mut feed, &mut seat, end), (vec![7], Some(EndReason::Vanished)));
    }
}
