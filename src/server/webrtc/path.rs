//! The ways to a peer.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};

/// One way to one peer: a remote address by a transport. To ICE this is a candidate pair.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Path {
    /// Where the peer is, as a plain IPv4 address if it is one.
    pub(super) remote: SocketAddr,
    /// How it is reached.
    pub(super) via: Via,
}

/// The transport of a [`Path`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Via {
    /// Datagrams, to which we answer from the address that the peer has sent to.
    Udp {
        /// Ours; `None` where the system does not tell.
        local: Option<IpAddr>,
    },
    /// A TCP connection that the peer has opened.
    Tcp(ConnectionId),
}

/// Names a TCP connection of this server, for ever.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct ConnectionId(u64);

impl ConnectionId {
    pub(super) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Path {
    /// For logs and the API.
    pub(super) const fn transport(&self) -> &'static str {
        match self.via {
            Via::Udp { .. } => "udp",
            Via::Tcp(_) => "tcp",
        }
    }
}
