//! Names of rooms and participants, checked once at every door.

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use thiserror::Error;

const MAX_LENGTH: usize = 64;
/// So that the name of a publication, which has two of these, is a name for a file as well: those have 255.
const MAX_BYTES: usize = 96;

/// A valid name: 1 to 64 letters and decimal digits of any script, with their marks, `-`, `_` and `.`, in 96 bytes of UTF-8 at
/// most; it starts with neither a dot nor a mark. It has nothing that is invisible, turns the direction of writing or means
/// something in a URL, a path or a log line.
///
/// It is kept in normal form C, so that a name is the same however a keyboard composes its letters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Name(Arc<str>);

/// Why a name is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum InvalidName {
    /// It is empty.
    #[error("a name must not be empty")]
    Empty,
    /// It has more than 64 characters or 96 bytes.
    #[error("a name has at most {MAX_LENGTH} characters and {MAX_BYTES} bytes")]
    TooLong,
    /// It starts with a dot.
    #[error("a name must not start with a dot")]
    LeadingDot,
    /// It has another character, or a mark that belongs to no letter.
    #[error("a name consists of letters, digits, '-', '_' and '.'; {0:?} is not allowed")]
    Character(char),
}

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as shared text.
    pub fn shared(&self) -> Arc<str> {
        self.0.clone()
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let name = spelt(text, MAX_BYTES)?;
        if name.chars().count() > MAX_LENGTH {
            return Err(InvalidName::TooLong);
        }
        Ok(Self(name.as_ref().into()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text of the characters that names have, in normal form C and at most so many bytes.
pub(super) fn spelt(text: &str, max_bytes: usize) -> Result<Cow<'_, str>, InvalidName> {
    if text.is_empty() {
        return Err(InvalidName::Empty);
    }
    if text.starts_with('.') {
        return Err(InvalidName::LeadingDot);
    }
    let is_mark = |c: &char| !c.is_ascii() && matches!(category(*c), Category::Mark);
    let first_mark = text.chars().next().filter(is_mark);
    if let Some(other) = first_mark.or_else(|| text.chars().find(|c| !is_allowed(*c))) {
        return Err(InvalidName::Character(other));
    }
    // Nothing is composed to less than a third of its length (Unicode, UAX 15, section 9).
    if text.len() > 3 * max_bytes {
        return Err(InvalidName::TooLong);
    }
    let name = if text.is_ascii() {
        Cow::Borrowed(text)
    } else {
        ComposingNormalizerBorrowed::new_nfc().normalize(text)
    };
    if name.len() > max_bytes { Err(InvalidName::TooLong) } else { Ok(name) }
}

enum Category {
    LetterOrDigit,
    Mark,
    Other,
}

fn is_allowed(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    }
    // Some letters and marks are there to fill a place and cannot be seen.
    !matches!(category(c), Category::Other)
        && !CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

fn category(c: char) -> Category {
    use GeneralCategory as Of;
    match CodePointMapData::<GeneralCategory>::new().get(c) {
        Of::UppercaseLetter
        | Of::LowercaseLetter
        | Of::TitlecaseLetter
        | Of::ModifierLetter
        | Of::OtherLetter
        | Of::DecimalNumber => Category::LetterOrDigit,
        Of::NonspacingMark | Of::SpacingMark => Category::Mark,
        _ => Category::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_rule() {
        for good in
            ["a", "Room-1_x.y", &"z".repeat(64), "Алиса", "Zoë", "José-María", "東京", "نورا", "प्रिया", "٣"]
        {
            assert_eq!(good.parse::<Name>().unwrap().as_str(), good);
        }
        let error = |text: &str| text.parse::<Name>().unwrap_err();
        assert_eq!(error(""), InvalidName::Empty);
        assert_eq!(error(".."), InvalidName::LeadingDot);
        assert_eq!(error(&"z".repeat(65)), InvalidName::TooLong);
        assert_eq!(error(&"ж".repeat(49)), InvalidName::TooLong, "98 bytes");
        assert!("ж".repeat(48).parse::<Name>().is_ok());
        assert_eq!(error(&"a\u{0301}".repeat(1 << 20)), InvalidName::TooLong);
    }

    #[test]
    fn what_means_something_elsewhere_or_cannot_be_seen_is_none() {
        for c in "/\\?#&%+=:;,@!*'\"<>|`~^$(){}[] \t\n\r\0\u{7f}".chars() {
            assert_eq!(format!("a{c}b").parse::<Name>(), Err(InvalidName::Character(c)), "{c:?}");
        }
        for c in [
            '\u{a0}', '\u{2003}', '\u{2028}', '\u{2029}', '\u{85}', // white space and line ends
            '\u{200b}', '\u{200d}', '\u{ad}', '\u{feff}', '\u{3164}', '\u{115f}', '\u{fe0f}',
            '\u{34f}', // invisible
            '\u{202e}', '\u{2066}', '\u{200f}', '\u{61c}', // direction
            '\u{ff0f}', '\u{2044}', '\u{2024}', '\u{ff05}', // look like '/', '.' and '%'
            '🙂', '½', '²', '\u{20dd}', '\u{e000}', '\u{378}',
        ] {
            assert_eq!(format!("a{c}b").parse::<Name>(), Err(InvalidName::Character(c)), "{c:?}");
        }
        assert_eq!("\u{301}a".parse::<Name>(), Err(InvalidName::Character('\u{301}')), "upon nothing");
    }

    #[test]
    fn however_it_is_typed_it_is_the_same_name() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        assert_eq!(name("Zoe\u{308}"), name("Zoë"));
        assert_eq!(name("и\u{306}од").as_str(), "йод");
        // A letter that has no composed form.
        assert_eq!(name("x\u{301}").as_str(), "x\u{301}");
        assert_ne!(name("Anna"), name("anna"));
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_as_the_same(text in r"[\p{L}\p{Mn}\p{Mc}\p{Nd}._-]{0,40}|\PC{0,20}|[a-z\u{300}-\u{36f}]{1,30}") {
            if let Ok(name) = text.parse::<Name>() {
                prop_assert_eq!(name.to_string().parse::<Name>(), Ok(name.clone()));
                prop_assert!(name.as_str().len() <= MAX_BYTES && name.as_str().chars().count() <= MAX_LENGTH);
                prop_assert!(!name.as_str().chars().any(|c| c.is_control() || c.is_whitespace()));
            }
        }
    }
}
