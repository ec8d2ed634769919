//! Section `[rtmp]`.

use super::units::Span;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The RTMP server.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rtmp {
    /// The TCP address it listens on.
    pub listen: SocketAddr,
    /// Connections at the same time; further ones are closed at once.
    pub max_connections: usize,
    /// A connection that has not finished its handshake and `connect` by then is closed.
    pub handshake_timeout: Span,
    /// A connection that is silent, or that takes nothing of what it is sent, for so long is closed.
    pub idle_timeout: Span,
}

impl Default for Rtmp {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::UNSPECIFIED, 1935).into(),
            max_connections: 1000,
            handshake_timeout: Span(Duration::from_secs(10)),
            idle_timeout: Span(Duration::from_secs(30)),
        }
    }
}
