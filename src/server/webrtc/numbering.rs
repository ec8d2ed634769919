//! A viewer's own sequence numbers: the source's, moved, so that its gaps stay and what was left out leaves none.

use smallvec::SmallVec;

/// Moves that are remembered, so that packets sent before them can still be asked for.
const MAX_EPOCHS: usize = 4;

/// Maps the source's sequence numbers to packet indices of one SSRC: sequence number and rollover counter in 48 bits.
///
/// No two source numbers ever get the same index: with AES-GCM that would give the keys away. A source that starts its
/// numbers anew, or a part that the viewer does not get, begins an epoch, whose indices follow the highest one given.
#[derive(Debug)]
pub(super) struct Numbering {
    epochs: SmallVec<[Epoch; MAX_EPOCHS]>,
    /// The highest index given, or the one before the first.
    highest: u64,
    /// The next number begins an epoch.
    pending: bool,
}

#[derive(Clone, Copy, Debug)]
struct Epoch {
    first_source: i64,
    last_source: i64,
    first_index: u64,
}

impl Numbering {
    /// Begins at a random sequence number, in the lower half so that receivers see no rollover in the first packets.
    pub(super) fn new() -> Self {
        let mut random = [0; 2];
        aws_lc_rs::rand::fill(&mut random)
            .expect("the system's random generator cannot fail once it has started");
        Self::starting_at(u16::from_be_bytes(random) & 0x7fff)
    }

    fn starting_at(sequence: u16) -> Self {
        Self { epochs: SmallVec::new(), highest: u64::from(sequence), pending: true }
    }

    /// The next number follows without a gap, whatever it is.
    pub(super) const fn cut(&mut self) {
        self.pending = true;
    }

    /// Source numbers given before may come again and mean other packets.
    pub(super) fn restart(&mut self) {
        self.epochs.clear();
        self.pending = true;
    }

    /// The index of a source number. `None` for one that comes late and belongs to a part that the viewer does not get.
    pub(super) fn index(&mut self, source: i64) -> Option<u64> {
        if self.pending {
            self.pending = false;
            if self.epochs.len() == MAX_EPOCHS {
                self.epochs.remove(0);
            }
            let first_index = self.highest + 1;
            self.epochs.push(Epoch { first_source: source, last_source: source, first_index });
            self.highest = first_index;
            return Some(first_index);
        }
        let (current, earlier) = self.epochs.split_last_mut()?;
        if source >= current.first_source {
            let index = current.index(source)?;
            current.last_source = current.last_source.max(source);
            self.highest = self.highest.max(index);
            return Some(index);
        }
        // Only within what was given before the cut: indices behind that are taken.
        earlier.iter().rev().find(|epoch| epoch.contains(source))?.index(source)
    }

    /// The source number of a sequence number that the viewer names, if it was given and is remembered.
    pub(super) fn source(&self, sequence: u16) -> Option<i64> {
        // The latest index with these 16 bits: nobody asks for what is 65,536 packets old.
        let behind = (self.highest as u16).wrapping_sub(sequence); // the lowest 16 bits are what is compared
        let index = self.highest.checked_sub(behind.into())?;
        let epoch = self.epochs.iter().rev().find(|epoch| epoch.first_index <= index)?;
        let source = epoch.first_source.checked_add_unsigned(index - epoch.first_index)?;
        (source <= epoch.last_source).then_some(source)
    }

    /// The sequence number given last.
    pub(super) const fn highest(&self) -> u64 {
        self.highest
    }
}

impl Epoch {
    const fn contains(&self, source: i64) -> bool {
        self.first_source <= source && source <= self.last_source
    }

    fn index(&self, source: i64) -> Option<u64> {
        let offset = u64::try_from(source.checked_sub(self.first_source)?).ok()?;
        self.first_index.checked_add(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn gaps_of_the_source_stay_and_cuts_leave_none() {
        let mut numbering = Numbering::starting_at(99);
        assert_eq!([10, 11, 13, 12].map(|source| numbering.index(source)), [100, 101, 103, 102].map(Some));
        assert_eq!(numbering.index(9), None, "before the start");
        numbering.cut();
        assert_eq!([50, 51].map(|source| numbering.index(source)), [104, 105].map(Some));
        assert_eq!(numbering.index(11), Some(101), "late, of the part before");
        assert_eq!(numbering.index(30), None, "of the part that was left out");
        numbering.cut();
        assert_eq!(numbering.index(0), Some(106), "the source has started anew");
    }

    #[test]
    fn after_a_restart_old_numbers_are_new_packets() {
        let mut numbering = Numbering::starting_at(0);
        assert_eq!([10, 11].map(|source| numbering.index(source)), [Some(1), Some(2)]);
        numbering.restart();
        assert_eq!([12, 11, 13].map(|source| numbering.index(source)), [Some(3), None, Some(4)]);
    }

    #[test]
    fn what_was_sent_can_be_asked_for() {
        let mut numbering = Numbering::starting_at(65_533);
        for source in 1..=5 {
            numbering.index(source);
        }
        numbering.cut();
        numbering.index(100);
        assert_eq!(numbering.highest(), 65_539);
        let ask = |sequence: u16| numbering.source(sequence);
        assert_eq!([ask(65_534), ask(2), ask(3)], [Some(1), Some(5), Some(100)]);
        assert_eq!([ask(65_533), ask(4)], [None, None], "never given");
        assert_eq!(Numbering::starting_at(5).source(5), None);
    }

    #[test]
    fn only_a_few_cuts_are_remembered() {
        let mut numbering = Numbering::starting_at(0);
        for source in 0..10 {
            numbering.cut();
            numbering.index(source * 10);
        }
        assert_eq!(numbering.source(10), Some(90));
        assert_eq!(numbering.source(7), Some(60));
        assert_eq!(numbering.source(6), None);
    }

    proptest! {
        #[test]
        fn no_index_is_given_twice(steps in prop::collection::vec((-20i64..30, prop::bool::weighted(0.05)), 1..300)) {
            let (mut numbering, mut source, mut given, mut sent) = (Numbering::new(), 0, HashSet::new(), HashSet::new());
            let mut generation = 0;
            for (step, cut) in steps {
                if cut {
                    numbering.cut();
                    generation += 1;
                    source += 1_000;
                }
                source += step;
                // The ring lets no source number through twice.
                if sent.insert(source) && let Some(index) = numbering.index(source) {
                    prop_assert!(given.insert(index), "{index} in generation {generation}");
                    if numbering.highest() - index < 60_000 {
                        prop_assert_eq!(numbering.source(index as u16), Some(source));
                    }
                }
            }
        }
    }
}
