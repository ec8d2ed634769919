//! When a line is measured all the time, and when a glance now and then will do.
//!
//! Feedback costs a datagram and a wake-up each 50 to 100 ms, of each viewer. Receivers give it about packets that carry
//! a number alone, so on a line that is calm the numbers are left out, but for those of a *glance*: what is sent in one
//! go, each half second. Its feedback tells of a queue, of losses, and by staying away of both; so the watch needs no
//! receiver reports, which are rarer and not everybody's. What is asked for again is a sign as well, and the fastest
//! where a short queue overflows. With the first sign everything is numbered again.

use super::delay::Signal;
use super::transport::Report;
use std::time::{Duration, Instant};

/// Everything is numbered for so long after a sign of trouble, and at the beginning.
const WATCH: Duration = Duration::from_secs(10);
/// Where several transports share a line, each is heard again within so long.
const SETTLING: Duration = Duration::from_millis(400);
/// Between glances. A line that is cut goes unnoticed for no longer than this and the patience below.
const GLANCE_INTERVAL: Duration = Duration::from_millis(500);
/// Receivers give feedback each 50 to 250 ms. What has not come so long behind its time stays away.
const PATIENCE: Duration = Duration::from_millis(300);
/// The round trip is taken to be no longer, so that nobody makes us wait.
const MAX_ROUND_TRIP: Duration = Duration::from_secs(1);
/// A queue that is longer than this in all that a feedback tells of is a sign ...
const QUEUE: Duration = Duration::from_millis(50);
/// ... as are so many packets lost in it ...
const LOST: i32 = 2;
/// ... or more than so many asked for again within a while ...
const ASKED: u32 = 2;
const ASKED_WITHIN: Duration = Duration::from_millis(300);
/// ... or this share of them missing in a receiver report.
const FRACTION_LOST: f64 = 0.04;

/// Says whether a line is calm.
#[derive(Debug, Default)]
pub struct Vigilance {
    /// Until when everything is numbered; `None` as long as nothing was sent.
    until: Option<Instant>,
    /// When that began again.
    since: Option<Instant>,
}

/// What is numbered on one transport of a line that is calm, and what comes of it.
#[derive(Debug, Default)]
pub(super) struct Glances {
    /// When something was numbered last.
    last: Option<Instant>,
    /// Since when feedback is waited for.
    awaited: Option<Instant>,
    round_trip: Duration,
    /// Packets that were asked for again, since.
    asked: Option<(Instant, u32)>,
}

impl Vigilance {
    /// A transport begins, what is sent changes much, or there is a sign of trouble.
    pub fn alarm(&mut self, now: Instant) {
        if self.until.is_some_and(|until| until <= now) {
            self.since = Some(now);
        }
        self.until = Some(now + WATCH);
    }

    /// Whether numbers may be left out. A line that has shown a bound is measured for good: it may be wide again.
    pub fn is_calm(&self, now: Instant, has_bound: bool) -> bool {
        !has_bound && self.until.is_some_and(|until| until <= now)
    }

    /// Takes what a feedback says.
    pub fn report(&mut self, now: Instant, report: &Report) {
        let is_queued = report.queue.is_some_and(|queue| queue > QUEUE);
        if report.signal == Signal::Over || report.lost >= LOST || is_queued {
            self.alarm(now);
        }
    }

    /// Takes the share of packets lost, 0 to 1, of a receiver report.
    pub fn receiver_report(&mut self, now: Instant, fraction_lost: f64) {
        if fraction_lost > FRACTION_LOST {
            self.alarm(now);
        }
    }

    /// Whether all transports have had the time to be heard since everything is numbered.
    pub fn is_settled(&self, now: Instant) -> bool {
        self.since.is_none_or(|since| now.saturating_duration_since(since) >= SETTLING)
    }
}

impl Glances {
    /// Something goes out with numbers.
    pub(super) fn numbered(&mut self, now: Instant) {
        self.last = Some(now);
        self.awaited.get_or_insert(now);
    }

