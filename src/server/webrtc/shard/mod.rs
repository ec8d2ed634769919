//! One shard: a thread with a socket of its own and the peers whose first valid check came to it.

mod peers;

use super::batch::Batch;
use super::dtls::Identity;
use super::leave::Leave;
use super::line::Lines;
use super::mailbox::{Mail, Mailbox, ShardId};
use super::path::{ConnectionId, Path, Via};
use super::peer::{Event, Hands, Peer};
use super::picture::Adaptation;
use super::registry::{Lookup, Registry};
use super::session::{Session, SessionId};
use super::socket::{ReceiveBuffer, Socket};
use super::tcp::Connections;
use crate::bridge::Bridge;
use crate::protocol::ice::{Check, is_stun, peek_ufrag};
use crate::stream::EndReason;
use bytes::Bytes;
use metrics::Counter;
use peers::{FeedSlot, Inbox};
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Receiving system calls in a row before timers and mail get their turn.
const RECEIVES_IN_A_ROW: usize = 16;
/// Timers are served on this grid, so that those of many peers share a wake-up.
const GRID: Duration = Duration::from_millis(5);
/// How long a shard rests whose socket fails.
const SOCKET_PAUSE: Duration = Duration::from_secs(1);

/// What all shards share.
pub(super) struct Common {
    pub(super) registry: Arc<Registry>,
    pub(super) mailboxes: Vec<Arc<Mailbox>>,
    pub(super) identity: Identity,
    pub(super) bridge: Bridge,
    pub(super) lines: Lines,
    pub(super) stop: CancellationToken,
}

/// The shard.
pub(super) struct Shard {
    id: ShardId,
    common: Arc<Common>,
    socket: Rc<Socket>,
    connections: Rc<Connections>,
    batch: Rc<RefCell<Batch>>,
    inbox: Rc<Inbox>,
    peers: HashMap<PeerId, Slot>,
    next_peer: u64,
    by_ufrag: HashMap<String, PeerId>,
    routes: HashMap<RouteKey, Route>,
    feeds: HashMap<FeedId, FeedSlot>,
    next_feed: u64,
    timers: BinaryHeap<Reverse<(Instant, PeerId)>>,
    events: Vec<Event>,
    counters: Counters,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct PeerId(u64);

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct FeedId(u64);

struct Slot {
    peer: Peer,
    /// The earliest entry of the peer among the timers.
    wakes: Instant,
    /// Waits for keyframe requests of a publisher.
    _requests: Option<AbortOnDropHandle<()>>,
}

/// What tells one peer's datagrams from another's: an address, or a TCP connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum RouteKey {
    Udp(SocketAddr),
    Tcp(ConnectionId),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Route {
    Here(PeerId),
    Elsewhere(ShardId),
}

/// How much a shard keeps of peers and their paths.
#[cfg(test)]
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Held {
    pub(super) peers: usize,
    pub(super) routes: usize,
    pub(super) connections: usize,
}

struct Counters {
    datagrams: Counter,
    unknown: Counter,
    forwarded: Counter,
    overflow: Counter,
    panics: Counter,
}

impl Shard {
    pub(super) fn new(
        id: ShardId,
        common: Arc<Common>,
        socket: Rc<Socket>,
        connections: Rc<Connections>,
        batch: Batch,
    ) -> Self {
        let dropped =
            |reason| metrics::counter!("commonroom_webrtc_received_dropped_total", "reason" => reason);
        Self {
            id,
            common,
            socket,
            connections,
            batch: Rc::new(RefCell::new(batch)),
            inbox: Rc::default(),
            peers: HashMap::new(),
            next_peer: 0,
            by_ufrag: HashMap::new(),
            routes: HashMap::new(),
            feeds: HashMap::new(),
            next_feed: 0,
            timers: BinaryHeap::new(),
            events: Vec::new(),
            counters: Counters {
                datagrams: metrics::counter!("commonroom_webrtc_received_datagrams_total"),
                unknown: dropped("unknown_source"),
                forwarded: metrics::counter!("commonroom_webrtc_forwarded_datagrams_total"),
                overflow: dropped("mailbox_full"),
                panics: metrics::counter!("commonroom_webrtc_library_panics_total", "kind" => "peer"),
            },
        }
    }

