//! The picture of a file: access units in decode order, black where there is none.
//!
//! Black pictures are coded pictures of their own that begin with a key picture, so what comes behind them has to begin with one
//! as well. Where the publisher's pictures refer to those before a gap nothing can stand in it: the last picture stays.

use super::Run;
use crate::container::Sample;
use crate::media::MediaKind;
use crate::time::{ClockRate, MediaDuration, Timestamp};
use bytes::Bytes;

/// Black pictures for one stream, made without an encoder.
pub(crate) trait BlackPictures: Send + std::fmt::Debug {
    /// The next one: a key picture, or one that repeats the picture before.
    fn picture(&mut self, key: bool) -> Bytes;
}

/// A picture for so long in between means that something is missing. Screens that do not change send one a second.
const GAP: MediaDuration = MediaDuration::from_millis(3_000);
/// Key pictures of black come this often.
const BLACK_GOP: MediaDuration = MediaDuration::from_millis(2_000);
const RATE: ClockRate = ClockRate::VIDEO;

/// The picture of one file.
#[derive(Debug)]
pub(super) struct VideoLine {
    black: Option<Box<dyn BlackPictures>>,
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
    /// Since when black is shown, and when its last key picture was.
    black_since: Option<Timestamp>,
    pub(super) left_out: u64,
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
    pub(super) const fn new() -> Self {
        Self {
            black: None,
            step: MediaDuration::from_millis(100),
            prefix: Bytes::new(),
            last: None,
            shown: Timestamp::ZERO,
            finished: None,
            waits_for_key: true,
            black_since: None,
            left_out: 0,
        }
    }

    /// How black is made from now on, and how many pictures a second.
    pub(super) fn set_black(
        &mut self,
        black: Option<Box<dyn BlackPictures>>,
        step: MediaDuration,
        prefix: Bytes,
    ) {
        self.prefix = prefix;
        self.black = black;
        self.step = step.clamp(MediaDuration::from_millis(10), MediaDuration::from_millis(1_000));
        // Pictures under other parameters begin anew.
        self.black_since = None;
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
        out: &mut Vec<Sample>,
    ) -> Option<Run> {
        if self.waits_for_key && !keyframe {
            self.left_out += 1;
            return None;
        }
        let mut missing = None;
        if let Some(end) = self.end()
            && dts - end > if self.waits_for_key { MediaDuration::ZERO } else { GAP }
        {
            missing = (dts - end > self.step).then_some(Run { from: end, to: dts });
            if fill && keyframe {
                self.black_to(dts, out);
            }
        }
        self.waits_for_key = false;
        self.black_since = None;
        let dts = self.last.as_ref().map_or(dts, |last| dts.max(last.dts + tick()));
        self.emit((dts, pts.max(dts)), keyframe, payload, out);
        missing
    }

    /// Black from the end of what is there up to `to`, where it can be made. Gives the run. What comes next is a key picture.
    pub(super) fn black_to(&mut self, to: Timestamp, out: &mut Vec<Sample>) -> Option<Run> {
        let from = self.end().unwrap_or(Timestamp::ZERO);
        let mut at = from;
        let mut black = self.black.take()?;
        // The last one stays for up to half as long again, so that none comes right before what follows.
        while at + self.step / 2 <= to {
            let key = self.black_since.is_none_or(|since| at - since >= BLACK_GOP);
            if key {
                self.black_since = Some(at);
            }
            self.emit((at, at), key, black.picture(key), out);
            at += self.step;
        }
        self.black = Some(black);
        if at == from {
            return None;
        }
        self.waits_for_key = true;
        Some(Run { from, to: to.max(from) })
    }

    /// Nothing more comes; the last picture is given, and stays until `end`.
    pub(super) fn finish(&mut self, end: Option<Timestamp>, out: &mut Vec<Sample>) {
        let natural = self.end();
        if let (Some(last), Some(natural)) = (self.last.take(), natural) {
            let end = end.unwrap_or(natural).max(last.dts + tick());
            self.finished = Some(end);
            out.push(sample(last, end));
        }
    }

    fn emit(
        &mut self,
        (dts, pts): (Timestamp, Timestamp),
        keyframe: bool,
        payload: Bytes,
        out: &mut Vec<Sample>,
    ) {
        self.shown = self.shown.max(pts + self.step);
        let prefix = if keyframe { self.prefix.clone() } else { Bytes::new() };
        if let Some(last) = self.last.replace(Pending { dts, pts, keyframe, prefix, payload }) {
            out.push(sample(last, dts));
        }
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
