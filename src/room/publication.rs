//! A publisher's place in its room.

use super::event::LeaveReason;
use super::membership::Membership;
use super::name::Name;
use super::published::PublishedName;
use super::registry::Shared;
use crate::stream::{EndReason, Publisher};
use std::fmt;
use std::sync::{Arc, OnceLock};
use tokio_util::sync::CancellationToken;

/// A stream that somebody publishes in a room. Dropping it ends the stream as vanished and frees the name.
pub struct Publication {
    shared: Arc<Shared>,
    room: Name,
    name: PublishedName,
    publisher: Option<Publisher>,
    revoked: Revoked,
    ends: EndReason,
    /// Of an encoder, which is in the room for as long as it publishes.
    member: Option<Membership>,
}

/// Why a room ends a stream. Says it to the publisher.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Revocation {
    /// The publisher has left.
    Left,
    /// The publisher's connection to the room is lost.
    Vanished,
    /// A host has removed the publisher.
    Kicked,
    /// A host has ended the room.
    Ended,
    /// A host has made the publisher a viewer.
    NotSpeaker,
    /// The same participant has come again by another connection.
    TakenOver,
}

/// Whether the room has ended a stream: the room's end, and the publication's.
#[derive(Clone, Default)]
pub(super) struct Revoked(Arc<Verdict>);

#[derive(Default)]
struct Verdict {
    token: CancellationToken,
    why: OnceLock<Revocation>,
}

impl Revoked {
    /// The first reason counts.
    pub(super) fn revoke(&self, why: Revocation) {
        let _ = self.0.why.set(why);
        self.0.token.cancel();
    }
}

impl From<LeaveReason> for Revocation {
    fn from(reason: LeaveReason) -> Self {
        match reason {
            LeaveReason::Left => Self::Left,
            LeaveReason::Vanished => Self::Vanished,
            LeaveReason::Kicked => Self::Kicked,
            LeaveReason::Ended => Self::Ended,
        }
    }
}

impl fmt::Display for Revocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Left => "you have left the room",
            Self::Vanished => "your connection to the room is lost",
            Self::Kicked => "a host has removed you from the room",
            Self::Ended => "a host has ended the room",
            Self::NotSpeaker => "a host has made you a viewer, and viewers may not publish",
            Self::TakenOver => "the same participant has come again by another connection",
        })
    }
}

impl Publication {
    pub(super) const fn new(
        shared: Arc<Shared>,
        room: Name,
        name: PublishedName,
        publisher: Publisher,
        revoked: Revoked,
    ) -> Self {
        let publisher = Some(publisher);
        Self { shared, room, name, publisher, revoked, ends: EndReason::Vanished, member: None }
    }

    pub(super) fn of(mut self, member: Membership) -> Self {
        self.member = Some(member);
        self
    }

    /// The name of the publication.
    pub const fn name(&self) -> &PublishedName {
        &self.name
    }

    /// Where to write tracks.
    pub fn publisher(&self) -> &Publisher {
        self.publisher.as_ref().expect("taken only by `drop`")
    }

    /// The publisher is connected: whoever knows the name may wait for its tracks from now on.
    pub fn open(&self) {
        self.shared.open(&self.room, &self.name, &self.publisher().stream());
    }

    /// The tracks are known and can be played from now on: the room is told.
    pub fn begin(&self) {
        self.shared.begin(&self.room, &self.name, &self.publisher().stream());
    }

    /// [Begins](Self::begin) as soon as it is known what the publisher sends, for one that does not say so beforehand. Ends with
    /// the stream, too.
    pub fn begin_when_settled(&self) -> impl Future<Output = ()> + Send + 'static {
        let (shared, room, name) = (self.shared.clone(), self.room.clone(), self.name.clone());
        let stream = self.publisher().stream();
        async move {
            stream.settled().await;
            shared.begin(&room, &name, &stream);
        }
    }

    /// Cancelled when the room has ended the stream: its publisher left, was removed or may not publish any more. Nobody gets
    /// what is still written; the connection should end.
    pub fn revoked(&self) -> &CancellationToken {
        &self.revoked.0.token
    }

    /// Why the room has ended the stream, if it has.
    pub fn revocation(&self) -> Option<Revocation> {
        self.revoked.0.why.get().copied()
    }

    /// Ends the stream with a reason and frees the name.
    pub fn end(mut self, reason: EndReason) {
        self.ends = reason;
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        let Some(publisher) = self.publisher.take() else { return };
        let stream = publisher.stream();
        // The end is told before the name is free, so that nobody sees two streams of one name.
        publisher.end(self.ends);
        let stopped = self.ends == EndReason::Unpublished;
        self.shared.finish(&self.room, &self.name, &stream, !stopped);
        if let Some(member) = self.member.take() {
            member.leave_as(if stopped { LeaveReason::Left } else { LeaveReason::Vanished });
        }
    }
}