    /// Whether what goes out now is to be numbered though the line is calm.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.last.is_none_or(|last| now.saturating_duration_since(last) >= GLANCE_INTERVAL)
    }

    /// Whether feedback has stayed away, which is a sign of trouble. Says so once.
    pub(super) fn take_missed(&mut self, now: Instant) -> bool {
        let patience = self.round_trip + PATIENCE;
        let is_missed = self.awaited.is_some_and(|since| now.saturating_duration_since(since) > patience);
        if is_missed {
            self.awaited = None;
        }
        is_missed
    }

    /// Feedback has come so long after what it tells of was sent.
    pub(super) fn answered(&mut self, round_trip: Option<Duration>) {
        self.awaited = None;
        self.round_trip = round_trip.map_or(self.round_trip, |time| time.min(MAX_ROUND_TRIP));
    }

    /// So many packets are asked for again; true if that is a sign of trouble and not a stray packet.
    pub(super) fn asked(&mut self, now: Instant, packets: u32) -> bool {
        let is_over = |since: Instant| now.saturating_duration_since(since) > ASKED_WITHIN;
        let (since, before) = self.asked.filter(|(since, _)| !is_over(*since)).unwrap_or((now, 0));
        let asked = before.saturating_add(packets);
        self.asked = Some((since, asked));
        asked > ASKED
    }
}

#[cfg(test)]
mod tests {
    use super::super::simulation::start;
    use super::*;

    fn at(ms: u64) -> Instant {
        start() + Duration::from_millis(ms)
    }

    #[test]
    fn a_line_is_calm_some_time_after_the_last_sign_and_not_before_the_first() {
        let mut vigilance = Vigilance::default();
        assert!(!vigilance.is_calm(at(60_000), false), "nothing was sent");
        vigilance.alarm(at(0));
        assert!(!vigilance.is_calm(at(9_999), false) && vigilance.is_calm(at(10_000), false));
        assert!(!vigilance.is_calm(at(10_000), true), "it has a bound");
        vigilance.alarm(at(9_000));
        assert!(!vigilance.is_calm(at(18_999), false) && vigilance.is_calm(at(19_000), false));
    }

    #[test]
    fn it_is_settled_once_all_are_heard_and_stays_so() {
        let mut vigilance = Vigilance::default();
        assert!(vigilance.is_settled(at(0)));
        vigilance.alarm(at(0));
        assert!(vigilance.is_settled(at(1)), "nothing was left out before");
        vigilance.alarm(at(30_000));
        assert!(!vigilance.is_settled(at(30_399)) && vigilance.is_settled(at(30_400)));
        vigilance.alarm(at(35_000));
        assert!(vigilance.is_settled(at(35_001)), "it goes on");
    }

    #[test]
    fn a_glance_is_due_each_half_second_and_its_answer_within_its_time() {
        let mut glances = Glances::default();
        assert!(glances.is_due(at(0)) && !glances.take_missed(at(0)));
        glances.numbered(at(0));
        assert!(!glances.is_due(at(499)) && glances.is_due(at(500)));
        assert!(!glances.take_missed(at(300)) && glances.take_missed(at(301)));
        assert!(!glances.take_missed(at(302)), "once");
        glances.numbered(at(500));
        glances.answered(Some(Duration::from_millis(200)));
        assert!(!glances.take_missed(at(60_000)), "nothing is awaited");
        glances.numbered(at(1_000));
        glances.numbered(at(1_200));
        assert!(!glances.take_missed(at(1_500)) && glances.take_missed(at(1_501)));
        glances.answered(Some(Duration::from_secs(3_600)));
        glances.numbered(at(2_000));
        assert!(glances.take_missed(at(3_301)), "no answer makes us wait for long");
    }

    #[test]
    fn queues_and_losses_are_signs_and_stray_packets_are_none() {
        let is_sign = |act: &dyn Fn(&mut Vigilance)| {
            let mut vigilance = Vigilance::default();
            vigilance.alarm(at(0));
            act(&mut vigilance);
            !vigilance.is_calm(at(15_000), false)
        };
        let tells = |lost, queue, signal| {
            let queue = Some(Duration::from_millis(queue));
            let report = Report { lost, queue, signal, ..Report::default() };
            is_sign(&|vigilance| vigilance.report(at(6_000), &report))
        };
        assert!(!tells(1, 50, Signal::Normal) && !tells(-3, 0, Signal::Under));
        assert!(tells(2, 0, Signal::Normal) && tells(0, 51, Signal::Normal) && tells(0, 20, Signal::Over));
        let reports = |fraction| is_sign(&|vigilance| vigilance.receiver_report(at(6_000), fraction));
        assert!(!reports(0.02) && reports(0.05) && !reports(f64::NAN));
    }

    #[test]
    fn what_is_asked_for_again_counts_for_a_moment() {
        let mut glances = Glances::default();
        assert!(!glances.asked(at(0), 1) && !glances.asked(at(300), 1));
        assert!(!glances.asked(at(301), 2), "the others were before");
        assert!(glances.asked(at(302), 1) && glances.asked(at(303), u32::MAX));
    }
}
