//! One estimate for a line, of what its transports report.

use super::delay::Signal;
use super::probe::{Outcome, Probe, Schedule};
use super::transport::Report;
use crate::time::BitRate;
use std::time::{Duration, Instant};

/// Where a queue builds up, the line carries about what arrives; to empty the queue, send so many per cent of it.
const BACK_OFF: u32 = 85;
/// Where it still builds up thereafter, so many per cent of the estimate.
const BACK_OFF_AGAIN: u32 = 90;
/// Between two decreases: the effect of the first must have been seen. Longer where the round trip is.
const DECREASE_INTERVAL: Duration = Duration::from_millis(200);
/// A decrease within so long after another is one of the same trouble.
const SAME_TROUBLE: Duration = Duration::from_millis(1_500);
/// Losses are looked at over so long, and so many packets.
const LOSS_INTERVAL: Duration = Duration::from_millis(300);
const LOSS_PACKETS: u32 = 20;
/// A loss beyond this, in per cent, lowers the estimate by half of it ...
const HIGH_LOSS: f64 = 10.0;
/// ... beyond this to what arrives ...
const HEAVY_LOSS: f64 = 25.0;
/// ... and below this is none of the line's doing. In between nothing is raised.
const LOW_LOSS: f64 = 2.0;
/// A queue that stays longer than this while packets are lost is full, though it grows no more.
const STANDING_QUEUE: Duration = Duration::from_millis(50);
const STANDING: Duration = Duration::from_millis(500);
/// Without trouble for so long, the line carries at least what arrives, and the estimate grows.
const CALM: Duration = Duration::from_secs(1);
/// Growth in a second, in per cent; no further than to half as much again as what arrives, and a little.
const GROWTH: f64 = 8.0;
const GROWTH_BOUND: u32 = 150;
const GROWTH_MARGIN: BitRate = BitRate::from_kbps(10);
/// No line is taken to be narrower.
const FLOOR: BitRate = BitRate::from_kbps(20);

/// Estimates what a line carries.
#[derive(Debug, Default)]
pub struct Controller {
    /// `None` as long as everything has arrived in time.
    estimate: Option<BitRate>,
    /// What arrives, and the last report.
    throughput: BitRate,
    last: Report,
    heard: Option<Instant>,
    decreased: Option<Instant>,
    loss: Loss,
    standing_since: Option<Instant>,
    /// What would be of use.
    aim: Option<BitRate>,
    probe: Option<Probe>,
    schedule: Schedule,
}

/// Packets since losses were last looked at.
#[derive(Debug, Default)]
struct Loss {
    since: Option<Instant>,
    arrived: u32,
    lost: i32,
    /// In per cent, as seen last.
    last: f64,
}

impl Controller {
    /// Knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the line carries: all datagrams of all its transports. `None` while nothing has shown a bound.
    pub const fn estimate(&self) -> Option<BitRate> {
        self.estimate
    }

    /// Takes a report of one of the transports. `throughput` is the sum over all of them.
    pub fn report(&mut self, now: Instant, report: &Report, throughput: BitRate) {
        let before = self.heard.replace(now);
        self.last = *report;
        let loss = self.loss.add(now, report);
        self.note_queue(now, report.queue);
        // While it is not known how fast things arrive, no bound can be told.
        if self.estimate.is_none() && report.throughput.is_none() {
            return;
        }
        self.throughput = throughput;
        if let Some(outcome) = self.probe.as_mut().map(|probe| probe.report(now, report, throughput)) {
            match outcome {
                Outcome::Open => {}
                Outcome::Passed(proven) => self.probe_passed(now, proven),
                Outcome::Failed { proven } => self.probe_failed(now, proven),
            }
            return;
        }
        if report.signal == Signal::Over || self.is_full(now) {
            self.decrease(now, throughput.percent(BACK_OFF));
        } else if let Some(loss) = loss.filter(|loss| *loss > HIGH_LOSS) {
            self.decrease(now, self.after_loss(loss, throughput));
        } else if report.signal == Signal::Normal && self.loss.last < LOW_LOSS {
            let span = before.map_or(Duration::ZERO, |before| now.saturating_duration_since(before));
            self.increase(now, span);
        }
    }

    /// Takes the share of packets lost, 0 to 1, of a receiver that says no more than that (RFC 3550, section 6.4.1), of
    /// what was `sent` a second meanwhile. With it the estimate is no more than a guess: it grows until losses come.
    pub fn receiver_report(&mut self, now: Instant, fraction_lost: f64, sent: BitRate) {
        let before = self.heard.replace(now);
        let loss = fraction_lost.clamp(0.0, 1.0) * 100.0;
        self.throughput = scaled(sent, 100.0 - loss);
        if loss > HIGH_LOSS {
            self.decrease(now, self.after_loss(loss, self.throughput));
        } else if loss < LOW_LOSS && self.is_calm(now) {
            let span = before.map_or(Duration::ZERO, |before| now.saturating_duration_since(before));
            self.estimate = self.estimate.map(|estimate| grown(estimate, span));
        }
    }

    /// Nothing has come back for a while, although enough was sent.
    pub fn silent(&mut self, now: Instant) {
        if let Some(probe) = self.probe.take() {
            self.schedule.failed(now);
            self.decrease(now, probe.proven());
        } else {
            let base = self.estimate.unwrap_or(self.throughput).min(self.throughput);
            self.decrease(now, base.percent(50));
        }
    }

