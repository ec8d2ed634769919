//! What a message says (sections 5.4, 6.2 and 7.1).

use super::chunk::{RawMessage, kind};
use super::command::Command;
use crate::protocol::amf0::{self, AmfError, Value};
use crate::time::RtmpTime;
use crate::wire::{ByteReader, Truncated};
use bytes::Bytes;
use thiserror::Error;

/// Messages in one aggregate. Each costs an event, and 4 MB could hold 380,000 empty ones.
const MAX_AGGREGATED: usize = 4_096;

/// A message, understood.
#[derive(Clone, PartialEq, Debug)]
pub enum Message {
    /// How many bytes the peer has received, modulo 2^32.
    Acknowledgement(u32),
    /// Something about a message stream, or a ping.
    UserControl(UserControl),
    /// After how many bytes the peer wants an acknowledgement.
    WindowSize(u32),
    /// How much we shall send without an acknowledgement.
    PeerBandwidth(u32),
    /// The body of an FLV audio tag.
    Audio(Bytes),
    /// The body of an FLV video tag.
    Video(Bytes),
    /// Metadata and the like: names and values.
    Data(Vec<Value>),
    /// A remote call, or an answer.
    Command(Command),
    /// Several messages in one.
    Aggregate(Bytes),
    /// Shared objects and whatever else there may be; passed over.
    Other(u8),
}

/// User control messages (section 7.1.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UserControl {
    /// 0: a stream can be used from now on.
    StreamBegin(u32),
    /// 1: a stream has ended.
    StreamEof(u32),
    /// 6: asks for a ping response with the same number.
    PingRequest(u32),
    /// 7.
    PingResponse(u32),
    /// Buffer lengths, SWF verification and others that ask nothing of a server.
    Other(u16),
}

