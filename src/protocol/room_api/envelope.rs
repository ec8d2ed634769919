//! The frame around every message: a name and arguments.

use super::label::Label;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

/// The longest message of a client, in bytes: an offer of 64 KB, its line ends escaped, and what stands around it.
pub const MAX_MESSAGE_LEN: usize = 128 * 1024;
/// Objects and arrays within each other, the envelope included.
pub const MAX_DEPTH: usize = 24;
/// Characters that are said again of what a client says.
const MAX_SHOWN: usize = 64;
/// The same of what is wrong with it, which tells what was found and what would have been right.
const MAX_FAULT: usize = 256;

/// `{"message": name, "data": [arguments]}`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Envelope {
    /// The message's name.
    pub message: String,
    /// Its arguments; clients send one, an object or `null`.
    #[serde(default)]
    pub data: Vec<Value>,
}

/// Why a text is no message at all. Its sender does not speak this protocol.
#[derive(Debug, Error)]
pub enum Unreadable {
    /// Longer than [`MAX_MESSAGE_LEN`].
    #[error("a message has at most {MAX_MESSAGE_LEN} bytes")]
    TooLong,
    /// Deeper than [`MAX_DEPTH`].
    #[error("a message has at most {MAX_DEPTH} objects and arrays within each other")]
    TooDeep,
    /// Not JSON, or not an envelope.
    #[error("a message is JSON {{\"message\": name, \"data\": [...]}}: {0}")]
    NotAnEnvelope(#[source] serde_json::Error),
}

/// A message that is known by name, with arguments that are not what they must be.
#[derive(Clone, PartialEq, Debug, Error)]
#[error("{message}: {what}")]
pub struct Malformed {
    /// Its name.
    pub message: &'static str,
    /// The operation that waits for an acknowledgement, if that could be read.
    pub operation: Option<Label>,
    /// The stream that waits for a status, if that could be read.
    pub stream: Option<Label>,
    /// What is wrong.
    pub what: String,
}

impl Envelope {
    /// Reads a client's text.
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        if text.len() > MAX_MESSAGE_LEN {
            return Err(Unreadable::TooLong);
        }
        if depth(text) > MAX_DEPTH {
            return Err(Unreadable::TooDeep);
        }
        // A struct may be written as an array of its fields, too; on this wire it is not.
        if text.trim_start().starts_with('[') {
            let error = serde::de::Error::custom("an array is no message");
            return Err(Unreadable::NotAnEnvelope(error));
        }
        serde_json::from_str(text).map_err(Unreadable::NotAnEnvelope)
    }
}

impl Malformed {
    pub(super) fn new(message: &'static str, argument: &Value, what: &serde_json::Error) -> Self {
        let label = |key: &str| Label::try_from(argument.get(key)?.as_str()?).ok();
        Self { message, operation: label("operationId"), stream: label("mediaSessionId"), what: fault(what) }
    }
}

/// The beginning of what a client calls something, without what would spoil a log.
pub fn shown(name: &str) -> String {
    beginning(name, MAX_SHOWN)
}

/// What is wrong, though the client's own text is part of it.
pub(super) fn fault(error: &serde_json::Error) -> String {
    beginning(&error.to_string(), MAX_FAULT)
}

fn beginning(text: &str, most: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(most).collect()
}

/// The most objects and arrays that are open at the same time.
fn depth(text: &str) -> usize {
    let (mut open, mut most) = (0usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                open += 1;
                most = most.max(open);
            }
            b'}' | b']' if !quoted => open = open.saturating_sub(1),
            _ => {}
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_may_lack_its_arguments() {
        let pong = Envelope::parse(r#"{"message":"pong"}"#).unwrap();
        assert_eq!((pong.message.as_str(), pong.data), ("pong", vec![]));
        for bad in [
            "",
            "pong",
            "[]",
            r#"["pong"]"#,
            "{}",
            r#"{"message":1,"data":[]}"#,
            r#"{"message":"a","data":{}}"#,
        ] {
            assert!(matches!(Envelope::parse(bad), Err(Unreadable::NotAnEnvelope(_))), "{bad}");
        }
    }

    #[test]
    fn length_and_depth_are_bounded() {
        let nested = |levels: usize| {
            let (open, close) = ("[".repeat(levels - 2), "]".repeat(levels - 2));
            format!(r#"{{"message":"a","data":[{open}{close}]}}"#)
        };
        assert!(Envelope::parse(&nested(MAX_DEPTH)).is_ok());
        assert!(matches!(Envelope::parse(&nested(MAX_DEPTH + 1)), Err(Unreadable::TooDeep)));
        assert!(matches!(Envelope::parse(&nested(50_000)), Err(Unreadable::TooDeep)));
        let quoted = format!(r#"{{"message":"\"{}"}}"#, "[".repeat(100));
        assert!(Envelope::parse(&quoted).is_ok(), "brackets within text are text");
        let padded = |length: usize| r#"{"message":"a"}"#.to_owned() + &" ".repeat(length - 15);
        assert!(Envelope::parse(&padded(MAX_MESSAGE_LEN)).is_ok());
        assert!(matches!(Envelope::parse(&padded(MAX_MESSAGE_LEN + 1)), Err(Unreadable::TooLong)));
    }
}
