//! One stream as one shard's viewers get it: one subscription, and one more for each lower layer that somebody gets; one
//! ring for each; many viewers.

use super::batch::Batch;
use super::picture::{Rung, Rungs};
use super::ring::{Inserted, Rings};
use super::viewer::{Step, Viewer};
use crate::bridge::{Accepts, Bridge, StartingPicture, Subscription};
use crate::codec::h264::AvcConfig;
use crate::codec::{Codec, MediaKind};
use crate::media::{CodecParams, PacketGroup};
use crate::protocol::sdp::{Format, Negotiated, ProfileLevelId};
use crate::stream::{EndReason, Event, FeedKey, Form, Layer, Layers, QueueLimits, Start, Stream, Subscriber};
use crate::time::Meter;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// What may wait for a shard: two seconds of 16 Mbit/s. What is older than that is of no use to a live viewer.
const LIMITS: QueueLimits = QueueLimits { bytes: 4 << 20, items: 4_096, age: Duration::from_secs(5) };
/// How often it is looked at which layers there are, and how much they take.
const MEASURE_INTERVAL: Duration = Duration::from_millis(500);
/// What headers add to a picture's payload, in per cent; and to each packet of sound, in bytes.
const WITH_HEADERS: u32 = 107;
const SOUND_HEADERS: u64 = 64;

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
    /// The lower layers that viewers get or wait for, those that are read, and whoever is to see to it.
    wanted: Layers,
    attached: Layers,
    wanted_changed: Rc<Notify>,
    sound: Meter,
    /// Bytes of sound so far, with all headers.
    sound_bytes: u64,
    measured: Option<Instant>,
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
            wanted: Layers::default(),
            attached: Layers::default(),
            wanted_changed: Rc::default(),
            sound: Meter::default(),
            sound_bytes: 0,
            measured: None,
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

    /// Adds a viewer: sound begins at once, the picture with the next key picture, which is asked for or, where the publisher is
    /// not to be asked, made.
    pub(super) fn join(&mut self, now: Instant, viewer: Rc<RefCell<Viewer>>, batch: &mut Batch) {
        let codecs = [self.audio, self.video].into_iter().flatten();
        let steps: Vec<_> = codecs.map(|(codec, profile)| Step::Codec(codec, profile)).collect();
        viewer.borrow_mut().take(now, Layer::BEST, &steps, batch);
        self.viewers.push(viewer);
        self.measure(now);
        self.follow(now);
    }

    /// Takes a viewer out; says whether it was the last.
    pub(super) fn leave(&mut self, viewer: &Rc<RefCell<Viewer>>) -> bool {
        self.viewers.retain(|other| !Rc::ptr_eq(other, viewer));
        self.subscribe();
        self.viewers.is_empty()
    }

    /// A viewer wants another layer: sees to it that it is read, and asks for the key pictures that are waited for.
    pub(super) fn follow(&mut self, now: Instant) {
        self.subscribe();
        let waiting = self.viewers.iter().filter_map(|viewer| viewer.borrow_mut().keyframe_awaited(now));
        let waiting = Layers::of(waiting);
        let layers = Layer::all().filter(|layer| waiting.contains(*layer));
        layers.for_each(|layer| self.stream.request_keyframe_of(layer));
    }

    fn subscribe(&mut self) {
        let wanted =
            self.viewers.iter().fold(Layers::default(), |all, viewer| all.with(viewer.borrow().layers()));
        self.wanted = wanted.without(Layer::BEST);
        if self.wanted != self.attached {
            self.wanted_changed.notify_one();
        }
    }

    /// Gives a burst of a layer to all viewers, one after the other, so that what goes to one of them makes one run. Sound
    /// comes with the best.
    pub(super) fn distribute(
        &mut self,
        now: Instant,
        layer: Layer,
        events: &mut Vec<Event>,
        batch: &mut Batch,
    ) -> Option<EndReason> {
        let mut end = None;
        for event in events.drain(..) {
            match event {
                Event::Params(params) => self.codec(layer, &params),
                Event::Packets(kind, group) => self.packets(layer, kind, &group),
                Event::Skipped { kind, .. } => self.steps.push(Step::Gap(kind)),
                Event::TrackEnded(key) => {
                    self.restart(key.kind(), layer);
                    self.attached = self.attached.without(layer);
                }
                Event::Ended(reason) => end = Some(reason),
                // Nobody here has asked for frames.
                Event::Frame(_) => {}
            }
        }
        for viewer in &self.viewers {
            viewer.borrow_mut().take(now, layer, &self.steps, batch);
        }
        batch.flush();
        self.steps.clear();
        if self.measured.is_none_or(|at| now.saturating_duration_since(at) >= MEASURE_INTERVAL) {
            self.measure(now);
        }
        end
    }

    /// Tells the viewers what there is, and how much it takes.
    fn measure(&mut self, now: Instant) {
        self.measured = Some(now);
        let sound = self.sound.read(now, self.sound_bytes);
        let mut rungs = Rungs::new();
        let own = self.stream.feeds().into_iter().filter(|feed| feed.native);
        for feed in own.filter(|feed| feed.key.kind() == MediaKind::Video) {
            let rate = feed.rate.percent(WITH_HEADERS);
            rungs.push(Rung { layer: feed.key.layer, height: feed.height, rate });
        }
        rungs.sort_by_key(|rung| rung.layer);
        let mut is_changed = false;
        for viewer in &self.viewers {
            is_changed |= viewer.borrow_mut().set_rungs(now, sound, &rungs);
        }
        if is_changed { self.follow(now) } else { self.subscribe() }
    }

    fn codec(&mut self, layer: Layer, params: &CodecParams) {
        // What is said of the track holds for its layers.
        if layer != Layer::BEST {
            return;
        }
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
            self.restart(codec.kind(), layer);
        }
        self.steps.push(Step::Codec(codec, profile));
    }

    fn packets(&mut self, layer: Layer, kind: MediaKind, group: &PacketGroup) {
        let ring = self.rings.of(kind, layer);
        for packet in group.iter() {
            match ring.insert(packet) {
                Inserted::Refused => continue,
                Inserted::Anew => self.steps.push(Step::Restart(kind)),
                Inserted::Next => {}
            }
            if kind == MediaKind::Audio {
                self.sound_bytes += packet.payload.len() as u64 + SOUND_HEADERS; // usize is at most 64 bits
            }
            self.steps.push(Step::Packet(kind, packet.clone()));
        }
    }

    /// What comes next is of another source, or what was in between has not been read.
    fn restart(&mut self, kind: MediaKind, layer: Layer) {
        self.rings.of(kind, layer).clear();
        self.steps.push(Step::Restart(kind));
    }
}

