//! Why a session is over though its client is still there.

use crate::protocol::room_api::Unreadable;
use std::fmt;

/// Why a session is over. The transport tells the client in its own way and closes.
#[derive(Debug)]
pub enum Close {
    /// What the client sends is no message.
    Unreadable(Unreadable),
    /// The client says more than anybody would.
    Flood,
    /// The client does not say who it is.
    NotIntroduced,
    /// The client has been silent.
    Silent,
    /// The same person has come again by another connection.
    TakenOver,
    /// The client does not take its news.
    TooSlow,
    /// A host has put the client out of its last room.
    Kicked,
    /// A host has ended its last room.
    Ended,
    /// The server goes down.
    ShuttingDown,
}

impl Close {
    /// For the label of a counter.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Unreadable(Unreadable::TooLong) => "too_long",
            Self::Unreadable(_) => "unreadable",
            Self::Flood => "flood",
            Self::NotIntroduced => "not_introduced",
            Self::Silent => "silent",
            Self::TakenOver => "taken_over",
            Self::TooSlow => "too_slow",
            Self::Kicked => "kicked",
            Self::Ended => "ended",
            Self::ShuttingDown => "shutting_down",
        }
    }
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable(error) => return error.fmt(f),
            Self::Flood => "too many messages",
            Self::NotIntroduced => "no \"connection\" message has come in time",
            Self::Silent => "no sign of life for too long",
            Self::TakenOver => "the same participant has come again by another connection",
            Self::TooSlow => "the connection does not take its news",
            Self::Kicked => "a host has removed you from the room",
            Self::Ended => "a host has ended the room",
            Self::ShuttingDown => "the server is shutting down",
        })
    }
}
