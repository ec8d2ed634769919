//! How fast bytes arrive, on the receiver's clock: feedback comes in lumps, arrivals do not.

use crate::protocol::rtp::twcc::Arrived;
use crate::time::BitRate;
use std::time::Duration;

/// Arrivals are counted in slots of so many milliseconds ...
const SLOT: f64 = 25.0;
/// ... over so many slots.
const SLOTS: usize = 20;

/// Counts what arrives within the last half second.
#[derive(Debug, Default)]
pub(super) struct Throughput {
    origin: Option<Arrived>,
    slots: [u32; SLOTS],
    /// The latest slot, since the origin.
    latest: i64,
    /// Slots that have gone by since the origin, at most [`SLOTS`].
    filled: usize,
}

impl Throughput {
    /// Counts a packet. A clock that leaps, forwards or backwards, starts anew.
    pub(super) fn add(&mut self, at: Arrived, bytes: u32) {
        let origin = *self.origin.get_or_insert(at);
        let slot = (at.millis_since(origin) / SLOT) as i64; // saturates
        let step = slot.saturating_sub(self.latest);
        if step.unsigned_abs() >= 4 * SLOTS as u64 {
            *self = Self { origin: Some(at), ..Self::default() };
            self.count(0, bytes);
            return;
        }
        for passed in self.latest + 1..=slot {
            self.slots[index(passed)] = 0;
            self.filled = (self.filled + 1).min(SLOTS);
        }
        self.latest = self.latest.max(slot);
        // What comes late by more than all slots counts for none.
        if self.latest - slot < SLOTS as i64 {
            self.count(slot, bytes);
        }
    }

    /// The rate over the slots that are full. The latest still fills and is left out; `None` before there are four.
    pub(super) fn rate(&self) -> Option<BitRate> {
        let full = self.filled.min(SLOTS - 1);
        let newest = self.latest - 1;
        let bytes: u64 = (0..full as i64).map(|back| u64::from(self.slots[index(newest - back)])).sum();
        (full >= 4).then(|| BitRate::of(bytes, Duration::from_millis(SLOT as u64) * full as u32)) // at most SLOTS
    }

    fn count(&mut self, slot: i64, bytes: u32) {
        let slot = &mut self.slots[index(slot)];
        *slot = slot.saturating_add(bytes);
    }
}

/// The place of a slot in the ring.
const fn index(slot: i64) -> usize {
    slot.rem_euclid(SLOTS as i64) as usize // below SLOTS
}

#[cfg(test)]
mod tests {
    use super::super::simulation::arrived;
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_half_second() {
        let mut throughput = Throughput::default();
        assert_eq!(throughput.rate(), None);
        let add = |throughput: &mut Throughput, range: std::ops::Range<i64>, bytes| {
            range.step_by(5).for_each(|ms| throughput.add(arrived(ms), bytes));
        };
        add(&mut throughput, 0..1_000, 625);
        assert_eq!(throughput.rate(), Some(BitRate::from_kbps(1_000)));
        add(&mut throughput, 1_000..1_250, 125);
        let falling = throughput.rate().unwrap();
        assert!(falling > BitRate::from_kbps(500) && falling < BitRate::from_kbps(700), "{falling}");
        add(&mut throughput, 1_250..1_600, 125);
        assert_eq!(throughput.rate(), Some(BitRate::from_kbps(200)));
    }

    #[test]
    fn silence_lowers_it_and_leaps_start_anew() {
        let mut throughput = Throughput::default();
        (0..600).for_each(|ms| throughput.add(arrived(ms), 125));
        throughput.add(arrived(1_100), 125);
        assert!(throughput.rate().unwrap() < BitRate::from_kbps(10));
        for leap in [i64::MAX / 2, 0, i64::MIN / 2, 600] {
            throughput.add(arrived(leap), 125);
            assert_eq!(throughput.rate(), None, "{leap}");
        }
        throughput.add(arrived(590), 125);
        throughput.add(arrived(300), 125);
        assert_eq!(throughput.rate(), None, "late ones count where they belong, and no further back");
    }
}
