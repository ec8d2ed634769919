//! Wall-clock time as RTCP writes it: 64-bit NTP timestamps (RFC 3550, section 4).

use super::MediaDuration;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds from 1900-01-01 to 1970-01-01.
const UNIX_EPOCH_IN_NTP: u64 = 2_208_988_800;

/// Seconds since 1900 in the upper 32 bits, fractions of 2^-32 s in the lower.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct NtpTime(u64);

impl NtpTime {
    /// From the 64 bits of a sender report.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The 64 bits of a sender report.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The middle 32 bits: seconds and fractions of 2^-16 s, as LSR and the report block's DLSR count.
    pub const fn short(self) -> u32 {
        (self.0 >> 16) as u32 // the middle 32 bits are what is asked for
    }

    /// Milliseconds since 1970-01-01 UTC, which an era from 1968 to 2104 covers; clients count in them.
    pub fn unix_millis(self) -> u64 {
        let seconds = (self.0 >> 32).wrapping_sub(UNIX_EPOCH_IN_NTP) & u64::from(u32::MAX);
        seconds * 1_000 + (((self.0 & u64::from(u32::MAX)) * 1_000) >> 32)
    }

    /// The span since `earlier`, negative if that is later. Right within 68 years.
    pub fn since(self, earlier: Self) -> MediaDuration {
        let difference = i128::from(self.0.wrapping_sub(earlier.0) as i64); // two's complement: the shorter way round
        let nanos = (difference * 1_000_000_000) >> 32;
        let span = MediaDuration::from(Duration::from_nanos(u64::try_from(nanos.abs()).unwrap_or(u64::MAX)));
        if nanos < 0 { -span } else { span }
    }

    /// This instant moved by `span`.
    pub fn plus(self, span: MediaDuration) -> Self {
        let nanos = i128::try_from(Duration::from(span.abs()).as_nanos()).unwrap_or(i128::MAX >> 40);
        let units = ((nanos << 32) + 500_000_000) / 1_000_000_000;
        let units = units as u64; // NTP time is modulo 2^64 by definition
        Self(if span < MediaDuration::ZERO { self.0.wrapping_sub(units) } else { self.0.wrapping_add(units) })
    }
}

impl From<SystemTime> for NtpTime {
    /// A time before 1970 counts as 1970.
    fn from(time: SystemTime) -> Self {
        let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = since_epoch.as_secs().wrapping_add(UNIX_EPOCH_IN_NTP);
        let fraction = (u64::from(since_epoch.subsec_nanos()) << 32) / 1_000_000_000;
        Self(seconds << 32 | fraction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instant() {
        let ntp = NtpTime::from(UNIX_EPOCH + Duration::from_millis(1_500));
        assert_eq!(ntp.to_bits(), (UNIX_EPOCH_IN_NTP + 1) << 32 | 0x8000_0000);
        assert_eq!(ntp.unix_millis(), 1_500);
        assert_eq!(ntp.short(), ((UNIX_EPOCH_IN_NTP + 1) as u32) << 16 | 0x8000);
    }

    #[test]
    fn differences_are_signed_and_survive_the_era() {
        let early = NtpTime::from_bits(u64::MAX - (1 << 31));
        let late = early.plus(MediaDuration::from_millis(1_000));
        assert!(late.to_bits() < early.to_bits(), "wrapped");
        assert_eq!((late.since(early) - MediaDuration::from_millis(1_000)).abs().as_millis(), 0);
        assert_eq!((early.since(late) + MediaDuration::from_millis(1_000)).abs().as_millis(), 0);
        assert_eq!(late.plus(MediaDuration::from_millis(-1_000)), early);
    }
}
