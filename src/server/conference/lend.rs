//! What a session lends to a transport that carries streams itself, instead of answering offers: its place in rooms.

use super::session::Session;
use crate::protocol::room_api::{ClientMessage, Connection};
use crate::room::{Membership, Name, Publication, PublishedName, Refusal};
use crate::stream::Stream;
use crate::time::NtpTime;
use tokio::time::Instant;

impl Session {
    /// The client has said who it is in another way than by a message of its own.
    pub fn introduced(&mut self, connection: Connection) {
        self.handle(Ok(ClientMessage::Connection((Box::new(connection),))));
    }

    /// Something has come from the client that is no message, such as media: a sign of life.
    pub fn alive(&mut self) {
        self.heard(Instant::now());
    }

    /// Whether the client knows the additions.
    pub fn knows_additions(&self) -> bool {
        self.is_declared()
    }

    /// Whether it is in any room.
    pub fn is_in_rooms(&self) -> bool {
        !self.seats.is_empty()
    }

    /// Whether it is in any room, or plays anything.
    pub fn is_in_use(&self) -> bool {
        self.is_in_rooms() || !self.streams.is_empty()
    }

    /// Takes a name for a stream that the client is about to publish. Nothing but the name says in which of its rooms.
    pub fn reserve(&self, name: PublishedName, origin: NtpTime) -> Result<Publication, Refusal> {
        self.place_of(&name).ok_or(Refusal::NotJoined)?.publish(Some(name), origin)
    }

    /// A stream by the name of its publication, if there is one of that name on the server.
    pub fn published(&self, name: &PublishedName) -> Option<Result<Stream, Refusal>> {
        let room = self.conference.rooms.room_of(name)?;
        Some(self.look_up(&room, name.as_str()))
    }

    /// A stream of a room, by the name of a participant or a publication.
    pub fn look_up(&self, room: &Name, wanted: &str) -> Result<Stream, Refusal> {
        let rooms = &self.conference.rooms;
        if self.seats.contains_key(room) {
            return rooms.find(room, wanted).ok_or(Refusal::UnknownStream);
        }
        let who = self.client.as_ref().and_then(|client| Some((client.login.as_ref().ok()?, client.key)));
        rooms.watch(room, wanted, who)
    }

    /// The room whose name, with the login, begins the publication's; the longest of several. Where none does, a client in
    /// one room is told what is missing.
    fn place_of(&self, name: &PublishedName) -> Option<&Membership> {
        let memberships = || self.seats.values().map(|seat| &seat.membership);
        let named = memberships().filter(|membership| name.is_of(membership.room(), membership.login()));
        let only = || memberships().next().filter(|_| self.seats.len() == 1);
        named.max_by_key(|membership| membership.room().as_str().len()).or_else(only)
    }
}
