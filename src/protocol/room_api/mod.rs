//! The room API: what a client and this server say to each other about rooms, chat and streams.
//!
//! It is the protocol of the Flashphoner Web SDK, so that the SDK's pages work unchanged, with additions that it ignores
//! and that only clients get who [declare](Declaration) themselves. `README.md` beside this file is the reference for those
//! who write clients, `schema.json` says the same to programs; a test keeps it equal to these types.
//!
//! A message is an [`Envelope`] of a name and arguments: JSON over WebSocket, a remote call over RTMP (see [`amf`]).
//! [`ClientMessage`] and [`ServerMessage`] are what can be said. What is not known is a value and no error; what cannot be
//! read says whose answer it may wait for ([`Malformed`]).

pub mod amf;
mod client;
mod envelope;
mod event;
mod info;
mod label;
mod lenient;
mod refusal;
mod server;
#[cfg(test)]
mod tests;

pub use client::{
    Action, Adapt, ClientMessage, Command, Connection, Custom, Declaration, Join, Leave, Moderate, Mute,
    Play, Publish, RoomConfig, SendData, SendMessage, Stream, StreamEvent, StreamRoom,
};
pub use envelope::{Envelope, MAX_DEPTH, MAX_MESSAGE_LEN, Malformed, Unreadable, shown};
pub use event::{
    Bounds, By, Event, Kind, Left, LeftReason, Line, Locked, Medium, Message, Muted, Participant, Present,
    Protocol, Published, Quality, Reason, Recording, RecordingPolicy, Role, RoleChange, RoomEvent, RoomState,
    StreamEnd, StreamEndReason, StreamOf, StreamQuality, StreamState, TakenOver, You,
};
pub use info::Info;
pub use label::{InvalidLabel, Label};
pub use refusal::Word;
pub use server::{
    Ack, AckStatus, Available, DataStatus, Fail, Layer, LayerLimit, MuteState, Notice, OnData,
    ServerDeclaration, ServerMessage, Status, StreamNotice, StreamStatus, UserData,
};
