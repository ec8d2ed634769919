//! What a connection publishes and plays, by message stream.

use super::egress::Egress;
use super::ingest::Ingest;
use crate::protocol::rtmp::StreamId;
use std::future::pending;

/// What happens on one message stream.
pub(super) enum Role {
    Publisher(Box<Ingest>),
    Player(Box<Egress>),
}

/// All of a connection. The session allows a handful, and nearly always there is one.
#[derive(Default)]
pub(super) struct Streams(Vec<(StreamId, Role)>);

impl Streams {
    /// Something begins on a stream on which nothing happens.
    pub(super) fn begin(&mut self, id: StreamId, role: Role) {
        self.0.push((id, role));
    }

    /// What happened on a stream, which ends with that.
    pub(super) fn end(&mut self, id: StreamId) -> Option<Role> {
        let at = self.0.iter().position(|(other, _)| *other == id)?;
        Some(self.0.remove(at).1)
    }

    /// The publisher on a stream.
    pub(super) fn publisher(&mut self, id: StreamId) -> Option<&mut Ingest> {
        self.0.iter_mut().find_map(|(other, role)| match role {
            Role::Publisher(ingest) if *other == id => Some(&mut **ingest),
            _ => None,
        })
    }

    /// The player on a stream.
    pub(super) fn player(&mut self, id: StreamId) -> Option<&mut Egress> {
        self.0.iter_mut().find_map(|(other, role)| match role {
            Role::Player(egress) if *other == id => Some(&mut **egress),
            _ => None,
        })
    }

    /// Waits until there is something to forward on any of them. Cancel-safe.
    pub(super) async fn ready(&mut self) {
        any_ready(&mut self.0).await;
    }

    /// All of them, in the order in which they began.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (StreamId, &mut Role)> {
        self.0.iter_mut().map(|(id, role)| (*id, role))
    }

    /// Takes all of them.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Role> + use<> {
        std::mem::take(&mut self.0).into_iter().map(|(_, role)| role)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those on which streams of a room are played.
    pub(super) fn players_of(&self, room: &str) -> Vec<StreamId> {
        let plays = |role: &Role| matches!(role, Role::Player(egress) if *egress.stream().room == *room);
        self.0.iter().filter(|(_, role)| plays(role)).map(|(id, _)| *id).collect()
    }

    /// Whether anything is played.
    pub(super) fn is_playing(&self) -> bool {
        self.0.iter().any(|(_, role)| matches!(role, Role::Player(_)))
    }

    /// Whether all that happens is publishing, and nobody watches.
    pub(super) fn is_unwatched(&self) -> bool {
        let is_unwatched = |role: &Role| matches!(role, Role::Publisher(ingest) if !ingest.is_watched());
        !self.is_empty() && self.0.iter().all(|(_, role)| is_unwatched(role))
    }
}

impl Role {
    async fn ready(&mut self) {
        match self {
            Self::Publisher(ingest) => ingest.notice().await,
            Self::Player(egress) => egress.ready().await,
        }
    }
}

/// A box for each but the last: what the one stream of nearly all clients does not pay for.
async fn any_ready(streams: &mut [(StreamId, Role)]) {
    match streams {
        [] => pending().await,
        [(_, only)] => only.ready().await,
        [(_, first), rest @ ..] => tokio::select! {
            () = first.ready() => {}
            () = Box::pin(any_ready(rest)) => {}
        },
    }
}
