//! A viewer's own sequence numbers: the source's, moved, so that its gaps stay and what was left out leaves none.

use crate::protocol::rtp::vp8::Counts;
use crate::protocol::sdp::AcceptedCodec;
use crate::stream::Layer;
use smallvec::SmallVec;

/// Moves that are remembered, so that packets sent before them can still be asked for.
const MAX_EPOCHS: usize = 4;

/// Maps the source's sequence numbers to packet indices of one SSRC: sequence number and rollover counter in 48 bits.
///
/// No two source numbers ever get the same index: with AES-GCM that would give the keys away. A source that starts its
/// numbers anew, another layer, or a part that the viewer does not get, begins an epoch, whose indices follow the highest
/// one given.
#[derive(Debug)]
pub(super) struct Numbering {
    epochs: SmallVec<[Epoch; MAX_EPOCHS]>,
    /// The highest index given, or the one before the first.
    highest: u64,
    /// The next number begins an epoch.
    pending: bool,
}

/// What the packets of an epoch have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Part {
    /// Which layer they are of.
    pub(super) layer: Layer,
    /// What they are sent as: under an index given before nothing else may go out than the very same bytes.
    pub(super) encoding: AcceptedCodec,
    /// The viewer's RTP timestamp less the source's ticks.
    pub(super) shift: i64,
    /// What is added to the counts of VP8.
    pub(super) counts: Counts,
}

/// A packet that a viewer has been given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Given {
    pub(super) index: u64,
    /// The source's number.
    pub(super) source: i64,
    pub(super) part: Part,
}

#[derive(Clone, Copy, Debug)]
struct Epoch {
    part: Part,
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

    /// Source numbers of a layer given before may come again and mean other packets.
    pub(super) fn forget(&mut self, layer: Layer) {
        if self.epochs.last().is_some_and(|current| current.part.layer == layer) {
            self.pending = true;
        }
        self.epochs.retain(|epoch| epoch.part.layer != layer);
    }

    /// The index of a source number of `part`, and the part that it belongs to. `None` for one that comes late and was of
    /// a part that the viewer does not get.
    pub(super) fn index(&mut self, part: Part, source: i64) -> Option<(u64, Part)> {
        if self.pending {
            self.pending = false;
            if self.epochs.len() == MAX_EPOCHS {
                self.epochs.remove(0);
            }
            let first_index = self.highest + 1;
            self.epochs.push(Epoch { part, first_source: source, last_source: source, first_index });
            self.highest = first_index;
            return Some((first_index, part));
        }
        let (current, earlier) = self.epochs.split_last_mut()?;
        if part.layer == current.part.layer && source >= current.first_source {
            let index = current.index(source)?;
            current.last_source = current.last_source.max(source);
            self.highest = self.highest.max(index);
            return Some((index, current.part));
        }
        // Only within what was given before the cut: indices behind that are taken.
        let of_layer = earlier.iter().rev().filter(|epoch| epoch.part.layer == part.layer);
        let epoch = of_layer.into_iter().find(|epoch| epoch.contains(source))?;
        Some((epoch.index(source)?, epoch.part))
    }

