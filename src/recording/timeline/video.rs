//! The picture of a file: access units in decode order, black where there is none.
//!
//! Black pictures are coded pictures of their own that begin with a key picture, so what comes behind them has to begin with one
//! as well. Where the publisher's pictures refer to those before a gap nothing can stand in it: the last picture stays.

use super::Run;
use super::row::Row;
use crate::container::Sample;
use crate::media::MediaKind;
use crate::time::{ClockRate, MediaDuration, Timestamp};
use bytes::Bytes;
use std::sync::Arc;

/// Black pictures for one stream.
pub(crate) trait BlackPictures: Send + Sync + std::fmt::Debug {
    /// A key picture; `count` is not that of the key picture before it.
    fn key(&self, count: u64) -> Bytes;
    /// One that repeats the picture before it; `index` counts from 1 behind a key picture.
    fn repeat(&self, index: u64) -> Bytes;

    /// Whether there are some by now.
    fn is_ready(&self) -> bool {
        true
    }

    /// Where each of them is a key picture under parameters of its own: what has to stand before the stream's key pictures
    /// from then on.
    fn sets_behind(&self) -> Option<Bytes> {
        None
    }
}

/// A picture for so long in between means that something is missing. Screens that do not change send one a second.
const GAP: MediaDuration = MediaDuration::from_millis(3_000);
/// Key pictures of black come this often.
const BLACK_GOP: MediaDuration = MediaDuration::from_millis(2_000);
const RATE: ClockRate = ClockRate::VIDEO;

/// The picture of one file.
#[derive(Debug)]
pub(super) struct VideoLine {
    black: Option<Arc<dyn BlackPictures>>,
    /// How long a black picture lasts.
    step: MediaDuration,
    /// Stands before each key picture.
    prefix: Bytes,
    last: Option<Pending>,
    /// The latest time at which something is shown.
    shown: Timestamp,
    /// Where it ends, if nothing more comes.
    finished: Option<Timestamp>,
    /// Nothing but a key picture can follow.
    waits_for_key: bool,
    cursor: Cursor,
    pub(super) row: Row,
    pub(super) left_out: u64,
}

/// Where black pictures are in their own order.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursor {
    /// When the last key picture was, while nothing else has come since.
    since: Option<Timestamp>,
    /// Key pictures so far.
    keys: u64,
    /// Pictures since the last one.
    index: u64,
}

/// Black pictures, one behind the other.
#[derive(Debug)]
pub(super) struct BlackRun {
    /// Where the next one lies, and how long each is.
    pub(super) at: Timestamp,
    pub(super) step: MediaDuration,
    pub(super) left: u64,
    pub(super) cursor: Cursor,
    pub(super) black: Arc<dyn BlackPictures>,
    /// Stands before each key picture.
    pub(super) prefix: Bytes,
}

/// A picture whose duration is known when the next one is there.
#[derive(Debug)]
struct Pending {
    dts: Timestamp,
    pts: Timestamp,
    keyframe: bool,
    prefix: Bytes,
    payload: Bytes,
}

impl VideoLine {
    pub(super) fn new() -> Self {
        Self {
            black: None,
            step: MediaDuration::from_millis(100),
            prefix: Bytes::new(),
            last: None,
            shown: Timestamp::ZERO,
            finished: None,
            waits_for_key: true,
            cursor: Cursor::default(),
            row: Row::default(),
            left_out: 0,
        }
    }

    /// How black is made from now on, and how many pictures a second.
    pub(super) fn set_black(
        &mut self,
        black: Option<Arc<dyn BlackPictures>>,
        step: MediaDuration,
        prefix: Bytes,
    ) {
        self.prefix = prefix;
        self.black = black;
        self.step = step.clamp(MediaDuration::from_millis(10), MediaDuration::from_millis(1_000));
        // Pictures under other parameters begin anew.
        self.cursor.since = None;
    }

    /// Where what has come ends, as far as it is known: the last picture may stay for longer.
    pub(super) fn end(&self) -> Option<Timestamp> {
        self.last.as_ref().map(|last| (last.dts + self.step).max(self.shown)).or(self.finished)
    }

    /// Pictures are missing: the next is a key picture.
    pub(super) const fn tear(&mut self) {
        self.waits_for_key = true;
    }

