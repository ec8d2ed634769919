//! Ids and stream names: text of the peer that is kept, compared and written to logs, so of a bounded length.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// Bytes. A published name is made of room, login, four digits and perhaps a word of the application.
const MAX_LEN: usize = 256;

/// An id or a name that a client has chosen: 1 to 256 bytes without control characters. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct Label(#[cfg_attr(test, schemars(with = "String", length(min = 1, max = 256)))] Arc<str>);

/// Why a text is not a [`Label`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("an id or a name of a stream has 1 to {MAX_LEN} bytes and no control characters")]
pub struct InvalidLabel;

impl Label {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, shared.
    pub fn shared(&self) -> Arc<str> {
        self.0.clone()
    }
}

impl TryFrom<&str> for Label {
    type Error = InvalidLabel;
    fn try_from(text: &str) -> Result<Self, InvalidLabel> {
        let fits = (1..=MAX_LEN).contains(&text.len()) && !text.chars().any(char::is_control);
        if fits { Ok(Self(text.into())) } else { Err(InvalidLabel) }
    }
}

impl TryFrom<String> for Label {
    type Error = InvalidLabel;
    fn try_from(text: String) -> Result<Self, InvalidLabel> {
        Self::try_from(text.as_str())
    }
}

impl From<Label> for String {
    fn from(label: Label) -> Self {
        label.0.as_ref().to_owned()
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds() {
        for good in ["a", "room-1-Zoë-eb8c", &"x".repeat(256)] {
            assert_eq!(Label::try_from(good).unwrap().as_str(), good);
        }
        for bad in ["", "a\nb", &"x".repeat(257)] {
            assert_eq!(Label::try_from(bad), Err(InvalidLabel), "{bad:?}");
        }
    }
}
