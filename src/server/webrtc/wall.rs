//! Wall-clock time, read once and carried on by the monotonic clock, so that it never leaps under a session.

use crate::time::{MediaDuration, NtpTime};
use std::time::{Duration, Instant};

/// From the admission of a publisher to the answer to its offer: nobody takes longer.
const MOMENT: Duration = Duration::from_secs(10);

/// A pair of simultaneous readings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wall {
    instant: Instant,
    ntp: NtpTime,
}

impl Wall {
    /// Reads both clocks.
    #[expect(clippy::disallowed_methods, reason = "the one reading of a session")]
    pub(super) fn read() -> Self {
        Self { instant: tokio::time::Instant::now().into_std(), ntp: std::time::SystemTime::now().into() }
    }

    /// The wall-clock time of an instant.
    pub(super) fn at(&self, now: Instant) -> NtpTime {
        match now.checked_duration_since(self.instant) {
            Some(later) => self.ntp.plus(MediaDuration::from(later)),
            None => self.ntp.plus(-MediaDuration::from(self.instant.saturating_duration_since(now))),
        }
    }

    /// When it was `time`, which was read a moment ago; at most `MOMENT`, in case the clock was set in between.
    pub(super) fn instant_of(&self, time: NtpTime) -> Instant {
        let ago = self.ntp.since(time).clamp(MediaDuration::ZERO, MediaDuration::from(MOMENT));
        self.instant.checked_sub(ago.into()).unwrap_or(self.instant)
    }

    /// The instant of the reading.
    pub(super) const fn instant(&self) -> Instant {
        self.instant
    }
}
