//! What becomes of a shard's peers: their paths, their feeds, their end.

use super::{FeedId, PeerId, Route, RouteKey, Shard, now};
use crate::server::webrtc::feed::{self, Feed, Takes};
use crate::server::webrtc::leave::Leave;
use crate::server::webrtc::mailbox::{Mail, ShardId};
use crate::server::webrtc::path::{Path, Via};
use crate::server::webrtc::peer::{Event, Place};
use crate::server::webrtc::viewer::Viewer;
use crate::stream::{EndReason, KeyframeRequests, Layers};
use std::cell::RefCell;
use std::rc::Rc;
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

/// What tasks of this thread leave for the loop; at most two items for each of them.
#[derive(Default)]
pub(super) struct Inbox {
    items: RefCell<Vec<Item>>,
    pub(super) arrived: Notify,
}

enum Item {
    FeedEnded(FeedId, EndReason),
    KeyframeWanted(PeerId, Layers),
    /// What a publisher publishes is over, by somebody else's word.
    Revoked(PeerId, EndReason),
}

pub(super) struct FeedSlot {
    feed: Rc<RefCell<Feed>>,
    _task: AbortOnDropHandle<()>,
}

impl Shard {
    pub(super) fn perform(&mut self, id: PeerId, event: Event) {
        match event {
            Event::PathAdded(path) => {
                self.routes.insert(RouteKey::from(path), Route::Here(id));
                match path.via {
                    Via::Udp { .. } => self.tell_others(|shard| Mail::Bind(path.remote, shard)),
                    Via::Tcp(connection) => self.connections.accept(connection),
                }
            }
            Event::PathRemoved(path) => self.unroute(id, path),
            Event::Connected(viewer) => self.connected(id, viewer),
            Event::Gone(leave) => self.remove(id, &leave),
        }
    }

    fn connected(&mut self, id: PeerId, viewer: Option<Box<Viewer>>) {
        match viewer {
            Some(viewer) => self.seat(id, *viewer),
            None => {
                let Some(slot) = self.peers.get_mut(&id) else { return };
                let Some(requests) = slot.peer.keyframe_requests() else { return };
                let task = tokio::task::spawn_local(listen(requests, id, self.inbox.clone()));
                slot._requests = Some(AbortOnDropHandle::new(task));
            }
        }
    }

    /// Gives a viewer its place in a feed, which begins with its first viewer.
    fn seat(&mut self, id: PeerId, viewer: Viewer) {
        let Some(slot) = self.peers.get_mut(&id) else { return };
        let Some(stream) = slot.peer.watched().cloned() else { return };
        let takes = Takes::new(slot.peer.negotiated());
        let existing = self.feeds.values().find(|slot| slot.feed.borrow().is_for(&stream, &takes));
        let feed = match existing {
            Some(slot) => slot.feed.clone(),
            None => {
                let feed_id = FeedId(self.next_feed);
                self.next_feed += 1;
                let feed = Rc::new(RefCell::new(Feed::new(stream, takes)));
                let subscription = feed::subscribe(&self.common.bridge, &feed.borrow());
                let ending = Ending { inbox: self.inbox.clone(), feed: feed_id, reason: EndReason::Vanished };
                let (read, batch) = (feed.clone(), self.batch.clone());
                let task = tokio::task::spawn_local(async move {
                    let mut ending = ending;
                    ending.reason = feed::run(read, subscription, batch).await;
                });
                let slot = FeedSlot { feed: feed.clone(), _task: AbortOnDropHandle::new(task) };
                self.feeds.insert(feed_id, slot);
                feed
            }
        };
        let viewer = Rc::new(RefCell::new(viewer));
        feed.borrow_mut().join(now(), viewer.clone(), &mut self.batch.borrow_mut());
        slot.peer.set_place(Place { viewer, feed });
    }

    pub(super) fn serve_inbox(&mut self) {
        let now = now();
        let items = std::mem::take(&mut *self.inbox.items.borrow_mut());
        for item in items {
            match item {
                Item::KeyframeWanted(id, layers) => {
                    self.call(id, |peer, hands| peer.request_keyframe(now, layers, hands.batch))
                }
                Item::Revoked(id, reason) => self.remove(id, &Leave::Ended(reason)),
                Item::FeedEnded(feed_id, reason) => {
                    let Some(slot) = self.feeds.remove(&feed_id) else { continue };
                    let viewers: Vec<_> = self
                        .peers
                        .iter()
                        .filter(|(_, peer)| peer.peer.is_in(&slot.feed))
                        .map(|(id, _)| *id)
                        .collect();
                    for id in viewers {
                        self.remove(id, &Leave::Ended(reason));
                    }
                }
            }
        }
    }

    pub(super) fn remove(&mut self, id: PeerId, leave: &Leave) {
        let Some(slot) = self.peers.remove(&id) else { return };
        let ended = slot.peer.end(now(), leave, &mut self.batch.borrow_mut());
        for path in ended.paths {
            self.unroute(id, path);
        }
        if let Some(Place { viewer, feed }) = ended.place
            && feed.borrow_mut().leave(&viewer)
        {
            self.feeds.retain(|_, slot| !Rc::ptr_eq(&slot.feed, &feed));
        }
        self.by_ufrag.remove(&ended.session.credentials.ufrag);
        self.common.registry.remove(&ended.session.credentials.ufrag);
        ended.session.end(leave.end());
        tracing::info!(
            session = ?ended.session.id,
            kind = ended.session.kind.as_str(),
            room = %ended.session.stream.room,
            participant = %ended.session.stream.participant,
            reason = %leave,
            "WebRTC peer gone"
        );
    }

    fn unroute(&mut self, id: PeerId, path: Path) {
        let key = RouteKey::from(path);
        // The address may be another peer's by now.
        if self.routes.get(&key) == Some(&Route::Here(id)) {
            self.routes.remove(&key);
            match path.via {
                Via::Udp { .. } => self.tell_others(|shard| Mail::Unbind(path.remote, shard)),
                // Nothing else goes by it, so it is closed.
                Via::Tcp(connection) => drop(self.connections.remove(connection)),
            }
        }
    }

    fn tell_others(&self, mail: impl Fn(ShardId) -> Mail) {
        for (index, mailbox) in self.common.mailboxes.iter().enumerate() {
            if index != self.id.0 {
                mailbox.post(mail(self.id));
            }
        }
    }
}

/// Tells the loop that a feed is over, however its task ends.
struct Ending {
    inbox: Rc<Inbox>,
    feed: FeedId,
    reason: EndReason,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.inbox.leave(Item::FeedEnded(self.feed, self.reason));
    }
}

impl Inbox {
    fn leave(&self, item: Item) {
        self.items.borrow_mut().push(item);
        self.arrived.notify_one();
    }
}

async fn listen(mut requests: KeyframeRequests, id: PeerId, inbox: Rc<Inbox>) {
    let stream = requests.stream();
    let mut changes = stream.changes();
    loop {
        if let Some(reason) = stream.ended() {
            return inbox.leave(Item::Revoked(id, reason));
        }
        tokio::select! {
            layers = requests.next() => inbox.leave(Item::KeyframeWanted(id, layers)),
            _ = changes.changed() => {}
        }
    }
}
