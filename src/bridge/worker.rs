//! What a rendition runs: a converter between a subscriber's queue and a feed.

use super::converter::{Converter, Output};
use super::places::Place;
use super::rendition::Shared;
use crate::stream::{Event, FeedKey, FeedWriter, Stream, Subscriber, WarningMark};
use crate::time::Timestamp;
use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tracing::Instrument;

/// One rendition's task and all it owns.
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) stream: Stream,
    /// What it makes.
    pub(super) feed: FeedKey,
    pub(super) users: watch::Receiver<usize>,
    pub(super) source: Subscriber,
    /// Taken from it, and still to be converted.
    pub(super) events: VecDeque<Event>,
    pub(super) converter: Box<dyn Converter>,
    pub(super) writer: Option<FeedWriter>,
    /// Moves whenever a keyframe is asked for.
    pub(super) keyframes_asked: watch::Receiver<u64>,
    /// What the publisher should know of it.
    pub(super) warning: Option<WarningMark>,
    /// How long it goes on when nobody needs it.
    pub(super) linger: Duration,
    /// Of one that transcodes pictures whatever comes.
    pub(super) _place: Option<Place>,
}

/// What is converted between two looks at whether it is still needed, where each event may take its time.
const ROUND: usize = 16;

/// Why a worker leaves the thread it is on.
enum Left {
    /// It is done.
    Done,
    /// It works hard now, or not any more.
    Moves(Box<Worker>),
}

/// Runs a worker to its end: among the other tasks or, while it works hard, on a thread of its own, which waits as tasks do.
pub(super) async fn work(mut worker: Box<Worker>) {
    loop {
        let Left::Moves(moving) = worker.run(false).await else { return };
        let (back, returned) = oneshot::channel();
        let (runtime, span) = (Handle::current(), tracing::Span::current());
        let thread = thread::Builder::new().name("transcode".to_owned()).spawn(move || {
            let left = runtime.block_on(moving.run(true).instrument(span));
            give_memory_back();
            // Whoever waited for it may be gone.
            drop(back.send(left));
        });
        if let Err(error) = thread {
            tracing::error!(%error, "no thread for a rendition");
            return;
        }
        match returned.await {
            Ok(Left::Moves(moved)) => worker = moved,
            Ok(Left::Done) | Err(_) => return,
        }
    }
}

impl Worker {
    /// Runs until it is done, or works harder than what runs here may, or less hard than it need be elsewhere.
    async fn run(mut self: Box<Self>, on_its_own: bool) -> Left {
        let (mut fresh, mut outputs) = (Vec::new(), Vec::new());
        // Since when nobody needs this.
        let mut idle = (*self.users.borrow() == 0).then(Instant::now);
        loop {
            if self.converter.is_heavy() != on_its_own {
                return Left::Moves(self);
            }
            let due = self.converter.deadline().map(Instant::from_std);
            let over = idle.map(|since: Instant| since + self.linger);
            let is_pending = !self.events.is_empty();
            tokio::select! {
                biased;
                () = self.shared.stop.cancelled() => return Left::Done,
                changed = self.users.changed() => {
                    let users = *self.users.borrow_and_update();
                    if changed.is_err() {
                        return Left::Done;
                    }
                    idle = (users == 0).then(Instant::now);
                }
                () = until(over) => {
                    if self.retire() {
                        return Left::Done;
                    }
                    idle = None;
                }
                // Behind the others: where conversion is slower than the source there is always more to take.
                () = self.source.next_batch(&mut fresh), if !is_pending => {}
                () = until(due) => {}
                Ok(()) = self.keyframes_asked.changed(), if on_its_own => self.converter.request_keyframe(),
                // Left by what ran on the other thread.
                () = std::future::ready(()), if is_pending => {}
            }
            if self.keyframes_asked.has_changed().unwrap_or(false) {
                self.keyframes_asked.mark_unchanged();
                self.converter.request_keyframe();
            }
            self.wait(fresh.drain(..));
            for _ in 0..if on_its_own { ROUND } else { usize::MAX } {
                let Some(event) = self.events.pop_front() else { break };
                if matches!(event, Event::TrackEnded(_) | Event::Ended(_)) {
                    return Left::Done;
                }
                self.converter.handle(event, Instant::now().into_std(), &mut outputs);
                // At once, as the next one may take its time.
                outputs.drain(..).for_each(|output| self.write(output));
                if self.converter.is_heavy() != on_its_own {
                    break;
                }
                if on_its_own {
                    // It is to know how much waits while it works.
                    let source = &self.source;
                    fresh.extend(std::iter::from_fn(|| source.try_next()));
                    self.wait(fresh.drain(..));
                }
            }
            self.converter.poll(Instant::now().into_std(), &mut outputs);
            outputs.drain(..).for_each(|output| self.write(output));
        }
    }

    /// Events have come.
    fn wait(&mut self, fresh: impl Iterator<Item = Event>) {
        let before = self.events.len();
        self.events.extend(fresh);
        if let Some(newest) = self.events.range(before..).rev().find_map(decode_time) {
            self.converter.has_come(newest);
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
                self.shared.set_reason(&self.stream, self.feed, reason);
            }
        }
    }

    /// Ends, unless somebody has come in the meantime.
    fn retire(&mut self) -> bool {
        let Self { shared, stream, feed, users, writer, .. } = self;
        shared.remove(stream, *feed, || *users.borrow() == 0 && writer.take().is_some())
    }
}

impl Drop for Worker {
    /// However the task ends, be it by a panic of a codec, the feed closes and its place is free.
    fn drop(&mut self) {
        let Self { shared, stream, feed, writer, .. } = self;
        shared.remove(stream, *feed, || writer.take().is_some());
        tracing::info!("rendition stops"); // in the span of its task
    }
}

/// What encoders had, which is megabytes, stays with the allocator otherwise, for the next of them or for good.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "a call of the C library")]
fn give_memory_back() {
    // SAFETY: it takes no pointer and may be called at any time from any thread.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
const fn give_memory_back() {}

/// When what an event brings is to be decoded.
fn decode_time(event: &Event) -> Option<Timestamp> {
    match event {
        Event::Frame(frame) => Some(frame.dts),
        Event::Packets(_, packets) => packets.last().map(|packet| packet.time),
        _ => None,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
