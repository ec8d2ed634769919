//! Derived feeds: started with the first subscriber that needs one, shared, stopped some time after the last has left.

use super::audio;
use super::chain::Then;
use super::converter::{Converter, Output};
use super::plan::{self, Conversion, Reason, Refusal, plan};
use super::subscription::{Accepts, Subscription};
use super::{depacketise, packetise};
use crate::config;
use crate::stream::{
    Event, FeedInfo, FeedKey, FeedWriter, QueueLimits, Start, Stream, StreamName, Subscriber, WarningMark,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

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

struct Shared {
    linger: Duration,
    /// Where renditions run, whoever subscribes: a caller's own runtime may be small and busy with sockets.
    runtime: Option<Handle>,
    tasks: TaskTracker,
    stop: CancellationToken,
    streams: Mutex<BTreeMap<StreamName, Entry>>,
    /// Places for those who decode a picture.
    decoders: Arc<Semaphore>,
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

/// One rendition's task and all it owns.
struct Worker {
    shared: Arc<Shared>,
    stream: Stream,
    /// What it makes.
    feed: FeedKey,
    users: watch::Receiver<usize>,
    source: Subscriber,
    converter: Box<dyn Converter>,
    writer: Option<FeedWriter>,
    /// What the publisher should know of it.
    warning: Option<WarningMark>,
}

impl Bridge {
    /// A bridge whose renditions run on the runtime this is called in.
    pub fn new(config: config::Bridge) -> Self {
        // One core is left to those who send and receive.
        let decoders = available_parallelism().map_or(1, |cores| cores.get() - 1).max(1);
        let shared = Shared {
            linger: config.linger.0,
            runtime: Handle::try_current().ok(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            streams: Mutex::default(),
            decoders: Arc::new(Semaphore::new(decoders)),
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
            return Err(Refusal::NoConverter { from: first.codec });
        };
        if way.is_empty() {
            return Ok(Some((key, None)));
        }
        // Without one the stream has just ended, or is changing its tracks.
        Ok(self.shared.lease(stream, key, &way).map(|lease| (key, Some(lease))))
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

    /// Joins the users of a rendition, starting it if need be: the whole `way` from what is published to `feed`.
    fn lease(self: &Arc<Self>, stream: &Stream, feed: FeedKey, way: &[Conversion]) -> Option<Lease> {
        let (first, rest) = way.split_first()?;
        let (from, reason) = (first.from(), plan::reason(way)?);
        let worker = self.lock_entry(stream, |entry| {
            if let Some(rendition) = entry.renditions.get(&feed) {
                return Ok(Lease::new(rendition.users.clone()));
            }
            if self.stop.is_cancelled() {
                return Err(None);
            }
            let writer = stream.derive(feed).ok_or(None)?;
            let users = Arc::new(watch::Sender::new(0));
            let lease = Lease::new(users.clone());
            entry.renditions.insert(feed, Rendition { from, reason, users: users.clone() });
            let worker = Worker {
                shared: self.clone(),
                stream: stream.clone(),
                feed,
                users: users.subscribe(),
                source: stream.subscriber(QueueLimits::default()),
                converter: rest.iter().fold(converter(*first), |before, next| {
                    Box::new(Then::new(before, converter(*next), next.from().kind()))
                }),
                writer: Some(writer),
                warning: None,
            };
            Err(Some((worker, lease)))
        });
        match worker {
            Ok(lease) => Some(lease),
            Err(None) => None,
            Err(Some((worker, lease))) => {
                worker.source.attach(&[from], start(*first));
                self.spawn(worker, reason).then_some(lease)
            }
        }
    }

    fn spawn(&self, worker: Worker, reason: Reason) -> bool {
        let Some(runtime) = self.runtime.clone().or_else(|| Handle::try_current().ok()) else {
            tracing::error!("a rendition is wanted outside of a runtime");
            return false;
        };
        let span = tracing::info_span!("rendition", stream = %worker.stream.name(), feed = %worker.feed);
        tracing::info!(parent: &span, reason = reason.as_str(), "rendition starts");
        self.tasks.spawn_on(worker.run().instrument(span), &runtime);
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

impl Worker {
    async fn run(mut self) {
        let (mut events, mut outputs) = (Vec::new(), Vec::new());
        // Since when nobody needs this.
        let mut idle = None;
        loop {
            let due = self.converter.deadline().map(Instant::from_std);
            let over = idle.map(|since: Instant| since + self.shared.linger);
            tokio::select! {
                biased;
                () = self.shared.stop.cancelled() => return,
                changed = self.users.changed() => {
                    let users = *self.users.borrow_and_update();
                    if changed.is_err() {
                        return;
                    }
                    idle = (users == 0).then(Instant::now);
                }
                () = until(over) => {
                    if self.retire() {
                        return;
                    }
                    idle = None;
                }
                // Behind the others: where conversion is slower than the source there is always more to take.
                () = self.source.next_batch(&mut events) => {}
                () = until(due) => {}
            }
            let now = Instant::now().into_std();
            let mut ended = false;
            for event in events.drain(..) {
                ended |= matches!(event, Event::TrackEnded(_) | Event::Ended(_));
                if !ended {
                    self.converter.handle(event, now, &mut outputs);
                }
            }
            self.converter.poll(now, &mut outputs);
            for output in outputs.drain(..) {
                self.write(output);
            }
            if ended {
                return;
            }
        }
    }

    fn write(&mut self, output: Output) {
        let Some(writer) = &self.writer else { return };
        match output {
            Output::Params(params) => writer.set_params(params),
            Output::Frame(frame) => writer.write(frame),
            Output::Packets(packets) => writer.write_packets(packets),
            Output::Gap(frames) => writer.mark_gap(frames),
            Output::KeyframeWanted => self.source.request_keyframe(),
            Output::Reason(reason) => {
                self.warning = reason.warning().map(|warning| self.stream.warn(warning));
                self.shared.lock_entry(&self.stream, |entry| {
                    if let Some(rendition) = entry.renditions.get_mut(&self.feed) {
                        rendition.reason = reason;
                    }
                });
            }
        }
    }

    /// Leaves the table, unless somebody has come in the meantime.
    fn retire(&mut self) -> bool {
        let shared = self.shared.clone();
        let mut streams = shared.lock();
        if *self.users.borrow() > 0 {
            return false;
        }
        self.leave(&mut streams);
        true
    }

    /// Closes the feed and leaves the table in one step: whoever comes next finds both or neither.
    fn leave(&mut self, streams: &mut BTreeMap<StreamName, Entry>) {
        let Some(writer) = self.writer.take() else { return };
        drop(writer);
        let entry = streams.get_mut(self.stream.name()).filter(|entry| entry.stream.is(&self.stream));
        if let Some(entry) = entry {
            entry.renditions.remove(&self.feed);
        }
    }
}

impl Drop for Worker {
    /// However the task ends, be it by a panic of a codec, the feed closes and its place is free.
    fn drop(&mut self) {
        let shared = self.shared.clone();
        self.leave(&mut shared.lock());
        tracing::info!("rendition stops"); // in the span of its task
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

fn converter(conversion: Conversion) -> Box<dyn Converter> {
    match conversion {
        Conversion::PacketiseH264 => Box::new(packetise::H264::new()),
        Conversion::PacketiseOpus => Box::new(packetise::Opus::new()),
        Conversion::DepacketiseH264 | Conversion::DepacketiseSingleNal => Box::new(depacketise::H264::new()),
        Conversion::DepacketiseVp8 => Box::new(depacketise::Vp8::new()),
        Conversion::DepacketiseOpus => Box::new(depacketise::Opus::new()),
        Conversion::AacToOpus => Box::new(audio::Transcoder::to_opus()),
        Conversion::OpusToAac => Box::new(audio::Transcoder::to_aac()),
    }
}

/// Where a converter begins to read: those that put pictures together can use nothing before a keyframe.
const fn start(conversion: Conversion) -> Start {
    match conversion {
        Conversion::DepacketiseH264 | Conversion::DepacketiseSingleNal | Conversion::DepacketiseVp8 => {
            Start::NextKeyframe
        }
        Conversion::PacketiseH264
        | Conversion::PacketiseOpus
        | Conversion::DepacketiseOpus
        | Conversion::AacToOpus
        | Conversion::OpusToAac => Start::Anywhere,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