    /// What was given under a sequence number that the viewer names, if it is remembered.
    pub(super) fn given(&self, sequence: u16) -> Option<Given> {
        // The latest index with these 16 bits: nobody asks for what is 65,536 packets old.
        let behind = (self.highest as u16).wrapping_sub(sequence); // the lowest 16 bits are what is compared
        let index = self.highest.checked_sub(behind.into())?;
        let epoch = self.epochs.iter().rev().find(|epoch| epoch.first_index <= index)?;
        let source = epoch.first_source.checked_add_unsigned(index - epoch.first_index)?;
        (source <= epoch.last_source).then_some(Given { index, source, part: epoch.part })
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
    use crate::codec::Codec;
    use crate::protocol::sdp::{Feedback, Format};
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn part() -> Part {
        let encoding = AcceptedCodec {
            codec: Codec::Vp8,
            payload_type: 96,
            rtx: None,
            format: Format::Vp8,
            feedback: Feedback::default(),
        };
        Part { layer: Layer::BEST, encoding, shift: 7, counts: Counts::default() }
    }

    fn index(numbering: &mut Numbering, source: i64) -> Option<u64> {
        numbering.index(part(), source).map(|(index, _)| index)
    }

    #[test]
    fn gaps_of_the_source_stay_and_cuts_leave_none() {
        let mut numbering = Numbering::starting_at(99);
        assert_eq!(
            [10, 11, 13, 12].map(|source| index(&mut numbering, source)),
            [100, 101, 103, 102].map(Some)
        );
        assert_eq!(index(&mut numbering, 9), None, "before the start");
        numbering.cut();
        assert_eq!([50, 51].map(|source| index(&mut numbering, source)), [104, 105].map(Some));
        assert_eq!(index(&mut numbering, 11), Some(101), "late, of the part before");
        assert_eq!(index(&mut numbering, 30), None, "of the part that was left out");
        numbering.cut();
        assert_eq!(index(&mut numbering, 0), Some(106), "the source has started anew");
    }

    #[test]
    fn after_a_restart_old_numbers_are_new_packets() {
        let mut numbering = Numbering::starting_at(0);
        assert_eq!([10, 11].map(|source| index(&mut numbering, source)), [Some(1), Some(2)]);
        numbering.forget(Layer::BEST);
        assert_eq!([12, 11, 13].map(|source| index(&mut numbering, source)), [Some(3), None, Some(4)]);
    }

    #[test]
    fn what_was_sent_can_be_asked_for() {
        let mut numbering = Numbering::starting_at(65_533);
        for source in 1..=5 {
            index(&mut numbering, source);
        }
        numbering.cut();
        index(&mut numbering, 100);
        assert_eq!(numbering.highest(), 65_539);
        let ask = |sequence: u16| numbering.given(sequence).map(|given| given.source);
        assert_eq!([ask(65_534), ask(2), ask(3)], [Some(1), Some(5), Some(100)]);
        assert_eq!([ask(65_533), ask(4)], [None, None], "never given");
        assert_eq!(Numbering::starting_at(5).given(5), None);
    }

    #[test]
    fn only_a_few_cuts_are_remembered() {
        let mut numbering = Numbering::starting_at(0);
        for source in 0..10 {
            numbering.cut();
            index(&mut numbering, source * 10);
        }
        let source = |sequence| numbering.given(sequence).map(|given| given.source);
        assert_eq!(source(10), Some(90));
        assert_eq!(source(7), Some(60));
        assert_eq!(source(6), None);
    }

    #[test]
    fn layers_have_numbers_of_their_own() {
        let mut numbering = Numbering::starting_at(0);
        let low = Part { layer: Layer::below_best(1).unwrap(), shift: 9, ..part() };
        assert_eq!([1, 2, 4].map(|source| index(&mut numbering, source)), [1, 2, 4].map(Some));
        numbering.cut();
        assert_eq!(numbering.index(low, 100), Some((5, low)));
        assert_eq!([3, 200].map(|source| numbering.index(part(), source)), [Some((3, part())), None]);
        numbering.cut();
        assert_eq!(numbering.index(part(), 50), Some((6, part())));
        assert_eq!(numbering.index(low, 50), None, "it is not this layer's turn");
        assert_eq!(numbering.given(5), Some(Given { index: 5, source: 100, part: low }));
        numbering.forget(low.layer);
        assert_eq!((numbering.given(5), index(&mut numbering, 51)), (None, Some(7)));
        numbering.forget(Layer::BEST);
        assert_eq!((numbering.given(3), index(&mut numbering, 51)), (None, Some(8)));
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
                if sent.insert(source) && let Some(index) = index(&mut numbering, source) {
                    prop_assert!(given.insert(index), "{index} in generation {generation}");
                    if numbering.highest() - index < 60_000 {
                        prop_assert_eq!(numbering.given(index as u16).map(|given| given.source), Some(source));
                    }
                }
            }
        }
    }
}
