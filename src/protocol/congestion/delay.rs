//! Whether a queue builds up on the way: the variation of one-way delay, its trend, and a detector with a threshold that
//! adapts (draft-ietf-rmcat-gcc-02, section 5; the trend by least squares takes the place of the Kalman filter).

use crate::protocol::rtp::twcc::Arrived;
use std::time::{Duration, Instant};

/// Packets sent within this time of each other are one burst. Its first packet alone is looked at: those behind it queue
/// up behind it, as what we send is not paced.
const BURST: Duration = Duration::from_millis(5);
/// A delay that changes by more than this from burst to burst, in ms, is a leap of the peer's clock.
const LEAP: f64 = 3_000.0;
/// Bursts over which the trend is taken.
const WINDOW: usize = 20;
/// How much of the smoothed delay stays with each burst.
const SMOOTHING: f64 = 0.9;
/// Brings the slope to the scale of the threshold, in which bursts are counted up to a number.
const GAIN: f64 = 4.0;
const MAX_COUNTED: u32 = 60;
/// The threshold in ms: its start and its ends, and by how much it follows a trend above and below it, a millisecond.
const THRESHOLD: f64 = 12.5;
const MIN_THRESHOLD: f64 = 6.0;
const MAX_THRESHOLD: f64 = 600.0;
const FOLLOW_UP: f64 = 0.0087;
const FOLLOW_DOWN: f64 = 0.039;
/// The threshold does not follow a trend this far beyond it, which is no noise.
const OUTLIER: f64 = 15.0;
/// The trend stands above the threshold for so many ms before it counts.
const PATIENCE: f64 = 10.0;
/// A queue that is shorter than this, in ms, is none.
const MIN_QUEUE: f64 = 10.0;
/// The lowest delay is remembered for one to two of these, in ms: clocks drift, and routes change.
const LOWEST_KEPT: f64 = 15_000.0;

/// What the delays say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Signal {
    /// Nothing in particular.
    #[default]
    Normal,
    /// A queue builds up.
    Over,
    /// A queue empties.
    Under,
}

/// Looks at the delays of one transport.
#[derive(Debug, Default)]
pub(super) struct Delay {
    last: Option<Burst>,
    trend: Option<Trend>,
    /// The lowest delay of the queue in this feedback, in ms.
    queue: Option<f64>,
    signal: Signal,
}

#[derive(Clone, Copy, Debug)]
struct Burst {
    sent: Instant,
    arrived: Arrived,
}

/// All that is lost with a leap.
#[derive(Debug)]
struct Trend {
    origin: Arrived,
    /// One-way delay beyond that of the first burst, in ms, and the same smoothed.
    delay: f64,
    smoothed: f64,
    /// Arrival in ms since the origin, and smoothed delay.
    points: [(f64, f64); WINDOW],
    next: usize,
    counted: u32,
    slope: f64,
    threshold: f64,
    /// For how long the trend has stood above the threshold, in ms, and with how many bursts.
    above: f64,
    bursts_above: u32,
    /// The lowest delay since `lowest_since`, and in the span before.
    lowest: [f64; 2],
    lowest_since: f64,
    hypothesis: Signal,
}

impl Delay {
    /// Packets of another feedback follow.
    pub(super) const fn begin(&mut self) {
        self.queue = None;
        self.signal = Signal::Normal;
    }

    /// Takes a packet that has arrived; they come in the order of sending.
    pub(super) fn add(&mut self, sent: Instant, arrived: Arrived) {
        let Some(last) = self.last else {
            self.last = Some(Burst { sent, arrived });
            return;
        };
        let span = sent.saturating_duration_since(last.sent);
        if span <= BURST {
            return;
        }
        self.last = Some(Burst { sent, arrived });
        let span = span.as_secs_f64() * 1_000.0;
        let variation = arrived.millis_since(last.arrived) - span;
        if variation.abs() > LEAP {
            self.trend = None;
            return;
        }
        let trend = self.trend.get_or_insert_with(|| Trend::new(last.arrived));
        let hypothesis = trend.add(arrived, variation, span);
        // One detection in a feedback is enough.
        if self.signal != Signal::Over {
            self.signal = hypothesis;
        }
        let queue = trend.queue();
        self.queue = Some(self.queue.map_or(queue, |lowest| lowest.min(queue)));
    }

    /// What the packets of this feedback say. A queue that was empty in between does not build up: a stall of the air
    /// delays some packets and not others.
    pub(super) fn signal(&self) -> Signal {
        match self.signal {
            Signal::Over if self.queue.is_none_or(|queue| queue < MIN_QUEUE) => Signal::Normal,
            signal => signal,
        }
    }

    /// How long the queue on the way was at its lowest in this feedback, as far as it can be seen.
    pub(super) fn queue(&self) -> Option<Duration> {
        self.queue.map(|ms| Duration::from_secs_f64(ms.clamp(0.0, 60_000.0) / 1_000.0))
    }
}

impl Trend {
    const fn new(origin: Arrived) -> Self {
        Self {
            origin,
            delay: 0.0,
            smoothed: 0.0,
            points: [(0.0, 0.0); WINDOW],
            next: 0,
            counted: 0,
            slope: 0.0,
            threshold: THRESHOLD,
            above: 0.0,
            bursts_above: 0,
            lowest: [0.0; 2],
            lowest_since: 0.0,
            hypothesis: Signal::Normal,
        }
    }

