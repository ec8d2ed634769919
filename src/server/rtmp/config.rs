//! What can be set about RTMP.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The section `rtmp`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Connections at the same time; more are closed at once.
    pub max_connections: usize,
    /// How long a client may take until it publishes or plays.
    pub setup_timeout: Duration,
    /// How long a player may show no sign of life, though asked for one at half time.
    pub idle_timeout: Duration,
    /// The same for a publisher: after this its viewers are told that it has vanished.
    pub publisher_timeout: Duration,
    /// How long a client may take nothing of what it is sent.
    pub write_timeout: Duration,
    /// Bytes of media that wait for a slow player before it loses whole GOPs.
    pub player_queue: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::UNSPECIFIED, 1935).into(),
            max_connections: 2_000,
            setup_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            publisher_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(10),
            player_queue: 8 << 20,
        }
    }
}
