//! Numbers with a unit as they stand in the file: `"10s"`, `"2MiB"`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use thiserror::Error;

/// A length of time: a whole number of `ms`, `s`, `m` (minutes) or `h`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(pub Duration);

/// A number of bytes: a whole number of `B`, `KiB`, `MiB` or `GiB`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ByteSize(pub u64);

/// Why a text is not a number with a unit.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum InvalidUnit {
    /// The part before the unit.
    #[error("{text:?} does not start with a whole number; write for example {example:?}")]
    Number {
        /// What was written.
        text: String,
        /// What could be.
        example: &'static str,
    },
    /// The part after the number.
    #[error("{text:?} has no unit of {what}; the units are {units}")]
    Unit {
        /// What was written.
        text: String,
        /// What it should measure.
        what: &'static str,
        /// What could be.
        units: String,
    },
    /// More than can be counted.
    #[error("{0:?} is too large")]
    TooLarge(String),
}

/// A quantity: its name, an example, and its units from the smallest, each with its size in the smallest.
struct Quantity {
    what: &'static str,
    example: &'static str,
    units: &'static [(&'static str, u64)],
}

const TIME: Quantity = Quantity {
    what: "time",
    example: "10s",
    units: &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)],
};
const SIZE: Quantity = Quantity {
    what: "size",
    example: "2MiB",
    units: &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)],
};

impl Quantity {
    fn parse(&self, text: &str) -> Result<u64, InvalidUnit> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        if number.is_empty() {
            return Err(InvalidUnit::Number { text: text.to_owned(), example: self.example });
        }
        let Some(&(_, factor)) = self.units.iter().find(|(name, _)| *name == unit.trim_start()) else {
            let names: Vec<_> = self.units.iter().map(|(name, _)| *name).collect();
            return Err(InvalidUnit::Unit {
                text: text.to_owned(),
                what: self.what,
                units: names.join(", "),
            });
        };
        let number: Option<u64> = number.parse().ok();
        number
            .and_then(|number| number.checked_mul(factor))
            .ok_or_else(|| InvalidUnit::TooLarge(text.to_owned()))
    }

    /// In the largest unit that needs no fraction.
    fn print(&self, value: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, factor): &&(&str, u64)| value.is_multiple_of(*factor) && (value > 0 || *factor == 1);
        let (name, factor) = self.units.iter().rev().find(fits).unwrap_or(&self.units[0]);
        write!(f, "{}{name}", value / factor)
    }
}

impl FromStr for Span {
    type Err = InvalidUnit;
    fn from_str(text: &str) -> Result<Self, InvalidUnit> {
        TIME.parse(text).map(|ms| Self(Duration::from_millis(ms)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        TIME.print(self.0.as_millis().try_into().unwrap_or(u64::MAX), f)
    }
}

impl FromStr for ByteSize {
    type Err = InvalidUnit;
    fn from_str(text: &str) -> Result<Self, InvalidUnit> {
        SIZE.parse(text).map(Self)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SIZE.print(self.0, f)
    }
}

impl ByteSize {
    /// As a length in memory; what does not fit is as good as no bound.
    pub fn as_usize(self) -> usize {
        self.0.try_into().unwrap_or(usize::MAX)
    }
}

/// serde goes by way of text.
macro_rules! as_text {
    ($($unit:ty),*) => { $(
        impl TryFrom<String> for $unit {
            type Error = InvalidUnit;
            fn try_from(text: String) -> Result<Self, InvalidUnit> {
                text.parse()
            }
        }

        impl From<$unit> for String {
            fn from(value: $unit) -> Self {
                value.to_string()
            }
        }
    )* };
}

as_text!(Span, ByteSize);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_have_their_sizes() {
        let span = |text: &str| text.parse::<Span>().unwrap().0;
        assert_eq!(span("250ms"), Duration::from_millis(250));
        assert_eq!(span("10 s"), Duration::from_secs(10));
        assert_eq!(span("2m"), Duration::from_secs(120));
        assert_eq!(span("1h"), Duration::from_secs(3600));
        assert_eq!("2MiB".parse(), Ok(ByteSize(2 << 20)));
        assert_eq!("1GiB".parse(), Ok(ByteSize(1 << 30)));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = |text: &str| text.parse::<Span>().unwrap_err().to_string();
        assert_eq!(error("soon"), "\"soon\" does not start with a whole number; write for example \"10s\"");
        assert_eq!(error("10"), "\"10\" has no unit of time; the units are ms, s, m, h");
        assert_eq!(error("1.5s"), "\"1.5s\" has no unit of time; the units are ms, s, m, h");
        assert_eq!(error("10S"), "\"10S\" has no unit of time; the units are ms, s, m, h");
        assert_eq!(error("99999999999999999999s"), "\"99999999999999999999s\" is too large");
        assert_eq!(error("18446744073709551615h"), "\"18446744073709551615h\" is too large");
    }

    #[test]
    fn printing_chooses_the_largest_whole_unit() {
        let print = |ms| Span(Duration::from_millis(ms)).to_string();
        assert_eq!([0, 1, 1500, 60_000, 7_200_000].map(print), ["0ms", "1ms", "1500ms", "1m", "2h"]);
        assert_eq!(ByteSize(3 << 20).to_string(), "3MiB");
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same(value in 0..u64::MAX) {
            let span = Span(Duration::from_millis(value));
            prop_assert_eq!(span.to_string().parse(), Ok(span));
            prop_assert_eq!(ByteSize(value).to_string().parse(), Ok(ByteSize(value)));
        }
    }
}
