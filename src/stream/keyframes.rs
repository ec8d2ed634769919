//! When a stream's key pictures come.

use crate::time::{MediaDuration, Timestamp};

/// Those of the publisher where it writes frames, otherwise of what is made of its packets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Keyframes {
    last: Option<Timestamp>,
    interval: Option<MediaDuration>,
    is_native: bool,
}

impl Keyframes {
    /// Notes one that is decoded at `dts`.
    pub(super) fn note(&mut self, dts: Timestamp, is_native: bool) {
        // What is made of them, as a picture in another codec, has its own.
        if self.is_native && !is_native {
            return;
        }
        if is_native && !self.is_native {
            *self = Self::default();
        }
        self.is_native = is_native;
        self.interval = self.last.map(|last| dts - last).filter(|interval| *interval > MediaDuration::ZERO);
        self.last = Some(dts);
    }

    /// When the last one is decoded.
    pub(super) const fn last(&self) -> Option<Timestamp> {
        self.last
    }

    /// When the next one would be decoded if it came as the last one did.
    pub(super) fn next(&self) -> Option<Timestamp> {
        Some(self.last? + self.interval?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_comes_as_the_last_did() {
        let mut keyframes = Keyframes::default();
        let at = Timestamp::from_millis;
        keyframes.note(at(100), false);
        assert_eq!((keyframes.last(), keyframes.next()), (Some(at(100)), None));
        keyframes.note(at(200), true);
        assert_eq!((keyframes.last(), keyframes.next()), (Some(at(200)), None), "what is native counts");
        keyframes.note(at(2_200), true);
        keyframes.note(at(2_300), false);
        assert_eq!((keyframes.last(), keyframes.next()), (Some(at(2_200)), Some(at(4_200))));
        keyframes.note(at(1_000), true);
        assert_eq!(keyframes.next(), None, "it went back");
    }
}
