//! Names of rooms and participants, checked once at every door.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use thiserror::Error;

const MAX_LENGTH: usize = 64;

/// A valid name: 1 to 64 ASCII letters, digits, `-`, `_` and `.`, not starting with a dot. So it is safe in a URL, a
/// file name and a log line as it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Name(Arc<str>);

/// Why a name is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum InvalidName {
    /// It is empty.
    #[error("a name must not be empty")]
    Empty,
    /// It has more than 64 characters.
    #[error("a name has at most {MAX_LENGTH} characters")]
    TooLong,
    /// It starts with a dot.
    #[error("a name must not start with a dot")]
    LeadingDot,
    /// It has another character.
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
        if text.is_empty() {
            return Err(InvalidName::Empty);
        }
        if text.starts_with('.') {
            return Err(InvalidName::LeadingDot);
        }
        if let Some(other) =
            text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
        {
            return Err(InvalidName::Character(other));
        }
        if text.len() > MAX_LENGTH {
            return Err(InvalidName::TooLong);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule() {
        for good in ["a", "Room-1_x.y", &"z".repeat(64)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        let error = |text: &str| text.parse::<Name>().unwrap_err();
        assert_eq!(error(""), InvalidName::Empty);
        assert_eq!(error(".."), InvalidName::LeadingDot);
        assert_eq!(error("a/b"), InvalidName::Character('/'));
        assert_eq!(error("zoë"), InvalidName::Character('ë'));
        assert_eq!(error(&"z".repeat(65)), InvalidName::TooLong);
    }
}
