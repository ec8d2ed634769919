//! Puts packets back into order and waits, not too long, for those that are late or sent again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// More packets than this behind a gap, and the gap is given up: half a second of 20 Mbit/s.
const MAX_HELD: usize = 1_024;
/// A step further than this is a new start of the numbering and no loss.
const MAX_STEP: i64 = 4_096;

/// What comes out, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output<T> {
    /// The next packet.
    Packet(T),
    /// So many packets are missing here and are no longer waited for.
    Lost(u64),
}

/// A reorder buffer over unwrapped sequence numbers.
///
/// Packets in order pass at once. One behind a gap waits until the gap is filled, or until the first that waits has done
/// so for the given latency. Bounded: a gap with 1,024 packets behind it is given up.
#[derive(Debug)]
pub struct JitterBuffer<T> {
    latency: Duration,
    /// The number to come out next.
    next: Option<i64>,
    held: BTreeMap<i64, (Instant, T)>,
    /// When the first of those behind the current gap came.
    since: Option<Instant>,
    /// Lost and not yet told.
    lost: u64,
    late: u64,
}

impl<T> JitterBuffer<T> {
    /// Waits at most `latency` for a missing packet.
    pub const fn new(latency: Duration) -> Self {
        Self { latency, next: None, held: BTreeMap::new(), since: None, lost: 0, late: 0 }
    }

    /// Takes a packet that arrived at `now`. A repetition, or one whose place has passed, is counted and forgotten.
    pub fn insert(&mut self, now: Instant, sequence: i64, packet: T) {
        let next = *self.next.get_or_insert(sequence);
        if (sequence - next).abs() > MAX_STEP {
            self.lost += 1 + self.held.len() as u64; // usize is at most 64 bits
            self.held.clear();
            self.since = None;
            self.next = Some(sequence);
        } else if sequence < next || self.held.contains_key(&sequence) {
            self.late += 1;
            return;
        }
        self.since.get_or_insert(now);
        self.held.insert(sequence, (now, packet));
    }

    /// Nobody will bring what is missing from here on to the next packet, whatever its number: it is not waited for. What
    /// waits behind another gap is given up with it.
    pub fn cut(&mut self) {
        self.lost += self.held.len() as u64; // usize is at most 64 bits
        self.held.clear();
        (self.since, self.next) = (None, None);
    }

    /// What is due at `now`; ask until `None`.
    pub fn poll(&mut self, now: Instant) -> Option<Output<T>> {
        if self.lost > 0 {
            return Some(Output::Lost(std::mem::take(&mut self.lost)));
        }
        let (next, first) = (self.next?, *self.held.first_key_value()?.0);
        if first > next {
            let given_up =
                self.held.len() > MAX_HELD || self.deadline().is_some_and(|deadline| now >= deadline);
            if !given_up {
                return None;
            }
            self.next = Some(first);
            return Some(Output::Lost(first.abs_diff(next)));
        }
        let (_, (_, packet)) = self.held.pop_first()?;
        self.next = Some(next + 1);
        // Those behind the next gap have waited since the first of them came.
        let in_order = self.held.first_key_value().is_some_and(|(first, _)| *first == next + 1);
        if !in_order {
            self.since = self.held.values().map(|(arrived, _)| *arrived).min();
        }
        Some(Output::Packet(packet))
    }

    /// When the packets that wait are no longer held back; `None` while nothing waits.
    pub fn deadline(&self) -> Option<Instant> {
        self.since.map(|since| since + self.latency)
    }