    /// Whether black can stand from now on until a key picture comes.
    pub(super) const fn is_torn(&self) -> bool {
        self.waits_for_key
    }

    /// A picture; times that lie before the last one's are moved behind it. What is missing before it, if anything.
    pub(super) fn push(
        &mut self,
        (dts, pts): (Timestamp, Timestamp),
        keyframe: bool,
        payload: Bytes,
        fill: bool,
    ) -> Option<Run> {
        if self.waits_for_key && !keyframe {
            self.left_out += 1;
            return None;
        }
        let mut missing = None;
        if let Some(end) = self.end()
            && dts - end > if self.waits_for_key { MediaDuration::ZERO } else { GAP }
        {
            let is_filled = fill && keyframe && self.black_to(dts).is_some();
            missing = (dts - end > self.step).then_some(Run { from: end, to: dts, is_filled });
        }
        self.waits_for_key = false;
        self.cursor.since = None;
        let dts = self.last.as_ref().map_or(dts, |last| dts.max(last.dts + tick()));
        self.emit((dts, pts.max(dts)), keyframe, payload);
        missing
    }

    /// Black from the end of what is there up to `to`, where it can be made. Gives the run. What comes next is a key picture.
    pub(super) fn black_to(&mut self, to: Timestamp) -> Option<Run> {
        let from = self.end().unwrap_or(Timestamp::ZERO);
        let (black, step) = (self.black.clone().filter(|black| black.is_ready())?, self.step);
        // The last one stays for up to half as long again, so that none comes right before what follows.
        let (mut last, mut left, start) = (from, 0, self.cursor);
        if last + step / 2 > to {
            return None;
        }
        while last + step + step / 2 <= to {
            self.cursor.advance(last);
            last += step;
            left += 1;
        }
        self.end_last(from);
        let behind = black.sets_behind();
        if behind.is_some() {
            self.prefix = Bytes::new();
        }
        let prefix = self.prefix.clone();
        self.row.push_black(BlackRun { at: from, step, left, cursor: start, black: black.clone(), prefix });
        let (key, payload) = self.cursor.picture(last, &*black);
        self.emit((last, last), key, payload);
        if let Some(sets) = behind {
            self.prefix = sets;
        }
        self.waits_for_key = true;
        Some(Run { from, to: to.max(from), is_filled: true })
    }

    /// Nothing more comes; the last picture is given, and stays until `end`.
    pub(super) fn finish(&mut self, end: Option<Timestamp>) {
        let natural = self.end();
        if let (Some(last), Some(natural)) = (self.last.take(), natural) {
            let end = end.unwrap_or(natural).max(last.dts + tick());
            self.finished = Some(end);
            self.row.push(sample(last, end));
        }
    }

    fn emit(&mut self, (dts, pts): (Timestamp, Timestamp), keyframe: bool, payload: Bytes) {
        self.shown = self.shown.max(pts + self.step);
        let prefix = if keyframe { self.prefix.clone() } else { Bytes::new() };
        self.end_last(dts);
        self.last = Some(Pending { dts, pts, keyframe, prefix, payload });
    }

    /// The last picture stays until here.
    fn end_last(&mut self, end: Timestamp) {
        if let Some(last) = self.last.take() {
            self.row.push(sample(last, end));
        }
    }
}

impl Cursor {
    /// Goes on behind a picture at `at`. Whether that is a key picture.
    fn advance(&mut self, at: Timestamp) -> bool {
        let key = self.since.is_none_or(|since| at - since >= BLACK_GOP);
        if key {
            *self = Self { since: Some(at), keys: self.keys + 1, index: 0 };
        } else {
            self.index += 1;
        }
        key
    }

    /// The picture at `at`, and whether it is a key picture.
    pub(super) fn picture(&mut self, at: Timestamp, black: &dyn BlackPictures) -> (bool, Bytes) {
        let key = self.advance(at);
        let payload = if key { black.key(self.keys) } else { black.repeat(self.index) };
        (key || black.sets_behind().is_some(), payload)
    }
}

/// The least time between two pictures.
fn tick() -> MediaDuration {
    MediaDuration::from_ticks(1, RATE)
}

fn sample(picture: Pending, end: Timestamp) -> Sample {
    let Pending { dts, pts, keyframe, prefix, payload } = picture;
    Sample { kind: MediaKind::Video, dts, pts, duration: end - dts, keyframe, prefix, payload }
}
