//! One recording: a stream, or several of the same participant one behind the other, in one file.
//!
//! `open` waits until it is known what the stream has, [`record`] drives the rest: frames go from the bus onto the session's
//! clock, into the file's timeline, second by second into the container, and to the disk. Nothing here waits for the disk;
//! where it is too slow, media is left out and told.

pub(super) mod close;
mod flush;
mod open;

use super::clock::SessionClock;
use super::disk::Disk;
use super::faststart::Faststart;
use super::format::{self, CodedBlack, Container, Picture, Tracks, Writer};
use super::intake::{Intake, Item};
use super::manifest::{self, Alignment, Cause, Part, Size};
use super::store::SessionFolder;
use super::timeline::Timeline;
use crate::bridge::Bridge;
use crate::container::Sample;
use crate::media::{CodecParams, Frame, MediaKind};
use crate::stream::{EndReason, Start, Stream};
use crate::time::Timestamp;
use close::Indexed;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout};
use tokio_util::task::AbortOnDropHandle;

/// Time passes in steps of this.
const TICK: Duration = Duration::from_millis(100);
/// A track that was announced and does not come within this time is not waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// A key picture that does not come is asked for this often.
const ASK: Duration = Duration::from_secs(1);
/// Streams and sizes of one file that are told.
const MAX_TOLD: usize = 1_000;

/// What a recording is made with.
#[derive(Clone)]
pub(super) struct Setting {
    pub(super) bridge: Bridge,
    pub(super) clock: Arc<SessionClock>,
    pub(super) folder: SessionFolder,
    pub(super) align: Alignment,
    /// Sound is kept in the publisher's codec where the container has it.
    pub(super) as_published: bool,
    /// How often what was written is forced onto the disk; `None`: at the end.
    pub(super) sync: Option<Duration>,
    /// Whether an MP4 gets its index in front.
    pub(super) faststart: Option<Faststart>,
    /// The name of the file, without its ending.
    pub(super) name: String,
}

/// What the session tells a recording.
#[derive(Debug)]
pub(super) enum Order {
    /// The participant publishes again.
    Continue(Stream),
    /// Nothing is read or filled for now; nor later, where it is the last order but the end.
    Rest {
        /// No other stream goes on in the file.
        is_last: bool,
    },
    /// Something is muted, or no longer.
    Muted(MediaKind, bool),
    /// The session is over: nothing more is read, and how far it has come is told. Where the session ends is said then.
    Stop,
    /// It is over. `Some`: the session ends there, and with it a file that is to be filled.
    Close(Option<Timestamp>),
    /// It cannot go on, for this reason.
    Fail(String),
}

/// What a recording tells the session.
#[derive(Debug)]
pub(super) enum News {
    /// Its file is there.
    Open,
    /// This stream of its has ended; the file waits for another one, or to be closed.
    Idle(Stream, EndReason),
    /// It reads no more, and ends there if nothing is filled.
    Stopped(Option<Timestamp>),
    /// It takes no more orders, and is about to be closed. What its stream sends goes into another file.
    Left,
    /// The same, but it waits for the end of the session to be filled until there.
    Spent,
    /// It has its index, as far as it can have one, and whatever is known of it is told.
    Closed,
    /// All that can be done for its file is done.
    Done,
}

/// A recording that has begun.
struct Recording {
    setting: Setting,
    container: Container,
    stream: Stream,
    intake: Option<Intake>,
    /// What goes on in the file when the present stream's end has been read.
    successor: Option<Stream>,
    /// What came before it was open, and orders that came meanwhile.
    early: (Vec<Item>, Vec<Order>),
    tracks: Tracks,
    /// Who makes a black picture, where that takes an encoder.
    painter: Option<AbortOnDropHandle<()>>,
    writer: Writer,
    timeline: Timeline,
    disk: Disk,
    samples: Vec<Sample>,
    flushed: Instant,
    /// When a key picture was asked for.
    asked: Instant,
    /// The session is over, and is about to say where.
    is_stopped: bool,
    /// What is missing is filled at the end, or when somebody comes.
    is_resting: bool,
    /// No other stream goes on in it.
    is_spent: bool,
    /// The present stream has begun a part that is told.
    has_part: bool,
    /// The disk cannot keep up: media is left out until it can.
    is_behind: bool,
    told: watch::Sender<manifest::File>,
}

