//! A member's handle to its room.

use super::event::{Event, LeaveReason, MessageId};
use super::member::MemberId;
use super::name::Name;
use super::publication::Publication;
use super::published::{PublishedName, StreamKind};
use super::refusal::Refusal;
use super::registry::Shared;
use super::state::{Command, Moderation, Wish};
use crate::media::MediaKind;
use crate::time::NtpTime;
use std::sync::Arc;
use tokio::sync::mpsc;

/// A member of a room. Dropping it means that the member has vanished; what it publishes ends with it.
pub struct Membership {
    shared: Arc<Shared>,
    room: Name,
    login: Name,
    id: MemberId,
    leaves: LeaveReason,
}

/// What a member hears: the room's state, then all that happens, in one order for all members.
pub struct Events(mpsc::Receiver<Arc<Event>>);

impl Membership {
    pub(super) const fn new(shared: Arc<Shared>, room: Name, login: Name, id: MemberId) -> Self {
        Self { shared, room, login, id, leaves: LeaveReason::Vanished }
    }

    /// The room.
    pub const fn room(&self) -> &Name {
        &self.room
    }

    /// The member's name.
    pub const fn login(&self) -> &Name {
        &self.login
    }

    pub(super) const fn id(&self) -> MemberId {
        self.id
    }

    /// Takes a name for a stream that is about to be published; `None`: one is made up. `origin` is the stream's origin.
    pub fn publish(&self, name: Option<PublishedName>, origin: NtpTime) -> Result<Publication, Refusal> {
        self.shared.reserve(&mut self.shared.lock(), self, name, None, origin)
    }

    /// The same for one that has said what it shows.
    pub fn publish_as(
        &self,
        name: PublishedName,
        kind: StreamKind,
        origin: NtpTime,
    ) -> Result<Publication, Refusal> {
        self.shared.reserve(&mut self.shared.lock(), self, Some(name), Some(kind), origin)
    }

    /// Writes to everybody, or to one: as a line for it alone (`private`), or as one of the copies that everybody gets
    /// separately. Gives the line's number and time.
    pub fn say(&self, to: Option<Name>, private: bool, text: &str) -> Result<(MessageId, NtpTime), Refusal> {
        let command = Command::Say { member: self.id, to, private, text: text.into() };
        self.shared.act(&self.room, command)?.ok_or(Refusal::NotJoined)
    }

    /// Tells the others that it has muted sound or picture of a stream of its own, or does no longer.
    pub fn mute(&self, stream: PublishedName, medium: MediaKind, muted: bool) -> Result<(), Refusal> {
        self.shared.act(&self.room, Command::Mute { member: self.id, stream, medium, muted }).map(drop)
    }

    /// Sends something to those who play a stream of its own.
    pub fn send_data(&self, stream: PublishedName, payload: &str) -> Result<(), Refusal> {
        let command = Command::Data { member: self.id, stream, payload: payload.into() };
        self.shared.act(&self.room, command).map(drop)
    }

    /// Wants the room recorded, or a stream of its own.
    pub fn record(&self, wish: Wish) -> Result<(), Refusal> {
        self.shared.act(&self.room, Command::Want { by: Some(self.id), wish }).map(drop)
    }

    /// Does what only hosts may.
    pub fn moderate(&self, action: Moderation) -> Result<(), Refusal> {
        self.shared.act(&self.room, Command::Moderate { member: self.id, action }).map(drop)
    }

    /// The connection has shown a sign of life: nobody may take its place.
    pub fn heard(&self) {
        self.shared.heard(&self.room, self.id);
    }

    /// Goes because the participant wants to.
    pub fn leave(mut self) {
        self.leaves = LeaveReason::Left;
    }

    pub(super) fn leave_as(mut self, reason: LeaveReason) {
        self.leaves = reason;
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.shared.leave(&self.room, self.id, self.leaves);
    }
}

impl Events {
    pub(super) const fn new(events: mpsc::Receiver<Arc<Event>>) -> Self {
        Self(events)
    }

    /// Waits for the next. `None` once the member is out of the room and has heard why. Cancel-safe.
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        self.0.recv().await
    }

    /// The next, if there is one already.
    pub fn try_next(&mut self) -> Option<Arc<Event>> {
        self.0.try_recv().ok()
    }
}
