//! A subscriber that follows the stream's tracks: those there now and those that come later.

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

/// Starts and shares renditions. Cloning gives another handle to the same.
#[derive(Clone, Default)]
pub struct Bridge {}

/// A [`Subscriber`] that is attached to one feed of each kind it accepts, as tracks come and go.
pub struct Subscription {
    subscriber: Subscriber,
    accepts: Accepts,
    start: Start,
    changes: watch::Receiver<u64>,
}

impl Bridge {
    /// Subscribes to a stream, now and to tracks that it gets later.
    pub fn subscribe(
        &self,
        stream: &Stream,
        accepts: Accepts,
        start: Start,
        limits: QueueLimits,
    ) -> Subscription {
        let changes = stream.changes();
        let mut subscription =
            Subscription { subscriber: stream.subscriber(limits), accepts, start, changes };
        subscription.follow();
        subscription
    }
}

impl Subscription {
    /// All events that wait, at least one, behind the end of `into`. Cancel-safe.
    pub async fn next_batch(&mut self, into: &mut Vec<Event>) {
        loop {
            tokio::select! {
                biased;
                () = self.subscriber.next_batch(into) => return,
                Ok(()) = self.changes.changed() => self.follow(),
            }
        }
    }

    /// Asks the publisher for a keyframe; coalesced.
    pub fn request_keyframe(&self) {
        self.subscriber.request_keyframe();
    }

    /// The underlying subscriber.
    pub const fn subscriber(&self) -> &Subscriber {
        &self.subscriber
    }

    fn follow(&mut self) {
        self.changes.mark_unchanged();
        let attached = self.subscriber.attached();
        let has = |kind: MediaKind| attached.iter().any(|key| key.kind() == kind);
        let feeds = self.subscriber.stream().feeds();
        let pick =
            |wanted: &[FeedKey]| wanted.iter().copied().find(|key| feeds.iter().any(|feed| feed.key == *key));
        let mut keys = Vec::new();
        if !has(MediaKind::Audio) {
            keys.extend(pick(&self.accepts.audio));
        }
        if !has(MediaKind::Video) {
            keys.extend(pick(&self.accepts.video));
        }
        self.subscriber.attach(&keys, self.start);
    }
}