    /// Takes the next burst: by how much its delay differs from that of the one before, and the time between the two.
    fn add(&mut self, arrived: Arrived, variation: f64, span: f64) -> Signal {
        let at = arrived.millis_since(self.origin);
        self.delay += variation;
        self.smoothed = SMOOTHING * self.smoothed + (1.0 - SMOOTHING) * self.delay;
        self.points[self.next] = (at, self.smoothed);
        self.next = (self.next + 1) % WINDOW;
        self.counted = self.counted.saturating_add(1);
        self.keep_lowest(at);
        if self.counted < WINDOW as u32 {
            return Signal::Normal;
        }
        let before = std::mem::replace(&mut self.slope, slope(&self.points));
        let trend = self.slope * GAIN * f64::from(self.counted.min(MAX_COUNTED));
        if trend > self.threshold {
            self.above += if self.bursts_above == 0 { span / 2.0 } else { span };
            self.bursts_above += 1;
            if self.above > PATIENCE && self.bursts_above > 1 && self.slope >= before {
                (self.above, self.bursts_above) = (0.0, 0);
                self.hypothesis = Signal::Over;
            }
        } else {
            (self.above, self.bursts_above) = (0.0, 0);
            self.hypothesis = if trend < -self.threshold { Signal::Under } else { Signal::Normal };
        }
        self.follow(trend, span);
        self.hypothesis
    }

    /// Lets the threshold follow the trend, so that jitter and the queues of others are not taken for ours.
    fn follow(&mut self, trend: f64, span: f64) {
        let beyond = trend.abs() - self.threshold;
        if beyond <= OUTLIER {
            let follow = if beyond < 0.0 { FOLLOW_DOWN } else { FOLLOW_UP };
            let threshold = self.threshold + follow * beyond * span.min(100.0);
            self.threshold = threshold.clamp(MIN_THRESHOLD, MAX_THRESHOLD);
        }
    }

    fn keep_lowest(&mut self, at: f64) {
        if at - self.lowest_since > LOWEST_KEPT {
            self.lowest = [self.delay, self.lowest[0]];
            self.lowest_since = at;
        }
        self.lowest[0] = self.lowest[0].min(self.delay);
    }

    /// The delay beyond the lowest, in ms.
    fn queue(&self) -> f64 {
        self.delay - self.lowest[0].min(self.lowest[1])
    }
}

/// The slope of the line through the points with the least squares; 0 where they all have one time.
fn slope(points: &[(f64, f64); WINDOW]) -> f64 {
    let count = WINDOW as f64;
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let (mut above, mut below) = (0.0, 0.0);
    for (x, y) in points {
        above += (x - mean_x) * (y - mean_y);
        below += (x - mean_x) * (x - mean_x);
    }
    if below > 0.0 { above / below } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::super::simulation::{arrived, start};
    use super::*;

    /// Bursts every 20 ms with these one-way delays in ms; how often each signal was given, and the last queue.
    fn signals(delays: impl IntoIterator<Item = i64>) -> (usize, usize, f64) {
        let (mut delay, mut over, mut under) = (Delay::default(), 0, 0);
        for (index, ms) in delays.into_iter().enumerate() {
            let at = index as i64 * 20;
            if index % 4 == 0 {
                delay.begin();
            }
            delay.add(start() + Duration::from_millis(at as u64), arrived(at + ms));
            over += usize::from(delay.signal() == Signal::Over);
            under += usize::from(delay.signal() == Signal::Under);
        }
        (over, under, delay.queue().unwrap().as_secs_f64() * 1_000.0)
    }

    #[test]
    fn a_growing_queue_is_seen_and_an_emptying_one() {
        let (over, under, queue) = signals((0..50).map(|_| 30).chain((0..25).map(|step| 30 + 4 * step)));
        assert!(over > 0 && under == 0 && (queue - 88.0).abs() < 1.0, "{over} {under} {queue}");
        let emptying = (0..50).map(|_| 130).chain((0..25).map(|step| 130 - 4 * step));
        let (over, under, queue) = signals(emptying);
        assert!(over == 0 && under > 0 && queue < 1.0, "{over} {under} {queue}");
    }

    #[test]
    fn steady_delays_jitter_and_a_lone_spike_are_none() {
        assert_eq!(signals((0..500).map(|_| 80)), (0, 0, 0.0));
        let (over, ..) = signals((0..5_000).map(|step: i64| 30 + (step * 7_919 % 21)));
        assert!(over <= 2, "{over}");
        let spike = (0..300).map(|step| if step == 150 { 180 } else { 30 });
        assert_eq!(signals(spike).0, 0);
    }

    #[test]
    fn what_is_sent_together_counts_once() {
        let mut delay = Delay::default();
        for burst in 0..100 {
            delay.begin();
            // A picture of ten packets takes 20 ms on the line, and the line is free before the next.
            for packet in 0..10 {
                let sent = start() + Duration::from_millis(33 * burst);
                delay.add(sent, arrived(33 * burst as i64 + 2 * packet));
            }
            assert_eq!(delay.signal(), Signal::Normal);
        }
        assert_eq!(delay.queue(), Some(Duration::ZERO));
    }

    #[test]
    fn leaps_of_the_peers_clock_start_anew() {
        let mut delay = Delay::default();
        for (step, leap) in [0, i64::MAX / 8, 0, i64::MIN / 8, -50_000, 50_000].into_iter().enumerate() {
            for burst in 0..30 {
                let at = 20 * (30 * step as i64 + burst);
                delay.begin();
                delay.add(start() + Duration::from_millis(at as u64), arrived(at.saturating_add(leap)));
                assert_eq!(delay.signal(), Signal::Normal, "{leap}");
            }
        }
        assert_eq!(delay.queue(), Some(Duration::ZERO));
    }
}
