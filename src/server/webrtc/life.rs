//! Whether an encoding of a picture goes on, and whether it can be relied on.
//!
//! A browser stops an encoding whenever its line gets thin, begins again when it hopes for more, and says nothing of either. On
//! a line that carries one encoding and half of the next, the larger one comes and goes every few seconds, or limps along
//! with a picture now and then. Whoever followed it each time would see a picture that stands still again and again.

use std::time::{Duration, Instant};

/// An encoding that has been silent for so long, while others have sent so many pictures, has stopped. Of a still screen
/// there is a picture a second, of one encoding a little before the next.
const STOPPED: Duration = Duration::from_millis(500);
const MISSED: u32 = 5;
/// After a stop it has to go on for so long, and twice as long after each further stop, ...
const FIRST_PATIENCE: Duration = Duration::from_secs(1);
/// ... to this.
const LONGEST_PATIENCE: Duration = Duration::from_secs(8);
/// Who has gone on for so long has a clean slate.
const FORGIVEN: Duration = Duration::from_secs(30);

/// The life of one encoding.
#[derive(Debug, Default)]
pub(super) struct Life {
    heard: Option<Instant>,
    /// Pictures of others since then.
    missed: u32,
    /// Since when it has gone on without a stop; `None` while it does not.
    since: Option<Instant>,
    /// For how long it must go on until it is relied on.
    patience: Duration,
}

impl Life {
    /// Something has come of it.
    pub(super) fn hear(&mut self, now: Instant) {
        self.look(now);
        self.since.get_or_insert(now);
        (self.heard, self.missed) = (Some(now), 0);
    }

    /// Another encoding has sent a picture.
    pub(super) const fn miss(&mut self) {
        self.missed = self.missed.saturating_add(1);
    }

    /// Looks whether it has stopped.
    pub(super) fn look(&mut self, now: Instant) {
        let is_silent = |heard| now.saturating_duration_since(heard) > STOPPED;
        if self.heard.is_some_and(is_silent)
            && self.missed >= MISSED
            && let Some(since) = self.since.take()
        {
            let lived = now.saturating_duration_since(since);
            let patience = if lived > FORGIVEN { Duration::ZERO } else { self.patience * 2 };
            self.patience = patience.clamp(FIRST_PATIENCE, LONGEST_PATIENCE);
        }
    }

    /// When it was heard last.
    pub(super) const fn heard(&self) -> Option<Instant> {
        self.heard
    }

    /// Whether it goes on; one that has never been heard does not.
    pub(super) const fn goes_on(&self) -> bool {
        self.since.is_some()
    }

    /// Whether it has gone on for long enough to be gone over to.
    pub(super) fn is_steady(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| now.saturating_duration_since(since) >= self.patience)
    }
}

#[cfg(test)]
mod tests {
    use super::super::wall::Wall;
    use super::*;

    /// An encoding beside another that sends 20 pictures a second, and the time.
    struct Pair(Life, Instant);

    impl Pair {
        /// For so many milliseconds it sends a picture as often as this; gives for how long it was steady.
        fn pass(&mut self, ms: u64, period: u64) -> u64 {
            let Self(life, now) = self;
            let mut steady = 0;
            for at in (0..ms).step_by(50) {
                *now += Duration::from_millis(50);
                life.miss();
                if at % period == 0 {
                    life.hear(*now);
                }
                life.look(*now);
                steady += if life.is_steady(*now) { 50 } else { 0 };
            }
            steady
        }
    }

    const NEVER: u64 = u64::MAX;

    fn pair() -> Pair {
        Pair(Life::default(), Wall::read().instant())
    }

    #[test]
    fn at_first_it_is_relied_on_at_once() {
        let mut pair = pair();
        assert_eq!(pair.pass(1_000, NEVER - 1), 550, "the first picture, and half a second of silence");
        assert!(!pair.0.goes_on());
        let mut silent = Life::default();
        silent.look(pair.1);
        assert!(!silent.goes_on() && !silent.is_steady(pair.1));
    }

    #[test]
    fn silence_alone_is_no_stop() {
        let mut life = Life::default();
        let now = Wall::read().instant();
        life.hear(now);
        (1..MISSED).for_each(|_| life.miss());
        life.look(now + Duration::from_secs(60));
        assert!(life.goes_on(), "the screen is still");
        life.miss();
        life.look(now + STOPPED);
        assert!(life.goes_on());
        life.look(now + STOPPED + Duration::from_millis(1));
        assert!(!life.goes_on());
    }

    #[test]
    fn who_comes_and_goes_is_waited_for_longer_each_time() {
        let mut pair = pair();
        pair.pass(5_000, 50);
        let mut waits = [0; 5];
        for wait in &mut waits {
            pair.pass(1_000, NEVER - 1);
            *wait = (10_000 - pair.pass(10_000, 50)) / 1_000;
        }
        assert_eq!(waits, [1, 2, 4, 8, 8]);
        pair.pass(40_000, 50);
        pair.pass(1_000, NEVER - 1);
        assert_eq!(pair.pass(10_000, 50), 9_000, "all is forgiven");
    }

    #[test]
    fn who_limps_is_not_relied_on() {
        let mut pair = pair();
        pair.pass(2_000, 50);
        pair.pass(600, NEVER - 1);
        assert_eq!(pair.pass(10_000, 700), 0);
        let steady = pair.pass(10_000, 400);
        assert!((2_000..2_700).contains(&steady), "slow is good enough, after all its stops: {steady}");
    }
}
