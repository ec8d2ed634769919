//! RTMP 1.0 (Adobe, 2012), the server's side, sans-IO.
//!
//! [`ServerSession`] is all that a connection needs: bytes and the time go in, bytes to send and [`Event`]s come out.
//! Below it: [`handshake`], [`chunk`] (messages to chunks and back), [`message`] (what a message says) and `command`
//! (what a call says).

pub mod chunk;
mod command;
mod event;
pub mod handshake;
pub mod message;
mod session;

pub use command::{Code, Command};
pub use event::{Event, Output, StreamId};
pub use session::{ServerSession, SessionError, Timeouts};
