//! Instants on a stream's timeline, in flicks.
//!
//! A flick is 1/705,600,000 s: every RTP clock, every AAC, Opus and FLV sample rate and every 1001-based frame rate
//! divides it, so a time that comes *in* is never rounded, and `i64` still holds 400 years. Rounding happens once, on
//! the way *out* to a coarser clock, from the absolute time and never by summing rounded steps.

use std::fmt;
use std::num::NonZeroU32;
use std::ops::{Add, AddAssign, Div, Neg, Sub, SubAssign};
use std::time::Duration;

const FLICKS_PER_SECOND: i64 = 705_600_000;
const FLICKS_PER_MILLISECOND: i64 = FLICKS_PER_SECOND / 1_000;

/// An instant on a stream's timeline: time since the stream's origin, in flicks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// A signed span between two [`Timestamp`]s, in flicks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MediaDuration(i64);

/// Ticks a second of a media clock, e.g. 90,000 for RTP video.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ClockRate(NonZeroU32);

impl ClockRate {
    /// RTMP and FLV: milliseconds.
    pub const MILLISECONDS: Self = Self::fixed(1_000);
    /// RTP video (RFC 6184, RFC 7741).
    pub const VIDEO: Self = Self::fixed(90_000);
    /// Opus over RTP, whatever the coded bandwidth (RFC 7587).
    pub const OPUS: Self = Self::fixed(48_000);
    /// G.711 (RFC 3551).
    pub const TELEPHONE: Self = Self::fixed(8_000);

    /// `None` for a rate of 0.
    pub const fn new(ticks_per_second: u32) -> Option<Self> {
        match NonZeroU32::new(ticks_per_second) {
            Some(rate) => Some(Self(rate)),
            None => None,
        }
    }

    /// Ticks a second.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    const fn fixed(ticks_per_second: u32) -> Self {
        match NonZeroU32::new(ticks_per_second) {
            Some(rate) => Self(rate),
            None => panic!("a clock rate is not 0"),
        }
    }
}

impl Timestamp {
    /// The stream's origin.
    pub const ZERO: Self = Self(0);

    /// `ticks` of a clock since the origin; exact for rates that divide 705,600,000, else rounded to the nearest flick.
    pub fn from_ticks(ticks: i64, rate: ClockRate) -> Self {
        Self(flicks(ticks, rate))
    }

    /// The nearest tick of a clock; halves go up.
    pub fn to_ticks(self, rate: ClockRate) -> i64 {
        ticks(self.0, rate)
    }

    /// `ms` milliseconds since the origin.
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms.saturating_mul(FLICKS_PER_MILLISECOND))
    }

    /// The span from the origin to here.
    pub const fn since_origin(self) -> MediaDuration {
        MediaDuration(self.0)
    }
}

impl MediaDuration {
    /// No time.
    pub const ZERO: Self = Self(0);

    /// `ticks` of a clock.
    pub fn from_ticks(ticks: i64, rate: ClockRate) -> Self {
        Self(flicks(ticks, rate))
    }

    /// The nearest number of ticks of a clock; halves go up.
    pub fn to_ticks(self, rate: ClockRate) -> i64 {
        ticks(self.0, rate)
    }

    /// `ms` milliseconds.
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms.saturating_mul(FLICKS_PER_MILLISECOND))
    }

    /// `us` microseconds, to a flick.
    pub const fn from_micros(us: i64) -> Self {
        Self(us.saturating_mul(FLICKS_PER_MILLISECOND / 100) / 10)
    }

    /// Whole milliseconds, rounded towards zero; for logs and thresholds.
    pub const fn as_millis(self) -> i64 {
        self.0 / FLICKS_PER_MILLISECOND
    }

    /// Seconds; for logs and rates.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / FLICKS_PER_SECOND as f64 // a figure for people: 53 bits are plenty
    }

    /// The distance from zero.
    pub const fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }
}

impl From<Duration> for MediaDuration {
    /// To the nearest flick; saturates after 400 years.
    fn from(duration: Duration) -> Self {
        let flicks = (duration.as_nanos() * FLICKS_PER_SECOND as u128 + 500_000_000) / 1_000_000_000;
        Self(i64::try_from(flicks).unwrap_or(i64::MAX))
    }
}

