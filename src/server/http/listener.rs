//! Accepts connections, within limits, until the server goes down.

use super::router::{App, Shared, router};
use super::sampler::Sampler;
use crate::bridge::Bridge;
use crate::config::Http;
use crate::room::Rooms;
use crate::server::conference::Conference;
use crate::server::places::{self, Places};
use crate::server::{rtmp, webrtc};
use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use metrics::{counter, gauge};
use socket2::{Domain, SockRef, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1_024;
/// How long to wait after accepting failed, mostly for want of file descriptors.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);
/// From the first byte of a request, or from the last response, to the end of the request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// Head of a request: lines, and bytes in all. What comes of a body is held in the same buffer.
const MAX_HEADERS: usize = 64;
const MAX_BUFFER: usize = 32 * 1024;
/// A client that takes nothing of its answer for so long is given up by the kernel.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the requests that are being answered have at the end.
const FAREWELL: Duration = Duration::from_millis(500);

/// The HTTP server.
pub struct Server {
    config: Http,
    listener: TcpListener,
    app: App,
}

/// A connection's place, which a WebSocket takes over. Cloning gives another handle to the same.
#[derive(Clone)]
pub(super) struct Place {
    place: Arc<places::Place>,
    peer: SocketAddr,
    /// Where what goes on with the connection is waited for at the end.
    tasks: TaskTracker,
}

/// What it serves.
pub struct Parts {
    /// The rooms, to be shown.
    pub rooms: Rooms,
    /// Their renditions.
    pub bridge: Bridge,
    /// Who answers offers.
    pub webrtc: webrtc::Server,
    /// What sessions of the room API share.
    pub conference: Conference,
    /// Who plays over RTMP.
    pub players: rtmp::Players,
    /// Where RTMP listens, for people to be told.
    pub rtmp_port: u16,
    /// Cancelled when the whole server begins to go down: it is no longer ready.
    pub stop: CancellationToken,
}

impl Server {
    /// Opens the port; nothing is accepted before [`run`](Self::run).
    pub fn bind(config: Http, parts: Parts) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(config.listen), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&config.listen.into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from_std(socket.into())?;
        let Parts { rooms, bridge, webrtc, conference, players, rtmp_port, stop } = parts;
        let sampler = Sampler::default();
        let started = Instant::now();
        let app = Shared { rooms, bridge, webrtc, conference, players, sampler, started, rtmp_port, stop };
        Ok(Self { config, listener, app: App::new(app) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is cancelled, finishes the requests at hand and returns within a second.
    pub async fn run(&self, stop: CancellationToken) {
        let router =
            router(self.app.clone(), self.config.allowed_origins.clone(), self.config.request_timeout.0);
        let (tasks, places) = (TaskTracker::new(), Places::new(self.config.max_connections));
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.accept(&router, &tasks, &places, &stop) => {}
            () = self.app.sampler.run(&self.app.rooms, &self.app.bridge) => {}
        }
        tasks.close();
        if tokio::time::timeout(FAREWELL, tasks.wait()).await.is_err() {
            debug!(left = tasks.len(), "HTTP connections did not close in time");
        }
    }

    async fn accept(&self, router: &Router, tasks: &TaskTracker, places: &Places, stop: &CancellationToken) {
        let connections = gauge!("commonroom_http_connections");
        loop {
            let (socket, peer) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(%error, "accepting an HTTP connection failed");
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                    continue;
                }
            };
            let Some((place, gave_way)) = places.take(Instant::now()) else { continue };
            if gave_way {
                counter!("commonroom_http_gave_way_total").increment(1);
            }
            let place = Place { place: Arc::new(place), peer, tasks: tasks.clone() };
            let (router, stop, connections) = (router.clone(), stop.clone(), connections.clone());
            tasks.spawn(async move {
                connections.increment(1.0);
                tokio::select! {
                    served = serve(socket, router, place.clone(), stop) => if let Err(error) = served {
                        debug!(%peer, %error, "HTTP connection");
                    },
                    () = place.lost() => debug!(%peer, "HTTP connection gave way to another"),
                }
                connections.decrement(1.0);
            });
        }
    }
}

/// One connection, until it ends or the server does.
async fn serve(
    socket: TcpStream,
    router: Router,
    place: Place,
    stop: CancellationToken,
) -> hyper::Result<()> {
    if let Err(error) = prepare(&socket) {
        debug!(%error, "HTTP socket cannot be set up");
        return Ok(());
    }
    let router = TowerToHyperService::new(router);
    let answer = service_fn(|mut request: hyper::Request<_>| {
        // A WebSocket keeps the place for itself.
        request.extensions_mut().insert(place.clone());
        let answer = router.call(request);
        async {
            let answer = answer.await;
            place.place.idle(Instant::now());
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(socket), answer)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        result = connection.as_mut() => return result,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

impl Place {
    /// Where the client is.
    pub(super) const fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub(super) const fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// The connection is in use from now on.
    pub(super) fn keep(&self) {
        self.place.keep();
    }

    /// Returns when the place was needed for somebody else.
    pub(super) async fn lost(&self) {
        self.place.lost().await;
    }
}

fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    SockRef::from(socket).set_tcp_user_timeout(Some(WRITE_TIMEOUT))
}