/// Why a message cannot be understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum MessageError {
    /// It ends too early.
    #[error(transparent)]
    Truncated(#[from] Truncated),
    /// Its values are malformed.
    #[error(transparent)]
    Amf(#[from] AmfError),
    /// A command without a name.
    #[error("command without a name")]
    NoName,
    /// An aggregate of too many messages.
    #[error("aggregate of more than {MAX_AGGREGATED} messages")]
    Aggregate,
}

impl Message {
    /// Looks into a message.
    pub fn parse(raw: &RawMessage) -> Result<Self, MessageError> {
        let mut reader = ByteReader::new(&raw.body);
        Ok(match raw.kind {
            kind::ACKNOWLEDGEMENT => Self::Acknowledgement(reader.u32()?),
            kind::USER_CONTROL => Self::UserControl(UserControl::parse(&mut reader)?),
            kind::WINDOW_SIZE => Self::WindowSize(reader.u32()?),
            kind::PEER_BANDWIDTH => Self::PeerBandwidth(reader.u32()?),
            kind::AUDIO => Self::Audio(raw.body.clone()),
            kind::VIDEO => Self::Video(raw.body.clone()),
            kind::DATA => Self::Data(amf0::decode_all(&raw.body)?),
            kind::DATA_AMF3 => Self::Data(amf0::decode_all(without_format(&raw.body))?),
            kind::COMMAND => Self::Command(Command::parse(&raw.body)?),
            kind::COMMAND_AMF3 => Self::Command(Command::parse(without_format(&raw.body))?),
            kind::AGGREGATE => Self::Aggregate(raw.body.clone()),
            other => Self::Other(other),
        })
    }
}

impl UserControl {
    fn parse(reader: &mut ByteReader<'_>) -> Result<Self, Truncated> {
        let event = reader.u16()?;
        Ok(match event {
            0 => Self::StreamBegin(reader.u32()?),
            1 => Self::StreamEof(reader.u32()?),
            6 => Self::PingRequest(reader.u32()?),
            7 => Self::PingResponse(reader.u32()?),
            other => Self::Other(other),
        })
    }

    /// The message's body.
    pub(super) fn encode(self) -> Bytes {
        let (event, number) = match self {
            Self::StreamBegin(stream) => (0u16, Some(stream)),
            Self::StreamEof(stream) => (1, Some(stream)),
            Self::PingRequest(number) => (6, Some(number)),
            Self::PingResponse(number) => (7, Some(number)),
            Self::Other(event) => (event, None),
        };
        let mut body = event.to_be_bytes().to_vec();
        body.extend(number.map(u32::to_be_bytes).into_iter().flatten());
        body.into()
    }
}

/// AMF3 messages begin with a byte that says "AMF0, with switches to AMF3". Some writers leave it out.
fn without_format(body: &[u8]) -> &[u8] {
    // 0 could begin a number as well, but the first value is a name.
    body.strip_prefix(&[0]).filter(|rest| matches!(rest.first(), None | Some(2))).unwrap_or(body)
}

/// Splits an aggregate (section 7.1.6): FLV tags whose first time stands for the aggregate's own.
pub fn split_aggregate(raw: &RawMessage) -> Result<Vec<RawMessage>, MessageError> {
    let mut reader = ByteReader::new(&raw.body);
    let (mut messages, mut first) = (Vec::new(), None);
    while !reader.is_empty() {
        if messages.len() == MAX_AGGREGATED {
            return Err(MessageError::Aggregate);
        }
        let kind = reader.u8()?;
        let length = reader.u24()? as usize; // 24 bits
        let time = reader.u24()? | u32::from(reader.u8()?) << 24;
        reader.bytes(3)?; // the stream is the aggregate's
        let body = raw.body.slice_ref(reader.bytes(length)?);
        // The pointer back to the tag's start may be missing behind the last.
        reader.bytes(reader.len().min(4))?;
        let since_first = time.wrapping_sub(*first.get_or_insert(time));
        let time = RtmpTime(raw.time.0.wrapping_add(since_first));
        messages.push(RawMessage { kind, stream: raw.stream, time, body });
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(kind: u8, body: &[u8]) -> RawMessage {
        RawMessage { kind, stream: 1, time: RtmpTime(1_000), body: Bytes::copy_from_slice(body) }
    }

    fn parse(kind: u8, body: &[u8]) -> Result<Message, MessageError> {
        Message::parse(&raw(kind, body))
    }

    #[test]
    fn user_control() {
        let control = |body: &[u8]| parse(kind::USER_CONTROL, body);
        assert_eq!(control(&[0, 6, 0, 0, 0, 9]), Ok(Message::UserControl(UserControl::PingRequest(9))));
        assert_eq!(
            control(&[0, 3, 0, 0, 0, 1, 0, 0, 11, 184]),
            Ok(Message::UserControl(UserControl::Other(3)))
        );
        assert_eq!(control(&[0, 0x1b, 0, 0]), Ok(Message::UserControl(UserControl::Other(0x1b))));
        assert_eq!(control(&[0, 6, 0]), Err(Truncated.into()));
        assert_eq!(UserControl::PingResponse(9).encode()[..], [0, 7, 0, 0, 0, 9]);
    }

    #[test]
    fn amf3_messages_with_and_without_their_format_byte() {
        let text = [2, 0, 1, b'a'];
        let values = Ok(Message::Data(vec![Value::text("a")]));
        assert_eq!(parse(kind::DATA_AMF3, &[&[0], &text[..]].concat()), values);
        assert_eq!(parse(kind::DATA_AMF3, &text), values);
        assert_eq!(parse(kind::DATA_AMF3, &[0; 9]), Ok(Message::Data(vec![Value::Number(0.0)])));
    }

    #[test]
    fn what_we_do_not_know_is_passed_over() {
        assert_eq!(parse(kind::SHARED_OBJECT, &[1]), Ok(Message::Other(kind::SHARED_OBJECT)));
        assert_eq!(parse(99, &[]), Ok(Message::Other(99)));
    }

    #[test]
    fn aggregates_are_split_and_their_times_moved() {
        let tag = |kind: u8, time: u8, body: &[u8]| {
            [&[kind, 0, 0, body.len() as u8, 0, 0, time, 0, 0, 0, 0], body, &[0, 0, 0, 99]].concat()
        };
        let body = [tag(9, 40, &[1, 2]), tag(8, 63, &[3])].concat();
        let split = split_aggregate(&raw(kind::AGGREGATE, &body)).unwrap();
        let seen: Vec<_> = split.iter().map(|m| (m.kind, m.time.0, &m.body[..])).collect();
        assert_eq!(seen, [(9, 1_000, &[1, 2][..]), (8, 1_023, &[3])]);
        assert!(split_aggregate(&raw(kind::AGGREGATE, &body[..body.len() - 4])).is_ok(), "no last pointer");
        assert_eq!(split_aggregate(&raw(kind::AGGREGATE, &[0, 0])), Err(Truncated.into()));
        let empty = tag(8, 0, &[]).repeat(MAX_AGGREGATED + 1);
        assert_eq!(split_aggregate(&raw(kind::AGGREGATE, &empty)), Err(MessageError::Aggregate));
    }
}
