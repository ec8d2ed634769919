//! Why a peer is gone, as its shard knows it.

use super::dtls::DtlsError;
use super::progress::End;
use crate::stream::EndReason;
use std::fmt;

/// Why a peer is gone.
#[derive(Debug)]
pub(super) enum Leave {
    /// The session was closed by its owner.
    Closed,
    /// It said goodbye.
    Left,
    /// It was silent for too long.
    Silent,
    /// No keys in time.
    NotEstablished,
    /// DTLS failed.
    Dtls(DtlsError),
    /// What it watched is over, or the server is going down.
    Ended(EndReason),
    /// A library panicked over what it sent.
    Panicked,
}

impl Leave {
    /// What whoever asked for the session is told.
    pub(super) fn end(&self) -> End {
        match self {
            Self::Closed => End::Closed,
            Self::Left => End::Left,
            Self::Silent => End::Silent,
            Self::NotEstablished => End::NotEstablished,
            Self::Dtls(error) if error.is_fingerprint() => End::Fingerprint,
            Self::Dtls(_) => End::Dtls,
            Self::Ended(reason) => (*reason).into(),
            Self::Panicked => End::Failed,
        }
    }
}

impl fmt::Display for Leave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dtls(error) => write!(f, "DTLS: {error}"),
            Self::Panicked => f.write_str("a library panicked"),
            other => other.end().fmt(f),
        }
    }
}
