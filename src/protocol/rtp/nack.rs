//! Asking for lost packets (RFC 4585, section 6.2.1): which, when, how often, and when to give up.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A packet is late rather than lost for so long ...
const REORDER_WAIT: Duration = Duration::from_millis(10);
/// ... or until this many have come behind it.
const REORDER_PACKETS: i64 = 3;
/// The way there and back, until a packet that was asked for has told better.
const FIRST_ROUND_TRIP: Duration = Duration::from_millis(60);
/// Never asks again faster than this, however short the way.
const MIN_RETRY: Duration = Duration::from_millis(20);
/// After as many requests a packet is given up ...
const MAX_REQUESTS: u8 = 8;
/// ... and after this time: what comes later would be played no more.
const MAX_AGE: Duration = Duration::from_millis(800);
/// A larger gap is not mended packet by packet: a key frame is cheaper.
const MAX_MISSING: usize = 512;

/// Watches the sequence numbers of one source.
#[derive(Debug)]
pub struct NackGenerator {
    may_ask: bool,
    highest: Option<i64>,
    missing: BTreeMap<i64, Missing>,
    given_up: u64,
    round_trip: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Missing {
    since: Instant,
    next: Instant,
    requests: u8,
    first_request: Option<Instant>,
}

impl NackGenerator {
    /// Knows nothing yet. A source that takes no requests has its lost packets given up at once.
    pub const fn new(may_ask: bool) -> Self {
        Self { may_ask, highest: None, missing: BTreeMap::new(), given_up: 0, round_trip: FIRST_ROUND_TRIP }
    }

    /// Notes that a packet came, by its unwrapped sequence number, on its own or as a retransmission.
    pub fn received(&mut self, sequence: i64, now: Instant) {
        let Some(highest) = self.highest else {
            self.highest = Some(sequence);
            return;
        };
        if sequence <= highest {
            if let Some(asked) = self.missing.remove(&sequence).and_then(|missing| missing.first_request) {
                self.measure(now.saturating_duration_since(asked));
            }
            return;
        }
        self.highest = Some(sequence);
        let gap = sequence.saturating_sub(highest) - 1;
        if gap > 0 && usize::try_from(gap).is_ok_and(|gap| self.missing.len() + gap <= MAX_MISSING) {
            let missing = Missing { since: now, next: now + REORDER_WAIT, requests: 0, first_request: None };
            self.missing.extend((highest + 1..sequence).map(|lost| (lost, missing)));
        } else if gap > 0 {
            self.given_up += gap.unsigned_abs() + self.missing.len() as u64; // usize is at most 64 bits
            self.missing.clear();
        }
        // Enough have come behind these: they are lost and not late.
        for (_, missing) in self.missing.range_mut(..=sequence - REORDER_PACKETS).rev() {
            if missing.requests > 0 || missing.next <= now {
                break; // so are all before it
            }
            missing.next = now;
        }
    }

    /// Begins anew: the source has jumped.
    pub fn reset(&mut self) {
        self.highest = None;
        self.missing.clear();
    }

    /// What is missing is not worth asking for.
    pub fn forget(&mut self) {
        self.missing.clear();
        self.given_up = 0;
    }

    /// When [`requests`](Self::requests) has something to do; `None` while nothing is missing.
    pub fn deadline(&self) -> Option<Instant> {
        self.missing.values().map(|missing| missing.next).min()
    }

    /// Appends the sequence numbers to ask for now, ascending. Asks again after a round trip and a bit.
    pub fn requests(&mut self, now: Instant, out: &mut Vec<u16>) {
        let retry = (self.round_trip + self.round_trip / 4).clamp(MIN_RETRY, MAX_AGE);
        let max_requests = if self.may_ask { MAX_REQUESTS } else { 0 };
        let before = self.missing.len();
        self.missing.retain(|sequence, missing| {
            if missing.next > now {
                return true;
            }
            if missing.requests == max_requests || now.saturating_duration_since(missing.since) >= MAX_AGE {
                return false;
            }
            missing.requests += 1;
            missing.first_request.get_or_insert(now);
            missing.next = now + retry;
            out.push(*sequence as u16); // sequence numbers are modulo 2^16 on the wire
            true
        });
        self.given_up += (before - self.missing.len()) as u64; // usize is at most 64 bits
    }

    /// Packets given up since the last call: above 0, a picture cannot be mended and a key frame is needed.
    pub const fn take_given_up(&mut self) -> u64 {
        std::mem::replace(&mut self.given_up, 0)
    }

    /// How many packets are missing now.
    pub fn missing(&self) -> usize {
        self.missing.len()
    }

    /// The way there and back, as requests and what came of them tell it.
    pub const fn round_trip(&self) -> Duration {
        self.round_trip
    }

