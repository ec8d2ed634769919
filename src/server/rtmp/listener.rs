//! Accepts connections, within limits, until the server goes down.

use super::connection;
use super::counters::{Counters, Rejected};
use super::directory::Directory;
use super::players::Players;
use super::socket::Socket;
use crate::bridge::Bridge;
use crate::config::Rtmp as Config;
use crate::room::Rooms;
use crate::server::conference::Conference;
use crate::server::places::{Place, Places};
use crate::server::tls::{Greeting, HandshakeError, Port, Tls};
use socket2::{Domain, SockRef, TcpKeepalive, Type};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, info, info_span, warn};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1_024;
/// How long to wait after accepting failed, mostly for want of file descriptors.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);
/// How long clients have to take the news that the server goes down.
const FAREWELL: Duration = Duration::from_secs(4);

/// The RTMP server. Cloning gives another handle to the same.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
    listener: Arc<TcpListener>,
}

/// What all connections share.
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) rooms: Rooms,
    pub(super) bridge: Bridge,
    pub(super) directory: Directory,
    pub(super) players: Players,
    pub(super) counters: Counters,
    /// TLS, for those who begin with it.
    tls: Option<Tls>,
    pub(super) stop: CancellationToken,
}

impl Server {
    /// Opens the port; nothing is accepted before [`run`](Self::run).
    pub fn bind(
        config: Config,
        rooms: Rooms,
        bridge: Bridge,
        tls: Option<Tls>,
        stop: CancellationToken,
    ) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::for_address(config.listen), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&config.listen.into())?;
        socket.listen(BACKLOG)?;
        let listener = Arc::new(TcpListener::from_std(socket.into())?);
        let (directory, counters) = (Directory::default(), Counters::new());
        let players = Players::default();
        let shared = Arc::new(Shared { config, rooms, bridge, directory, players, counters, tls, stop });
        Ok(Self { shared, listener })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Who plays, now and later.
    pub fn players(&self) -> Players {
        self.shared.players.clone()
    }

    /// Serves until cancelled, members of rooms by sessions of the conference; then tells the clients, and returns within 5 s.
    pub async fn run(&self, conference: &Conference) {
        let (tasks, places) = (TaskTracker::new(), Places::new(self.shared.config.max_connections));
        loop {
            let accepted = tokio::select! {
                () = self.shared.stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            let (socket, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(%error, "accepting an RTMP connection failed");
                    Counters::failed("accept");
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                    continue;
                }
            };
            let Some((place, gave_way)) = places.take(Instant::now()) else {
                debug!(%peer, "RTMP connection closed: too many");
                Counters::rejected(Rejected::Limit);
                continue;
            };
            if gave_way {
                Counters::failed("gave_way");
            }
            if let Err(error) = prepare(&socket) {
                debug!(%peer, %error, "RTMP socket cannot be set up");
                continue;
            }
            let (shared, conference) = (self.shared.clone(), conference.clone());
            let span = info_span!("rtmp", %peer);
            tasks.spawn(
                async move {
                    shared.counters.accepted.increment(1);
                    shared.counters.connections.increment(1.0);
                    tokio::select! {
                        () = greet(&shared, &conference, socket, &place) => {}
                        () = place.lost() => debug!("gave way to another connection"),
                    }
                    shared.counters.connections.decrement(1.0);
                }
                .instrument(span),
            );
        }
        tasks.close();
        if tokio::time::timeout(FAREWELL, tasks.wait()).await.is_err() {
            info!(left = tasks.len(), "RTMP connections did not close in time");
        }
    }
}

/// One client, from its first byte on: where there is a certificate, that byte says whether it speaks TLS.
async fn greet(shared: &Shared, conference: &Conference, socket: TcpStream, place: &Place) {
    let Some(tls) = &shared.tls else {
        return connection::serve(shared, conference, Socket::plain(socket), place).await;
    };
    let greeting = tokio::select! {
        greeting = tls.accept(Port::Rtmp, socket, shared.config.setup_timeout.0) => greeting,
        () = shared.stop.cancelled() => return,
    };
    match greeting {
        Ok(Greeting::Plain(socket)) => {
            connection::serve(shared, conference, Socket::plain(socket), place).await
        }
        Ok(Greeting::Tls(stream)) => connection::serve(shared, conference, Socket::tls(stream), place).await,
        Err(HandshakeError::Closed) => debug!("closed"),
        Err(error) => {
            let kind = if matches!(error, HandshakeError::Timeout) { "setup_timeout" } else { "tls" };
            Counters::failed(kind);
            info!(kind, reason = %error, "connection ended");
        }
    }
}

/// Small messages go at once, and a host that has gone without a word is noticed.
fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(10))
        .with_interval(Duration::from_secs(5))
        .with_retries(3);
    SockRef::from(socket).set_tcp_keepalive(&keepalive)
}
