//! Messages to chunks and back (section 5.3).

mod decoder;
mod encoder;

pub use decoder::{ChunkError, Decoder, MAX_CHUNK_STREAMS, MAX_MESSAGE, MAX_MESSAGE_BEFORE_CONNECT};
pub use encoder::{CHUNK_SIZE, Encoder};

use crate::time::RtmpTime;
use bytes::Bytes;

/// Message types (section 5.4, 6.1, 7.1).
pub mod kind {
    /// Set Chunk Size.
    pub const SET_CHUNK_SIZE: u8 = 1;
    /// Abort Message.
    pub const ABORT: u8 = 2;
    /// Acknowledgement.
    pub const ACKNOWLEDGEMENT: u8 = 3;
    /// User Control.
    pub const USER_CONTROL: u8 = 4;
    /// Window Acknowledgement Size.
    pub const WINDOW_SIZE: u8 = 5;
    /// Set Peer Bandwidth.
    pub const PEER_BANDWIDTH: u8 = 6;
    /// Audio.
    pub const AUDIO: u8 = 8;
    /// Video.
    pub const VIDEO: u8 = 9;
    /// Data in AMF3.
    pub const DATA_AMF3: u8 = 15;
    /// Shared object in AMF3.
    pub const SHARED_OBJECT_AMF3: u8 = 16;
    /// Command in AMF3.
    pub const COMMAND_AMF3: u8 = 17;
    /// Data in AMF0.
    pub const DATA: u8 = 18;
    /// Shared object in AMF0.
    pub const SHARED_OBJECT: u8 = 19;
    /// Command in AMF0.
    pub const COMMAND: u8 = 20;
    /// Several messages in one.
    pub const AGGREGATE: u8 = 22;
}

/// A message whose body has not been looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RawMessage {
    /// One of [`kind`], or anything else.
    pub kind: u8,
    /// The message stream; 0 is the connection itself.
    pub stream: u32,
    /// When it belongs.
    pub time: RtmpTime,
    /// The body.
    pub body: Bytes,
}
