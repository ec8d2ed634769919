//! WebRTC: publishers (WHIP) and viewers (WHEP), all on one port.
//!
//! [`Server`] takes offers, with what is to be published or played, and gives answers and each session's progress. The media side runs on threads of its own: each *shard* has a socket
//! of the shared port and the peers whose first valid check the kernel gave to it. A peer is found by its ICE user name,
//! then by its address; see `shard.rs` for the loop, `peer.rs` for what a peer is made of, `feed.rs` for how viewers
//! share a stream and `track.rs` for how a publisher's packets reach the bus.

mod addresses;
mod alignment;
mod batch;
pub mod dtls;
mod encoding;
mod feed;
#[doc(hidden)]
pub mod harness;
mod ingest;
mod inserted;
mod leave;
mod leg;
mod life;
mod line;
mod mailbox;
mod numbering;
mod parameter_sets;
mod path;
mod peer;
mod picture;
mod presence;
mod progress;
mod registry;
mod ring;
mod seam;
mod session;
mod shard;
mod signalling;
mod simulcast;
mod socket;
mod tcp;
mod totals;
mod track;
mod viewer;
mod wall;

pub use picture::{Adaptation, Limit, Picture};
pub use progress::{End, Progress};
pub use session::{SessionId, SessionInfo, SessionKind};
pub use signalling::{Answer, Options, SignallingError, Transport};

use crate::bridge::Bridge;
use crate::config;
use crate::room::Publication;
use crate::stream::Stream;
use addresses::Addresses;
use batch::Batch;
use dtls::Identity;
use line::Lines;
use mailbox::{Mailbox, ShardId};
use registry::Registry;
use shard::{Common, Shard};
use socket::BoundSocket;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use tcp::Connections;
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;
use totals::Totals;

/// The server. Cloning gives another handle to the same.
#[derive(Clone)]
pub struct Server {
    inner: Arc<Inner>,
}

struct Inner {
    common: Arc<Common>,
    addresses: Addresses,
    address: SocketAddr,
    /// Every shard holds a receiver for as long as it runs, and so does the keeper of the addresses.
    running: watch::Sender<()>,
}

impl Server {
    /// Binds the port and starts the shards. They run until `stop` is cancelled; then all peers are told. Must be called
    /// within a tokio runtime.
    pub fn bind(config: config::Webrtc, bridge: Bridge, stop: CancellationToken) -> io::Result<Self> {
        let shards = match config.shards {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            shards => shards,
        };
        let address = socket::free_address(config.listen)?;
        let sockets: Vec<_> = (0..shards).map(|_| BoundSocket::bind(address)).collect::<io::Result<_>>()?;
        let listeners: Vec<_> = (0..shards).map(|_| tcp::listen(address)).collect::<io::Result<_>>()?;
        let addresses = Addresses::find(address, config.announce);
        let identity = Identity::generate().map_err(io::Error::other)?;
        let common = Arc::new(Common {
            registry: Arc::new(Registry::new(config.max_sessions)),
            mailboxes: (0..shards).map(|_| Arc::new(Mailbox::default())).collect(),
            identity,
            bridge,
            lines: Lines::default(),
            stop,
        });
        // A dashboard is to show zeros before the first session, not nothing.
        for kind in [SessionKind::Publisher, SessionKind::Viewer] {
            Totals::new(kind);
        }
        let (running, alive) = watch::channel(());
        for (index, (socket, listener)) in sockets.into_iter().zip(listeners).enumerate() {
            let (common, alive) = (common.clone(), alive.clone());
            std::thread::Builder::new().name(format!("webrtc-{index}")).spawn(move || {
                let shard = ShardId(index);
                let _abandons = Abandons { registry: common.registry.clone(), shard };
                if let Err(error) = serve(shard, common, socket, listener) {
                    tracing::error!(shard = index, %error, "WebRTC shard");
                }
                drop(alive);
            })?;
        }
        let keeper = addresses.clone().keep(common.stop.clone());
        let expiry = registry::expire(common.registry.clone(), common.stop.clone());
        tokio::spawn(async move {
            tokio::join!(keeper, expiry);
            drop(alive);
        });
        tracing::info!(%address, shards, "WebRTC server listens");
        Ok(Self { inner: Arc::new(Inner { common, addresses, address, running }) })
    }

    /// Where it listens: the port, if 0 was configured.
    pub fn local_addr(&self) -> SocketAddr {
        self.inner.address
    }

    /// Answers a publisher's offer. The publication begins once the publisher is connected, and ends with the session, or
    /// now if there is none.
    pub fn publish(
        &self,
        publication: Publication,
        offer: &str,
        options: &Options,
    ) -> Result<Answer, SignallingError> {
        signalling::publish(&self.inner, publication, offer, options)
    }

    /// Answers a viewer's offer. A medium that the stream [does not have](Stream::sends), or that this viewer cannot be
    /// given, is `inactive` in the answer.
    pub fn play(&self, stream: Stream, offer: &str, options: &Options) -> Result<Answer, SignallingError> {
        signalling::play(&self.inner, stream, offer, options)
    }

    /// Ends a session, as its client has asked. False if there is none of that name.
    pub fn close(&self, session: &SessionId) -> bool {
        shard::close(&self.inner.common, session)
    }

    /// Says how a viewer shows its stream. False if there is no viewer's session of that name.
    pub fn adapt(&self, session: &SessionId, adaptation: Adaptation) -> bool {
        shard::adapt(&self.inner.common, session, adaptation)
    }

    /// Takes candidates of a client. An ICE-lite agent has no use for them, so they are only checked.
    pub fn trickle(&self, session: &SessionId, fragment: &str) -> Result<(), SignallingError> {
        signalling::trickle(&self.inner, session, fragment)
    }

    /// The entity tag of a session's answer.
    pub fn etag(&self, session: &SessionId) -> Option<String> {
        self.inner.common.registry.get(session).map(|session| signalling::etag(&session))
    }

    /// One session, if it has not ended.
    pub fn info(&self, session: &SessionId) -> Option<SessionInfo> {
        let now = tokio::time::Instant::now().into_std();
        self.inner.common.registry.get(session).map(|session| session.info(now))
    }

    /// All sessions.
    pub fn sessions(&self) -> Vec<SessionInfo> {
        let now = tokio::time::Instant::now().into_std();
        self.inner.common.registry.list().iter().map(|session| session.info(now)).collect()
    }

    /// Waits until all shards have ended, which they do when the server is stopped.
    pub async fn closed(&self) {
        self.inner.running.closed().await;
    }
}

/// Ends the sessions of a shard whose thread ends with some left, be it by a panic.
struct Abandons {
    registry: Arc<Registry>,
    shard: ShardId,
}

impl Drop for Abandons {
    fn drop(&mut self) {
        let left = self.registry.abandon(self.shard).len();
        if left > 0 {
            tracing::error!(shard = self.shard.0, sessions = left, "WebRTC shard ended under its sessions");
        }
    }
}

/// The life of a shard's thread.
fn serve(
    id: ShardId,
    common: Arc<Common>,
    socket: BoundSocket,
    listener: std::net::TcpListener,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    runtime.block_on(local.run_until(async move {
        let socket = Rc::new(socket.into_socket()?);
        let connections = Rc::new(Connections::new());
        let batch = Batch::new(socket.clone(), connections.clone());
        let mailbox = common.mailboxes.get(id.0).cloned().unwrap_or_default();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tokio::task::spawn_local(tcp::accept(listener, mailbox, common.clone()));
        Shard::new(id, common, socket, connections, batch).run().await;
        Ok(())
    }))
}

#[cfg(test)]
mod tests;