/// What came of what was taken in.
#[derive(PartialEq, Eq)]
enum Taken {
    On,
    Ended(EndReason),
    /// What comes now does not fit into this file.
    Unfit,
}

/// Records a stream until it is told to close, or it cannot go on. Gives the file if it has its index.
pub(super) async fn record(
    setting: Setting,
    stream: Stream,
    start: Start,
    mut orders: mpsc::Receiver<Order>,
    told: watch::Sender<manifest::File>,
    (number, news): (u64, mpsc::Sender<(u64, News)>),
) -> Option<Indexed> {
    let mut recording = Recording::open(setting, stream, start, &mut orders, told).await?;
    // A session that is gone needs no news.
    drop(news.send((number, News::Open)).await);
    recording.run(&mut orders, (number, &news)).await;
    // From here on whoever publishes again does so in another file; an order that was too late says nothing.
    drop(orders);
    recording.leave();
    drop(news.send((number, News::Left)).await);
    recording.close().await
}

impl Recording {
    /// Records until it is told to close, or it cannot go on.
    async fn run(
        &mut self,
        orders: &mut mpsc::Receiver<Order>,
        (number, news): (u64, &mpsc::Sender<(u64, News)>),
    ) {
        let mut ticks = ticks();
        let clock = self.setting.clock.clone();
        let mut early = std::mem::take(&mut self.early.1).into_iter();
        loop {
            let mut order = early.next();
            if order.is_none() {
                tokio::select! {
                    biased;
                    outcome = self.disk.written() => if let Err(error) = outcome {
                        self.fail(&error.to_string());
                        return;
                    },
                    got = orders.recv() => order = Some(got.unwrap_or(Order::Close(None))),
                    () = next(&mut self.intake, &clock) => {}
                    _ = ticks.tick(), if !self.is_resting => self.ask_for_picture(),
                    // What fills hours goes piece by piece, and lets others have their turn.
                    () = tokio::task::yield_now(), if self.has_more() => {}
                }
            }
            match order {
                Some(Order::Close(end)) => {
                    // Whatever has come by now belongs to it.
                    self.intake.iter_mut().for_each(|intake| intake.release(&clock));
                    self.take_in(clock.now());
                    self.timeline.finish(end);
                    return;
                }
                Some(Order::Stop) => {
                    self.intake.iter_mut().for_each(|intake| intake.release(&clock));
                    self.take_in(clock.now());
                    self.leave();
                    self.is_stopped = true;
                    if news.send((number, News::Stopped(self.timeline.end()))).await.is_err() {
                        self.timeline.finish(None);
                        return;
                    }
                }
                Some(Order::Fail(error)) => {
                    self.take_in(clock.now());
                    self.fail(&error);
                    return;
                }
                Some(Order::Muted(kind, muted)) => {
                    self.timeline.mute(kind, muted);
                }
                // Its stream has been left, and the session knows.
                Some(Order::Continue(_)) if self.is_spent => {}
                Some(Order::Continue(stream)) => {
                    self.is_resting = false;
                    self.successor = Some(stream);
                    if self.intake.is_none() && !self.go_on().await && !self.spend(number, news).await {
                        return;
                    }
                }
                Some(Order::Rest { is_last }) => {
                    self.intake.iter_mut().for_each(|intake| intake.release(&clock));
                    self.take_in(clock.now());
                    self.rest(is_last);
                }
                None => {}
            }
            match self.take_in(clock.now()) {
                Taken::On if !self.has_outgrown() => {}
                Taken::Ended(reason) => {
                    self.leave();
                    self.timeline.absent(Cause::Reconnect);
                    if self.successor.is_some() {
                        if !self.go_on().await && !self.spend(number, news).await {
                            return;
                        }
                    } else if news.send((number, News::Idle(self.stream.clone(), reason))).await.is_err() {
                        self.timeline.finish(None);
                        return;
                    }
                }
                Taken::On | Taken::Unfit => {
                    if !self.spend(number, news).await {
                        return;
                    }
                }
            }
            // When everybody is silent there is nothing to keep up with; the session may be over.
            if !self.is_behind && !self.is_stopped && !self.is_resting && clock.is_live() {
                self.timeline.advance(clock.now());
            }
            // Nothing ticks for one that rests.
            let flushed = if self.is_resting {
                self.drain().await.map_err(|error| error.to_string())
            } else {
                self.flush().map_err(|error| error.to_string())
            };
            if let Err(error) = flushed {
                self.fail(&error);
                return;
            }
        }
    }

