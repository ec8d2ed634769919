//! A stream and its publisher: feeds, subscribers, keyframe requests.

use super::feed::{Feed, FeedInfo, FeedKey, FeedWriter};
use super::gate::{Gate, Verdict};
use super::keyframes::Keyframes;
use super::layer::{Layer, Layers};
use super::queue::{Queue, QueueLimits};
use super::recorded::Recorded;
use super::subscriber::{Event, Start, Subscriber};
use super::warnings::Board;
use crate::media::{Frame, MediaKind, Repairs};
use crate::time::NtpTime;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// At most two keyframe requests a second reach a publisher, however many viewers join.
const KEYFRAME_INTERVAL: Duration = Duration::from_millis(500);

/// A keyframe that comes no later than this is not late.
const OVERDUE: Duration = Duration::from_millis(250);

/// A publisher that does not say what it sends begins its second track within this time of its first, if it has two.
const SETTLING: Duration = Duration::from_secs(1);

/// Where a stream is to be found. A participant may publish several at a time, and each publication has a name of its own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StreamName {
    /// The room.
    pub room: Arc<str>,
    /// Who publishes.
    pub participant: Arc<str>,
    /// The publication, by a name that no other on this server has.
    pub stream: Arc<str>,
}

/// Why a stream ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EndReason {
    /// The publisher said so.
    Unpublished,
    /// The publisher's connection broke or went silent.
    Vanished,
    /// The room has ended it: the publisher has left, was removed, or may not publish any more.
    Revoked,
    /// This server is going down.
    Shutdown,
}

/// One publication. Cloning gives another handle to the same.
#[derive(Clone)]
pub struct Stream {
    shared: Arc<Shared>,
}

/// The one who publishes. Dropping it ends the stream as [`EndReason::Vanished`]; [`Publisher::end`] gives a reason.
pub struct Publisher {
    shared: Arc<Shared>,
}

/// Where a publisher hears that a keyframe is wanted: twice a second at most.
pub struct KeyframeRequests {
    shared: Arc<Shared>,
    last: Option<Instant>,
}

pub(super) struct Shared {
    name: StreamName,
    origin: NtpTime,
    began: Instant,
    state: Mutex<State>,
    /// Counts changes of the set of feeds and of their parameters.
    changes: watch::Sender<u64>,
    /// Of which layers a keyframe is wanted.
    keyframe_wanted: AtomicU8,
    /// Moves whenever somebody asks for one of the best layer, for those who make their own.
    keyframes_asked: watch::Sender<u64>,
    keyframe_notify: Notify,
    writes: AtomicU64,
    pub(super) warnings: watch::Sender<Board>,
    pub(super) recorded: watch::Sender<Option<Recorded>>,
    /// What was mended of the publisher's times.
    pub(super) repairs: Mutex<Repairs>,
    /// What the publisher's client calls it by.
    pub(super) client_id: OnceLock<Box<str>>,
    /// Sound and picture that are kept back.
    muted: [AtomicBool; 2],
}

#[derive(Default)]
pub(super) struct State {
    feeds: Vec<Feed>,
    /// Everyone who reads, attached or not: they hear of the end.
    subscribers: Vec<Arc<Queue>>,
    /// The kinds of track that the publisher has said it sends.
    declared: Option<Vec<MediaKind>>,
    /// When the publisher's first track came.
    first_track: Option<Instant>,
    pub(super) keyframes: Keyframes,
    ended: Option<EndReason>,
}

impl Stream {
    /// A stream without tracks, whose [`Timestamp::ZERO`](crate::time::Timestamp::ZERO) is now. `origin` is what the time of day is.
    pub fn publish(name: StreamName, origin: NtpTime) -> (Self, Publisher) {
        let shared = Arc::new(Shared {
            name,
            origin,
            began: Instant::now(),
            state: Mutex::default(),
            changes: watch::Sender::new(0),
            keyframe_wanted: AtomicU8::new(0),
            keyframes_asked: watch::Sender::new(0),
            keyframe_notify: Notify::new(),
            writes: AtomicU64::new(0),
            warnings: watch::Sender::default(),
            recorded: watch::Sender::default(),
            repairs: Mutex::default(),
            client_id: OnceLock::new(),
            muted: Default::default(),
        });
        (Self { shared: shared.clone() }, Publisher { shared })
    }

