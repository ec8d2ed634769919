//! Names of files, made of what is known of a stream when its recording begins.

use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// The longest name, in bytes, without an ending and the number that a name that is taken gets.
const MAX_BYTES: usize = 240;

/// A template such as `{participant}-{kind}`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Template(Vec<Part>);

/// Why a template is none.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum InvalidTemplate {
    /// It names nothing.
    #[error("a name has at least one character")]
    Empty,
    /// A brace without its other half.
    #[error("'{{' and '}}' enclose the names of elements")]
    Braces,
    /// An element that does not exist.
    #[error(
        "there is no element {{{0}}}; there are {{room}}, {{participant}} (or {{login}}), {{stream}}, {{kind}}, {{start}} and {{mediaSessionId}}"
    )]
    Unknown(String),
    /// Something that a name of a file must not have.
    #[error("'/' and a dot at the beginning have no place in the name of a file")]
    NoName,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Text(String),
    Element(Element),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Element {
    Room,
    Participant,
    Login,
    Stream,
    Kind,
    Start,
    MediaSessionId,
}

/// What a name is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elements<'a> {
    /// The room.
    pub(super) room: &'a str,
    /// Who publishes.
    pub(super) participant: &'a str,
    /// The name of the publication.
    pub(super) stream: &'a str,
    /// `camera` or `screen`.
    pub(super) kind: &'a str,
    /// When the recording began, as `2026-11-21T21-31-57Z`.
    pub(super) start: &'a str,
    /// What the client calls the stream, or what stands for that.
    pub(super) media_session_id: &'a str,
}

impl Template {
    /// The name; cut where it would be too long.
    pub(super) fn fill(&self, elements: &Elements<'_>) -> String {
        let mut name = String::new();
        for part in &self.0 {
            name.push_str(match part {
                Part::Text(text) => text,
                Part::Element(element) => element.of(elements),
            });
        }
        while name.len() > MAX_BYTES {
            name.pop();
        }
        // Names of people and rooms have neither; a client may call its stream what it likes.
        let name: String =
            name.chars().map(|c| if c == '/' || c == '\\' || c.is_control() { '_' } else { c }).collect();
        match name.strip_prefix('.') {
            Some(rest) => format!("_{rest}"),
            None => name,
        }
    }
}

impl Element {
    const ALL: [Self; 7] = [
        Self::Room,
        Self::Participant,
        Self::Login,
        Self::Stream,
        Self::Kind,
        Self::Start,
        Self::MediaSessionId,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Room => "room",
            Self::Participant => "participant",
            Self::Login => "login",
            Self::Stream => "stream",
            Self::Kind => "kind",
            Self::Start => "start",
            Self::MediaSessionId => "mediaSessionId",
        }
    }

    const fn of<'a>(self, elements: &Elements<'a>) -> &'a str {
        match self {
            Self::Room => elements.room,
            Self::Participant | Self::Login => elements.participant,
            Self::Stream => elements.stream,
            Self::Kind => elements.kind,
            Self::Start => elements.start,
            Self::MediaSessionId => elements.media_session_id,
        }
    }
}

impl Default for Template {
    fn default() -> Self {
        let text = |text: &str| Part::Text(text.to_owned());
        Self(vec![Part::Element(Element::Participant), text("-"), Part::Element(Element::Kind)])
    }
}

impl FromStr for Template {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, InvalidTemplate> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(open);
            let (element, after) = from
                .strip_prefix('{')
                .and_then(|from| from.split_once('}'))
                .ok_or(InvalidTemplate::Braces)?;
            let element = Element::ALL
                .into_iter()
                .find(|known| known.as_str() == element)
                .ok_or_else(|| InvalidTemplate::Unknown(element.to_owned()))?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Element(element));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        if parts.is_empty() {
            return Err(InvalidTemplate::Empty);
        }
        let has_bad = |part: &Part| matches!(part, Part::Text(text) if text.contains(['/', '\\', '\0']));
        if text.starts_with('.') || parts.iter().any(has_bad) {
            return Err(InvalidTemplate::NoName);
        }
        Ok(Self(parts))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Element(element) => write!(f, "{{{}}}", element.as_str()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ELEMENTS: Elements<'_> = Elements {
        room: "studio",
        participant: "alice",
        stream: "studio-alice-00aa",
        kind: "camera",
        start: "2026-11-21T21-31-57Z",
        media_session_id: "../../etc/passwd",
    };

    #[test]
    fn names_are_filled_in() {
        let fill = |text: &str| text.parse::<Template>().unwrap().fill(&ELEMENTS);
        assert_eq!(fill("{participant}-{kind}"), "alice-camera");
        assert_eq!(fill("{participant}-{kind}"), Template::default().fill(&ELEMENTS));
        assert_eq!(fill("rec {room} {login} {start}"), "rec studio alice 2026-11-21T21-31-57Z");
        assert_eq!(fill("{mediaSessionId}"), "_._.._etc_passwd");
        assert_eq!(fill(&"{stream}".repeat(40)).len(), MAX_BYTES);
    }

    #[test]
    fn what_is_no_template_says_why() {
        let parse = |text: &str| text.parse::<Template>();
        assert_eq!(parse("{room}-{who}"), Err(InvalidTemplate::Unknown("who".to_owned())));
        for (text, error) in [
            ("", InvalidTemplate::Empty),
            ("{room", InvalidTemplate::Braces),
            ("room}", InvalidTemplate::Braces),
            ("../{room}", InvalidTemplate::NoName),
            ("a/{room}", InvalidTemplate::NoName),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
        assert_eq!(parse("a {room}-{start}").unwrap().to_string(), "a {room}-{start}");
    }
}
