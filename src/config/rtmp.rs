//! Section `[rtmp]`.

use super::units::{ByteSize, Span};
use super::written;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The RTMP server.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rtmp {
    /// The TCP address it listens on.
    #[serde(deserialize_with = "written::address")]
    pub listen: SocketAddr,
    /// Connections at the same time; beyond, one that neither publishes nor plays gives way, or else the new one is closed.
    pub max_connections: usize,
    /// How long a client may take until it publishes or plays.
    pub setup_timeout: Span,
    /// How long a player may show no sign of life, though asked for one at half time.
    pub idle_timeout: Span,
    /// The same for a publisher: after this its viewers are told that it has vanished.
    pub publisher_timeout: Span,
    /// How long a client may take nothing of what it is sent.
    pub write_timeout: Span,
    /// Media that waits for a slow player before it loses whole groups of pictures.
    pub player_queue: ByteSize,
    /// How long media waits for a slow player before the same happens.
    pub player_delay: Span,
}

impl Default for Rtmp {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::UNSPECIFIED, 1935).into(),
            max_connections: 2000,
            setup_timeout: Span(Duration::from_secs(10)),
            idle_timeout: Span(Duration::from_secs(30)),
            publisher_timeout: Span(Duration::from_secs(5)),
            write_timeout: Span(Duration::from_secs(10)),
            player_queue: ByteSize(20 << 20),
            player_delay: Span(Duration::from_secs(10)),
        }
    }
}
