//! Bits a second.

use std::fmt;
use std::iter::Sum;
use std::ops::Add;
use std::time::Duration;

/// How fast bits flow: those of whole datagrams, or of what is named beside it. Sums stay at the largest value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct BitRate(u64);

impl BitRate {
    /// Nothing flows.
    pub const ZERO: Self = Self(0);

    /// Bits a second.
    pub const fn from_bps(bits: u64) -> Self {
        Self(bits)
    }

    /// Thousands of bits a second.
    pub const fn from_kbps(kilobits: u64) -> Self {
        Self(kilobits.saturating_mul(1_000))
    }

    /// That of `bytes` within `time`; zero for no time.
    pub fn of(bytes: u64, time: Duration) -> Self {
        let bits = u128::from(bytes) * 8 * 1_000_000;
        Self(bits.checked_div(time.as_micros()).map_or(0, |rate| u64::try_from(rate).unwrap_or(u64::MAX)))
    }

    /// Bits a second.
    pub const fn bps(self) -> u64 {
        self.0
    }

    /// Whole bytes that flow within `time`.
    pub fn bytes_in(self, time: Duration) -> u64 {
        u64::try_from(u128::from(self.0).saturating_mul(time.as_micros()) / 8_000_000).unwrap_or(u64::MAX)
    }

    /// So many per cent of it.
    pub fn percent(self, percent: u32) -> Self {
        Self(u64::try_from(u128::from(self.0) * u128::from(percent) / 100).unwrap_or(u64::MAX))
    }

    /// What is left of it; nothing where `other` is more.
    pub const fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Add for BitRate {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for BitRate {
    fn sum<I: Iterator<Item = Self>>(rates: I) -> Self {
        rates.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for BitRate {
    /// In kbit/s, rounded.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kbit/s", self.0.saturating_add(500) / 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_bytes_and_times_agree() {
        let rate = BitRate::of(125_000, Duration::from_millis(500));
        assert_eq!((rate, rate.to_string().as_str()), (BitRate::from_kbps(2_000), "2000 kbit/s"));
        assert_eq!(rate.bytes_in(Duration::from_millis(20)), 5_000);
        assert_eq!(rate.percent(85), BitRate::from_kbps(1_700));
        assert_eq!(BitRate::of(7, Duration::ZERO), BitRate::ZERO);
    }

    #[test]
    fn nothing_overflows() {
        let most = BitRate::from_bps(u64::MAX);
        assert_eq!(BitRate::of(u64::MAX, Duration::from_micros(1)), most);
        assert_eq!([most, most].into_iter().sum::<BitRate>(), most);
        assert_eq!((most.percent(200), most.bytes_in(Duration::MAX)), (most, u64::MAX));
        assert_eq!(BitRate::ZERO.less(most), BitRate::ZERO);
        assert_eq!(most.to_string(), "18446744073709551 kbit/s");
    }
}