    /// Since the first request, as nobody knows which of several was answered: too long where that one was lost, so a
    /// sample counts as twice the estimate at most.
    fn measure(&mut self, sample: Duration) {
        self.round_trip = (self.round_trip * 7 + sample.min(self.round_trip * 2).max(MIN_RETRY)) / 8;
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_start;
    use super::*;
    use proptest::prelude::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn asked(nack: &mut NackGenerator, now: Instant) -> Vec<u16> {
        let mut out = Vec::new();
        nack.requests(now, &mut out);
        out
    }

    #[test]
    fn a_gap_is_asked_for_after_a_moment_or_three_packets() {
        let (mut nack, start) = (NackGenerator::new(true), test_start());
        nack.received(65_534, start);
        nack.received(65_537, start);
        assert!(asked(&mut nack, start).is_empty(), "it may only be late");
        assert_eq!(nack.deadline(), Some(start + REORDER_WAIT));
        assert_eq!(asked(&mut nack, start + REORDER_WAIT), [65_535, 0]);
        nack.received(65_540, start + REORDER_WAIT);
        nack.received(65_541, start + REORDER_WAIT);
        assert_eq!(asked(&mut nack, start + REORDER_WAIT), [2], "the third behind it has come");
        assert_eq!(nack.missing(), 4);
    }

    #[test]
    fn a_late_packet_is_not_asked_for() {
        let (mut nack, start) = (NackGenerator::new(true), test_start());
        for sequence in [1, 3, 2] {
            nack.received(sequence, start);
        }
        assert_eq!((nack.deadline(), nack.missing()), (None, 0));
    }

    #[test]
    fn requests_are_repeated_and_given_up() {
        let (mut nack, start) = (NackGenerator::new(true), test_start());
        nack.received(1, start);
        nack.received(3, start);
        let mut requests = 0;
        while let Some(deadline) = nack.deadline() {
            assert!(deadline < start + MAX_AGE + ms(100));
            requests += asked(&mut nack, deadline).len();
        }
        assert_eq!(requests, usize::from(MAX_REQUESTS), "every 75 ms");
        assert_eq!((nack.take_given_up(), nack.take_given_up()), (1, 0));
    }

    #[test]
    fn the_way_there_and_back_is_learnt() {
        let (mut nack, start) = (NackGenerator::new(true), test_start());
        let mut now = start;
        for sequence in (0..200).step_by(2) {
            nack.received(sequence, now);
            now += REORDER_WAIT;
            asked(&mut nack, now);
            if sequence > 0 {
                nack.received(sequence - 1, now + ms(300));
            }
        }
        assert!(nack.round_trip() > ms(280) && nack.round_trip() <= ms(300), "{:?}", nack.round_trip());
        nack.received(1_000, now);
        nack.received(1_002, now);
        let mut requests = 0;
        while let Some(deadline) = nack.deadline() {
            requests += asked(&mut nack, deadline).len();
        }
        assert_eq!((requests, nack.take_given_up() > 0), (3, true), "too old after the third");
    }

    #[test]
    fn what_may_not_be_asked_for_is_given_up() {
        let (mut nack, start) = (NackGenerator::new(false), test_start());
        for sequence in [1, 3, 2, 5] {
            nack.received(sequence, start);
        }
        assert_eq!((asked(&mut nack, start), nack.take_given_up()), (vec![], 0), "4 may only be late");
        assert_eq!((asked(&mut nack, start + REORDER_WAIT), nack.take_given_up()), (vec![], 1));
    }

    #[test]
    fn a_large_gap_is_given_up_at_once() {
        let (mut nack, start) = (NackGenerator::new(true), test_start());
        nack.received(0, start);
        nack.received(MAX_MISSING as i64 + 1, start);
        assert_eq!((nack.missing(), nack.take_given_up()), (MAX_MISSING, 0));
        nack.received(MAX_MISSING as i64 + 3, start);
        assert_eq!((nack.missing(), nack.take_given_up()), (0, MAX_MISSING as u64 + 1));
        nack.received(i64::MAX, start);
        assert_eq!(nack.missing(), 0);
    }

    #[test]
    fn a_new_beginning_makes_the_past_irrelevant() {
        let (mut nack, start) = (NackGenerator::new(true), test_start());
        for sequence in [1, 5, 8] {
            nack.received(sequence, start);
        }
        assert_eq!(nack.missing(), 5);
        nack.reset();
        nack.received(100_000, start);
        assert_eq!((nack.missing(), nack.take_given_up()), (0, 0));
    }

    proptest! {
        /// Whatever is lost or reordered, what has come is asked for no more, and what has not is asked for or given up.
        #[test]
        fn asks_for_exactly_what_is_missing(
            steps in prop::collection::vec((prop::sample::select(vec![1i64, 1, 1, 1, 2, 3, -2]), 0u64..30), 1..300),
        ) {
            let (mut nack, start) = (NackGenerator::new(true), test_start());
            let (mut sequence, mut clock) = (0i64, 0);
            let mut came = std::collections::BTreeSet::from([0]);
            nack.received(0, start);
            for (step, wait) in steps {
                sequence = (sequence + step).max(0);
                clock += wait;
                let now = start + ms(clock);
                nack.received(sequence, now);
                came.insert(sequence);
                for lost in asked(&mut nack, now) {
                    prop_assert!(!came.contains(&i64::from(lost)), "{lost} has come");
                }
            }
            let absent = (0..*came.last().unwrap()).filter(|s| !came.contains(s)).count() as u64;
            let late = test_start() + ms(1_000_000);
            while nack.missing() > 0 {
                asked(&mut nack, late);
            }
            prop_assert!(nack.take_given_up() >= absent);
        }
    }
}
