//! One track in one rendition, and the handle that writes it.

use super::bus::{Shared, Stream};
use super::cache::{Beginning, Cache};
use super::gate::{Gate, Verdict};
use super::keyframes::Keyframes;
use super::layer::Layer;
use super::queue::Queue;
use super::subscriber::Event;
use crate::media::{Codec, CodecParams, Frame, MediaKind, PacketGroup};
use crate::time::{BitRate, Meter};
use std::fmt;
use std::sync::Arc;
use tokio::time::Instant;

/// The forms a track travels in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Form {
    /// Access units and codec packets.
    Frames,
    /// RTP packets.
    Packets,
    /// RTP packets of H.264 of which each is one NAL unit: what a peer of packetization-mode 0 sends and takes.
    SingleNal,
}

/// Names a feed within a stream.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FeedKey {
    /// What it is coded with; the kind follows from it.
    pub codec: Codec,
    /// What it travels as.
    pub form: Form,
    /// Which of its sizes.
    pub layer: Layer,
}

impl FeedKey {
    /// The feed of `codec` in `form`: the track itself.
    pub const fn new(codec: Codec, form: Form) -> Self {
        Self { codec, form, layer: Layer::BEST }
    }

    /// The same in another size.
    pub const fn in_layer(self, layer: Layer) -> Self {
        Self { layer, ..self }
    }

    /// Whether it is a lower layer of a track.
    pub const fn is_lower(self) -> bool {
        self.layer.steps() > 0
    }

    /// Sound or picture.
    pub const fn kind(self) -> MediaKind {
        self.codec.kind()
    }
}

impl fmt::Display for FeedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.codec, self.form.as_str())?;
        if self.is_lower() { write!(f, "/{}", self.layer) } else { Ok(()) }
    }
}

impl Form {
    /// Lower case, for logs, metrics and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Frames => "frames",
            Self::Packets => "packets",
            Self::SingleNal => "single_nal",
        }
    }
}

/// What is known of a feed; figures count since it was opened.
#[derive(Clone, Debug)]
pub struct FeedInfo {
    /// Its name.
    pub key: FeedKey,
    /// Whether the publisher itself sends it; otherwise the bridge derives it.
    pub native: bool,
    /// Codec parameters, once known.
    pub params: Option<CodecParams>,
    /// Lines of the picture, once known.
    pub height: Option<u32>,
    /// Subscribers attached now.
    pub subscribers: usize,
    /// Payload bytes written.
    pub bytes: u64,
    /// The same a second, of late; zero until half a second has been measured.
    pub rate: BitRate,
    /// Frames written, or packet groups.
    pub items: u64,
}

/// A feed as the bus keeps it.
pub(super) struct Feed {
    pub(super) key: FeedKey,
    pub(super) native: bool,
    pub(super) params: Option<CodecParams>,
    height: Option<u32>,
    pub(super) cache: Cache,
    pub(super) beginning: Beginning,
    /// Stays open where the bridge writes: its source is kept back already.
    pub(super) gate: Gate,
    pub(super) subscribers: Vec<Arc<Queue>>,
    bytes: u64,
    meter: Meter,
    items: u64,
}

impl Feed {
    pub(super) fn new(key: FeedKey, native: bool) -> Self {
        Self {
            key,
            native,
            params: None,
            height: None,
            cache: Cache::default(),
            beginning: Beginning::default(),
            gate: Gate::default(),
            subscribers: Vec::new(),
            bytes: 0,
            meter: Meter::new(),
            items: 0,
        }
    }

    pub(super) fn info(&self) -> FeedInfo {
        FeedInfo {
            key: self.key,
            native: self.native,
            params: self.params.clone(),
            height: self.height,
            subscribers: self.subscribers.len(),
            bytes: self.bytes,
            rate: self.meter.rate(),
            items: self.items,
        }
    }

    /// Whether what is written next passes; what is missing before it is told.
    fn admit(&mut self, keyframe: bool) -> Verdict {
        let verdict = self.gate.admit(keyframe);
        if let Verdict::PassesBehind(frames) = verdict {
            self.send(&Event::Skipped { kind: self.key.kind(), frames });
        }
        verdict
    }

    /// What was written so far is not for those who come now.
    pub(super) fn forget(&mut self) {
        self.cache.clear();
        self.beginning.forget();
    }

    fn count(&mut self, bytes: usize) {
        self.bytes += bytes as u64; // usize is at most 64 bits
        self.items += 1;
        self.meter.read(Instant::now().into_std(), self.bytes);
    }

    fn send(&mut self, event: &Event) {
        if let Some(len) = event.payload_len() {
            self.count(len);
        }
        for queue in &self.subscribers {
            queue.push(event.clone());
        }
    }
}

