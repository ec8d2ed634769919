//! Names of publications.

use super::name::{Name, spelt};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use thiserror::Error;

/// Two names of 96, four digits and a word of the application, and it is a name for a file, too.
const MAX_BYTES: usize = 240;
/// What marks a publication as a screen, as the room protocol has it.
const SCREEN: &str = "screenShare";

/// The name of a publication: 1 to 240 bytes of what [names](Name) consist of, in normal form C. Clients of the room protocol
/// choose it, `<room>-<login>-<4 hex digits>` with an optional suffix; others get one of that form.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PublishedName(Arc<str>);

/// Why a name of a publication is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error(
    "a stream's name has 1 to {MAX_BYTES} bytes of letters, digits, '-', '_' and '.', and does not start with a dot"
)]
pub struct InvalidPublishedName;

/// What a publication shows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum StreamKind {
    /// A person, or whatever an encoder sends.
    Camera,
    /// A screen or a window.
    Screen,
}

impl PublishedName {
    /// A name for a publication of somebody who chose none; `number` tells it from earlier ones.
    pub fn of(room: &Name, participant: &Name, number: u16) -> Self {
        Self(format!("{room}-{participant}-{number:04x}").into())
    }

    /// Whether it says of itself that it is of this participant of this room. So nobody can take the names that others will
    /// be asked for by.
    pub fn is_of(&self, room: &Name, participant: &Name) -> bool {
        let rest = self.0.strip_prefix(room.as_str()).and_then(|rest| rest.strip_prefix('-'));
        let rest = rest.and_then(|rest| rest.strip_prefix(participant.as_str()));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as shared text.
    pub fn shared(&self) -> Arc<str> {
        self.0.clone()
    }

    /// What the publication shows, as far as its name tells.
    pub fn kind(&self) -> StreamKind {
        if self.0.contains(SCREEN) { StreamKind::Screen } else { StreamKind::Camera }
    }
}

impl FromStr for PublishedName {
    type Err = InvalidPublishedName;

    fn from_str(text: &str) -> Result<Self, InvalidPublishedName> {
        let name = spelt(text, MAX_BYTES).map_err(|_| InvalidPublishedName)?;
        Ok(Self(name.as_ref().into()))
    }
}

impl fmt::Display for PublishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StreamKind {
    /// Lower case, for the API and clients.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Camera => "camera",
            Self::Screen => "screen",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_rule() {
        for bad in ["", ".a", "a/b", "a b", "a\u{202e}", &"z".repeat(241)] {
            assert_eq!(bad.parse::<PublishedName>(), Err(InvalidPublishedName), "{bad}");
        }
        assert!("z".repeat(240).parse::<PublishedName>().is_ok());
        let longest: Name = "ж".repeat(48).parse().unwrap();
        let name = format!("{}-screenShare", PublishedName::of(&longest, &longest, 0xeb8c));
        assert_eq!(name.parse::<PublishedName>().unwrap().as_str(), name);
    }

    #[test]
    fn whose_it_is_does_not_depend_on_the_keyboard() {
        let is_of = |name: &str, room: &str, login: &str| {
            let name: PublishedName = name.parse().unwrap();
            name.is_of(&room.parse().unwrap(), &login.parse().unwrap())
        };
        assert!(is_of("зал-Zoe\u{308}-eb8c", "зал", "Zoë"));
        assert!(is_of("зал-Zoë-eb8c", "зал", "Zoe\u{308}"));
        assert!(!is_of("зал-Zoe\u{308}-eb8c", "зал", "Zoe"));
    }

    proptest! {
        #[test]
        fn what_is_made_up_is_valid_and_of_its_owner(room in r"[\p{L}\p{M}\p{Nd}._-]{1,12}", login in r"[\p{L}\p{M}\p{Nd}._-]{1,12}", number: u16) {
            if let (Ok(room), Ok(login)) = (room.parse::<Name>(), login.parse::<Name>()) {
                let name = PublishedName::of(&room, &login, number);
                prop_assert!(name.is_of(&room, &login));
                prop_assert_eq!(name.to_string().parse::<PublishedName>(), Ok(name));
            }
        }
    }

    #[test]
    fn a_screen_is_told_by_its_name() {
        let kind = |text: &str| text.parse::<PublishedName>().unwrap().kind();
        assert_eq!(kind("room-5aad46-gina-7c7e-screenShare"), StreamKind::Screen);
        assert_eq!(kind("room-5aad46-gina-7c7e"), StreamKind::Camera);
        let (room, gina) = ("r".parse().unwrap(), "gina".parse().unwrap());
        assert_eq!(PublishedName::of(&room, &gina, 0x7c).as_str(), "r-gina-007c");
    }
}