    pub(super) const fn from_shared(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(super) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Whether both are handles to the same publication: a name may be published again.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Its room, participant and own name.
    pub fn name(&self) -> &StreamName {
        &self.shared.name
    }

    /// The wall-clock time of [`Timestamp::ZERO`](crate::time::Timestamp::ZERO): one anchor for audio and video.
    pub fn origin(&self) -> NtpTime {
        self.shared.origin
    }

    /// When [`Timestamp::ZERO`](crate::time::Timestamp::ZERO) was on the steady clock, by which streams lie beside each other however the time of day is set.
    pub fn began(&self) -> Instant {
        self.shared.began
    }

    /// A reader that is attached to nothing yet.
    pub fn subscriber(&self, limits: QueueLimits) -> Subscriber {
        Subscriber::new(self.shared.clone(), limits)
    }

    /// All feeds, the publisher's own first.
    pub fn feeds(&self) -> Vec<FeedInfo> {
        let mut feeds: Vec<_> = self.shared.lock().feeds.iter().map(Feed::info).collect();
        feeds.sort_by_key(|feed| (!feed.native, feed.key));
        feeds
    }

    /// The publisher's own track of a kind.
    pub fn track(&self, kind: MediaKind) -> Option<FeedInfo> {
        self.feeds().into_iter().find(|feed| feed.native && feed.key.kind() == kind)
    }

    /// Whether the publisher sends a kind of track. `None` where it does not so far, and has not said.
    pub fn sends(&self, kind: MediaKind) -> Option<bool> {
        self.shared.lock().sends(kind)
    }

    /// Waits until it is known of both kinds whether the publisher sends them, at most a second behind its first track:
    /// what comes later is an exception. Cancel-safe.
    pub async fn settled(&self) {
        let mut changes = self.changes();
        loop {
            changes.mark_unchanged();
            let first = {
                let state = self.shared.lock();
                if state.ended.is_some() || state.is_settled() {
                    return;
                }
                state.first_track
            };
            let deadline = async {
                match first {
                    Some(at) => tokio::time::sleep_until(at + SETTLING).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = deadline => {}
            }
        }
    }

    /// A counter that moves whenever a feed comes, goes or changes parameters, and when the stream ends.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// Opens a feed that is derived from others. `None` if there is one of that name already, or the stream has ended.
    pub fn derive(&self, key: FeedKey) -> Option<FeedWriter> {
        self.shared.open(key, false)
    }

    /// Keeps back all that the publisher sends of a kind, or lets it pass again: the picture from the next keyframe on, which
    /// is asked for. What is missing is told as [`Event::Skipped`].
    pub fn set_muted(&self, kind: MediaKind, muted: bool) {
        {
            let mut state = self.shared.lock();
            self.shared.muted[kind as usize].store(muted, Ordering::Release);
            for feed in state.feeds.iter_mut().filter(|feed| feed.key.kind() == kind) {
                feed.gate.set_shut(muted && feed.native);
                if muted {
                    // What was last seen or heard is not for those who come now.
                    feed.forget();
                }
            }
        }
        if kind == MediaKind::Video && !muted {
            Layer::all().for_each(|layer| self.request_keyframe_of(layer));
        }
    }

    /// Whether a kind is [muted](Self::set_muted).
    pub fn is_muted(&self, kind: MediaKind) -> bool {
        self.shared.is_muted(kind)
    }

    /// Asks the publisher for a keyframe; coalesced.
    pub fn request_keyframe(&self) {
        self.shared.request_keyframe(Layer::BEST);
    }

    /// Asks the publisher for a keyframe of a layer; coalesced.
    pub fn request_keyframe_of(&self, layer: Layer) {
        self.shared.request_keyframe(layer);
    }

    /// A counter that moves whenever somebody asks for a keyframe, be it of a feed that is derived: whoever encodes one anew
    /// makes its own.
    pub fn keyframes_asked(&self) -> watch::Receiver<u64> {
        self.shared.keyframes_asked.subscribe()
    }

    /// Ends it, whoever publishes it: what is still written goes to nobody.
    pub fn end(&self, reason: EndReason) {
        self.shared.end(reason);
    }

    /// How long it takes, as far as that can be told from those before, until the publisher's next keyframe comes by itself. `None`: not
    /// known, as it has sent one at most.
    pub fn next_keyframe(&self) -> Option<Duration> {
        let due = self.shared.lock().keyframes.next()?;
        let now = Instant::now();
        // One that has long been due may be as far away as ever.
        (now < due + OVERDUE).then(|| due.saturating_duration_since(now))
    }

    /// Whether frames of a feed are kept from its last keyframe on, and what comes next is not kept back.
    pub fn begins_with_keyframe(&self, key: FeedKey) -> bool {
        let mut state = self.shared.lock();
        let Some(feed) = state.feed_mut(key).filter(|feed| feed.gate == Gate::Open) else { return false };
        feed.cache.frames().next().is_some_and(|frame| frame.keyframe)
    }

    /// Why it ended, if it did.
    pub fn ended(&self) -> Option<EndReason> {
        self.shared.lock().ended
    }

    /// Frames and packet groups written so far, over all feeds: stands still when the publisher is silent.
    pub fn writes(&self) -> u64 {
        self.shared.writes.load(Ordering::Relaxed)
    }
}

impl Publisher {
    /// Opens a track of the publisher's own. `None` if the track has one of that name already, or the stream has ended.
    pub fn track(&self, key: FeedKey) -> Option<FeedWriter> {
        self.shared.open(key, true)
    }

    /// Says of which kinds tracks are to come, so that nobody waits for others.
    pub fn declare(&self, kinds: &[MediaKind]) {
        self.shared.lock().declared = Some(kinds.to_vec());
        self.shared.tracks_changed();
    }

    /// The stream.
    pub fn stream(&self) -> Stream {
        Stream::from_shared(self.shared.clone())
    }

    /// Where keyframe requests arrive.
    pub fn keyframe_requests(&self) -> KeyframeRequests {
        KeyframeRequests { shared: self.shared.clone(), last: None }
    }

    /// Ends the stream.
    pub fn end(self, reason: EndReason) {
        self.shared.end(reason);
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.shared.end(EndReason::Vanished);
    }
}

impl KeyframeRequests {
    /// The stream whose keyframes are wanted.
    pub fn stream(&self) -> Stream {
        Stream::from_shared(self.shared.clone())
    }

    /// Waits until somebody wants a keyframe and the last request is half a second old; says of which layers. Cancel-safe.
    pub async fn next(&mut self) -> Layers {
        while self.shared.keyframe_wanted.load(Ordering::Acquire) == 0 {
            self.shared.keyframe_notify.notified().await;
        }
        if let Some(last) = self.last {
            tokio::time::sleep_until(last + KEYFRAME_INTERVAL).await;
        }
        self.last = Some(Instant::now());
        Layers::from_bits(self.shared.keyframe_wanted.swap(0, Ordering::AcqRel))
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tracks_changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn is_muted(&self, kind: MediaKind) -> bool {
        self.muted[kind as usize].load(Ordering::Acquire)
    }

    /// Something was written, if its feed is still there.
    pub(super) fn touched(&self, verdict: Option<Verdict>, layer: Layer) {
        self.writes.fetch_add(1, Ordering::Relaxed);
        if verdict == Some(Verdict::KeptForKeyframe) {
            self.request_keyframe(layer);
        }
    }

    pub(super) fn request_keyframe(&self, layer: Layer) {
        // Nobody would get it.
        if self.is_muted(MediaKind::Video) {
            return;
        }
        if layer == Layer::BEST {
            self.keyframes_asked.send_modify(|count| *count += 1);
        }
        if self.keyframe_wanted.fetch_or(Layers::of([layer]).bits(), Ordering::AcqRel) == 0 {
            self.keyframe_notify.notify_one();
        }
    }

    fn open(self: &Arc<Self>, key: FeedKey, native: bool) -> Option<FeedWriter> {
        {
            let mut state = self.lock();
            if state.ended.is_some() || state.feed_mut(key).is_some() {
                return None;
            }
            if native {
                state.first_track.get_or_insert_with(Instant::now);
            }
            let mut feed = Feed::new(key, native);
            feed.gate.set_shut(native && self.is_muted(key.kind()));
            state.feeds.push(feed);
        }
        self.tracks_changed();
        Some(FeedWriter::new(self.clone(), key))
    }

    fn end(&self, reason: EndReason) {
        let subscribers = {
            let mut state = self.lock();
            if state.ended.is_some() {
                return;
            }
            state.ended = Some(reason);
            std::mem::take(&mut state.subscribers)
        };
        for queue in subscribers {
            queue.push(Event::Ended(reason));
        }
        self.tracks_changed();
    }
}

impl State {
    pub(super) fn feed_mut(&mut self, key: FeedKey) -> Option<&mut Feed> {
        self.feeds.iter_mut().find(|feed| feed.key == key)
    }

    pub(super) fn remove_feed(&mut self, key: FeedKey) -> Option<Feed> {
        let at = self.feeds.iter().position(|feed| feed.key == key)?;
        Some(self.feeds.swap_remove(at))
    }

    fn sends(&self, kind: MediaKind) -> Option<bool> {
        let has_track = self.feeds.iter().any(|feed| feed.native && feed.key.kind() == kind);
        let declared = self.declared.as_ref().map(|kinds| kinds.contains(&kind));
        if has_track { Some(true) } else { declared }
    }

    fn is_settled(&self) -> bool {
        [MediaKind::Audio, MediaKind::Video].into_iter().all(|kind| self.sends(kind).is_some())
            || self.first_track.is_some_and(|at| at.elapsed() >= SETTLING)
    }

    pub(super) fn register(&mut self, queue: &Arc<Queue>) {
        match self.ended {
            Some(reason) => queue.push(Event::Ended(reason)),
            None => self.subscribers.push(queue.clone()),
        }
    }

    pub(super) fn forget(&mut self, queue: &Arc<Queue>) {
        self.subscribers.retain(|other| !Arc::ptr_eq(other, queue));
        for feed in &mut self.feeds {
            feed.subscribers.retain(|other| !Arc::ptr_eq(other, queue));
        }
    }

    pub(super) fn detach(&mut self, queue: &Arc<Queue>, key: FeedKey) {
        queue.detach(key);
        if let Some(feed) = self.feed_mut(key) {
            feed.subscribers.retain(|other| !Arc::ptr_eq(other, queue));
        }
    }

    /// Attaches and replays; says whether a video keyframe must be asked for.
    pub(super) fn attach(&mut self, queue: &Arc<Queue>, keys: &[FeedKey], start: Start) -> bool {
        let keys: Vec<_> = keys.iter().copied().filter(|key| self.feed_mut(*key).is_some()).collect();
        let mut replay: Vec<&Frame> = Vec::new();
        for feed in self.feeds.iter().filter(|feed| keys.contains(&feed.key)) {
            if let Some(params) = &feed.params {
                queue.push(Event::Params(params.clone()));
            }
            match (start, feed.beginning.frames()) {
                (Start::Beginning, Some(frames)) => replay.extend(frames),
                (Start::Beginning | Start::CachedGop, _) => replay.extend(feed.cache.frames()),
                (Start::NextKeyframe | Start::Anywhere, _) => {}
            }
        }
        let wants_video = keys.iter().any(|key| key.kind() == MediaKind::Video);
        let has_video = replay.iter().any(|frame| frame.kind == MediaKind::Video && frame.keyframe);
        if wants_video && !has_video {
            // Sound alone of the past would only delay a newcomer who waits for the next keyframe.
            replay.retain(|frame| start == Start::Beginning && frame.kind == MediaKind::Audio);
        }
        replay.sort_by_key(|frame| frame.dts);
        let waits = wants_video && !has_video && start != Start::Anywhere;
        if waits {
            queue.hold_video();
        } else if wants_video {
            queue.release_video();
        }
        for frame in replay {
            queue.push(Event::Frame(frame.clone()));
        }
        for key in keys {
            queue.attach(key);
            if let Some(feed) = self.feed_mut(key) {
                feed.subscribers.push(queue.clone());
            }
        }
        waits
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.shared.name)
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.room, self.participant)
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unpublished => "the publisher has stopped",
            Self::Vanished => "the publisher's connection was lost",
            Self::Revoked => "the publisher is no longer in the room",
            Self::Shutdown => "the server is shutting down",
        })
    }
}

#[cfg(test)]
mod tests;
