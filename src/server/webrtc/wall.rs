//! The time of day of a stream, carried on by the monotonic clock, so that it never leaps under its sessions.

use crate::stream::Stream;
use crate::time::{MediaDuration, NtpTime};
use std::time::Instant;

/// A pair of simultaneous readings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wall {
    instant: Instant,
    ntp: NtpTime,
}

impl Wall {
    /// That of a stream: when it began.
    pub(super) fn of(stream: &Stream) -> Self {
        Self { instant: stream.began().into_std(), ntp: stream.origin() }
    }

    /// Both clocks now.
    #[expect(clippy::disallowed_methods, reason = "worlds of tests begin somewhere")]
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

    /// The instant of the reading.
    pub(super) const fn instant(&self) -> Instant {
        self.instant
    }
}
