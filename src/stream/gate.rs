//! Mute by somebody else than the publisher: what it sends of a kind goes no further than here.

/// Before the subscribers of one of a publisher's own feeds. It decides under the lock that a write takes anyway.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Gate {
    /// All passes.
    #[default]
    Open,
    /// Nothing passes; so much was kept back.
    Shut(u64),
    /// It opens with the next frame that a decoder can start at; so much was kept back until now.
    Ajar(u64),
}

/// What becomes of a frame, or of a group of packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It passes.
    Passes,
    /// It passes, and so many before it are missing, which nobody will ever bring.
    PassesBehind(u64),
    /// It is kept back.
    Kept,
    /// It is kept back, as a decoder cannot start at it: such as it can is to be asked for.
    KeptForKeyframe,
}

impl Verdict {
    pub(super) const fn passes(self) -> bool {
        matches!(self, Self::Passes | Self::PassesBehind(_))
    }
}

impl Gate {
    pub(super) fn set_shut(&mut self, shut: bool) {
        *self = match (*self, shut) {
            (Self::Open, true) => Self::Shut(0),
            (Self::Ajar(kept), true) => Self::Shut(kept),
            (Self::Shut(kept), false) => Self::Ajar(kept),
            (same, _) => same,
        };
    }

    /// Decides on what is written next.
    pub(super) fn admit(&mut self, keyframe: bool) -> Verdict {
        match self {
            Self::Open => Verdict::Passes,
            Self::Ajar(kept) if keyframe => {
                let kept = *kept;
                *self = Self::Open;
                if kept > 0 { Verdict::PassesBehind(kept) } else { Verdict::Passes }
            }
            Self::Ajar(kept) => {
                *kept += 1;
                Verdict::KeptForKeyframe
            }
            Self::Shut(kept) => {
                *kept += 1;
                Verdict::Kept
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_at_a_keyframe_and_says_what_is_missing() {
        let mut gate = Gate::default();
        assert_eq!(gate.admit(false), Verdict::Passes);
        gate.set_shut(true);
        gate.set_shut(true);
        assert_eq!([true, false].map(|keyframe| gate.admit(keyframe)), [Verdict::Kept; 2]);
        gate.set_shut(false);
        assert_eq!(gate.admit(false), Verdict::KeptForKeyframe);
        gate.set_shut(true);
        assert_eq!(gate.admit(true), Verdict::Kept, "shut again before it was open");
        gate.set_shut(false);
        gate.set_shut(false);
        assert_eq!(
            [true, false].map(|keyframe| gate.admit(keyframe)),
            [Verdict::PassesBehind(4), Verdict::Passes]
        );
    }

    #[test]
    fn where_nothing_came_in_between_nothing_is_missing_but_a_start() {
        let mut gate = Gate::default();
        gate.set_shut(true);
        gate.set_shut(false);
        assert_eq!(gate.admit(true), Verdict::Passes);
    }
}
