//! A subscriber that follows the stream's tracks: those there now and those that come later.

use super::plan::Refusal;
use super::rendition::{Bridge, Lease, RefusalMark};
use crate::media::MediaKind;
use crate::stream::{Event, FeedKey, QueueLimits, Start, Stream, Subscriber};
use tokio::sync::watch;

/// The feeds a subscriber can take, best first; of each kind it gets one. An empty list of a kind: it wants none.
#[derive(Clone, Debug, Default)]
pub struct Accepts {
    /// Feeds of sound.
    pub audio: Vec<FeedKey>,
    /// Feeds of picture.
    pub video: Vec<FeedKey>,
}

/// A [`Subscriber`] that is attached to one feed of each kind it accepts, as tracks come and go. Renditions that it
/// needs live as long as it does.
pub struct Subscription {
    bridge: Bridge,
    subscriber: Subscriber,
    accepts: Accepts,
    start: Start,
    changes: watch::Receiver<u64>,
    /// Moves whenever somebody else needs a transcoder no longer.
    freed: watch::Receiver<u64>,
    audio: Track,
    video: Track,
}

/// Reads what is made for those who have just come. Dropping it leaves.
pub struct StartingPicture {
    subscriber: Subscriber,
    _lease: Lease,
}

/// How a track of one kind is served.
#[derive(Default)]
enum Track {
    /// There is none, or none is wanted.
    #[default]
    Absent,
    /// By the publisher's own feed or, where there is a lease, by a rendition.
    Attached(FeedKey, Option<Lease>),
    /// Not at all.
    Refused(RefusalMark),
}

impl Subscription {
    pub(super) fn new(
        bridge: Bridge,
        stream: &Stream,
        accepts: Accepts,
        start: Start,
        limits: QueueLimits,
    ) -> Self {
        let (changes, freed) = (stream.changes(), bridge.freed());
        let subscriber = stream.subscriber(limits);
        let (audio, video) = (Track::default(), Track::default());
        let mut subscription = Self { bridge, subscriber, accepts, start, changes, freed, audio, video };
        subscription.follow();
        subscription
    }

    /// All events that wait, at least one, behind the end of `into`. Cancel-safe.
    pub async fn next_batch(&mut self, into: &mut Vec<Event>) {
        loop {
            tokio::select! {
                biased;
                () = self.subscriber.next_batch(into) => return,
                () = news(&mut self.changes, &mut self.freed, self.video.waits_for_a_place()) => self.follow(),
            }
        }
    }

    /// Waits until an event waits. Cancel-safe.
    pub async fn ready(&mut self) {
        loop {
            tokio::select! {
                biased;
                () = self.subscriber.ready() => return,
                () = news(&mut self.changes, &mut self.freed, self.video.waits_for_a_place()) => self.follow(),
            }
        }
    }

    /// The next event, if one waits.
    pub fn try_next(&mut self) -> Option<Event> {
        // Whoever always finds something never waits, and is to hear of new tracks all the same.
        let is_freed = self.video.waits_for_a_place() && self.freed.has_changed().unwrap_or(false);
        if is_freed || self.changes.has_changed().unwrap_or(false) {
            self.follow();
        }
        self.subscriber.try_next()
    }

    /// Asks the publisher for a keyframe; coalesced.
    pub fn request_keyframe(&self) {
        self.subscriber.request_keyframe();
    }

    /// A picture for those who wait for the track's next keyframe, as packets that begin with a keyframe, one more whenever one is
    /// asked for. `None` where there is no need, or no way: it may be tried again.
    pub fn starting_picture(&self, limits: QueueLimits) -> Option<StartingPicture> {
        let Track::Attached(packets, Some(_)) = &self.video else { return None };
        let stream = self.subscriber.stream();
        let (key, lease) = self.bridge.acquire_start(&stream, *packets)?;
        let subscriber = stream.subscriber(limits);
        subscriber.attach(&[key], Start::NextKeyframe);
        Some(StartingPicture { subscriber, _lease: lease })
    }

    /// The underlying subscriber.
    pub const fn subscriber(&self) -> &Subscriber {
        &self.subscriber
    }

    /// Why the track of a kind is missing although the stream has one.
    pub const fn refused(&self, kind: MediaKind) -> Option<Refusal> {
        match self.track(kind) {
            Track::Refused(mark) => Some(mark.refusal()),
            Track::Absent | Track::Attached(..) => None,
        }
    }

    const fn track(&self, kind: MediaKind) -> &Track {
        match kind {
            MediaKind::Audio => &self.audio,
            MediaKind::Video => &self.video,
        }
    }

    /// Attaches to what is wanted and not attached: tracks that are new, that have come back, or whose rendition ended.
    fn follow(&mut self) {
        self.changes.mark_unchanged();
        self.freed.mark_unchanged();
        let stream = self.subscriber.stream();
        let attached = self.subscriber.attached();
        let mut keys = Vec::new();
        for (accepted, track) in
            [(&self.accepts.audio, &mut self.audio), (&self.accepts.video, &mut self.video)]
        {
            if matches!(track, Track::Attached(key, _) if attached.contains(key)) {
                continue;
            }
            match self.bridge.acquire(&stream, accepted) {
                Ok(None) => *track = Track::Absent,
                Ok(Some((key, lease))) => {
                    keys.push(key);
                    *track = Track::Attached(key, lease);
                }
                Err(refusal) if matches!(track, Track::Refused(mark) if mark.refusal() == refusal) => {}
                Err(refusal) => *track = Track::Refused(self.bridge.refuse(&stream, refusal)),
            }
        }
        self.subscriber.attach(&keys, self.start);
    }
}

impl StartingPicture {
    /// What reads it.
    pub const fn subscriber(&self) -> &Subscriber {
        &self.subscriber
    }
}

impl Track {
    /// Whether it is refused for as long as no transcoder is free.
    const fn waits_for_a_place(&self) -> bool {
        matches!(self, Self::Refused(mark) if matches!(mark.refusal(), Refusal::TranscodersBusy))
    }
}

/// Waits until there is something to look at. Cancel-safe.
async fn news(changes: &mut watch::Receiver<u64>, freed: &mut watch::Receiver<u64>, waits_for_a_place: bool) {
    tokio::select! {
        Ok(()) = changes.changed() => {}
        Ok(()) = freed.changed(), if waits_for_a_place => {}
        else => std::future::pending().await,
    }
}