    /// Packets that came when their place had passed.
    pub const fn late(&self) -> u64 {
        self.late
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Output::{Lost, Packet};
    use proptest::prelude::*;

    const LATENCY: Duration = Duration::from_millis(200);

    #[expect(clippy::disallowed_methods, reason = "any instant will do; none can be made otherwise")]
    fn some_instant() -> Instant {
        Instant::now()
    }

    fn drain(buffer: &mut JitterBuffer<i64>, now: Instant) -> Vec<Output<i64>> {
        std::iter::from_fn(|| buffer.poll(now)).collect()
    }

    #[test]
    fn order_passes_at_once_and_gaps_wait() {
        let (mut buffer, start) = (JitterBuffer::new(LATENCY), some_instant());
        let at = |ms| start + Duration::from_millis(ms);
        buffer.insert(at(0), 10, 10);
        assert_eq!(drain(&mut buffer, at(0)), [Packet(10)]);
        assert_eq!(buffer.deadline(), None);
        buffer.insert(at(10), 13, 13);
        buffer.insert(at(20), 12, 12);
        assert_eq!(drain(&mut buffer, at(20)), []);
        assert_eq!(buffer.deadline(), Some(at(210)), "counted from the first that waits");
        buffer.insert(at(60), 11, 11);
        assert_eq!(drain(&mut buffer, at(60)), [Packet(11), Packet(12), Packet(13)]);
        assert_eq!(buffer.deadline(), None);
    }

    #[test]
    fn a_gap_is_given_up_in_time() {
        let (mut buffer, start) = (JitterBuffer::new(LATENCY), some_instant());
        let at = |ms| start + Duration::from_millis(ms);
        for (ms, sequence) in [(0, 0), (10, 2), (100, 5)] {
            buffer.insert(at(ms), sequence, sequence);
        }
        assert_eq!(drain(&mut buffer, at(209)), [Packet(0)]);
        assert_eq!(drain(&mut buffer, at(210)), [Lost(1), Packet(2)]);
        assert_eq!(buffer.deadline(), Some(at(300)));
        buffer.insert(at(220), 1, 1);
        assert_eq!((drain(&mut buffer, at(220)), buffer.late()), (vec![], 1));
        assert_eq!(drain(&mut buffer, at(300)), [Lost(2), Packet(5)]);
    }

    #[test]
    fn behind_a_cut_nothing_is_waited_for() {
        let (mut buffer, now) = (JitterBuffer::new(Duration::from_millis(50)), some_instant());
        for sequence in [1, 3, 4] {
            buffer.insert(now, sequence, sequence);
        }
        assert_eq!(drain(&mut buffer, now), [Packet(1)]);
        buffer.cut();
        buffer.insert(now, 30, 30);
        assert_eq!(drain(&mut buffer, now), [Lost(2), Packet(30)]);
        buffer.insert(now, 5, 5);
        assert_eq!((drain(&mut buffer, now), buffer.deadline()), (vec![], None), "of before the cut");
    }

    #[test]
    fn what_waits_is_bounded() {
        let (mut buffer, now) = (JitterBuffer::new(LATENCY), some_instant());
        buffer.insert(now, 0, 0);
        assert_eq!(drain(&mut buffer, now), [Packet(0)]);
        for sequence in 2..2 + MAX_HELD as i64 {
            buffer.insert(now, sequence, sequence);
        }
        assert_eq!(drain(&mut buffer, now), []);
        buffer.insert(now, 2_000, 2_000);
        assert_eq!(drain(&mut buffer, now)[..2], [Lost(1), Packet(2)]);
    }

    #[test]
    fn a_new_numbering_starts_anew() {
        let (mut buffer, now) = (JitterBuffer::new(LATENCY), some_instant());
        buffer.insert(now, 0, 0);
        buffer.insert(now, 2, 2);
        buffer.insert(now, 20_000, 20_000);
        assert_eq!(drain(&mut buffer, now), [Lost(3), Packet(20_000)]);
        buffer.insert(now, 3, 3);
        assert_eq!(drain(&mut buffer, now), [Lost(1), Packet(3)]);
    }

    proptest! {
        #[test]
        fn any_order_within_the_latency_comes_out_sorted(order in Just((1..200i64).collect::<Vec<_>>()).prop_shuffle()) {
            let (mut buffer, now) = (JitterBuffer::new(LATENCY), some_instant());
            let mut out = Vec::new();
            for sequence in std::iter::once(0).chain(order) {
                buffer.insert(now, sequence, sequence);
                out.extend(drain(&mut buffer, now));
            }
            prop_assert_eq!(out, (0..200).map(Packet).collect::<Vec<_>>());
        }
    }
}