/// Writes one feed. Dropping it closes the feed: its subscribers are told that the track has ended.
pub struct FeedWriter {
    shared: Arc<Shared>,
    key: FeedKey,
}

impl FeedWriter {
    pub(super) const fn new(shared: Arc<Shared>, key: FeedKey) -> Self {
        Self { shared, key }
    }

    /// Which feed.
    pub const fn key(&self) -> FeedKey {
        self.key
    }

    /// The stream it belongs to.
    pub fn stream(&self) -> Stream {
        Stream::from_shared(self.shared.clone())
    }

    /// Announces codec parameters to present and later subscribers; does nothing when they are the same as before.
    /// Cached frames of the old parameters are forgotten.
    pub fn set_params(&self, params: CodecParams) {
        debug_assert_eq!(params.codec(), self.key.codec, "parameters of another codec");
        let changed = self.with_feed(|feed| {
            let changed = feed.params.as_ref() != Some(&params);
            if changed {
                feed.forget();
                feed.params = Some(params.clone());
                feed.send(&Event::Params(params));
            }
            changed
        });
        if changed == Some(true) {
            self.shared.tracks_changed();
        }
    }

    /// Says how many lines the picture has; does nothing when they are as many as before.
    pub fn set_height(&self, height: u32) {
        if self.with_feed(|feed| feed.height.replace(height) != Some(height)) == Some(true) {
            self.shared.tracks_changed();
        }
    }

    /// Gives a frame to all subscribers. Never waits.
    pub fn write(&self, frame: Frame) {
        debug_assert_eq!(self.key.form, Form::Frames);
        let shared = &self.shared;
        let verdict = self.with_feed_and_keyframes(|feed, keyframes| {
            let verdict = feed.admit(frame.keyframe);
            if verdict.passes() {
                if frame.keyframe && frame.kind == MediaKind::Video {
                    keyframes.note(frame.dts, feed.native, Instant::now());
                }
                feed.cache.push(&frame, keyframes.last());
                if feed.native {
                    feed.beginning.push(&frame, Instant::now());
                }
                feed.send(&Event::Frame(frame));
            }
            verdict
        });
        shared.touched(verdict, self.key.layer);
    }

    /// Gives RTP packets to all subscribers. Never waits.
    pub fn write_packets(&self, packets: PacketGroup) {
        debug_assert_ne!(self.key.form, Form::Frames);
        let verdict = self.with_feed(|feed| {
            let verdict = feed.admit(packets.keyframe());
            if verdict.passes() {
                feed.send(&Event::Packets(self.key.kind(), packets));
            }
            verdict
        });
        self.shared.touched(verdict, self.key.layer);
    }

    /// Whether nobody reads the feed now, so that nothing need be made for it; `bytes` of payload are counted then, as if they
    /// had been written.
    pub fn passes_over(&self, bytes: usize) -> bool {
        let passed = self.with_feed(|feed| {
            // While it is muted the gate counts what it keeps back, and says what is wanted behind it.
            let is_unread = feed.subscribers.is_empty() && feed.gate == Gate::Open;
            if is_unread {
                feed.count(bytes);
            }
            is_unread
        });
        let passed = passed.unwrap_or(true);
        if passed {
            self.shared.touched(None, self.key.layer);
        }
        passed
    }

    /// Tells all subscribers that part of the source was lost, so that decoders can conceal or wait for a keyframe.
    pub fn mark_gap(&self, frames: u64) {
        self.with_feed(|feed| feed.send(&Event::Skipped { kind: self.key.kind(), frames }));
    }

    /// Subscribers attached now.
    pub fn subscriber_count(&self) -> usize {
        self.with_feed(|feed| feed.subscribers.len()).unwrap_or(0)
    }

    fn with_feed<R>(&self, act: impl FnOnce(&mut Feed) -> R) -> Option<R> {
        self.shared.lock().feed_mut(self.key).map(act)
    }

    fn with_feed_and_keyframes<R>(&self, act: impl FnOnce(&mut Feed, &mut Keyframes) -> R) -> Option<R> {
        let mut state = self.shared.lock();
        let mut keyframes = state.keyframes;
        let result = state.feed_mut(self.key).map(|feed| act(feed, &mut keyframes));
        state.keyframes = keyframes;
        result
    }
}

impl Drop for FeedWriter {
    fn drop(&mut self) {
        let removed = self.shared.lock().remove_feed(self.key);
        for queue in removed.into_iter().flat_map(|feed| feed.subscribers) {
            queue.detach(self.key);
            queue.push(Event::TrackEnded(self.key));
        }
        self.shared.tracks_changed();
    }
}
