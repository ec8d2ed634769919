//! Calls, answers and status reports (section 7.2).

use super::chunk::{RawMessage, kind};
use super::message::MessageError;
use crate::protocol::amf0::{Decoder, Object, Value, encode_all};
use crate::time::RtmpTime;

/// A remote call or an answer: a name, a number that pairs the two, and values.
#[derive(Clone, PartialEq, Debug)]
pub struct Command {
    /// What is called; `_result` and `_error` are answers.
    pub name: String,
    /// 0 when no answer is wanted.
    pub transaction: f64,
    /// The first value: an object, or nothing.
    pub object: Value,
    /// The values behind it.
    pub arguments: Vec<Value>,
}

/// The codes of status reports: what programs read, where people read the description.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Code {
    /// The client is welcome.
    ConnectSuccess,
    /// The connection cannot go on.
    ConnectClosed,
    /// The server goes down.
    AppShutdown,
    /// There is no such procedure.
    CallFailed,
    /// Publishing has begun.
    PublishStart,
    /// The name is in use, or cannot be one.
    PublishBadName,
    /// Publishing is refused for another reason.
    PublishRejected,
    /// Something about the publication that the publisher should know; it goes on.
    PublishWarning,
    /// The publication is recorded from now on.
    RecordStart,
    /// It is recorded no longer.
    RecordStop,
    /// Publishing has ended.
    UnpublishSuccess,
    /// A new stream follows.
    PlayReset,
    /// Playing has begun.
    PlayStart,
    /// There is no such stream.
    PlayStreamNotFound,
    /// Playing is refused for another reason.
    PlayFailed,
    /// The stream that is played has ended.
    PlayUnpublishNotify,
    /// Playing is paused.
    PauseNotify,
    /// Playing goes on.
    UnpauseNotify,
    /// A live stream cannot be sought in.
    SeekFailed,
}

impl Code {
    /// As on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConnectSuccess => "NetConnection.Connect.Success",
            Self::ConnectClosed => "NetConnection.Connect.Closed",
            Self::AppShutdown => "NetConnection.Connect.AppShutdown",
            Self::CallFailed => "NetConnection.Call.Failed",
            Self::PublishStart => "NetStream.Publish.Start",
            Self::PublishBadName => "NetStream.Publish.BadName",
            Self::PublishRejected => "NetStream.Publish.Rejected",
            Self::PublishWarning => "NetStream.Publish.Warning",
            Self::RecordStart => "NetStream.Record.Start",
            Self::RecordStop => "NetStream.Record.Stop",
            Self::UnpublishSuccess => "NetStream.Unpublish.Success",
            Self::PlayReset => "NetStream.Play.Reset",
            Self::PlayStart => "NetStream.Play.Start",
            Self::PlayStreamNotFound => "NetStream.Play.StreamNotFound",
            Self::PlayFailed => "NetStream.Play.Failed",
            Self::PlayUnpublishNotify => "NetStream.Play.UnpublishNotify",
            Self::PauseNotify => "NetStream.Pause.Notify",
            Self::UnpauseNotify => "NetStream.Unpause.Notify",
            Self::SeekFailed => "NetStream.Seek.Failed",
        }
    }

    /// `status`, `warning` or `error`.
    pub const fn level(self) -> &'static str {
        match self {
            Self::ConnectClosed
            | Self::AppShutdown
            | Self::CallFailed
            | Self::PublishBadName
            | Self::PublishRejected
            | Self::PlayStreamNotFound
            | Self::PlayFailed
            | Self::SeekFailed => "error",
            Self::PublishWarning => "warning",
            _ => "status",
        }
    }

    /// The object that status reports carry.
    pub(super) fn info(self, description: &str) -> Object {
        Object::from_iter([
            ("level", Value::text(self.level())),
            ("code", Value::text(self.as_str())),
            ("description", Value::text(description)),
        ])
    }
}

impl Command {
    /// Reads a command's body. Only the name must be there.
    pub(super) fn parse(body: &[u8]) -> Result<Self, MessageError> {
        let mut decoder = Decoder::new(body);
        let Some(Value::String(name)) = decoder.next()? else { return Err(MessageError::NoName) };
        let transaction = decoder.next()?.and_then(|value| value.as_number()).unwrap_or(0.0);
        let object = decoder.next()?.unwrap_or(Value::Null);
        let mut arguments = Vec::new();
        while let Some(value) = decoder.next()? {
            arguments.push(value);
        }
        Ok(Self { name, transaction, object, arguments })
    }

    /// An answer to `transaction`.
    pub(super) fn result(transaction: f64, object: Value, argument: Value) -> Self {
        Self { name: "_result".into(), transaction, object, arguments: vec![argument] }
    }

    /// A refusal of `transaction`.
    pub(super) fn error(transaction: f64, code: Code, description: &str) -> Self {
        let info = Value::Object(code.info(description));
        Self { name: "_error".into(), transaction, object: Value::Null, arguments: vec![info] }
    }

    /// A call that wants no answer.
    pub(super) fn notice(name: &str, info: Object) -> Self {
        Self {
            name: name.into(),
            transaction: 0.0,
            object: Value::Null,
            arguments: vec![Value::Object(info)],
        }
    }

    /// The message.
    pub fn to_message(&self, stream: u32) -> RawMessage {
        let (name, transaction) = (Value::text(&*self.name), Value::Number(self.transaction));
        let body = encode_all([&name, &transaction, &self.object].into_iter().chain(&self.arguments)).into();
        RawMessage { kind: kind::COMMAND, stream, time: RtmpTime(0), body }
    }

    /// An argument, if it is a string.
    pub(super) fn text(&self, index: usize) -> Option<&str> {
        self.arguments.get(index).and_then(Value::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_may_be_short() {
        let name = encode_all(&[Value::text("hi")]);
        let command = Command { name: "hi".into(), transaction: 0.0, object: Value::Null, arguments: vec![] };
        assert_eq!(Command::parse(&name), Ok(command.clone()));
        let two = encode_all(&[Value::text("hi"), Value::Number(4.0)]);
        assert_eq!(Command::parse(&two), Ok(Command { transaction: 4.0, ..command }));
        assert_eq!(Command::parse(&[]), Err(MessageError::NoName));
        assert_eq!(Command::parse(&encode_all(&[Value::Null])), Err(MessageError::NoName));
    }

    #[test]
    fn what_is_written_is_read() {
        let command = Command::error(3.0, Code::PlayStreamNotFound, "nobody publishes a/b");
        assert_eq!(Command::parse(&command.to_message(1).body), Ok(command));
    }
}
