//! The encodings of one picture in several sizes, as browsers send them by simulcast.

use std::fmt;

/// Which encoding of a track a feed is. The publisher's track itself is [`Layer::BEST`]: the best that it sends at the
/// moment, without a break. Lower layers are further feeds, for viewers whose line or tile is small; whoever does not ask
/// for them never meets them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Layer(u8);

impl Layer {
    /// The track itself.
    pub const BEST: Self = Self(0);
    /// How many layers a track has at most.
    pub const MAX: usize = 4;
    /// No layer of the publisher's, but what is made of its track for those who have just come, with keyframes when they are
    /// asked for: shown until the track itself has its next keyframe.
    pub const START: Self = Self(4);
    /// With it.
    pub const COUNT: usize = 5;

    /// The layer so many steps below the best; `None` beyond [`MAX`](Self::MAX).
    pub fn below_best(steps: usize) -> Option<Self> {
        u8::try_from(steps).ok().filter(|_| steps < Self::MAX).map(Self)
    }

    /// How many steps below the best it is.
    pub const fn steps(self) -> usize {
        self.0 as usize // a u8 fits
    }

    /// All there can be, the best first.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::MAX).filter_map(Self::below_best)
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Some of a track's layers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Layers(u8);

impl Layers {
    /// These.
    pub fn of(layers: impl IntoIterator<Item = Layer>) -> Self {
        Self(layers.into_iter().fold(0, |bits, layer| bits | 1 << layer.0))
    }

    /// These too.
    #[must_use]
    pub fn with(self, layers: impl IntoIterator<Item = Layer>) -> Self {
        Self(self.0 | Self::of(layers).0)
    }

    /// All but this.
    #[must_use]
    pub const fn without(self, layer: Layer) -> Self {
        Self(self.0 & !(1 << layer.0))
    }

    /// Whether the layer is one of them.
    pub const fn contains(self, layer: Layer) -> bool {
        self.0 & 1 << layer.0 != 0
    }

    pub(super) const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    pub(super) const fn bits(self) -> u8 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_and_sets_of_them() {
        assert_eq!(Layer::all().map(Layer::steps).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!((Layer::below_best(4), Layer::below_best(256)), (None, None));
        let low = Layer::below_best(2).unwrap();
        let layers = Layers::of([Layer::BEST, low]);
        assert!(layers.contains(low) && layers.contains(Layer::BEST));
        assert!(!layers.contains(Layer::below_best(1).unwrap()));
        assert_eq!(Layers::from_bits(layers.bits()), layers);
    }
}
