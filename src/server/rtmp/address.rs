//! Which room and participant a client means.
//!
//! The address is `rtmp://host/<room>/<participant>`, and clients cut it in different places: ffmpeg and librtmp take the
//! first one or two parts of the path for the application, GStreamer all but the last, OBS whatever stands in the field
//! "server"; the rest is the stream's name, which may be empty. A query may hang on either. Who plays may name a
//! publication instead of its participant.

use crate::room::{InvalidName, InvalidPublishedName, Name, PublishedName};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use thiserror::Error;

/// Where a client publishes or plays.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// The room.
    pub room: Name,
    /// Whose stream, or which one: what comes behind the room.
    wanted: String,
    /// The value of `token` in the query, as it came.
    pub token: Option<String>,
}

/// What is wrong with an address.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum AddressError {
    /// The room's name is not valid.
    #[error("room: {0}; the address is rtmp://host/<room>/<participant>")]
    Room(#[source] InvalidName),
    /// The participant's name is not valid.
    #[error("participant (the stream key): {0}; the address is rtmp://host/<room>/<participant>")]
    Participant(#[source] InvalidName),
    /// What is to be played is called what nothing can be.
    #[error("stream: {0}; the address is rtmp://host/<room>/<participant>")]
    Stream(#[source] InvalidPublishedName),
    /// More than a room and a participant.
    #[error("the address has too many parts; it is rtmp://host/<room>/<participant>")]
    TooManyParts,
}

impl Address {
    /// Puts an address together from `app` and `tcUrl` of `connect` and the name in `publish` or `play`.
    pub fn resolve(app: &str, tc_url: &str, key: &str) -> Result<Self, AddressError> {
        let (app, app_query) = split_query(app);
        let (key, key_query) = split_query(key);
        let tc_query = split_query(tc_url).1;
        let key = without_container(key);
        // "_definst_" is how some encoders spell that an application has no instances.
        let mut parts =
            app.split('/').chain(key.split('/')).filter(|part| !matches!(*part, "" | "_definst_"));
        let mut part = || decoded(parts.next().unwrap_or_default());
        let (room, wanted) = (part().parse().map_err(AddressError::Room)?, part().into_owned());
        if parts.next().is_some() {
            return Err(AddressError::TooManyParts);
        }
        let token = [key_query, app_query, tc_query].into_iter().find_map(token).map(str::to_owned);
        Ok(Self { room, wanted, token })
    }

    /// Who publishes there.
    pub fn participant(&self) -> Result<Name, AddressError> {
        self.wanted.parse().map_err(AddressError::Participant)
    }

    /// What is played there: a participant's first stream, or the publication of that name, whose names may be longer.
    pub fn stream(&self) -> Result<PublishedName, AddressError> {
        match self.wanted.parse() {
            Ok(name) => Ok(name),
            Err(_) if self.wanted.is_empty() => Err(AddressError::Participant(InvalidName::Empty)),
            Err(error) => Err(AddressError::Stream(error)),
        }
    }
}

/// The publication that a member names by its name alone, whatever the application is called; `None`: the key says more, or
/// nothing.
pub(super) fn publication(key: &str) -> Result<Option<PublishedName>, AddressError> {
    let key = without_container(split_query(key).0);
    if key.is_empty() || key.contains('/') {
        return Ok(None);
    }
    decoded(key).parse().map(Some).map_err(AddressError::Stream)
}

/// Some clients send a URL as it is typed and others as it travels. No name has a `%`, so either is understood.
fn decoded(part: &str) -> Cow<'_, str> {
    percent_decode_str(part).decode_utf8().unwrap_or(Cow::Borrowed(part))
}

/// Flash prefixes the name of a stream with its container.
fn without_container(key: &str) -> &str {
    ["mp4:", "flv:"].iter().find_map(|prefix| key.strip_prefix(prefix)).unwrap_or(key)
}

fn split_query(text: &str) -> (&str, &str) {
    text.split_once('?').unwrap_or((text, ""))
}

fn token(query: &str) -> Option<&str> {
    query.split(['&', '?']).find_map(|pair| pair.strip_prefix("token=")).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(app: &str, tc_url: &str, key: &str) -> Result<String, AddressError> {
        let address = Address::resolve(app, tc_url, key)?;
        let participant = address.participant()?;
        assert_eq!(address.stream().map(|name| name.to_string()), Ok(participant.to_string()));
        Ok(format!("{} {participant} {}", address.room, address.token.unwrap_or_default()))
    }

    #[test]
    fn who_plays_may_name_a_publication() {
        let name = "r".repeat(64) + "-" + &"p".repeat(64) + "-eb8c-screenShare";
        let address = Address::resolve("r", "", &name).unwrap();
        assert_eq!(address.stream().unwrap().as_str(), name);
        assert_eq!(address.participant(), Err(AddressError::Participant(InvalidName::TooLong)));
        let stream = |key: &str| Address::resolve("r", "", key).unwrap().stream().unwrap_err();
        assert_eq!(stream("a b"), AddressError::Stream(InvalidPublishedName));
        assert_eq!(stream(""), AddressError::Participant(InvalidName::Empty));
    }

    #[test]
    fn however_the_client_cuts_it() {
        for (app, tc_url, key) in [
            ("r", "rtmp://h/r", "p"),
            ("r/", "rtmp://h/r/", "p"),
            ("r/p", "rtmp://h/r/p", ""),
            ("r/_definst_", "rtmp://h/r/_definst_", "p"),
            ("r", "rtmp://h:1935/r", "mp4:p"),
            ("", "rtmp://h/", "r/p"),
        ] {
            assert_eq!(resolve(app, tc_url, key), Ok("r p ".into()), "{app:?} {key:?}");
        }
    }

    #[test]
    fn typed_or_as_it_travels() {
        for (app, key) in
            [("зал", "Zoë"), ("%D0%B7%D0%B0%D0%BB", "Zo%C3%AB"), ("", "%d0%b7%d0%b0%d0%bb/Zoe%CC%88?a=%")]
        {
            assert_eq!(resolve(app, "", key), Ok("зал Zoë ".into()), "{app:?} {key:?}");
        }
        let wrong = |key: &str| resolve("r", "", key).unwrap_err();
        for key in ["100%", "%C3", "%FF%FE", "%zz"] {
            assert_eq!(wrong(key), AddressError::Participant(InvalidName::Character('%')), "{key}");
        }
        assert_eq!(wrong("a%2Fb"), AddressError::Participant(InvalidName::Character('/')));
        assert_eq!(wrong("%2Ea"), AddressError::Participant(InvalidName::LeadingDot));
        assert_eq!(publication("%D0%B7-a-1").unwrap().unwrap().as_str(), "з-a-1");
    }

    #[test]
    fn a_members_stream_needs_no_room() {
        let name = |key: &str| publication(key).map(|name| name.map(|name| name.to_string()));
        assert_eq!(name("flv:r1-bob?x=y"), Ok(Some("r1-bob".into())));
        assert_eq!(name("r1/bob"), Ok(None));
        assert_eq!(name("?x=y"), Ok(None));
        assert_eq!(name("a b"), Err(AddressError::Stream(InvalidPublishedName)));
    }

    #[test]
    fn tokens_wherever_they_hang() {
        assert_eq!(resolve("r", "", "p?a=b&token=x"), Ok("r p x".into()));
        assert_eq!(resolve("r?token=x", "", "p?token="), Ok("r p x".into()));
        assert_eq!(resolve("r", "rtmp://h/r?token=x", "p"), Ok("r p x".into()));
        assert_eq!(resolve("r", "", "p?token=x?token=y"), Ok("r p x".into()), "an encoder's second query");
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(resolve("", "", ""), Err(AddressError::Room(InvalidName::Empty)));
        assert_eq!(resolve("r", "", ""), Err(AddressError::Participant(InvalidName::Empty)));
        assert_eq!(resolve("r", "", "a b"), Err(AddressError::Participant(InvalidName::Character(' '))));
        assert_eq!(resolve("live/r", "", "p"), Err(AddressError::TooManyParts));
    }
}
