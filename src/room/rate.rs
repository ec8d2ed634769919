//! How often somebody may do something.

use std::time::Duration;
use tokio::time::Instant;

/// A token bucket: so many at once, so many a second.
#[derive(Clone, Debug)]
pub struct Rate {
    per_second: u32,
    burst: u32,
    /// When the bucket would be full again if nothing more is taken.
    full_at: Option<Instant>,
}

impl Rate {
    /// At least one of each.
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second: per_second.max(1), burst: burst.max(1), full_at: None }
    }

    /// Takes one. False if there is none.
    pub fn take(&mut self, now: Instant) -> bool {
        let one = Duration::from_secs(1) / self.per_second;
        let full_at = self.full_at.map_or(now, |at| at.max(now)) + one;
        let fits = full_at - now <= one * self.burst;
        if fits {
            self.full_at = Some(full_at);
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_at_once_and_then_so_many_a_second() {
        let (mut rate, start) = (Rate::new(2, 3), Instant::now());
        let taken = |rate: &mut Rate, at| (0..9).filter(|_| rate.take(at)).count();
        assert_eq!(taken(&mut rate, start), 3);
        assert_eq!(taken(&mut rate, start + Duration::from_millis(499)), 0);
        assert_eq!(taken(&mut rate, start + Duration::from_millis(1_000)), 2);
        assert_eq!(taken(&mut rate, start + Duration::from_secs(60)), 3, "no more than the bucket holds");
    }
}