    /// Nothing more of its stream goes into the file. Whether it stays, to be filled up to the end of the session.
    async fn spend(&mut self, number: u64, news: &mpsc::Sender<(u64, News)>) -> bool {
        let stays = self.setting.align == Alignment::Full && !self.is_stopped;
        if stays {
            self.rest(true);
            // A session that is gone closes it.
            drop(news.send((number, News::Spent)).await);
        } else {
            self.timeline.finish(None);
        }
        stays
    }

    fn rest(&mut self, is_last: bool) {
        self.leave();
        self.timeline.absent(Cause::Reconnect);
        (self.is_resting, self.is_spent) = (true, is_last);
    }

    /// Asks for a key picture again and again where nothing goes on without one: what is asked for may get lost.
    fn ask_for_picture(&mut self) {
        if self.timeline.waits_for_picture() && self.asked.elapsed() >= ASK {
            self.asked = Instant::now();
            self.intake.iter().for_each(Intake::request_keyframe);
        }
    }

    /// Tells those who carry its stream that it is recorded.
    fn announce(&self) {
        self.stream.begin_recording(&self.public_name());
    }

    /// How the file is called by clients.
    fn public_name(&self) -> String {
        let folder = &self.setting.folder;
        format!("{}/{}/{}", folder.room(), folder.session(), self.told.borrow().name)
    }

    /// Reads the successor. Whether it goes into this file, which is at its end otherwise.
    async fn go_on(&mut self) -> bool {
        let Some(stream) = self.successor.take() else { return true };
        known(&stream).await;
        self.stream = stream;
        self.has_part = false;
        if Container::of(&self.stream) != self.container {
            return false;
        }
        let Setting { bridge, as_published, clock, .. } = &self.setting;
        let start = Start::Beginning;
        let intake = Intake::new(bridge, &self.stream, self.container, *as_published, start, clock);
        self.timeline.set_lossless(intake.is_stamped());
        self.intake = Some(intake);
        self.announce();
        true
    }

    /// Whether its stream has got a picture that does not go into this kind of file, and says nothing to it.
    fn has_outgrown(&self) -> bool {
        let of = || Container::of(&self.stream);
        self.intake.is_some() && self.container == Container::Mp4 && of() != self.container
    }

    /// Reads its stream no more.
    fn leave(&mut self) {
        self.stream.end_recording(&self.public_name());
        self.tell();
        if let Some(mut intake) = self.intake.take() {
            self.stream.note_repairs(intake.take_repairs());
        }
    }

    /// Takes what has come and has its place.
    fn take_in(&mut self, now: Timestamp) -> Taken {
        let mut items = std::mem::take(&mut self.early.0);
        if let Some(intake) = &mut self.intake {
            items.extend(intake.take(now));
            self.stream.note_repairs(intake.take_repairs());
        }
        for item in items {
            match item {
                Item::Params(params) => {
                    if !self.take_params(params) {
                        return Taken::Unfit;
                    }
                }
                Item::Frame(frame) => self.take_frame(&frame),
                Item::Torn(kind) => self.timeline.torn(kind, Cause::Loss),
                Item::Ended(reason) => return Taken::Ended(reason),
            }
        }
        Taken::On
    }

    /// Whether the file goes on with these.
    fn take_params(&mut self, params: CodecParams) -> bool {
        if !self.tracks.continues_with(&params) {
            return false;
        }
        if params.codec().kind() == MediaKind::Video && self.tracks.video.as_ref() != Some(&params) {
            self.tracks.video = Some(params);
            // From now on players cannot go by what stands at the head of the file.
            self.show(true);
        }
        true
    }

