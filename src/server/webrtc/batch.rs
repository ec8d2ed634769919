//! What goes out in one burst: datagrams to the same peer become runs that the kernel cuts (UDP GSO).

use super::path::{Path, Via};
use super::tcp::Connections;
use metrics::Counter;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

/// The largest run that the kernel takes in one call.
const MAX_RUN: usize = 65_000;

/// Where runs go: a socket, or in tests a list.
pub(super) trait Wire {
    /// Sends `bytes`: one datagram, or several of `segment` bytes each, the last of which may be shorter. Does not wait:
    /// when there is no room the datagrams are lost.
    fn send(&self, remote: SocketAddr, local: Option<IpAddr>, bytes: &[u8], segment: usize)
    -> io::Result<()>;

    /// How many datagrams one call of [`send`](Self::send) may have.
    fn max_segments(&self) -> usize;
}

/// Collects datagrams and sends them. A run ends when the next datagram does not fit it; the rest goes with [`flush`].
///
/// [`flush`]: Self::flush
pub(super) struct Batch {
    wire: Rc<dyn Wire>,
    connections: Rc<Connections>,
    bytes: Box<[u8]>,
    run: Option<Run>,
    counters: Counters,
}

struct Counters {
    datagrams: Counter,
    calls: Counter,
    full: Counter,
    failed: Counter,
}

/// Datagrams to one address, all of `segment` bytes except for the last, which may be shorter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Run {
    remote: SocketAddr,
    local: Option<IpAddr>,
    segment: usize,
    len: usize,
    count: usize,
}

impl Batch {
    pub(super) fn new(wire: Rc<dyn Wire>, connections: Rc<Connections>) -> Self {
        Self {
            wire,
            connections,
            bytes: vec![0; MAX_RUN].into(),
            run: None,
            counters: Counters {
                datagrams: metrics::counter!("commonroom_webrtc_sent_datagrams_total"),
                calls: metrics::counter!("commonroom_webrtc_send_calls_total"),
                full: metrics::counter!("commonroom_webrtc_send_dropped_total", "reason" => "full"),
                failed: metrics::counter!("commonroom_webrtc_send_dropped_total", "reason" => "failed"),
            },
        }
    }

    /// Sends a datagram of `len` bytes that `fill` writes in place. If `fill` says `false`, nothing is sent.
    pub(super) fn write(&mut self, path: Path, len: usize, fill: impl FnOnce(&mut [u8]) -> bool) {
        match path.via {
            Via::Tcp(connection) => {
                let mut frame = vec![0; len];
                if fill(&mut frame) {
                    self.connections.send(connection, frame.into());
                }
            }
            Via::Udp { local } => {
                if len == 0 || len > MAX_RUN {
                    return;
                }
                let max_segments = self.wire.max_segments();
                if !self.run.is_some_and(|run| run.admits(path.remote, local, len, max_segments)) {
                    self.flush();
                }
                let run =
                    self.run.unwrap_or(Run { remote: path.remote, local, segment: len, len: 0, count: 0 });
                let place = self.bytes.get_mut(run.len..run.len + len);
                if place.is_some_and(fill) {
                    self.run = Some(Run { len: run.len + len, count: run.count + 1, ..run });
                }
            }
        }
    }

    /// Sends a datagram.
    pub(super) fn push(&mut self, path: Path, datagram: &[u8]) {
        self.write(path, datagram.len(), |place| {
            place.copy_from_slice(datagram);
            true
        });
    }

    /// Sends what waits.
    pub(super) fn flush(&mut self) {
        let Some(run) = self.run.take() else { return };
        let bytes = self.bytes.get(..run.len).unwrap_or_default();
        let count = run.count as u64; // at most 64
        self.counters.calls.increment(1);
        match self.wire.send(run.remote, run.local, bytes, run.segment) {
            Ok(()) => self.counters.datagrams.increment(count),
            // The kernel's buffer is full: what is late is lost, and asked for again by whoever misses it.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.counters.full.increment(count),
            Err(error) => {
                self.counters.failed.increment(count);
                tracing::debug!(remote = %run.remote, %error, "datagrams not sent");
            }
        }
    }
}

impl Run {
    fn admits(&self, remote: SocketAddr, local: Option<IpAddr>, len: usize, max_segments: usize) -> bool {
        self.remote == remote
            && self.local == local
            && len <= self.segment
            && self.len == self.segment * self.count // nothing follows a shorter one
            && self.count < max_segments
            && self.len + len <= MAX_RUN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_of_equal_datagrams_and_end_with_a_shorter_one() {
        let (a, b) = (SocketAddr::from(([127, 0, 0, 1], 1)), SocketAddr::from(([127, 0, 0, 1], 2)));
        let run = Run { remote: a, local: None, segment: 1_000, len: 2_000, count: 2 };
        assert!(run.admits(a, None, 1_000, 64) && run.admits(a, None, 1, 64));
        assert!(!run.admits(b, None, 1_000, 64), "another peer");
        assert!(!run.admits(a, Some([127, 0, 0, 1].into()), 1_000, 64), "from another address of ours");
        assert!(!run.admits(a, None, 1_001, 64), "a longer one");
        assert!(!run.admits(a, None, 1_000, 2), "as many as the kernel takes");
        let ended = Run { len: 2_500, count: 3, ..run };
        assert!(!ended.admits(a, None, 1_000, 64) && !ended.admits(a, None, 500, 64));
        let full = Run { len: 64_500, count: 3, segment: 21_500, ..run };
        assert!(full.admits(a, None, 500, 64) && !full.admits(a, None, 501, 64));
    }
}
