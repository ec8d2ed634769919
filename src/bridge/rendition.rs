//! Derived feeds: started with the first subscriber that needs one, shared, stopped some time after the last has left.

use super::places::Places;
use super::plan::{self, Conversion, Reason, Refusal, plan};
use super::subscription::{Accepts, Subscription};
use super::tools::{Tools, start};
use super::worker::{self, Worker};
use crate::codec::h264::Sps;
use crate::config;
use crate::media::{Codec, CodecParams};
use crate::stream::{FeedInfo, FeedKey, Form, Layer, QueueLimits, Start, Stream, StreamName, WarningMark};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// How long first pictures are made when nobody waits for one.
const START_LINGER: Duration = Duration::from_secs(1);
/// A keyframe that comes within this time is waited for.
const NEAR: Duration = Duration::from_millis(250);

/// Starts and shares renditions. Cloning gives another handle to the same.
#[derive(Clone)]
pub struct Bridge {
    shared: Arc<Shared>,
}

/// A rendition as the API shows it.
#[derive(Clone, Debug)]
pub struct RenditionInfo {
    /// The derived feed.
    pub feed: FeedKey,
    /// The publisher's own feed that it is made of.
    pub from: FeedKey,
    /// Why it is needed, and what is lost if something is.
    pub reason: Reason,
    /// Subscribers that read it now.
    pub users: usize,
}

/// A place among the users of a rendition. Dropping it leaves.
pub(super) struct Lease {
    users: Arc<watch::Sender<usize>>,
}

/// A refused track, for as long as the one who was refused is there. Dropping it takes the warning back.
pub struct RefusalMark {
    refusal: Refusal,
    _warning: WarningMark,
}

pub(super) struct Shared {
    /// Where renditions run, whoever subscribes: a caller's own runtime may be small and busy with sockets.
    runtime: Option<Handle>,
    tasks: TaskTracker,
    pub(super) stop: CancellationToken,
    streams: Mutex<BTreeMap<StreamName, Entry>>,
    /// Places for those who decode a picture.
    decoders: Arc<Semaphore>,
    /// How pictures are transcoded, and places for those who do.
    config: config::Bridge,
    places: Places,
    /// The same for those who make first pictures, for some seconds each: others must not have to wait for these.
    start_places: Places,
}

/// What the bridge knows of a stream.
struct Entry {
    stream: Stream,
    renditions: BTreeMap<FeedKey, Rendition>,
}

#[derive(Clone)]
struct Rendition {
    from: FeedKey,
    reason: Reason,
    users: Arc<watch::Sender<usize>>,
}