    /// Serves until the server stops, then tells all peers.
    pub(super) async fn run(mut self) {
        let (stop, socket, inbox) = (self.common.stop.clone(), self.socket.clone(), self.inbox.clone());
        let mailbox = self.common.mailboxes.get(self.id.0).cloned().unwrap_or_default();
        let mut buffer = ReceiveBuffer::default();
        let mut mail = Vec::new();
        loop {
            let wake = self.timers.peek().map(|Reverse((at, _))| *at);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = mailbox.wait() => {
                    mailbox.take(&mut mail);
                    mail.drain(..).for_each(|mail| self.open(mail));
                }
                () = inbox.arrived.notified() => self.serve_inbox(),
                () = sleep_until(wake) => self.serve_timers(),
                ready = socket.readable() => match ready {
                    Ok(()) => self.receive(&mut buffer),
                    Err(error) => {
                        tracing::error!(%error, "WebRTC socket");
                        tokio::time::sleep(SOCKET_PAUSE).await;
                    }
                },
            }
            self.batch.borrow_mut().flush();
        }
        for id in self.peers.keys().copied().collect::<Vec<_>>() {
            self.remove(id, &Leave::Ended(EndReason::Shutdown));
        }
        self.batch.borrow_mut().flush();
        // The frames for TCP connections are written by their own tasks.
        tokio::time::sleep(GRID * 10).await;
    }

    fn receive(&mut self, buffer: &mut ReceiveBuffer) {
        let now = now();
        let socket = self.socket.clone();
        let mut touched = Vec::new();
        for _ in 0..RECEIVES_IN_A_ROW {
            let received = socket.receive(buffer, |path, datagram| {
                self.counters.datagrams.increment(1);
                if let Some(id) = self.dispatch(now, path, datagram)
                    && touched.last() != Some(&id)
                {
                    touched.push(id);
                }
            });
            // What one call has brought from a publisher goes onto the bus together.
            for id in touched.drain(..) {
                self.after(now, id);
            }
            if received.is_err() {
                break;
            }
        }
    }

