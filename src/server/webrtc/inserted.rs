//! Numbers for packets that are put between those of a source.
//!
//! Whatever comes behind an insertion moves up, and what comes late from before it keeps its place, so that the numbers on
//! the bus still tell what is missing.

use smallvec::SmallVec;

/// Insertions that are remembered for packets from before them: one a key picture, which is seconds.
const MAX_POINTS: usize = 8;

/// What has been inserted.
#[derive(Default)]
pub(super) struct Inserted {
    /// How many packets stand before which of the source's numbers, the oldest first.
    points: SmallVec<[(i64, i64); MAX_POINTS]>,
    /// Those before the points.
    before: i64,
}

impl Inserted {
    /// By how much a packet of the source moves up.
    pub(super) fn shift(&self, sequence: i64) -> i64 {
        let behind = self.points.iter().filter(|(first, _)| *first <= sequence);
        self.before + behind.map(|(_, count)| count).sum::<i64>()
    }

    /// Makes room for `count` packets right before the source's number `sequence`; none behind it has been given away.
    pub(super) fn insert(&mut self, sequence: i64, count: i64) {
        if self.points.len() == MAX_POINTS {
            let (_, oldest) = self.points.remove(0);
            self.before += oldest;
        }
        self.points.push((sequence, count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn late_packets_keep_their_place() {
        let mut inserted = Inserted::default();
        assert_eq!(inserted.shift(10), 0);
        inserted.insert(10, 2);
        assert_eq!([9, 10, 11].map(|sequence| inserted.shift(sequence)), [0, 2, 2]);
        inserted.insert(20, 1);
        assert_eq!([9, 19, 20].map(|sequence| inserted.shift(sequence)), [0, 2, 3]);
    }

    proptest! {
        #[test]
        fn numbers_stay_in_order_and_leave_exactly_the_room(
            steps in prop::collection::vec((1i64..50, 1i64..4), 1..30),
        ) {
            let (mut inserted, mut sequence, mut count) = (Inserted::default(), 0, 0);
            for (step, more) in steps {
                let before = sequence + step - 1 + inserted.shift(sequence + step - 1);
                sequence += step;
                inserted.insert(sequence, more);
                count += more;
                prop_assert_eq!(sequence + inserted.shift(sequence), before + 1 + more);
                prop_assert_eq!(inserted.shift(sequence), count);
            }
        }
    }
}
