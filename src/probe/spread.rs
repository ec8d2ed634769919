//! How durations spread, in memory that does not grow with their number.

/// Counts durations by classes of equal width; what is longer than all classes is in the last.
pub(crate) struct Spread {
    width: f64,
    counts: Vec<u64>,
    total: u64,
    least: f64,
    greatest: f64,
}

impl Spread {
    /// Classes of `width` seconds up to `longest`.
    pub(crate) fn new(width: f64, longest: f64) -> Self {
        // Both are constants of ours.
        let classes = (longest / width) as usize + 1;
        Self { width, counts: vec![0; classes], total: 0, least: f64::INFINITY, greatest: 0.0 }
    }

    pub(crate) fn add(&mut self, seconds: f64) {
        let class = self.class(seconds);
        if let Some(count) = self.counts.get_mut(class) {
            *count += 1;
        }
        self.total += 1;
        self.least = self.least.min(seconds);
        self.greatest = self.greatest.max(seconds);
    }

    pub(crate) const fn total(&self) -> u64 {
        self.total
    }

    pub(crate) fn least(&self) -> Option<f64> {
        (self.total > 0).then_some(self.least)
    }

    pub(crate) fn greatest(&self) -> Option<f64> {
        (self.total > 0).then_some(self.greatest)
    }

    /// The middle one, to within half a class.
    pub(crate) fn median(&self) -> Option<f64> {
        let mut before = 0;
        let class = self.counts.iter().position(|count| {
            before += count;
            2 * before >= self.total && self.total > 0
        })?;
        Some(((class as f64 + 0.5) * self.width).clamp(self.least, self.greatest))
    }

    /// The part that lies within `tolerance` of `seconds`, from 0 to 1.
    pub(crate) fn share_near(&self, seconds: f64, tolerance: f64) -> f64 {
        let (from, to) = (self.class(seconds - tolerance), self.class(seconds + tolerance));
        let near: u64 = self.counts.get(from..=to).unwrap_or_default().iter().sum();
        if self.total == 0 { 1.0 } else { near as f64 / self.total as f64 }
    }

    /// `as` makes zero of what is below.
    fn class(&self, seconds: f64) -> usize {
        ((seconds / self.width) as usize).min(self.counts.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_ends() {
        let mut spread = Spread::new(0.01, 10.0);
        assert_eq!((spread.median(), spread.least(), spread.greatest()), (None, None, None));
        for seconds in [2.0, 1.0, 2.0, 2.0, 99.0] {
            spread.add(seconds);
        }
        assert!((spread.median().unwrap() - 2.0).abs() < 0.011);
        assert_eq!((spread.least(), spread.greatest(), spread.total()), (Some(1.0), Some(99.0), 5));
        assert!((spread.share_near(2.0, 0.05) - 0.6).abs() < 1e-9);
        assert!(spread.share_near(-5.0, 1.0) < 1e-9);
    }
}
