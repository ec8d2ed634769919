//! Requests to publish and to play: where, whether, and what is said if not.

use super::address::{self, Address, AddressError};
use super::connection::Connection;
use super::counters::{Counters, Rejected};
use super::egress::Egress;
use super::ingest::Ingest;
use super::streams::Role;
use crate::protocol::rtmp::{Code, StreamId};
use crate::room::{Protocol, Publication, PublishedName, Refusal};
use crate::server::conference::Session;
use crate::stream::{QueueLimits, Stream, StreamName};
use crate::time::NtpTime;
use std::time::SystemTime;
use tokio::time::Instant;
use tracing::info;

/// How much of an address that makes no sense goes to the log.
const SHOWN: usize = 64;

/// Why nothing is published or played.
enum Refused {
    Address(AddressError),
    /// `room` is empty where the client has named none.
    Room {
        room: String,
        wanted: String,
        refusal: Refusal,
    },
}

impl From<AddressError> for Refused {
    fn from(error: AddressError) -> Self {
        Self::Address(error)
    }
}

impl Connection<'_> {
    pub(super) fn publish(&mut self, now: Instant, stream: StreamId, key: &str) {
        #[expect(clippy::disallowed_methods, reason = "the publication's wall-clock anchor, read once")]
        let origin = NtpTime::from(SystemTime::now());
        match self.reserve(key, origin) {
            Ok(publication) => {
                let published = publication.publisher().stream();
                let StreamName { room, participant, .. } = published.name();
                info!(%room, %participant, "publishing");
                // Players may wait for its tracks from now on; the room is told of it once they are known.
                publication.open();
                tokio::spawn(publication.begin_when_settled());
                let listing = self.shared.directory.enter(published.name().clone());
                let ingest = Ingest::new(publication, listing, now);
                self.streams.begin(stream, Role::Publisher(Box::new(ingest)));
                self.place.keep();
                self.session.accept_publish(stream);
            }
            Err(Refused::Address(error)) => {
                self.refuse_address(now, stream, key, Code::PublishBadName, &error);
            }
            Err(Refused::Room { room, wanted, refusal }) => {
                let (code, reason) = match refusal {
                    Refusal::ForeignStreamName { .. } => (Code::PublishBadName, Rejected::Address),
                    _ if refusal.is_name_in_use() => (Code::PublishBadName, Rejected::InUse),
                    _ => (Code::PublishRejected, Rejected::Rooms),
                };
                self.refuse(now, stream, (&room, &wanted), code, reason, &refusal.to_string());
            }
        }
    }

    pub(super) fn play(&mut self, now: Instant, id: StreamId, key: &str) {
        let stream = match self.find(key) {
            Ok(stream) => stream,
            Err(Refused::Address(error)) => {
                return self.refuse_address(now, id, key, Code::PlayFailed, &error);
            }
            Err(Refused::Room { room, wanted, refusal }) => {
                let (code, reason, text) = match refusal {
                    Refusal::UnknownStream => {
                        let slash = if room.is_empty() { "" } else { "/" };
                        let text = format!("nobody publishes {room}{slash}{wanted} now");
                        (Code::PlayStreamNotFound, Rejected::NotFound, text)
                    }
                    refusal => (Code::PlayFailed, Rejected::Rooms, refusal.to_string()),
                };
                return self.refuse(now, id, (&room, &wanted), code, reason, &text);
            }
        };
        let StreamName { room, participant, .. } = stream.name();
        info!(%room, %participant, "playing");
        let config = &self.shared.config;
        let limits = QueueLimits {
            bytes: config.player_queue.as_usize(),
            age: config.player_delay.0,
            ..QueueLimits::default()
        };
        let metadata = self.shared.directory.metadata(stream.name());
        let playing = self.shared.players.enter(stream.name().clone(), Instant::now());
        let egress = Egress::new(&self.shared.bridge, &stream, id, limits, metadata, playing, &self.codecs);
        self.streams.begin(id, Role::Player(Box::new(egress)));
        self.place.keep();
        self.session.accept_play(id);
    }

    /// A place for what the client publishes: a member's own, or that of an encoder, which comes into the room with it.
    fn reserve(&self, key: &str, origin: NtpTime) -> Result<Publication, Refused> {
        if let Some((session, name)) = self.as_member(key)?
            && (session.is_in_rooms() || self.names_no_room())
        {
            return session.reserve(name.clone(), origin).map_err(|refusal| Refused::Room {
                room: String::new(),
                wanted: name.to_string(),
                refusal,
            });
        }
        let address = Address::resolve(&self.app, &self.tc_url, key)?;
        let (room, participant) = (address.room.clone(), address.participant()?);
        self.shared.rooms.reserve(room.clone(), participant.clone(), Protocol::Rtmp, origin).map_err(
            |refusal| Refused::Room { room: room.to_string(), wanted: participant.to_string(), refusal },
        )
    }

    /// What the client wants to play. Members get it from a locked room, too.
    fn find(&self, key: &str) -> Result<Stream, Refused> {
        if let Some((session, name)) = self.as_member(key)? {
            let refused = |refusal| Refused::Room { room: String::new(), wanted: name.to_string(), refusal };
            match session.published(&name) {
                Some(found) => return found.map_err(refused),
                None if self.names_no_room() => return Err(refused(Refusal::UnknownStream)),
                None => {}
            }
        }
        let address = Address::resolve(&self.app, &self.tc_url, key)?;
        let (room, wanted) = (address.room.clone(), address.stream()?);
        let found = match self.member.session() {
            Some(session) => session.look_up(&room, wanted.as_str()),
            None => self.shared.rooms.watch(&room, wanted.as_str(), None),
        };
        found.map_err(|refusal| Refused::Room { room: room.to_string(), wanted: wanted.to_string(), refusal })
    }

    /// The session of a client of the room API, and the publication that it names by its name alone.
    fn as_member(&self, key: &str) -> Result<Option<(&Session, PublishedName)>, AddressError> {
        let Some(session) = self.member.session() else { return Ok(None) };
        Ok(address::publication(key)?.map(|name| (session, name)))
    }

    /// Whether the client has connected to the server, and to no room or application there.
    fn names_no_room(&self) -> bool {
        self.app.split('?').next().unwrap_or_default().is_empty()
    }

    fn refuse_address(
        &mut self,
        now: Instant,
        stream: StreamId,
        key: &str,
        code: Code,
        error: &AddressError,
    ) {
        // What does not make names is shown as it came, but for the query: that may hold secrets.
        let shown = |text: &str| -> String {
            text.split('?').next().unwrap_or_default().chars().take(SHOWN).collect()
        };
        let name = (&*shown(&self.app), &*shown(key));
        self.refuse(now, stream, name, code, Rejected::Address, &error.to_string());
    }

    /// `name` is that of the room and the participant.
    pub(super) fn refuse(
        &mut self,
        now: Instant,
        stream: StreamId,
        (room, participant): (&str, &str),
        code: Code,
        reason: Rejected,
        text: &str,
    ) {
        Counters::rejected(reason);
        info!(room, participant, code = code.as_str(), reason = text, "refused");
        self.session.refuse(now.into_std(), stream, code, text);
    }
}
