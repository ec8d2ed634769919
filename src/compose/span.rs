//! Sets of times on the session's clock: when somebody is there, when there is a picture.

/// From `start` up to, and without, `end`, in seconds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Span {
    pub(crate) start: f64,
    pub(crate) end: f64,
}

impl Span {
    pub(crate) const fn new(start: f64, end: f64) -> Self {
        Self { start, end }
    }

    pub(crate) fn length(self) -> f64 {
        self.end - self.start
    }

    /// What both have in common, if anything.
    pub(crate) fn intersection(self, other: Self) -> Option<Self> {
        let both = Self::new(self.start.max(other.start), self.end.min(other.end));
        (both.length() > 0.0).then_some(both)
    }
}

/// The spans in order, with those joined that overlap or lie no further apart than `apart`.
pub(crate) fn join(mut spans: Vec<Span>, apart: f64) -> Vec<Span> {
    spans.retain(|span| span.length() > 0.0);
    spans.sort_by(|a, b| a.start.total_cmp(&b.start));
    let mut joined: Vec<Span> = Vec::new();
    for span in spans {
        match joined.last_mut() {
            Some(last) if span.start - last.end <= apart => last.end = last.end.max(span.end),
            _ => joined.push(span),
        }
    }
    joined
}

/// What of `spans` lies in any of `others`; both as `join` gives them.
pub(crate) fn intersect(spans: &[Span], others: &[Span]) -> Vec<Span> {
    spans.iter().flat_map(|span| others.iter().filter_map(|other| span.intersection(*other))).collect()
}

/// What of `spans` lies in none of `holes`; both as `join` gives them.
pub(crate) fn subtract(spans: &[Span], holes: &[Span]) -> Vec<Span> {
    let mut left = Vec::new();
    for span in spans {
        let mut start = span.start;
        for hole in holes.iter().filter_map(|hole| hole.intersection(*span)) {
            left.push(Span::new(start, hole.start));
            start = hole.end;
        }
        left.push(Span::new(start, span.end));
    }
    left.retain(|span| span.length() > 0.0);
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spans() -> impl Strategy<Value = Vec<Span>> {
        prop::collection::vec((0_u8..60, 1_u8..20), 0..8).prop_map(|pairs| {
            let spans = pairs
                .into_iter()
                .map(|(start, length)| Span::new(f64::from(start), f64::from(start) + f64::from(length)));
            join(spans.collect(), 0.0)
        })
    }

    fn has(spans: &[Span], time: f64) -> bool {
        spans.iter().any(|span| span.start <= time && time < span.end)
    }

    proptest! {
        #[test]
        fn sets_behave_as_sets(a in spans(), b in spans()) {
            let (both, less) = (intersect(&a, &b), subtract(&a, &b));
            for half_second in 0..180_u8 {
                let time = f64::from(half_second) / 2.0;
                prop_assert_eq!(has(&both, time), has(&a, time) && has(&b, time));
                prop_assert_eq!(has(&less, time), has(&a, time) && !has(&b, time));
            }
        }
    }

    #[test]
    fn near_ones_are_joined_and_empty_ones_left_out() {
        let spans = vec![Span::new(8.0, 9.0), Span::new(0.0, 2.0), Span::new(3.0, 5.0), Span::new(7.0, 7.0)];
        assert_eq!(join(spans, 1.0), [Span::new(0.0, 5.0), Span::new(8.0, 9.0)]);
    }
}