    /// What would be of use, if the line carried it; `None`: nothing more than there is. A probe goes up to there.
    pub const fn set_aim(&mut self, aim: Option<BitRate>) {
        self.aim = aim;
    }

    /// At which rate the line is to be filled now, media included, to find out whether it carries more. Begins a probe
    /// when one is due; to be asked with each feedback and, while it gives a rate, every few milliseconds.
    pub fn probe(&mut self, now: Instant) -> Option<BitRate> {
        let target = self.aim.filter(|aim| self.estimate.is_some_and(|estimate| estimate < *aim));
        let Some(target) = target else {
            self.probe = None;
            return None;
        };
        if self.probe.as_ref().is_some_and(|probe| probe.is_silent(now)) {
            self.silent(now);
            return None;
        }
        if self.probe.is_none() && self.is_calm(now) && self.schedule.is_due(now) {
            // Where nothing is sent any more nothing is heard either: the probe's own padding brings feedback. It begins
            // from nothing, and ends by itself where none comes.
            let (arrives, last) =
                if self.is_heard(now) { (self.throughput, self.last) } else { Default::default() };
            self.probe = Some(Probe::new(now, arrives, target, &last));
        }
        self.probe.as_mut().map(|probe| probe.rate(now))
    }

    /// Whether a probe is under way.
    pub const fn is_probing(&self) -> bool {
        self.probe.is_some()
    }

    fn probe_passed(&mut self, now: Instant, proven: BitRate) {
        self.probe = None;
        self.schedule.passed(now);
        self.estimate = self.estimate.map(|estimate| estimate.max(proven));
    }

    fn probe_failed(&mut self, now: Instant, proven: BitRate) {
        self.probe = None;
        self.schedule.failed(now);
        // A queue has built up, so what arrived is what the line carries, if the throughput has caught up with the ramp.
        self.estimate = Some(self.throughput.percent(BACK_OFF).max(proven).max(FLOOR));
        self.decreased = Some(now);
        self.standing_since = None;
    }

    fn after_loss(&self, loss: f64, throughput: BitRate) -> BitRate {
        if loss > HEAVY_LOSS {
            return throughput.percent(BACK_OFF);
        }
        // What was sent, of which `throughput` is what is left.
        let sent = scaled(throughput, 10_000.0 / (100.0 - loss));
        let base = self.estimate.map_or(sent, |estimate| estimate.min(sent));
        scaled(base, 100.0 - loss / 2.0).max(throughput)
    }

    fn decrease(&mut self, now: Instant, to: BitRate) {
        let interval = DECREASE_INTERVAL.max(self.last.round_trip.unwrap_or_default().min(CALM));
        let since = self.decreased.map(|at| now.saturating_duration_since(at));
        if since.is_some_and(|since| since < interval) {
            return;
        }
        let again = since.is_some_and(|since| since < SAME_TROUBLE);
        let lower = match self.estimate {
            Some(estimate) if to >= estimate && again => estimate.percent(BACK_OFF_AGAIN),
            Some(estimate) => estimate.min(to),
            None => to,
        };
        self.estimate = Some(lower.max(FLOOR));
        self.decreased = Some(now);
        self.standing_since = None;
        self.schedule.congested(now);
    }

    fn increase(&mut self, now: Instant, span: Duration) {
        let Some(estimate) = self.estimate.filter(|_| self.is_calm(now)) else { return };
        let bound = self.throughput.percent(GROWTH_BOUND) + GROWTH_MARGIN;
        self.estimate = Some(grown(estimate, span).min(bound).max(estimate).max(self.throughput));
    }

    fn note_queue(&mut self, now: Instant, queue: Option<Duration>) {
        match queue {
            Some(queue) if queue > STANDING_QUEUE => {
                self.standing_since.get_or_insert(now);
            }
            Some(_) => self.standing_since = None,
            None => {}
        }
    }

    /// Whether a queue has been standing for some time, and packets are lost at its end.
    fn is_full(&self, now: Instant) -> bool {
        self.loss.last >= LOW_LOSS
            && self.standing_since.is_some_and(|since| now.saturating_duration_since(since) > STANDING)
    }

    fn is_calm(&self, now: Instant) -> bool {
        self.decreased.is_none_or(|at| now.saturating_duration_since(at) > CALM)
    }

    fn is_heard(&self, now: Instant) -> bool {
        self.heard.is_some_and(|at| now.saturating_duration_since(at) < CALM)
    }
}

impl Loss {
    /// Counts; gives the share lost in per cent when there is enough to tell.
    fn add(&mut self, now: Instant, report: &Report) -> Option<f64> {
        let since = *self.since.get_or_insert(now);
        self.arrived = self.arrived.saturating_add(report.arrived);
        self.lost = self.lost.saturating_add(report.lost);
        let lost = u32::try_from(self.lost).unwrap_or(0);
        let total = self.arrived.saturating_add(lost);
        if now.saturating_duration_since(since) < LOSS_INTERVAL || total < LOSS_PACKETS {
            return None;
        }
        self.last = 100.0 * f64::from(lost) / f64::from(total);
        (self.since, self.arrived, self.lost) = (Some(now), 0, 0);
        Some(self.last)
    }
}

fn grown(estimate: BitRate, span: Duration) -> BitRate {
    scaled(estimate, 100.0 + GROWTH * span.min(CALM).as_secs_f64())
}

/// So many per cent of a rate, which may be fractions.
fn scaled(rate: BitRate, percent: f64) -> BitRate {
    BitRate::from_bps((rate.bps() as f64 * percent.max(0.0) / 100.0) as u64) // saturates
}
