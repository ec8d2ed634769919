//! How far a session has come, for whoever has asked for it: every session ends, and says how.

use crate::codec::Codec;
use crate::stream::EndReason;
use std::fmt;

/// How far a session has come. It only goes forward, and always reaches [`Progress::Ended`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Answered; no media keys yet.
    Waiting,
    /// Media can flow.
    Connected {
        /// The codec of the sound: what the publisher sends, or what the viewer gets of the stream as it is now.
        audio: Option<Codec>,
        /// The same of the picture.
        video: Option<Codec>,
    },
    /// Over.
    Ended(End),
}

/// How a session ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Whoever asked for it has closed it ([`Server::close`](super::Server::close)).
    Closed,
    /// The peer has said goodbye.
    Left,
    /// No authentic ICE check came in time: the peer cannot reach the announced addresses, or is gone.
    NoCheck,
    /// Checks came, but no media keys in time.
    NotEstablished,
    /// The DTLS handshake failed.
    Dtls,
    /// The peer's certificate is another than its offer says.
    Fingerprint,
    /// It was connected and has gone silent.
    Silent,
    /// What it watched is over.
    Stream(EndReason),
    /// This server is going down.
    Shutdown,
    /// A fault on this side.
    Failed,
}

impl Progress {
    /// How it ended, if it did.
    pub const fn end(self) -> Option<End> {
        match self {
            Self::Ended(end) => Some(end),
            Self::Waiting | Self::Connected { .. } => None,
        }
    }
}

impl End {
    /// For the label of a counter.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Left => "left",
            Self::NoCheck => "no_check",
            Self::NotEstablished => "not_established",
            Self::Dtls => "dtls",
            Self::Fingerprint => "fingerprint",
            Self::Silent => "silent",
            Self::Stream(_) => "stream_ended",
            Self::Shutdown => "shutdown",
            Self::Failed => "failed",
        }
    }
}

impl From<EndReason> for End {
    fn from(reason: EndReason) -> Self {
        match reason {
            EndReason::Shutdown => Self::Shutdown,
            reason => Self::Stream(reason),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed by its owner",
            Self::Left => "the peer has said goodbye",
            Self::NoCheck => "no ICE check has come",
            Self::NotEstablished => "not connected within 10 s",
            Self::Dtls => "the DTLS handshake failed",
            Self::Fingerprint => "the peer's certificate is not the one of its offer",
            Self::Silent => "no sign of life for too long",
            Self::Stream(reason) => return reason.fmt(f),
            Self::Shutdown => "the server is shutting down",
            Self::Failed => "a fault of this server",
        })
    }
}
