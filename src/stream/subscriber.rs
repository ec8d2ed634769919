//! The reading end: a bounded queue attached to feeds of one stream.

use super::bus::{EndReason, Shared, Stream};
use super::feed::FeedKey;
use super::layer::Layer;
use super::queue::{Queue, QueueLimits};
use crate::media::{CodecParams, Frame, MediaKind, PacketGroup};
use std::sync::Arc;

/// What a subscriber reads.
#[derive(Clone, Debug)]
pub enum Event {
    /// Codec parameters: before a feed's first frame, and at each change. Packets are told of them too.
    Params(CodecParams),
    /// A frame, in decode order within its track.
    Frame(Frame),
    /// RTP packets, as they come.
    Packets(MediaKind, PacketGroup),
    /// Media is missing here: the subscriber was too slow, or the source lost it. Video goes on at a keyframe.
    Skipped {
        /// In which track.
        kind: MediaKind,
        /// Frames (or packet groups) that are missing.
        frames: u64,
    },
    /// The feed is no more; another rendition of the track, or the track again, may come.
    TrackEnded(FeedKey),
    /// The stream is no more; nothing follows.
    Ended(EndReason),
}

/// Where a newly attached subscriber begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// With the frames since the last keyframe, at once; at the next keyframe if there are none.
    CachedGop,
    /// With everything that has been sent, where the stream has begun a moment ago; else as [`CachedGop`](Self::CachedGop).
    Beginning,
    /// At the next video keyframe, which is asked for. Audio begins at once.
    NextKeyframe,
    /// With whatever comes next: for converters that find their own start.
    Anywhere,
}

impl Event {
    /// Which track it is about.
    pub const fn kind(&self) -> Option<MediaKind> {
        match self {
            Self::Params(params) => Some(params.codec().kind()),
            Self::Frame(frame) => Some(frame.kind),
            Self::Packets(kind, _) | Self::Skipped { kind, .. } => Some(*kind),
            Self::TrackEnded(key) => Some(key.kind()),
            Self::Ended(_) => None,
        }
    }

    /// What it takes of a queue's room, in bytes.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Frame(frame) => frame.payload.len(),
                Self::Packets(_, packets) => packets.payload_len() + size_of_val(&packets[..]),
                Self::Params(params) => params.size(),
                Self::Skipped { .. } | Self::TrackEnded(_) | Self::Ended(_) => 0,
            }
    }

    /// Payload bytes; `None` for what is not media.
    pub(super) fn payload_len(&self) -> Option<usize> {
        match self {
            Self::Frame(frame) => Some(frame.payload.len()),
            Self::Packets(_, packets) => Some(packets.payload_len()),
            _ => None,
        }
    }

    /// Whether it is a frame, or packets.
    pub(super) const fn is_media(&self) -> bool {
        matches!(self, Self::Frame(_) | Self::Packets(..))
    }

    pub(super) fn is_media_of(&self, kind: MediaKind) -> bool {
        self.is_media() && self.kind() == Some(kind)
    }

    /// Whether it is media of a kind, or stands for such as is missing.
    pub(super) fn is_part_of(&self, kind: MediaKind) -> bool {
        (self.is_media() || matches!(self, Self::Skipped { .. })) && self.kind() == Some(kind)
    }

    /// Whether it says that something is over.
    pub(super) const fn is_end(&self) -> bool {
        matches!(self, Self::TrackEnded(_) | Self::Ended(_))
    }

    pub(super) fn is_keyframe(&self) -> bool {
        match self {
            Self::Frame(frame) => frame.keyframe,
            Self::Packets(_, packets) => packets.keyframe(),
            _ => false,
        }
    }
}

/// Reads feeds of one stream. Dropping it leaves them.
pub struct Subscriber {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
}

impl Subscriber {
    pub(super) fn new(shared: Arc<Shared>, limits: QueueLimits) -> Self {
        let queue = Arc::new(Queue::new(limits));
        shared.lock().register(&queue);
        Self { shared, queue }
    }

    /// Attaches to feeds; those that do not exist, or are attached already, are left out. Their parameters come first,
    /// then (with [`Start::CachedGop`]) what is cached of all of them in order of time, then what is written from now on.
    pub fn attach(&self, keys: &[FeedKey], start: Start) {
        let attached = self.queue.attached();
        let keys: Vec<_> = keys.iter().copied().filter(|key| !attached.contains(key)).collect();
        let waits_for_keyframe = self.shared.lock().attach(&self.queue, &keys, start);
        if waits_for_keyframe {
            self.request_keyframe();
        }
    }

    /// Leaves a feed.
    pub fn detach(&self, key: FeedKey) {
        self.shared.lock().detach(&self.queue, key);
    }

    /// The feeds this subscriber is attached to.
    pub fn attached(&self) -> Vec<FeedKey> {
        self.queue.attached()
    }

    /// The next event; after [`Event::Ended`] there is none and this waits for ever. Cancel-safe.
    pub async fn next(&self) -> Event {
        loop {
            if let Some(event) = self.try_next() {
                return event;
            }
            self.queue.wait().await;
        }
    }

    /// The next event, if one waits.
    pub fn try_next(&self) -> Option<Event> {
        let event = self.queue.pop()?;
        self.note(&event);
        Some(event)
    }

    /// All events that wait, at least one, behind the end of `into`: one wake-up serves a whole burst. Cancel-safe.
    pub async fn next_batch(&self, into: &mut Vec<Event>) {
        loop {
            let before = into.len();
            self.queue.take(into);
            if into.len() > before {
                into[before..].iter().for_each(|event| self.note(event));
                return;
            }
            self.queue.wait().await;
        }
    }

    /// Waits until an event waits. Cancel-safe.
    pub async fn ready(&self) {
        while self.queue.is_empty() {
            self.queue.wait().await;
        }
    }

    /// Asks the publisher for a keyframe; requests of all subscribers are coalesced.
    pub fn request_keyframe(&self) {
        self.shared.request_keyframe(Layer::BEST);
    }

    /// Frames and packet groups lost here since the start.
    pub fn lost(&self) -> u64 {
        self.queue.lost()
    }

    /// The stream it reads.
    pub fn stream(&self) -> Stream {
        Stream::from_shared(self.shared.clone())
    }

    fn note(&self, event: &Event) {
        if matches!(event, Event::Skipped { kind: MediaKind::Video, .. }) {
            self.request_keyframe();
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.queue.close();
        self.shared.lock().forget(&self.queue);
    }
}