    /// Finds the peer of a datagram and gives it to it.
    fn dispatch(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Option<PeerId> {
        let route = if is_stun(datagram) {
            let known = peek_ufrag(datagram).map(|ufrag| (ufrag, self.by_ufrag.get(ufrag).copied()));
            match known {
                // An answer: it has no user name, and counts by the path alone.
                None => self.routes.get(&RouteKey::from(path)).copied(),
                Some((_, Some(id))) => Some(Route::Here(id)),
                Some((ufrag, None)) => self.adopt(now, ufrag, datagram),
            }
        } else {
            self.routes.get(&RouteKey::from(path)).copied()
        };
        match route {
            None => {
                self.counters.unknown.increment(1);
                None
            }
            Some(Route::Elsewhere(shard)) => {
                self.forward(shard, path, datagram);
                None
            }
            Some(Route::Here(id)) => {
                self.call(id, |peer, hands| peer.handle(now, path, datagram, hands));
                Some(id)
            }
        }
    }

    fn adopt(&mut self, now: Instant, ufrag: &str, datagram: &[u8]) -> Option<Route> {
        let registry = self.common.registry.clone();
        let identity = &self.common.identity;
        let is_authentic = |session: &Session| {
            let crypto = identity.crypto();
            Check::parse(datagram).is_ok_and(|check| session.is_authentic(&check, &*crypto))
        };
        match registry.look_up(ufrag, self.id, is_authentic) {
            Lookup::Unknown | Lookup::Refused => None,
            Lookup::Owned(shard) if shard == self.id => None,
            Lookup::Owned(shard) => Some(Route::Elsewhere(shard)),
            Lookup::Adopted(seed) => {
                let id = PeerId(self.next_peer);
                self.next_peer += 1;
                let peer = Peer::new(*seed, identity, now);
                let wakes = peer.deadline();
                self.timers.push(Reverse((wakes, id)));
                self.peers.insert(id, Slot { peer, wakes, _requests: None });
                self.by_ufrag.insert(ufrag.to_owned(), id);
                Some(Route::Here(id))
            }
        }
    }

    fn forward(&mut self, shard: ShardId, path: Path, datagram: &[u8]) {
        let Some(mailbox) = self.common.mailboxes.get(shard.0) else { return };
        // The first check shows where a connection belongs: its link goes there, and so will all that follows.
        if let Via::Tcp(connection) = path.via
            && let Some(link) = self.connections.remove(connection)
        {
            self.routes.insert(RouteKey::Tcp(connection), Route::Elsewhere(shard));
            mailbox.post(Mail::Connected(connection, link));
        }
        let posted = mailbox.post(Mail::Datagram(path, Bytes::copy_from_slice(datagram)));
        if posted { self.counters.forwarded.increment(1) } else { self.counters.overflow.increment(1) }
    }

    /// Calls a peer and does what it says must be done. A panic ends the peer.
    fn call(&mut self, id: PeerId, act: impl FnOnce(&mut Peer, &mut Hands<'_>)) {
        let Some(slot) = self.peers.get_mut(&id) else { return };
        let mut events = std::mem::take(&mut self.events);
        let outcome = {
            let mut batch = self.batch.borrow_mut();
            let mut hands = Hands { batch: &mut batch, events: &mut events };
            catch_unwind(AssertUnwindSafe(|| act(&mut slot.peer, &mut hands)))
        };
        if outcome.is_err() {
            self.counters.panics.increment(1);
            events.push(Event::Gone(Leave::Panicked));
        }
        for event in events.drain(..) {
            self.perform(id, event);
        }
        self.events = events;
    }

    /// Follows up on what a peer has been given: the bus, and its timer.
    fn after(&mut self, now: Instant, id: PeerId) {
        self.call(id, |peer, hands| peer.publish(now, hands.batch));
        let Some(slot) = self.peers.get_mut(&id) else { return };
        let deadline = slot.peer.deadline();
        if deadline < slot.wakes {
            slot.wakes = deadline;
            self.timers.push(Reverse((deadline, id)));
        }
    }

    fn serve_timers(&mut self) {
        let now = now();
        while let Some(Reverse((at, id))) = self.timers.peek().copied() {
            if at > now {
                break;
            }
            self.timers.pop();
            // An entry that was overtaken by an earlier one of the same peer.
            if self.peers.get(&id).is_none_or(|slot| slot.wakes != at) {
                continue;
            }
            self.call(id, |peer, hands| {
                if peer.deadline() <= now {
                    peer.handle_timeout(now, hands);
                }
            });
            if let Some(slot) = self.peers.get_mut(&id) {
                slot.wakes = slot.peer.deadline().max(now + GRID);
                self.timers.push(Reverse((slot.wakes, id)));
            }
        }
    }

    fn open(&mut self, mail: Mail) {
        match mail {
            Mail::Datagram(path, datagram) => {
                let now = now();
                if let Some(id) = self.dispatch(now, path, &datagram) {
                    self.after(now, id);
                }
            }
            Mail::Connected(connection, link) => self.connections.insert(connection, link),
            Mail::Disconnected(connection) => self.disconnect(connection),
            Mail::Bind(remote, shard) => {
                self.routes.insert(RouteKey::Udp(remote), Route::Elsewhere(shard));
            }
            Mail::Unbind(remote, shard) => {
                let key = RouteKey::Udp(remote);
                if self.routes.get(&key) == Some(&Route::Elsewhere(shard)) {
                    self.routes.remove(&key);
                }
            }
            Mail::Close(session) => {
                let found = self.peers.iter().find(|(_, slot)| slot.peer.session().id == session);
                if let Some(id) = found.map(|(id, _)| *id) {
                    self.remove(id, &Leave::Closed);
                }
            }
            Mail::Adapted(session) => {
                // Before it is looked at, so that what comes meanwhile is not passed over.
                session.adapted();
                if let Some(id) = self.by_ufrag.get(session.credentials.ufrag.as_str()).copied() {
                    let now = now();
                    self.call(id, |peer, _| peer.adapted(now));
                    self.after(now, id);
                }
            }
            #[cfg(test)]
            Mail::Panic => panic!("as the test wants it"),
            #[cfg(test)]
            Mail::Count(answer) => {
                let held = Held {
                    peers: self.peers.len().max(self.by_ufrag.len()),
                    routes: self.routes.len(),
                    connections: self.connections.len(),
                };
                let _ = answer.send(held);
            }
        }
    }

    fn disconnect(&mut self, connection: ConnectionId) {
        self.connections.remove(connection);
        match self.routes.remove(&RouteKey::Tcp(connection)) {
            Some(Route::Here(id)) => {
                self.call(id, |peer, _| peer.remove_connection(connection));
            }
            Some(Route::Elsewhere(shard)) => {
                if let Some(mailbox) = self.common.mailboxes.get(shard.0) {
                    mailbox.post(Mail::Disconnected(connection));
                }
            }
            None => {}
        }
    }
}

impl From<Path> for RouteKey {
    fn from(path: Path) -> Self {
        match path.via {
            Via::Udp { .. } => Self::Udp(path.remote),
            Via::Tcp(connection) => Self::Tcp(connection),
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Which session a client means.
pub(super) fn close(common: &Common, id: &SessionId) -> bool {
    use super::registry::Closing;
    match common.registry.close(id) {
        Closing::Unknown => false,
        Closing::Gone => true,
        Closing::Owned(shard) => match common.mailboxes.get(shard.0) {
            Some(mailbox) => mailbox.post(Mail::Close(id.clone())),
            None => false,
        },
    }
}

/// Says how a viewer shows its stream.
pub(super) fn adapt(common: &Common, id: &SessionId, adaptation: Adaptation) -> bool {
    let Some((session, shard)) = common.registry.locate(id) else { return false };
    let Some(share) = &session.share else { return false };
    share.adapt(adaptation);
    // One that no shard has yet is looked at when it comes.
    if let Some(mailbox) = shard.and_then(|shard| common.mailboxes.get(shard.0))
        && session.adapts()
    {
        mailbox.post(Mail::Adapted(session));
    }
    true
}
