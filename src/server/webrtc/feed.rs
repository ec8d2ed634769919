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
use std::time::Instant;

/// What may wait for a shard: two seconds of 16 Mbit/s. What is older than that is of no use to a live viewer.
const LIMITS: QueueLimits = QueueLimits { bytes: 4 << 20, items: 4_096 };

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
