//! The sound of a file: packets in a row, counted in samples.
//!
//! Stamps jitter, samples do not: from the first packet on each lies where the one before it ends, as long as the stamps are not
//! far from there. Where they are, something is missing. Filler is counted so that the number of samples never is off by
//! more than half a packet, since there are programs that go by samples alone; stamps are right to the sample.

use super::Run;
use super::row::{Row, SilenceRun};
use crate::container::Sample;
use crate::media::MediaKind;
use crate::time::{ClockRate, MediaDuration, Timestamp};
use bytes::Bytes;

/// Stamps that are further away than this, in milliseconds, mean that something is missing, or there twice.
const GAP_MS: i64 = 80;
/// Stamps that stay further away than this, on average, pull.
const PULL_MS: i64 = 5;
/// The average is one over about so many packets.
const SMOOTHING: i64 = 64;

/// A packet of silence.
#[derive(Clone, Debug)]
pub(crate) struct Silence {
    /// The packet.
    pub(crate) packet: Bytes,
    /// Samples it has.
    pub(crate) ticks: i64,
}

/// The sound of one file.
#[derive(Debug)]
pub(super) struct AudioLine {
    rate: ClockRate,
    silence: Option<Silence>,
    /// Where the next packet lies, if nothing is missing; `None` before the first.
    next: Option<i64>,
    last: Option<Pending>,
    /// How far the stamps are from the count, on average, times [`SMOOTHING`].
    deviation: i64,
    is_pulled: bool,
    /// Packets were lost: the next stamp counts.
    is_torn: bool,
    pub(super) row: Row,
    pub(super) left_out: u64,
}

/// A packet whose duration is known when the next one is there.
#[derive(Debug)]
struct Pending {
    at: i64,
    payload: Bytes,
    ticks: i64,
}

impl AudioLine {
    pub(super) fn new(rate: ClockRate, silence: Option<Silence>) -> Self {
        Self {
            rate,
            silence,
            next: None,
            last: None,
            deviation: 0,
            is_pulled: false,
            is_torn: false,
            row: Row::default(),
            left_out: 0,
        }
    }

    /// How long a packet of silence is.
    pub(super) fn silence_length(&self) -> MediaDuration {
        MediaDuration::from_ticks(self.silence.as_ref().map_or(0, |silence| silence.ticks), self.rate)
    }

    /// Where what has come ends.
    pub(super) fn end(&self) -> Option<Timestamp> {
        self.next.map(|next| Timestamp::from_ticks(next, self.rate))
    }

    pub(super) const fn tear(&mut self) {
        self.is_torn = true;
    }

    /// The file begins at `at`; where the first packet lies its stamp alone says.
    pub(super) fn begin(&mut self, at: Timestamp) {
        self.next = Some(at.to_ticks(self.rate));
        self.is_torn = true;
    }

    /// A packet of `length` that its stamp puts at `at`. What is missing before it, if anything, as a run from where to where.
    pub(super) fn push(
        &mut self,
        at: Timestamp,
        payload: Bytes,
        length: MediaDuration,
        fill: bool,
    ) -> Option<Run> {
        let (at, ticks) = (at.to_ticks(self.rate), length.to_ticks(self.rate).max(1));
        let next = *self.next.get_or_insert(at);
        let away = at - next;
        let torn = std::mem::take(&mut self.is_torn);
        let limit = if torn { ticks / 2 } else { self.ticks_of(GAP_MS).max(ticks) };
        let mut missing = None;
        if away > limit {
            let is_filled = self.reach(at, fill);
            missing = Some(self.run(next, at, is_filled));
        } else if away < -limit {
            self.left_out += 1;
            // Where it goes on is told by stamps alone.
            self.is_torn = true;
            return None;
        } else {
            self.pull(away);
        }
        let at = self.next.unwrap_or(at);
        self.emit(Pending { at, payload, ticks });
        self.next = Some(at + ticks);
        missing
    }

    /// Silence up to `to`, if that is further than what is there. Gives the run.
    pub(super) fn silence_to(&mut self, to: Timestamp) -> Option<Run> {
        let to = to.to_ticks(self.rate);
        let from = self.next?;
        let ticks = self.silence.as_ref()?.ticks;
        if to - from < ticks {
            return None;
        }
        // Whole packets: the rest is for the next time.
        let to = from + (to - from) / ticks * ticks;
        let is_filled = self.reach(to, true);
        Some(self.run(from, to, is_filled))
    }

    /// Nothing more comes; the last packet is given.
    pub(super) fn finish(&mut self) {
        if let Some(last) = self.last.take() {
            let end = self.next.unwrap_or(last.at + last.ticks);
            self.row.push(sample(self.rate, last, end));
        }
    }

    /// Goes on at `to`. Whether there is silence up to there.
    fn reach(&mut self, to: i64, fill: bool) -> bool {
        let from = self.next.unwrap_or(to);
        let is_filled = fill && self.silence.is_some();
        if let Some(silence) = self.silence.clone().filter(|_| fill) {
            let count = (to - from + silence.ticks / 2) / silence.ticks;
            let (packet, ticks) = (silence.packet, silence.ticks);
            if count > 0 {
                self.end_last(from);
                let left = u64::try_from(count - 1).unwrap_or(0);
                let run = SilenceRun { rate: self.rate, at: from, ticks, left, packet: packet.clone() };
                self.row.push_silence(run);
                self.emit(Pending { at: from + (count - 1) * ticks, payload: packet, ticks });
            }
        }
        self.next = Some(to);
        self.deviation = 0;
        self.is_pulled = false;
        is_filled
    }

    /// Moves the count by a sample for this packet where the stamps have been elsewhere for long.
    fn pull(&mut self, away: i64) {
        self.deviation += away - self.deviation / SMOOTHING;
        let average = self.deviation / SMOOTHING;
        let limit = self.ticks_of(PULL_MS);
        self.is_pulled = if self.is_pulled { average.abs() > limit / 5 } else { average.abs() > limit };
        if self.is_pulled
            && let Some(next) = &mut self.next
        {
            *next += average.signum();
            self.deviation -= average.signum() * SMOOTHING;
        }
    }

    fn emit(&mut self, packet: Pending) {
        self.end_last(packet.at);
        self.last = Some(packet);
    }

    /// The last packet lasts until here.
    fn end_last(&mut self, end: i64) {
        if let Some(last) = self.last.take() {
            self.row.push(sample(self.rate, last, end));
        }
    }

    fn run(&self, from: i64, to: i64, is_filled: bool) -> Run {
        let [from, to] = [from, to].map(|at| Timestamp::from_ticks(at, self.rate));
        Run { from, to, is_filled }
    }

    fn ticks_of(&self, ms: i64) -> i64 {
        MediaDuration::from_millis(ms).to_ticks(self.rate)
    }
}

fn sample(rate: ClockRate, packet: Pending, end: i64) -> Sample {
    let (at, end) = (Timestamp::from_ticks(packet.at, rate), Timestamp::from_ticks(end, rate));
    Sample {
        kind: MediaKind::Audio,
        dts: at,
        pts: at,
        duration: end - at,
        keyframe: true,
        prefix: Bytes::new(),
        payload: packet.payload,
    }
}
