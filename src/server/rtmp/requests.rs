//! Requests to publish and to play: where, whether, and what is said if not.

use super::address::{Address, AddressError};
use super::connection::Connection;
use super::counters::{Counters, Rejected};
use super::egress::Egress;
use super::ingest::Ingest;
use super::streams::Role;
use crate::protocol::rtmp::{Code, StreamId};
use crate::room::{Protocol, Refusal};
use crate::stream::QueueLimits;
use crate::time::NtpTime;
use std::time::SystemTime;
use tokio::time::Instant;
use tracing::info;

/// How much of an address that makes no sense goes to the log.
const SHOWN: usize = 64;

impl Connection<'_> {
    pub(super) fn publish(&mut self, now: Instant, stream: StreamId, key: &str) {
        let resolved = Address::resolve(&self.app, &self.tc_url, key).and_then(|address| {
            let participant = address.participant()?;
            Ok((address.room, participant))
        });
        let (room, participant) = match resolved {
            Ok(resolved) => resolved,
            Err(error) => return self.refuse_address(now, stream, key, Code::PublishBadName, &error),
        };
        #[expect(clippy::disallowed_methods, reason = "the publication's wall-clock anchor, read once")]
        let origin = NtpTime::from(SystemTime::now());
        match self.shared.rooms.reserve(room.clone(), participant.clone(), Protocol::Rtmp, origin) {
            Ok(publication) => {
                info!(%room, %participant, "publishing");
                // Players may wait for its tracks from now on; the room is told of it once they are known.
                publication.open();
                tokio::spawn(publication.begin_when_settled());
                let name = publication.publisher().stream().name().clone();
                let listing = self.shared.directory.enter(name);
                let ingest = Ingest::new(publication, listing, now);
                self.streams.begin(stream, Role::Publisher(Box::new(ingest)));
                self.place.keep();
                self.session.accept_publish(stream);
            }
            Err(refusal) => {
                let (code, reason) = if refusal.is_name_in_use() {
                    (Code::PublishBadName, Rejected::InUse)
                } else {
                    (Code::PublishRejected, Rejected::Rooms)
                };
                let name = (room.as_str(), participant.as_str());
                self.refuse(now, stream, name, code, reason, &refusal.to_string());
            }
        }
    }

    pub(super) fn play(&mut self, now: Instant, id: StreamId, key: &str) {
        let resolved = Address::resolve(&self.app, &self.tc_url, key).and_then(|address| {
            let wanted = address.stream()?;
            Ok((address.room, wanted))
        });
        let (room, wanted) = match resolved {
            Ok(resolved) => resolved,
            Err(error) => return self.refuse_address(now, id, key, Code::PlayFailed, &error),
        };
        let stream = match self.shared.rooms.watch(&room, wanted.as_str()) {
            Ok(stream) => stream,
            Err(refusal) => {
                let (code, reason, text) = match refusal {
                    Refusal::UnknownStream => {
                        let text = format!("nobody publishes {room}/{wanted} now");
                        (Code::PlayStreamNotFound, Rejected::NotFound, text)
                    }
                    refusal => (Code::PlayFailed, Rejected::Rooms, refusal.to_string()),
                };
                let name = (room.as_str(), wanted.as_str());
                return self.refuse(now, id, name, code, reason, &text);
            }
        };
        info!(%room, stream = %wanted, "playing");
        let config = &self.shared.config;
        let limits = QueueLimits {
            bytes: config.player_queue.as_usize(),
            age: config.player_delay.0,
            ..QueueLimits::default()
        };
        let metadata = self.shared.directory.metadata(stream.name());
        let playing = self.shared.players.enter(stream.name().clone(), Instant::now());
        let egress = Egress::new(&self.shared.bridge, &stream, id, limits, metadata, playing);
        self.streams.begin(id, Role::Player(Box::new(egress)));
        self.place.keep();
        self.session.accept_play(id);
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
