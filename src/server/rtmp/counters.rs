//! Metrics of RTMP. Handles are looked up once.

use crate::protocol::rtmp::SessionError;
use metrics::{Counter, Gauge, counter, gauge};

/// All counters of the RTMP server.
pub(super) struct Counters {
    /// Connections now.
    pub(super) connections: Gauge,
    /// Connections ever.
    pub(super) accepted: Counter,
    /// Bytes read from clients.
    pub(super) received: Counter,
    /// Bytes written to clients.
    pub(super) sent: Counter,
    /// Publishers' data messages that were left out, or shortened.
    pub(super) bad_data: Counter,
}

/// Why a client was turned away; the label `reason`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rejected {
    /// As many connections as the configuration allows.
    Limit,
    /// The address does not name a room and a participant.
    Address,
    /// Somebody publishes under this name.
    InUse,
    /// The rooms take nobody more.
    Rooms,
    /// Nobody publishes what it wants to play.
    NotFound,
    /// A codec that is not carried.
    Codec,
}

impl Counters {
    pub(super) fn new() -> Self {
        Self {
            connections: gauge!("commonroom_rtmp_connections"),
            accepted: counter!("commonroom_rtmp_connections_total"),
            received: counter!("commonroom_rtmp_received_bytes_total"),
            sent: counter!("commonroom_rtmp_sent_bytes_total"),
            bad_data: counter!("commonroom_rtmp_bad_data_total"),
        }
    }

    /// Counts a client that was turned away.
    pub(super) fn rejected(reason: Rejected) {
        counter!("commonroom_rtmp_rejected_total", "reason" => reason.as_str()).increment(1);
    }

    /// Counts a connection that ended in an error.
    pub(super) fn failed(kind: &'static str) {
        counter!("commonroom_rtmp_errors_total", "kind" => kind).increment(1);
    }
}

/// The label `kind` of a session's error.
pub(super) const fn error_kind(error: &SessionError) -> &'static str {
    match error {
        SessionError::Handshake(_) => "handshake",
        SessionError::Chunk(_) => "chunk",
        SessionError::Message(_) | SessionError::OutOfOrder => "message",
        SessionError::SetupTimeout => "setup_timeout",
        SessionError::IdleTimeout => "idle_timeout",
    }
}

impl Rejected {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Address => "address",
            Self::InUse => "in_use",
            Self::Rooms => "rooms",
            Self::NotFound => "not_found",
            Self::Codec => "codec",
        }
    }
}
