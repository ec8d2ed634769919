//! A rate from a counter.

use super::BitRate;
use std::time::{Duration, Instant};

/// How often the rate is taken anew.
const INTERVAL: Duration = Duration::from_millis(500);
/// How much of a rate stays with each measurement, in per cent: key pictures come seconds apart, and are large.
const INERTIA: u32 = 75;

/// Makes a rate of a count of bytes that is read now and then.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meter {
    last: Option<(Instant, u64)>,
    rate: BitRate,
}

impl Meter {
    /// Nothing has been read.
    pub const fn new() -> Self {
        Self { last: None, rate: BitRate::ZERO }
    }

    /// Takes the count as it is now; gives the rate, which is zero until half a second has been measured.
    pub fn read(&mut self, now: Instant, count: u64) -> BitRate {
        let Some((since, before)) = self.last else {
            self.last = Some((now, count));
            return self.rate;
        };
        let span = now.saturating_duration_since(since);
        if span >= INTERVAL {
            self.last = Some((now, count));
            let rate = BitRate::of(count.saturating_sub(before), span);
            self.rate = match self.rate {
                BitRate::ZERO => rate,
                before => before.percent(INERTIA) + rate.percent(100 - INERTIA),
            };
        }
        self.rate
    }

    /// The rate that was read last.
    pub const fn rate(&self) -> BitRate {
        self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant comes from the clock alone; the test only adds to it"
    )]
    fn a_rate_is_known_after_half_a_second_and_follows_slowly() {
        let mut meter = Meter::new();
        let start = Instant::now();
        let mut read = |ms, count| meter.read(start + Duration::from_millis(ms), count);
        assert_eq!([read(0, 1_000), read(499, 60_000)], [BitRate::ZERO; 2]);
        assert_eq!(read(500, 63_500), BitRate::from_kbps(1_000));
        assert_eq!(read(999, 900_000), BitRate::from_kbps(1_000));
        assert_eq!(read(1_500, 63_500 + 250_000), BitRate::from_kbps(1_250));
        assert_eq!(read(2_000, 0), BitRate::from_bps(937_500), "a count that begins anew is none");
        assert_eq!(meter.rate(), BitRate::from_bps(937_500));
    }
}
