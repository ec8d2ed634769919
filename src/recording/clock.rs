//! The clock of a session: steady, and with a zero that the first recording sets.

use crate::time::{MediaDuration, NtpTime, Timestamp};
use std::sync::{Arc, OnceLock};
use tokio::time::Instant;

/// Times of a session are [`Timestamp`]s since it was opened; what it is *told* in counts from its zero, which is where its
/// first recording begins.
#[derive(Debug)]
pub(super) struct SessionClock {
    opened: Instant,
    /// The time of day when it was opened.
    wall: NtpTime,
    zero: OnceLock<Timestamp>,
    /// Every stream that is read has a copy.
    live: Arc<()>,
}

impl SessionClock {
    /// A session that is opened now.
    pub(super) fn new(now: Instant, wall: NtpTime) -> Self {
        Self { opened: now, wall, zero: OnceLock::new(), live: Arc::default() }
    }

    /// For as long as this is kept something comes.
    pub(super) fn enter(&self) -> Arc<()> {
        self.live.clone()
    }

    /// Whether any stream of the session goes on.
    pub(super) fn is_live(&self) -> bool {
        Arc::strong_count(&self.live) > 1
    }

    /// When an instant was.
    pub(super) fn at(&self, instant: Instant) -> Timestamp {
        let span = match instant.checked_duration_since(self.opened) {
            Some(after) => MediaDuration::from(after),
            None => -MediaDuration::from(self.opened.saturating_duration_since(instant)),
        };
        Timestamp::ZERO + span
    }

    /// The present.
    pub(super) fn now(&self) -> Timestamp {
        self.at(Instant::now())
    }

    /// The zero, which is here if it was nowhere yet.
    pub(super) fn zero_at(&self, first: Timestamp) -> Timestamp {
        *self.zero.get_or_init(|| first)
    }

    /// The zero, once there is one.
    pub(super) fn zero(&self) -> Option<Timestamp> {
        self.zero.get().copied()
    }

    /// The time of day at a time of the session.
    pub(super) fn wall(&self, at: Timestamp) -> NtpTime {
        self.wall.plus(at.since_origin())
    }

    /// A time as manifests have it: seconds since zero.
    pub(super) fn seconds(&self, at: Timestamp) -> f64 {
        (at - self.zero().unwrap_or_default()).as_secs_f64()
    }
}
