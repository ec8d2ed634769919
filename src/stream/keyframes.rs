//! When a stream's key pictures come.

use crate::time::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// Those of the publisher where it writes frames, otherwise of what is made of its packets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Keyframes {
    last: Option<Timestamp>,
    /// When it came, and how long after the one before it.
    came: Option<Instant>,
    interval: Option<Duration>,
    is_native: bool,
}

impl Keyframes {
    /// Notes one that is decoded at `dts` and has come `now`.
    pub(super) fn note(&mut self, dts: Timestamp, is_native: bool, now: Instant) {
        // What is made of them, as a picture in another codec, has its own.
        if self.is_native && !is_native {
            return;
        }
        if is_native && !self.is_native {
            *self = Self::default();
        }
        self.is_native = is_native;
        self.interval = self.came.map(|came| now.saturating_duration_since(came));
        (self.last, self.came) = (Some(dts), Some(now));
    }

    /// When the last one is decoded.
    pub(super) const fn last(&self) -> Option<Timestamp> {
        self.last
    }

    /// When the next one would come if it did so as the last one.
    pub(super) fn next(&self) -> Option<Instant> {
        Some(self.came? + self.interval?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_comes_as_the_last_did() {
        let mut keyframes = Keyframes::default();
        let (at, zero) = (Timestamp::from_millis, Instant::now());
        let came = |ms| zero + Duration::from_millis(ms);
        keyframes.note(at(100), false, came(110));
        assert_eq!((keyframes.last(), keyframes.next()), (Some(at(100)), None));
        keyframes.note(at(200), true, came(220));
        assert_eq!((keyframes.last(), keyframes.next()), (Some(at(200)), None), "what is native counts");
        keyframes.note(at(2_200), true, came(2_230));
        keyframes.note(at(2_300), false, came(2_300));
        assert_eq!((keyframes.last(), keyframes.next()), (Some(at(2_200)), Some(came(4_240))));
    }
}