/// Reads the feed's subscription, and those of lower layers as they are wanted, until the stream ends.
pub(super) async fn run(
    feed: Rc<RefCell<Feed>>,
    mut subscription: Subscription,
    batch: Rc<RefCell<Batch>>,
) -> EndReason {
    let wanted_changed = feed.borrow().wanted_changed.clone();
    let mut lower: [Option<Subscriber>; Layer::MAX - 1] = [const { None }; Layer::MAX - 1];
    let mut start = None;
    let mut events = Vec::new();
    loop {
        let [first, second, third] = &lower;
        let starting = start.as_ref().map(StartingPicture::subscriber);
        let layer = tokio::select! {
            () = subscription.next_batch(&mut events) => Layer::BEST,
            () = ready(first.as_ref()) => layer(1),
            () = ready(second.as_ref()) => layer(2),
            () = ready(third.as_ref()) => layer(3),
            () = ready(starting) => Layer::START,
            () = wanted_changed.notified() => {
                follow(&mut feed.borrow_mut(), &mut lower);
                follow_start(&mut feed.borrow_mut(), &subscription, &mut start);
                continue;
            }
        };
        let subscriber = match layer.steps().checked_sub(1) {
            _ if layer == Layer::START => starting,
            index => index.and_then(|index| lower.get(index)?.as_ref()),
        };
        if let Some(subscriber) = subscriber {
            subscriber.next_batch(&mut events).await;
        }
        let now = tokio::time::Instant::now().into_std();
        let end = feed.borrow_mut().distribute(now, layer, &mut events, &mut batch.borrow_mut());
        if let Some(reason) = end {
            return reason;
        }
    }
}

/// Subscribes to lower layers that are wanted, and leaves those that are not.
fn follow(feed: &mut Feed, lower: &mut [Option<Subscriber>; Layer::MAX - 1]) {
    for (layer, place) in Layer::all().skip(1).zip(lower) {
        let is_wanted = feed.wanted.contains(layer);
        if is_wanted == feed.attached.contains(layer) {
            continue;
        }
        // Numbers that come next may have come before and were not read to the end.
        feed.rings.of(MediaKind::Video, layer).clear();
        feed.viewers.iter().for_each(|viewer| viewer.borrow_mut().forget(layer));
        feed.attached = feed.attached.without(layer);
        *place = None;
        let own = feed.stream.feeds().into_iter().filter(|info| info.native && info.key.layer == layer);
        let takes = |key: &FeedKey| feed.takes.video.contains(&key.in_layer(Layer::BEST));
        let key = own.map(|info| info.key).find(|key| is_wanted && takes(key));
        if let Some(key) = key {
            let subscriber = feed.stream.subscriber(LIMITS);
            subscriber.attach(&[key], Start::Anywhere);
            feed.attached = feed.attached.with([layer]);
            *place = Some(subscriber);
        }
    }
}

/// Reads what is made for those who have just come while somebody waits for it, or gets it.
fn follow_start(feed: &mut Feed, subscription: &Subscription, start: &mut Option<StartingPicture>) {
    let is_wanted = feed.wanted.contains(Layer::START);
    if is_wanted == feed.attached.contains(Layer::START) {
        return;
    }
    feed.rings.of(MediaKind::Video, Layer::START).clear();
    feed.viewers.iter().for_each(|viewer| viewer.borrow_mut().forget(Layer::START));
    feed.attached = feed.attached.without(Layer::START);
    *start = None;
    if is_wanted && let Some(picture) = subscription.starting_picture(LIMITS) {
        feed.attached = feed.attached.with([Layer::START]);
        *start = Some(picture);
    }
}

async fn ready(subscriber: Option<&Subscriber>) {
    match subscriber {
        Some(subscriber) => subscriber.ready().await,
        None => std::future::pending().await,
    }
}

fn layer(steps: usize) -> Layer {
    Layer::below_best(steps).unwrap_or_default()
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
mod tests;
