//! Accepts connections, within limits, until the server goes down.

use super::cors;
use super::hosts::Hosts;
use super::recordings::Recordings;
use super::router::{App, Shared, router};
use super::sampler::Sampler;
use super::secure;
use crate::bridge::Bridge;
use crate::config::Http;
use crate::recording::Store;
use crate::room::Rooms;
use crate::server::conference::Conference;
use crate::server::places::{self, Places};
use crate::server::tls::{Greeting, HandshakeError, Port, Tls};
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
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
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
    /// Where the same is served over TLS.
    secure: Option<(TcpListener, Tls)>,
    /// What it is called besides.
    names: Vec<String>,
    app: App,
}

/// A connection's place, which a WebSocket takes over. Cloning gives another handle to the same.
#[derive(Clone)]
pub(super) struct Place {
    place: Arc<places::Place>,
    peer: SocketAddr,
    /// Whether it is one over TLS.
    is_secure: bool,
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
    /// The recordings, if they may be browsed.
    pub recordings: Option<Store>,
    /// Whether whoever asks may start and stop recordings.
    pub record_control: bool,
    /// Names by which others reach this machine.
    pub names: Vec<String>,
    /// TLS, if it is on.
    pub tls: Option<Tls>,
    /// Cancelled when the whole server begins to go down: it is no longer ready.
    pub stop: CancellationToken,
}

impl Server {
    /// Opens the ports; nothing is accepted before [`run`](Self::run).
    pub fn bind(config: Http, parts: Parts) -> Result<Self, BindError> {
        let failed = |key| move |source| BindError { key, source };
        let Parts {
            rooms,
            bridge,
            webrtc,
            conference,
            players,
            rtmp_port,
            recordings,
            record_control,
            names,
            tls,
            stop,
        } = parts;
        let listener = listen(config.listen).map_err(failed("http.listen"))?;
        let secure = match tls.clone() {
            Some(tls) => Some((listen(config.tls.listen).map_err(failed("http.tls.listen"))?, tls)),
            None => None,
        };
        let https_port = secure.as_ref().and_then(|(listener, _)| listener.local_addr().ok());
        let app = Shared {
            rooms,
            bridge,
            webrtc,
            conference,
            players,
            sampler: Sampler::default(),
            started: Instant::now(),
            rtmp_port,
            https_port: https_port.map(|address| address.port()),
            recordings: recordings.map(Recordings::new),
            record_control,
            tls,
            stop,
        };
        Ok(Self { config, listener, secure, names, app: App::new(app) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Where it listens for TLS, if that is on.
    pub fn secure_addr(&self) -> Option<io::Result<SocketAddr>> {
        self.secure.as_ref().map(|(listener, _)| listener.local_addr())
    }

    /// Serves until `stop` is cancelled, finishes the requests at hand and returns within a second.
    pub async fn run(&self, stop: CancellationToken) {
        let origins = self.config.allowed_origins.clone();
        let names = self.config.tls.acme.iter().map(ToString::to_string).chain(self.names.iter().cloned());
        let hosts = Hosts::new(&origins, names);
        let allowed = cors::Allowed { origins, hosts };
        let router = router(self.app.clone(), allowed, self.config.request_timeout.0);
        let (tasks, places) = (TaskTracker::new(), Places::new(self.config.max_connections));
        let serving = Serving { router, tasks, places, stop: stop.clone() };
        let accept = async {
            let plain = serving.accept(&self.listener, None);
            match &self.secure {
                Some((listener, tls)) => {
                    tokio::join!(plain, serving.accept(listener, Some(tls)));
                }
                None => plain.await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = accept => {}
            () = self.app.sampler.run(&self.app.rooms, &self.app.bridge) => {}
        }
        let tasks = &serving.tasks;
        tasks.close();
        if tokio::time::timeout(FAREWELL, tasks.wait()).await.is_err() {
            debug!(left = tasks.len(), "HTTP connections did not close in time");
        }
    }
}

/// Why a port cannot be opened.
#[derive(Debug, Error)]
#[error("{key}: {source}")]
pub struct BindError {
    /// The configuration's name for it.
    pub key: &'static str,
    /// Why.
    pub source: io::Error,
}

/// What both ports share.
struct Serving {
    router: Router,
    tasks: TaskTracker,
    places: Places,
    stop: CancellationToken,
}

impl Serving {
    async fn accept(&self, listener: &TcpListener, tls: Option<&Tls>) {
        let connections = gauge!("commonroom_http_connections");
        loop {
            let (socket, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(%error, "accepting an HTTP connection failed");
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                    continue;
                }
            };
            let Some((place, gave_way)) = self.places.take(Instant::now()) else { continue };
            if gave_way {
                counter!("commonroom_http_gave_way_total").increment(1);
            }
            let place =
                Place { place: Arc::new(place), peer, is_secure: tls.is_some(), tasks: self.tasks.clone() };
            let (router, stop) = (self.router.clone(), self.stop.clone());
            let (tls, connections) = (tls.cloned(), connections.clone());
            self.tasks.spawn(async move {
                connections.increment(1.0);
                tokio::select! {
                    served = greet(socket, tls, router, place.clone(), stop) => if let Err(error) = served {
                        debug!(%peer, %error, "HTTP connection");
                    },
                    () = place.lost() => debug!(%peer, "HTTP connection gave way to another"),
                }
                connections.decrement(1.0);
            });
        }
    }
}

/// Why a connection ended otherwise than in order.
#[derive(Debug, Error)]
enum End {
    #[error("the socket cannot be set up: {0}")]
    Socket(#[from] io::Error),
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    #[error(transparent)]
    Http(#[from] hyper::Error),
}

/// One connection, from its first byte on.
async fn greet(
    socket: TcpStream,
    tls: Option<Tls>,
    router: Router,
    place: Place,
    stop: CancellationToken,
) -> Result<(), End> {
    prepare(&socket)?;
    let Some(tls) = tls else { return Ok(serve(socket, router, place, stop).await?) };
    let greeting = tokio::select! {
        greeting = tls.accept(Port::Http, socket, HEAD_TIMEOUT) => greeting?,
        () = stop.cancelled() => return Ok(()),
    };
    match greeting {
        Greeting::Tls(stream) => serve(stream, router, place, stop).await?,
        Greeting::Plain(socket) => serve(socket, secure::router(), place, stop).await?,
    }
    Ok(())
}

/// Requests of one connection, until it ends or the server does.
async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    place: Place,
    stop: CancellationToken,
) -> hyper::Result<()> {
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
        .serve_connection(TokioIo::new(stream), answer)
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

    pub(super) const fn is_secure(&self) -> bool {
        self.is_secure
    }

    pub(super) const fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// The connection is in use from now on.
    pub(super) fn keep(&self) {
        self.place.keep();
    }

    /// The connection has been of use until now.
    pub(super) fn idle(&self) {
        self.place.idle(Instant::now());
    }

    /// Returns when the place was needed for somebody else.
    pub(super) async fn lost(&self) {
        self.place.lost().await;
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    SockRef::from(socket).set_tcp_user_timeout(Some(WRITE_TIMEOUT))
}