    /// Has a black picture made under parameters for which none is written by hand; until it is there, gaps stay.
    fn paint(&mut self) -> CodedBlack {
        let picture = CodedBlack::default();
        self.painter = None;
        if self.setting.align == Alignment::Off {
            return picture;
        }
        if let Some(params @ (CodecParams::Hevc(_) | CodecParams::Av1(_) | CodecParams::Vp9(_))) =
            &self.tracks.video
        {
            let (bridge, params, place) = (self.setting.bridge.clone(), params.clone(), picture.clone());
            self.painter = Some(AbortOnDropHandle::new(tokio::spawn(async move {
                if let Some(black) = bridge.black(&params).await {
                    place.get_or_init(|| black);
                }
            })));
        }
        picture
    }

    /// Pictures have other parameters, or another size.
    fn show(&mut self, in_band: bool) {
        let coded = self.paint();
        let params = self.tracks.video.as_ref();
        let picture = params.and_then(|params| Picture::of(params, self.tracks.size, &coded));
        let Some(Picture { size: (width, height), black, step, sets }) = picture else { return };
        self.timeline.set_black(black, step, if in_band { sets } else { Default::default() });
        let clock = &self.setting.clock;
        let time = clock.seconds(self.timeline.end().or_else(|| clock.zero()).unwrap_or_default());
        self.told.send_if_modified(|told| {
            let Some(video) = &mut told.video else { return false };
            let is_new = video.sizes.last().is_none_or(|last| (last.width, last.height) != (width, height));
            if is_new && video.sizes.len() < MAX_TOLD {
                video.sizes.push(Size { time, width, height });
            }
            is_new
        });
    }

    fn take_frame(&mut self, frame: &Frame) {
        if self.is_behind {
            return;
        }
        self.note_part(frame.dts);
        match frame.kind {
            MediaKind::Audio => {
                let length = self.tracks.audio.as_ref().and_then(|params| format::length(params, frame));
                if let Some(length) = length {
                    self.timeline.audio(frame.pts, frame.payload.bytes().clone(), length);
                }
            }
            MediaKind::Video => {
                let size = format::size_of(frame);
                if size.is_some() && size != self.tracks.size {
                    self.tracks.size = size;
                    self.show(true);
                }
                self.timeline.video(frame.dts, frame.pts, frame.keyframe, frame.payload.bytes().clone());
            }
        }
    }

    /// The first frame of a stream begins a part of the file, also where an earlier one was called the same.
    fn note_part(&mut self, at: Timestamp) {
        if self.has_part || self.told.borrow().streams.len() >= MAX_TOLD {
            return;
        }
        self.has_part = true;
        let start = self.setting.clock.seconds(at);
        let stream = self.stream.name().stream.to_string();
        let part = Part { stream, start, end: start, clock: Vec::new() };
        self.told.send_modify(|told| told.streams.push(part));
    }

    /// It cannot go on.
    fn fail(&mut self, error: &str) {
        tracing::error!(stream = %self.stream.name(), error, "the recording ends early");
        self.timeline.finish(None);
        self.told.send_modify(|told| {
            told.state = manifest::FileState::Failed;
            told.error = Some(error.to_owned());
        });
    }
}

/// Waits until the tracks that a stream is known to send are there, for some time at most: what they are says which kind of
/// file it goes into.
async fn known(stream: &Stream) {
    let mut changes = stream.changes();
    let are_there = async {
        loop {
            changes.mark_unchanged();
            let is_there = |kind| stream.sends(kind) != Some(true) || stream.track(kind).is_some();
            let are_there = is_there(MediaKind::Audio) && is_there(MediaKind::Video);
            if are_there || stream.ended().is_some() || changes.changed().await.is_err() {
                return;
            }
        }
    };
    // One that does not come by then is an exception: then the stream gets another file.
    drop(timeout(PATIENCE, are_there).await);
}

fn ticks() -> Interval {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Waits for more of a stream; for ever where there is none.
async fn next(intake: &mut Option<Intake>, clock: &SessionClock) {
    match intake {
        Some(intake) => intake.next(clock).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
