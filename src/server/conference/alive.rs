//! Whether a client is still there: it is pinged, and whatever it says is a sign of life.

use std::time::Duration;
use tokio::time::Instant;

/// Between pings. The SDK's own keep-alive counts any message, and expects one every few seconds.
const PING_INTERVAL: Duration = Duration::from_millis(2_500);
/// Who says nothing for so long, three pings unanswered, has vanished. A page that is gone leaves its rooms within 10 s.
const SILENCE: Duration = Duration::from_millis(8_500);
/// From the transport's connection to `connection`.
const INTRODUCTION: Duration = Duration::from_secs(10);

/// The clock of one client.
#[derive(Debug)]
pub(super) struct Alive {
    heard: Instant,
    ping_at: Instant,
    introduced_by: Option<Instant>,
}

/// What is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Due {
    /// A ping.
    Ping,
    /// It has vanished.
    Silent,
    /// It has not said who it is.
    NotIntroduced,
}

impl Alive {
    pub(super) fn new(now: Instant) -> Self {
        Self { heard: now, ping_at: now + PING_INTERVAL, introduced_by: Some(now + INTRODUCTION) }
    }

    /// It has said something.
    pub(super) const fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// It has said who it is.
    pub(super) const fn introduced(&mut self) {
        self.introduced_by = None;
    }

    /// When something is due, if nothing is heard until then.
    pub(super) fn deadline(&self) -> Instant {
        let least = self.ping_at.min(self.heard + SILENCE);
        self.introduced_by.map_or(least, |by| by.min(least))
    }

    /// What is due now.
    pub(super) fn due(&mut self, now: Instant) -> Option<Due> {
        if now >= self.heard + SILENCE {
            return Some(Due::Silent);
        }
        if self.introduced_by.is_some_and(|by| now >= by) {
            return Some(Due::NotIntroduced);
        }
        if now < self.ping_at {
            return None;
        }
        self.ping_at = now + PING_INTERVAL;
        Some(Due::Ping)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// What comes due, with when, as long as nothing is heard.
    fn course(alive: &mut Alive, start: Instant) -> Vec<(Duration, Due)> {
        let mut course = Vec::new();
        loop {
            let now = alive.deadline();
            if let Some(due) = alive.due(now) {
                course.push((now - start, due));
                if due != Due::Ping {
                    return course;
                }
            }
        }
    }

    #[test]
    fn the_silent_are_pinged_thrice_and_given_up() {
        let start = Instant::now();
        let mut alive = Alive::new(start);
        alive.introduced();
        let pings = [2_500, 5_000, 7_500].map(|at| (ms(at), Due::Ping));
        assert_eq!(course(&mut alive, start), [&pings[..], &[(ms(8_500), Due::Silent)]].concat());
    }

    #[test]
    fn any_word_is_a_sign_of_life() {
        let start = Instant::now();
        let mut alive = Alive::new(start);
        alive.introduced();
        alive.heard(start + ms(8_000));
        assert_eq!(alive.due(start + ms(9_000)), Some(Due::Ping), "not given up");
        assert_eq!(course(&mut alive, start).last(), Some(&(ms(16_500), Due::Silent)));
    }

    #[test]
    fn who_does_not_say_who_it_is_has_no_business_here() {
        let start = Instant::now();
        let mut alive = Alive::new(start);
        alive.heard(start + ms(5_000));
        assert_eq!(course(&mut alive, start).last(), Some(&(ms(10_000), Due::NotIntroduced)));
    }
}
