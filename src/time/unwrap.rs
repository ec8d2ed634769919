//! From counters that wrap to 64-bit ones that do not.

/// An RTP timestamp as on the wire: ticks of the payload's clock, wrapping at 2^32 (RFC 3550, section 5.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct RtpTime(pub u32);

/// An RTMP timestamp as on the wire: milliseconds, wrapping at 2^32.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct RtmpTime(pub u32);

/// Extends a counter of `BITS` bits to 64 by taking each value as the nearest to the one before: a step of less than
/// half the range is a step forwards or backwards, whatever wraps lie between.
///
/// The first value is taken as it is, so the result starts in `0..2^BITS` and may become negative only by steps back.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwrapper<const BITS: u32> {
    last: Option<i64>,
}

impl<const BITS: u32> Unwrapper<BITS> {
    /// Knows nothing yet.
    pub const fn new() -> Self {
        Self { last: None }
    }

    /// The 64-bit value of `raw`, of which the lowest `BITS` bits count.
    pub fn unwrap(&mut self, raw: u32) -> i64 {
        let value = self.peek(raw);
        self.last = Some(value);
        value
    }

    /// What [`unwrap`](Self::unwrap) would give, without moving on: for a value that may be a stray.
    pub fn peek(&self, raw: u32) -> i64 {
        let modulus = 1i64 << BITS;
        let raw = i64::from(raw) & (modulus - 1);
        let Some(last) = self.last else { return raw };
        let step = (raw - last).rem_euclid(modulus);
        last + if step >= modulus / 2 { step - modulus } else { step }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wraps_forwards_and_back() {
        let mut seq = Unwrapper::<16>::new();
        assert_eq!(
            [65_534, 65_535, 0, 65_535, 1].map(|v| seq.unwrap(v)),
            [65_534, 65_535, 65_536, 65_535, 65_537]
        );
    }

    #[test]
    fn a_step_back_at_the_start_is_negative() {
        let mut time = Unwrapper::<32>::new();
        assert_eq!([5, u32::MAX].map(|v| time.unwrap(v)), [5, -1]);
    }

    proptest! {
        #[test]
        fn follows_any_walk_of_small_steps(start in any::<u32>(), steps in prop::collection::vec(-30_000i64..30_000, 1..200)) {
            let (mut unwrapper, mut truth) = (Unwrapper::<16>::new(), i64::from(start & 0xffff));
            unwrapper.unwrap(start);
            for step in steps {
                truth += step;
                prop_assert_eq!(unwrapper.unwrap(truth.rem_euclid(1 << 16) as u32), truth);
            }
        }
    }
}
