//! What is mended of publishers' times, and how often.

/// What was wrong with a publisher's times; each is mended where they enter, once for all who play, convert and record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Repair {
    /// The clock leapt forwards, and nothing is missing.
    JumpForward,
    /// The clock leapt back: an encoder that began anew, mostly.
    JumpBack,
    /// The counter went over its 32 bits.
    Wrap,
    /// The counter went over 24 bits, which is all that some clients know (4 h 39 min).
    Wrap24,
    /// A time of decoding that is not behind the one before.
    NonMonotonic,
    /// The clock stood still while time went by: capture was suspended.
    Stall,
    /// A track that began out of all proportion to the other, or has come away from it.
    Apart,
    /// A time of showing that lies before that of decoding, or in another hour.
    Composition,
}

/// How often times were mended, by kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Repairs([u64; Repair::ALL.len()]);

impl Repair {
    /// All kinds there are.
    pub const ALL: [Self; 8] = [
        Self::JumpForward,
        Self::JumpBack,
        Self::Wrap,
        Self::Wrap24,
        Self::NonMonotonic,
        Self::Stall,
        Self::Apart,
        Self::Composition,
    ];

    /// A word for logs, metrics and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::JumpForward => "jump_forward",
            Self::JumpBack => "jump_back",
            Self::Wrap => "wrap",
            Self::Wrap24 => "wrap_24_bit",
            Self::NonMonotonic => "non_monotonic",
            Self::Stall => "stall",
            Self::Apart => "apart",
            Self::Composition => "composition",
        }
    }
}

impl Repairs {
    /// Nothing was mended.
    pub const NONE: Self = Self([0; Repair::ALL.len()]);

    /// One more, or several.
    pub const fn add(&mut self, kind: Repair, count: u64) {
        let slot = &mut self.0[kind as usize]; // a slot for each kind
        *slot = slot.saturating_add(count);
    }

    /// Those of a kind.
    pub const fn of(&self, kind: Repair) -> u64 {
        self.0[kind as usize]
    }

    /// Kinds that there were any of, with their number.
    pub fn iter(&self) -> impl Iterator<Item = (Repair, u64)> {
        Repair::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }

    /// Whether nothing was mended.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes all: none are left.
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }
}

impl FromIterator<(Repair, u64)> for Repairs {
    fn from_iter<I: IntoIterator<Item = (Repair, u64)>>(kinds: I) -> Self {
        let mut repairs = Self::default();
        kinds.into_iter().for_each(|(kind, count)| repairs.add(kind, count));
        repairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_place_and_word() {
        let mut repairs = Repairs::default();
        for (count, kind) in (1..).zip(Repair::ALL) {
            repairs.add(kind, count);
        }
        let told: Vec<_> = repairs.iter().map(|(_, count)| count).collect();
        assert_eq!(told, [1, 2, 3, 4, 5, 6, 7, 8]);
        let words: std::collections::BTreeSet<_> = Repair::ALL.map(Repair::as_str).into();
        assert_eq!(words.len(), Repair::ALL.len());
        assert_eq!(repairs.take().of(Repair::Wrap), 3);
        assert_eq!(repairs.iter().next(), None);
    }
}