impl From<MediaDuration> for Duration {
    /// To the nearest nanosecond; zero for a negative span.
    fn from(duration: MediaDuration) -> Self {
        let nanos = (i128::from(duration.0.max(0)) * 1_000_000_000) / i128::from(FLICKS_PER_SECOND);
        Self::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl Sub for Timestamp {
    type Output = MediaDuration;
    fn sub(self, other: Self) -> MediaDuration {
        MediaDuration(self.0.saturating_sub(other.0))
    }
}

impl Add<MediaDuration> for Timestamp {
    type Output = Self;
    fn add(self, span: MediaDuration) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub<MediaDuration> for Timestamp {
    type Output = Self;
    fn sub(self, span: MediaDuration) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl AddAssign<MediaDuration> for Timestamp {
    fn add_assign(&mut self, span: MediaDuration) {
        *self = *self + span;
    }
}

impl Add for MediaDuration {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for MediaDuration {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl AddAssign for MediaDuration {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for MediaDuration {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Div<i64> for MediaDuration {
    type Output = Self;
    /// Rounded towards zero; by 0 it is zero.
    fn div(self, divisor: i64) -> Self {
        Self(self.0.checked_div(divisor).unwrap_or(0))
    }
}

impl Neg for MediaDuration {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}s", MediaDuration(self.0).as_secs_f64())
    }
}

impl fmt::Debug for MediaDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}s", self.as_secs_f64())
    }
}

fn flicks(ticks: i64, rate: ClockRate) -> i64 {
    scale(ticks, FLICKS_PER_SECOND, i64::from(rate.get()))
}

fn ticks(flicks: i64, rate: ClockRate) -> i64 {
    scale(flicks, i64::from(rate.get()), FLICKS_PER_SECOND)
}

/// `value * numerator / denominator` to the nearest, halves up, saturating at the ends of `i64`.
fn scale(value: i64, numerator: i64, denominator: i64) -> i64 {
    let (product, denominator) = (i128::from(value) * i128::from(numerator), i128::from(denominator));
    let rounded = (product + denominator / 2).div_euclid(denominator);
    i64::try_from(rounded).unwrap_or(if rounded > 0 { i64::MAX } else { i64::MIN })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_media_clock_divides_a_flick() {
        for rate in [
            1_000, 8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 90_000,
            96_000,
        ] {
            assert_eq!(FLICKS_PER_SECOND % i64::from(rate), 0, "{rate}");
        }
    }

    #[test]
    fn rounding_happens_on_the_way_out_only() {
        // 1024 samples at 44.1 kHz are 23.2199... ms: the hundredth frame is at 2321.995 ms, not at 100 x 23.
        let rate = ClockRate::new(44_100).unwrap();
        let hundredth = Timestamp::from_ticks(102_400, rate);
        assert_eq!(hundredth.to_ticks(ClockRate::MILLISECONDS), 2_322);
        assert_eq!(hundredth.to_ticks(rate), 102_400);
    }

    #[test]
    fn the_ends_saturate() {
        assert_eq!(
            Timestamp::from_ticks(i64::MAX, ClockRate::MILLISECONDS).to_ticks(ClockRate::VIDEO),
            1_176_450_514_904_946
        );
        assert_eq!(Duration::from(MediaDuration::from_millis(-5)), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn ticks_survive_the_round_trip(ticks in -1i64 << 40..1i64 << 40, rate in prop::sample::select(vec![1_000u32, 44_100, 48_000, 90_000])) {
            let rate = ClockRate::new(rate).unwrap();
            prop_assert_eq!(Timestamp::from_ticks(ticks, rate).to_ticks(rate), ticks);
        }

        #[test]
        fn durations_survive_the_round_trip(ms in 0u64..1 << 40) {
            let span = MediaDuration::from(Duration::from_millis(ms));
            prop_assert_eq!(span.as_millis(), ms as i64);
            prop_assert_eq!(Duration::from(span), Duration::from_millis(ms));
        }
    }
}
