//! What a session tells its owner.

use super::message::MessageError;
use crate::protocol::amf0::{Object, Value};
use crate::protocol::flv::Metadata;
use crate::time::RtmpTime;
use bytes::Bytes;

/// A message stream: what `createStream` gives, and publishing or playing happens on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct StreamId(pub u32);

/// What comes out of a session, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Bytes for the peer.
    Transmit(Bytes),
    /// Something that happened.
    Event(Event),
}

/// What happened.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// The client wants to connect: answer with `accept_connect`.
    Connect {
        /// The application: all of the address's path but the stream's name, possibly with a query.
        app: String,
        /// The address as the client was given it; may be empty.
        tc_url: String,
        /// All properties, these two included.
        properties: Object,
        /// Further values, which Flash applications use for credentials.
        arguments: Vec<Value>,
    },
    /// A client that [attends](super::ServerSession::attend) calls a procedure of the application: do it, or answer with
    /// `refuse_call`.
    Call {
        /// Which.
        name: String,
        /// What an answer would be paired with; 0 when none is wanted.
        transaction: f64,
        /// The values behind the command object.
        arguments: Vec<Value>,
        /// Of the whole message, in bytes.
        length: usize,
    },
    /// The client wants to publish: answer with `accept_publish` or `refuse`.
    Publish {
        /// Where.
        stream: StreamId,
        /// The stream's name; it may have a query.
        key: String,
    },
    /// The client wants to play: answer with `accept_play` or `refuse`.
    Play {
        /// Where.
        stream: StreamId,
        /// The stream's name; it may have a query.
        key: String,
    },
    /// A player stops for a while, or goes on.
    Pause {
        /// Which.
        stream: StreamId,
        /// Whether it stops.
        paused: bool,
    },
    /// Publishing or playing has ended because the client said so.
    Closed {
        /// Where.
        stream: StreamId,
    },
    /// The body of an FLV audio tag from a publisher.
    Audio {
        /// Where.
        stream: StreamId,
        /// Decoding time.
        time: RtmpTime,
        /// The tag's body.
        body: Bytes,
    },
    /// The body of an FLV video tag from a publisher.
    Video {
        /// Where.
        stream: StreamId,
        /// Decoding time.
        time: RtmpTime,
        /// The tag's body.
        body: Bytes,
    },
    /// What a publisher says of its stream.
    Metadata {
        /// Where.
        stream: StreamId,
        /// All of it: it replaces what was said before.
        metadata: Metadata,
    },
    /// A publisher's data message that cannot be read, and is left out.
    BadData {
        /// Where.
        stream: StreamId,
        /// Why.
        error: MessageError,
    },
}
