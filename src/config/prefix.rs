//! What stands before the names of uploaded files.

use serde::{Deserialize, Serialize};
use std::str::FromStr;
use thiserror::Error;

/// What stands before the names of files in the keys of objects: a template such as `{room}/{session}/`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix(String);

/// Why a template is none.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum InvalidPrefix {
    /// Sessions would overwrite each other.
    #[error("there is no {0} in it, without which files of several sessions would have the same name")]
    Missing(&'static str),
    /// Something else than there is.
    #[error("'{{' and '}}' enclose room and session, and nothing else")]
    Braces,
    /// What stores take for something else, or for nothing.
    #[error("parts between '/' have at least one character, are not \".\" or \"..\", and have no blanks")]
    Key,
}

const ROOM: &str = "{room}";
const SESSION: &str = "{session}";

impl Prefix {
    /// The key of a file of a session.
    pub fn key(&self, room: &str, session: &str, file: &str) -> String {
        // In one go: a name that looks like an element is none.
        let filled: Vec<_> = self.0.split(ROOM).map(|part| part.replace(SESSION, session)).collect();
        filled.join(room) + file
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self(format!("{ROOM}/{SESSION}/"))
    }
}

impl FromStr for Prefix {
    type Err = InvalidPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidPrefix> {
        if let Some(missing) = [ROOM, SESSION].into_iter().find(|element| !text.contains(element)) {
            return Err(InvalidPrefix::Missing(missing));
        }
        let bare = text.replace(ROOM, "r").replace(SESSION, "s");
        if bare.contains(['{', '}']) {
            return Err(InvalidPrefix::Braces);
        }
        let is_part = |part: &str| {
            !matches!(part, "" | "." | "..")
                && !part.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\')
        };
        // The name of a file follows.
        if (bare + "f").split('/').all(is_part) { Ok(Self(text.to_owned())) } else { Err(InvalidPrefix::Key) }
    }
}

impl TryFrom<String> for Prefix {
    type Error = InvalidPrefix;

    fn try_from(text: String) -> Result<Self, InvalidPrefix> {
        text.parse()
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        prefix.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_follow_the_template() {
        let key = |text: &str| text.parse::<Prefix>().unwrap().key("зал", "2026-11-21T21-31-57Z", "a.mp4");
        assert_eq!(key("{room}/{session}/"), "зал/2026-11-21T21-31-57Z/a.mp4");
        assert_eq!(key("x/{session}-{room}-"), "x/2026-11-21T21-31-57Z-зал-a.mp4");
        assert_eq!(Prefix::default().key("{session}", "s", "f"), "{session}/s/f");
    }

    #[test]
    fn templates_that_lose_or_confuse_sessions_are_refused() {
        let error = |text: &str| text.parse::<Prefix>().unwrap_err();
        assert_eq!(error(""), InvalidPrefix::Missing(ROOM));
        assert_eq!(error("{room}/"), InvalidPrefix::Missing(SESSION));
        assert_eq!(error("{room}/{session}/{kind}/"), InvalidPrefix::Braces);
        for bad in
            ["/{room}/{session}/", "{room}//{session}", "../{room}/{session}/", "a b/{room}/{session}/"]
        {
            assert_eq!(error(bad), InvalidPrefix::Key, "{bad}");
        }
    }
}