impl Bridge {
    /// A bridge whose renditions run on the runtime this is called in.
    pub fn new(config: config::Bridge) -> Self {
        // One core is left to those who send and receive.
        let decoders = available_parallelism().map_or(1, |cores| cores.get() - 1).max(1);
        let shared = Shared {
            runtime: Handle::try_current().ok(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            streams: Mutex::default(),
            decoders: Arc::new(Semaphore::new(decoders)),
            places: Places::new(config.video_transcodes()),
            start_places: Places::new(config.video_transcodes()),
            config,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Subscribes to a stream, now and to tracks that it gets later.
    pub fn subscribe(
        &self,
        stream: &Stream,
        accepts: Accepts,
        start: Start,
        limits: QueueLimits,
    ) -> Subscription {
        Subscription::new(self.clone(), stream, accepts, start, limits)
    }

    /// The renditions of a stream that run now.
    pub fn renditions(&self, stream: &Stream) -> Vec<RenditionInfo> {
        let streams = self.shared.lock();
        let Some(entry) = streams.get(stream.name()).filter(|entry| entry.stream.is(stream)) else {
            return Vec::new();
        };
        let info = |(feed, rendition): (&FeedKey, &Rendition)| RenditionInfo {
            feed: *feed,
            from: rendition.from,
            reason: rendition.reason,
            users: *rendition.users.borrow(),
        };
        entry.renditions.iter().map(info).collect()
    }

    /// Moves whenever a place for a transcoder has become free.
    pub(super) fn freed(&self) -> watch::Receiver<u64> {
        self.shared.places.freed()
    }

    /// Places for those who decode a picture.
    pub(super) fn decoders(&self) -> Arc<Semaphore> {
        self.shared.decoders.clone()
    }

    /// Ends all renditions and waits for them.
    pub async fn shutdown(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    /// The feed to attach to for one of the `accepted`, and what keeps it alive. `None` when the stream has no track of
    /// that kind yet.
    pub(super) fn acquire(
        &self,
        stream: &Stream,
        accepted: &[FeedKey],
    ) -> Result<Option<(FeedKey, Option<Lease>)>, Refusal> {
        let Some(kind) = accepted.first().map(|key| key.kind()) else { return Ok(None) };
        let own = |feed: FeedInfo| {
            (feed.native && !feed.key.is_lower() && feed.key.kind() == kind).then_some(feed.key)
        };
        let published: Vec<_> = stream.feeds().into_iter().filter_map(own).collect();
        let Some(first) = published.first() else { return Ok(None) };
        let Some((key, way)) = plan(&published, accepted) else {
            return Err(plan::refusal(*first, &published, accepted));
        };
        if way.is_empty() {
            return Ok(Some((key, None)));
        }
        let is_never = self.shared.config.video_transcodes() == 0;
        if is_never && way.iter().any(|conversion| conversion.is_of_pictures()) {
            return Err(Refusal::NoConverter { from: first.codec });
        }
        // Without one the stream has just ended, or is changing its tracks.
        Ok(self.shared.lease(stream, key, &way)?.map(|lease| (key, Some(lease))))
    }

    /// What shows a picture at once to those who have just come, until the publisher's next keyframe: the feed to attach to, which lies
    /// beside the packets of the track in [`Layer::START`]. `None` where there is no need, as that keyframe is near or can be asked for,
    /// or no way.
    pub(super) fn acquire_start(&self, stream: &Stream, packets: FeedKey) -> Option<(FeedKey, Lease)> {
        let is_near = stream.next_keyframe().is_some_and(|next| next < NEAR);
        let published = FeedKey::new(Codec::H264, Form::Frames);
        let sps = |params| match params {
            Some(CodecParams::H264(config)) => config.sps().first().and_then(|sps| Sps::parse(sps).ok()),
            _ => None,
        };
        // One with B-frames is transcoded for all.
        let is_published = |feed: FeedInfo| {
            let sps = sps(feed.params).filter(|_| feed.native && feed.key == published);
            sps.is_some_and(|sps| sps.num_reorder_frames.unwrap_or(0) == 0)
        };
        let passes = |info: &RenditionInfo| info.feed == packets && info.reason == Reason::Packetised;
        if !cfg!(feature = "transcode")
            || packets != FeedKey::new(Codec::H264, Form::Packets)
            || is_near
            || !stream.begins_with_keyframe(published)
            || !stream.feeds().into_iter().any(is_published)
            || !self.renditions(stream).iter().any(passes)
        {
            return None;
        }
        let key = packets.in_layer(Layer::START);
        let way = [Conversion::ToH264(Codec::H264), Conversion::PacketiseH264];
        Some((key, self.shared.lease(stream, key, &way).ok()??))
    }

    /// Notes that somebody is refused a track, until the mark is dropped.
    pub fn refuse(&self, stream: &Stream, refusal: Refusal) -> RefusalMark {
        let warning = refusal.warning();
        metrics::counter!("commonroom_bridge_refusals_total", "reason" => warning.as_str()).increment(1);
        RefusalMark { refusal, _warning: stream.warn(warning) }
    }
}

impl Default for Bridge {
    /// As without a configuration file.
    fn default() -> Self {
        Self::new(config::Bridge::default())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<StreamName, Entry>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entry of a stream, made if there is none; one left by an earlier stream of that name is replaced. Those of
    /// streams that have ended are forgotten on the way.
    fn lock_entry<R>(&self, stream: &Stream, act: impl FnOnce(&mut Entry) -> R) -> R {
        let mut streams = self.lock();
        streams.retain(|_, entry| entry.stream.is(stream) || entry.is_of_use());
        let entry = streams.entry(stream.name().clone()).or_insert_with(|| Entry::new(stream.clone()));
        if !entry.stream.is(stream) {
            *entry = Entry::new(stream.clone());
        }
        act(entry)
    }

    /// A rendition is needed for another reason than before.
    pub(super) fn set_reason(&self, stream: &Stream, feed: FeedKey, reason: Reason) {
        self.lock_entry(stream, |entry| {
            if let Some(rendition) = entry.renditions.get_mut(&feed) {
                rendition.reason = reason;
            }
        });
    }

    /// Closes a feed and takes its rendition out of the table in one step: whoever comes next finds both or neither. Only where
    /// `close` says that it has closed the feed.
    pub(super) fn remove(&self, stream: &Stream, feed: FeedKey, close: impl FnOnce() -> bool) -> bool {
        let mut streams = self.lock();
        let is_closed = close();
        let entry = streams.get_mut(stream.name()).filter(|entry| is_closed && entry.stream.is(stream));
        if let Some(entry) = entry {
            entry.renditions.remove(&feed);
        }
        is_closed
    }

    /// Joins the users of a rendition, starting it if need be: the whole `way` from what is published to `feed`.
    fn lease(
        self: &Arc<Self>,
        stream: &Stream,
        feed: FeedKey,
        way: &[Conversion],
    ) -> Result<Option<Lease>, Refusal> {
        let (Some((first, rest)), Some(reason)) = (way.split_first(), plan::reason(way)) else {
            return Ok(None);
        };
        let from = first.from();
        let found = self.lock_entry(stream, |entry| {
            if let Some(rendition) = entry.renditions.get(&feed) {
                return Ok(Some((Lease::new(rendition.users.clone()), None)));
            }
            if self.stop.is_cancelled() {
                return Ok(None);
            }
            let is_start = feed.layer == Layer::START;
            let places = if is_start { &self.start_places } else { &self.places };
            let place = match way.iter().any(|conversion| conversion.is_of_pictures()) {
                true => Some(places.take().ok_or(Refusal::TranscodersBusy)?),
                false => None,
            };
            let Some(writer) = stream.derive(feed) else { return Ok(None) };
            let users = Arc::new(watch::Sender::new(0));
            let lease = Lease::new(users.clone());
            entry.renditions.insert(feed, Rendition { from, reason, users: users.clone() });
            let tools = Tools { config: &self.config, places: &self.places };
            let worker = Box::new(Worker {
                shared: self.clone(),
                stream: stream.clone(),
                feed,
                users: users.subscribe(),
                source: stream.subscriber(QueueLimits::default()),
                events: VecDeque::new(),
                converter: tools.converters(*first, rest),
                writer: Some(writer),
                keyframes_asked: stream.keyframes_asked(),
                warning: reason.warning().map(|warning| stream.warn(warning)),
                linger: if is_start { START_LINGER } else { self.config.linger.0 },
                _place: place,
            });
            Ok(Some((lease, Some(worker))))
        })?;
        let Some((lease, worker)) = found else { return Ok(None) };
        if let Some(worker) = worker {
            worker.source.attach(&[from], start(*first));
            // The publisher has just closed that track.
            if worker.source.attached().is_empty() {
                return Ok(None);
            }
            if !self.spawn(worker, reason) {
                return Ok(None);
            }
        }
        Ok(Some(lease))
    }

    fn spawn(&self, worker: Box<Worker>, reason: Reason) -> bool {
        let Some(runtime) = self.runtime.clone().or_else(|| Handle::try_current().ok()) else {
            tracing::error!("a rendition is wanted outside of a runtime");
            return false;
        };
        let span = tracing::info_span!("rendition", stream = %worker.stream.name(), feed = %worker.feed);
        tracing::info!(parent: &span, reason = reason.as_str(), "rendition starts");
        self.tasks.spawn_on(worker::work(worker).instrument(span), &runtime);
        true
    }
}

impl Entry {
    fn new(stream: Stream) -> Self {
        Self { stream, renditions: BTreeMap::new() }
    }

    fn is_of_use(&self) -> bool {
        self.stream.ended().is_none() || !self.renditions.is_empty()
    }
}

impl Lease {
    fn new(users: Arc<watch::Sender<usize>>) -> Self {
        users.send_modify(|count| *count += 1);
        Self { users }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.users.send_modify(|count| *count -= 1);
    }
}

impl RefusalMark {
    pub(super) const fn refusal(&self) -> Refusal {
        self.refusal
    }
}
