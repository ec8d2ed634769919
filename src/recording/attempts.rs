//! How often something is begun anew: a few times at once, then ever so often, and more rarely for as long as it fails.

use std::time::Duration;
use tokio::time::Instant;

/// So many may follow one another at once.
const AT_ONCE: u32 = 8;
/// Another one is allowed after this.
const EVERY: Duration = Duration::from_secs(10);
/// The pause after a failure; each further one in a row is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// What has been tried of one thing.
#[derive(Debug)]
pub(super) struct Attempts {
    left: u32,
    /// When the last one was added.
    added: Instant,
    /// In a row.
    failures: u32,
    not_before: Instant,
}

impl Default for Attempts {
    fn default() -> Self {
        let now = Instant::now();
        Self { left: AT_ONCE, added: now, failures: 0, not_before: now }
    }
}

impl Attempts {
    /// Whether there may be another one now; it is counted.
    pub(super) fn take(&mut self) -> bool {
        self.fill();
        let may = self.left > 0 && Instant::now() >= self.not_before;
        if may {
            self.left -= 1;
        }
        may
    }

    /// It came to nothing. Whether the one before did not.
    pub(super) fn failed(&mut self) -> bool {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        self.not_before = Instant::now() + pause.min(LONGEST_PAUSE);
        self.failures == 1
    }

    /// It came to something.
    pub(super) const fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Whether anything of it need be remembered.
    pub(super) fn is_new(&mut self) -> bool {
        self.fill();
        self.left == AT_ONCE && Instant::now() >= self.not_before + LONGEST_PAUSE
    }

    fn fill(&mut self) {
        while self.left < AT_ONCE && self.added.elapsed() >= EVERY {
            self.left += 1;
            self.added += EVERY;
        }
        if self.left == AT_ONCE {
            self.added = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn some_at_once_and_then_ever_so_often() {
        let mut attempts = Attempts::default();
        let taken = |attempts: &mut Attempts| (0..100).take_while(|_| attempts.take()).count();
        assert_eq!(attempts.left, AT_ONCE);
        assert_eq!(taken(&mut attempts), 8);
        advance(EVERY - Duration::from_millis(1)).await;
        assert_eq!(taken(&mut attempts), 0);
        advance(Duration::from_millis(1)).await;
        assert_eq!(taken(&mut attempts), 1);
        advance(EVERY * 3).await;
        assert_eq!(taken(&mut attempts), 3);
        assert!(!attempts.is_new());
        advance(EVERY * 8).await;
        assert!(attempts.is_new());
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_pauses_ever_longer() {
        let mut attempts = Attempts::default();
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert!(attempts.take());
            assert_eq!(attempts.failed(), seconds == 1, "the first is told");
            advance(Duration::from_millis(seconds * 1_000 - 1)).await;
            assert!(!attempts.take());
            advance(Duration::from_millis(1)).await;
        }
        attempts.succeeded();
        assert!(attempts.take() && attempts.failed(), "it had worked meanwhile");
    }
}
