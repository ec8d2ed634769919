//! ICE over TCP (RFC 6544), passive: peers connect to us, each frame behind its length (RFC 4571).

use super::mailbox::{Mail, Mailbox};
use super::path::{ConnectionId, Path, Via};
use super::shard::Common;
use crate::protocol::ice::{Check, is_stun, peek_ufrag};
use bytes::Bytes;
use metrics::Counter;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

/// What a peer sends in one frame is what it would send in one datagram.
const MAX_FRAME: u16 = 4_096;
/// Frames that may wait for a connection that takes nothing; over it they are lost, as on any network.
const MAX_QUEUED: usize = 512;
/// A connection by which no peer has accepted a check gets no longer than this.
const FIRST_CHECK: Duration = Duration::from_secs(5);
/// A peer checks at least every few seconds.
const IDLE: Duration = Duration::from_secs(30);
/// A connection that takes nothing for so long is broken.
const STALLED: Duration = Duration::from_secs(10);
/// Connections to one shard.
const MAX_CONNECTIONS: usize = 1_024;

/// The connections that peers of this shard may use. Whoever holds a link holds the only one, and to drop it closes the
/// connection, behind what is queued.
pub(super) struct Connections {
    links: RefCell<HashMap<ConnectionId, Link>>,
    dropped: Counter,
}

/// The way to the task of a connection.
pub(super) struct Link {
    queue: mpsc::Sender<Bytes>,
    accepted: Arc<AtomicBool>,
}

impl Connections {
    pub(super) fn new() -> Self {
        Self {
            links: RefCell::default(),
            dropped: metrics::counter!("commonroom_webrtc_send_dropped_total", "reason" => "tcp_queue_full"),
        }
    }

    pub(super) fn insert(&self, connection: ConnectionId, link: Link) {
        self.links.borrow_mut().insert(connection, link);
    }

    /// Takes a link out: to drop it, or to hand it to another shard.
    pub(super) fn remove(&self, connection: ConnectionId) -> Option<Link> {
        self.links.borrow_mut().remove(&connection)
    }

    /// A peer has accepted a check by the connection, which may stay.
    pub(super) fn accept(&self, connection: ConnectionId) {
        if let Some(link) = self.links.borrow().get(&connection) {
            link.accepted.store(true, Ordering::Relaxed);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.links.borrow().len()
    }

    /// Queues a frame; loses it when the queue is full.
    pub(super) fn send(&self, connection: ConnectionId, frame: Bytes) {
        let sent =
            self.links.borrow().get(&connection).is_some_and(|link| link.queue.try_send(frame).is_ok());
        if !sent {
            self.dropped.increment(1);
        }
    }
}

/// Binds one of several listeners of the same address.
pub(super) fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(128)?;
    Ok(socket.into())
}

/// Accepts connections for ever. Each becomes a task of the calling thread that ends with the connection.
pub(super) async fn accept(listener: TcpListener, mailbox: Arc<Mailbox>, common: Arc<Common>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let refused = metrics::counter!("commonroom_webrtc_tcp_refused_total");
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => match places.clone().try_acquire_owned() {
                Ok(place) => {
                    let connection = Connection {
                        id: ConnectionId::next(),
                        remote: SocketAddr::new(remote.ip().to_canonical(), remote.port()),
                        mailbox: mailbox.clone(),
                        common: common.clone(),
                    };
                    tokio::task::spawn_local(connection.run(stream, place));
                }
                Err(_) => refused.increment(1),
            },
            Err(error) => {
                // Out of descriptors, most likely: trying again at once would only spin.
                tracing::warn!(%error, "no ICE-TCP connection accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

struct Connection {
    id: ConnectionId,
    remote: SocketAddr,
    mailbox: Arc<Mailbox>,
    common: Arc<Common>,
}

impl Connection {
    async fn run(self, stream: TcpStream, _place: OwnedSemaphorePermit) {
        // Media must not wait for more of it.
        let _ = stream.set_nodelay(true);
        let (mut reader, writer) = stream.into_split();
        let Ok(Ok(first)) = timeout(FIRST_CHECK, read_frame(&mut reader)).await else { return };
        // Until a check with the password of a session has come, nothing is kept of the connection and nobody is told.
        let Some(ufrag) = self.authentic(&first) else { return };
        let (queue, queued) = mpsc::channel(MAX_QUEUED);
        let accepted = Arc::new(AtomicBool::new(false));
        self.mailbox.post(Mail::Connected(self.id, Link { queue, accepted: accepted.clone() }));
        self.deliver(first);
        tokio::select! {
            () = self.read(&mut reader, &ufrag) => {}
            () = write(writer, queued) => {}
            () = unless(&accepted) => {}
        }
        self.mailbox.post(Mail::Disconnected(self.id));
    }

    /// The session whose password a check has.
    fn authentic(&self, frame: &[u8]) -> Option<String> {
        let check = Check::parse(frame).ok()?;
        let session = self.common.registry.find(check.ufrag())?;
        let crypto = self.common.identity.crypto();
        session.is_authentic(&check, &*crypto).then(|| check.ufrag().to_owned())
    }

    async fn read(&self, reader: &mut OwnedReadHalf, ufrag: &str) {
        while let Ok(Ok(frame)) = timeout(IDLE, read_frame(reader)).await {
            // A connection is one candidate pair, so it belongs to one session.
            if is_stun(&frame) && peek_ufrag(&frame).is_some_and(|other| other != ufrag) {
                return;
            }
            self.deliver(frame);
        }
    }

    fn deliver(&self, frame: Bytes) {
        let path = Path { remote: self.remote, via: Via::Tcp(self.id) };
        // A full mailbox loses the frame, as it would lose a datagram.
        self.mailbox.post(Mail::Datagram(path, frame));
    }
}

/// Ends when the connection has had its time and no check was accepted.
async fn unless(accepted: &AtomicBool) {
    tokio::time::sleep(FIRST_CHECK).await;
    if accepted.load(Ordering::Relaxed) {
        std::future::pending().await
    }
}

async fn read_frame(reader: &mut OwnedReadHalf) -> io::Result<Bytes> {
    let length = reader.read_u16().await?;
    if length > MAX_FRAME {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut frame = vec![0; length.into()];
    reader.read_exact(&mut frame).await?;
    Ok(frame.into())
}

/// Writes what is queued, all that waits at a time, until the connection breaks or nobody can queue any more.
async fn write(mut writer: OwnedWriteHalf, mut queue: mpsc::Receiver<Bytes>) {
    let mut buffer = Vec::new();
    let mut frames = Vec::new();
    while queue.recv_many(&mut frames, MAX_QUEUED).await > 0 {
        for frame in frames.drain(..) {
            // What does not fit a frame fits no datagram either, and is never made.
            let Ok(length) = u16::try_from(frame.len()) else { continue };
            buffer.extend_from_slice(&length.to_be_bytes());
            buffer.extend_from_slice(&frame);
        }
        if !matches!(timeout(STALLED, writer.write_all(&buffer)).await, Ok(Ok(()))) {
            return;
        }
        buffer.clear();
    }
}
