//! Probing: finding out whether a line carries more, by sending more for a while.
//!
//! A probe is a ramp, not a burst: the rate grows by a quarter at a time, and stops with the first sign of a queue. So
//! where the line is as narrow as before, it costs whoever listens some tens of milliseconds of delay and no packet.

use super::delay::Signal;
use super::transport::Report;
use crate::time::BitRate;
use std::time::{Duration, Instant};

/// By how much a step is faster than the one before, in per cent.
const STEP: u32 = 125;
/// A step lasts for as long as its feedback takes to come back and some more, and no less than this.
const MIN_STEP: Duration = Duration::from_millis(150);
const MAX_STEP: Duration = Duration::from_millis(600);
const STEP_MARGIN: Duration = Duration::from_millis(50);
/// The rate at the top is held for so long: then the throughput is that of this rate alone.
const HOLD: Duration = Duration::from_millis(600);
/// So many per cent of the target must arrive in this time.
const ENOUGH: u32 = 93;
/// A queue that is longer than this, and than before the probe, is of the probe's making.
const QUEUE: Duration = Duration::from_millis(30);
/// Nothing is heard for so long: the feedback has drowned, too.
const SILENCE: Duration = Duration::from_millis(700);

/// Between the end of one probe and the next: after a success, and after the first failure; each further one makes it
/// longer by a half, up to a bound.
const AFTER_SUCCESS: Duration = Duration::from_millis(500);
pub(super) const AFTER_FAILURE: Duration = Duration::from_secs(3);
const MAX_WAIT: Duration = Duration::from_secs(8);
/// Padding that was not sent in time is made up for within so long, and what was sent too early likewise.
const CREDIT: Duration = Duration::from_millis(100);

/// A probe that is running.
#[derive(Debug)]
pub(super) struct Probe {
    rate: BitRate,
    target: BitRate,
    step: Duration,
    step_began: Instant,
    heard: Instant,
    queue_before: Duration,
    /// What arrived before.
    proven: BitRate,
}

/// Says how much padding brings what is sent anyway up to a rate.
#[derive(Debug, Default)]
pub struct Filler {
    last: Option<(Instant, u64)>,
    /// Bytes that are due; negative where media ran ahead.
    credit: i64,
}

/// What a probe has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// It goes on.
    Open,
    /// All that was sent has arrived in time; the line carries this.
    Passed(BitRate),
    /// The line cannot carry that much.
    Failed {
        /// What it carried before the probe.
        proven: BitRate,
    },
}

/// When to probe.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    not_before: Option<Instant>,
    failures: u32,
}

impl Probe {
    /// Begins at what arrives now.
    pub(super) fn new(now: Instant, proven: BitRate, target: BitRate, last: &Report) -> Self {
        let feedback = last.round_trip.unwrap_or_default() + STEP_MARGIN;
        Self {
            rate: proven.percent(STEP).max(BitRate::from_kbps(50)).min(target),
            target,
            step: feedback.clamp(MIN_STEP, MAX_STEP),
            step_began: now,
            heard: now,
            queue_before: last.queue.unwrap_or_default(),
            proven,
        }
    }

    /// At which rate the line is to be filled now, media included.
    pub(super) fn rate(&mut self, now: Instant) -> BitRate {
        while self.rate < self.target && now.saturating_duration_since(self.step_began) >= self.step {
            self.rate = self.rate.percent(STEP).min(self.target);
            self.step_began += self.step;
        }
        self.rate
    }

    /// Takes what a feedback says meanwhile.
    pub(super) fn report(&mut self, now: Instant, report: &Report, throughput: BitRate) -> Outcome {
        self.heard = now;
        let queue = report.queue.unwrap_or_default().saturating_sub(self.queue_before);
        let is_lossy = report.lost >= 2 && report.lost.unsigned_abs() * 10 > report.arrived;
        if report.signal == Signal::Over || queue > QUEUE || is_lossy {
            return Outcome::Failed { proven: self.proven };
        }
        let held = now.saturating_duration_since(self.step_began);
        if self.rate(now) < self.target || held < HOLD + self.step {
            return Outcome::Open;
        }
        if throughput >= self.target.percent(ENOUGH) {
            return Outcome::Passed(self.target);
        }
        // Less was sent than was to be. What has arrived has proved that much.
        if held < 2 * HOLD + self.step { Outcome::Open } else { Outcome::Passed(throughput) }
    }

    /// Whether feedback has stayed away.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.heard) > SILENCE + self.step
    }

    /// What arrived before.
    pub(super) const fn proven(&self) -> BitRate {
        self.proven
    }
}

impl Filler {
    /// Begins anew with the next call.
    pub const fn reset(&mut self) {
        self.last = None;
        self.credit = 0;
    }

    /// Bytes of padding that are due now, where so many bytes have been `sent` in all.
    pub fn due(&mut self, now: Instant, rate: BitRate, sent: u64) -> usize {
        let (since, before) = self.last.replace((now, sent)).unwrap_or((now, sent));
        let due = rate.bytes_in(now.saturating_duration_since(since));
        let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        let most = signed(rate.bytes_in(CREDIT));
        let credit =
            self.credit.saturating_add(signed(due)).saturating_sub(signed(sent.saturating_sub(before)));
        self.credit = credit.clamp(-most, most);
        usize::try_from(self.credit).unwrap_or(0)
    }
}

impl Schedule {
    /// Whether it is time.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|at| at <= now)
    }

    /// The line has just proved too narrow for what was sent without a probe.
    pub(super) fn congested(&mut self, now: Instant) {
        self.not_before = Some(now + AFTER_FAILURE);
        self.failures = 0;
    }

    pub(super) fn passed(&mut self, now: Instant) {
        self.not_before = Some(now + AFTER_SUCCESS);
        self.failures = 0;
    }

    pub(super) fn failed(&mut self, now: Instant) {
        let wait = AFTER_FAILURE.mul_f64(1.5f64.powi(self.failures.min(8) as i32)); // at most 8
        self.failures += 1;
        self.not_before = Some(now + wait.min(MAX_WAIT));
    }
}
