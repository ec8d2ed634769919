//! All rooms of this server: admission, names in use, and what is there to be played.

use super::name::Name;
use crate::stream::{Publisher, Stream, StreamName};
use crate::time::NtpTime;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use thiserror::Error;

/// How a participant is connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// RTMP.
    Rtmp,
    /// WebRTC, signalled by WHIP.
    Whip,
}

/// Bounds of admission.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Rooms at the same time.
    pub rooms: usize,
    /// Participants in one room.
    pub participants: usize,
}

/// Why somebody may not publish. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Somebody publishes under this name.
    #[error("{0} is already being published; stop the other publisher or choose another name")]
    InUse(StreamName),
    /// There are as many rooms as the configuration allows.
    #[error("the server has reached its limit of {0} rooms (rooms.max_rooms)")]
    TooManyRooms(usize),
    /// The room is full.
    #[error("room {room} has reached its limit of {limit} participants (rooms.max_participants)")]
    RoomFull {
        /// Which.
        room: Name,
        /// How many fit.
        limit: usize,
    },
    /// No new publications while the server goes down.
    #[error("the server is shutting down")]
    ShuttingDown,
}

/// A room as the API shows it.
#[derive(Clone, Debug)]
pub struct RoomInfo {
    /// Its name.
    pub name: Name,
    /// Who is in, by name.
    pub participants: Vec<ParticipantInfo>,
}

/// A participant as the API shows it.
#[derive(Clone)]
pub struct ParticipantInfo {
    /// Its name.
    pub name: Name,
    /// How it is connected.
    pub protocol: Protocol,
    /// What it publishes.
    pub stream: Stream,
    /// Whether it is connected; before, its name is taken and there is nothing to play.
    pub live: bool,
}

/// The registry. Cloning gives another handle to the same.
#[derive(Clone)]
pub struct Rooms {
    shared: Arc<Shared>,
}

/// A publisher's place in its room. Dropping it ends the stream as vanished and frees the name.
pub struct Publication {
    shared: Arc<Shared>,
    room: Name,
    participant: Name,
    publisher: Option<Publisher>,
}

struct Shared {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rooms: BTreeMap<Name, BTreeMap<Name, ParticipantInfo>>,
    closed: bool,
}

impl Rooms {
    /// No rooms yet.
    pub fn new(limits: Limits) -> Self {
        Self { shared: Arc::new(Shared { limits, state: Mutex::default() }) }
    }

    /// Admits a publisher that is connected; the room comes into being with its first. `now` becomes the stream's origin.
    pub fn publish(
        &self,
        room: Name,
        participant: Name,
        protocol: Protocol,
        now: NtpTime,
    ) -> Result<Publication, Refusal> {
        let publication = self.reserve(room, participant, protocol, now)?;
        publication.begin();
        Ok(publication)
    }

    /// The same for one that has yet to connect: nobody finds it before it [begins](Publication::begin).
    pub fn reserve(
        &self,
        room: Name,
        participant: Name,
        protocol: Protocol,
        now: NtpTime,
    ) -> Result<Publication, Refusal> {
        let limits = self.shared.limits;
        let mut state = self.shared.lock();
        if state.closed {
            return Err(Refusal::ShuttingDown);
        }
        let published = format!("{room}-{participant}");
        let name =
            StreamName { room: room.shared(), participant: participant.shared(), stream: published.into() };
        match state.rooms.get(&room) {
            Some(members) if members.contains_key(&participant) => return Err(Refusal::InUse(name)),
            Some(members) if members.len() >= limits.participants => {
                return Err(Refusal::RoomFull { room, limit: limits.participants });
            }
            None if state.rooms.len() >= limits.rooms => return Err(Refusal::TooManyRooms(limits.rooms)),
            _ => {}
        }
        let (stream, publisher) = Stream::publish(name, now);
        let info = ParticipantInfo { name: participant.clone(), protocol, stream, live: false };
        state.rooms.entry(room.clone()).or_default().insert(participant.clone(), info);
        Ok(Publication { shared: self.shared.clone(), room, participant, publisher: Some(publisher) })
    }

    /// What a participant publishes, if it does.
    pub fn find(&self, room: &Name, participant: &Name) -> Option<Stream> {
        let state = self.shared.lock();
        let info = state.rooms.get(room)?.get(participant)?;
        info.live.then(|| info.stream.clone())
    }

    /// One room.
    pub fn room(&self, name: &Name) -> Option<RoomInfo> {
        self.shared.lock().rooms.get(name).map(|members| RoomInfo::new(name, members))
    }

    /// All rooms, by name.
    pub fn list(&self) -> Vec<RoomInfo> {
        self.shared.lock().rooms.iter().map(|(name, members)| RoomInfo::new(name, members)).collect()
    }

    /// Admits nobody from now on.
    pub fn close(&self) {
        self.shared.lock().closed = true;
    }
}

impl RoomInfo {
    fn new(name: &Name, members: &BTreeMap<Name, ParticipantInfo>) -> Self {
        Self { name: name.clone(), participants: members.values().cloned().collect() }
    }
}

impl Publication {
    /// Where to write tracks.
    pub fn publisher(&self) -> &Publisher {
        self.publisher.as_ref().expect("taken only by `end` and `drop`, which consume self")
    }

    /// The publisher is connected: its stream can be played from now on.
    pub fn begin(&self) {
        let mut state = self.shared.lock();
        if let Some(info) = state.rooms.get_mut(&self.room).and_then(|room| room.get_mut(&self.participant)) {
            info.live = true;
        }
    }

    /// Ends the stream with a reason and frees the name.
    pub fn end(mut self, reason: crate::stream::EndReason) {
        if let Some(publisher) = self.publisher.take() {
            publisher.end(reason);
        }
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        // The end is told before the name is free, so that nobody sees two streams of one name.
        self.publisher = None;
        let mut state = self.shared.lock();
        if let Some(members) = state.rooms.get_mut(&self.room) {
            members.remove(&self.participant);
            if members.is_empty() {
                state.rooms.remove(&self.room);
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Protocol {
    /// Lower case, for logs, metrics and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rtmp => "rtmp",
            Self::Whip => "whip",
        }
    }
}

impl std::fmt::Debug for ParticipantInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} by {}", self.name, self.protocol.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::EndReason;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_is_taken_until_its_publication_ends() {
        let rooms = Rooms::new(Limits { rooms: 1, participants: 1 });
        let publish =
            |room: &str, who: &str| rooms.publish(name(room), name(who), Protocol::Rtmp, NtpTime::default());
        let first = publish("r", "alice").unwrap_or_else(|e| panic!("{e}"));
        let stream = rooms.find(&name("r"), &name("alice")).unwrap();
        assert!(matches!(publish("r", "alice"), Err(Refusal::InUse(_))));
        assert!(matches!(publish("r", "bob"), Err(Refusal::RoomFull { .. })));
        assert!(matches!(publish("s", "bob"), Err(Refusal::TooManyRooms(1))));
        first.end(EndReason::Unpublished);
        assert_eq!(stream.ended(), Some(EndReason::Unpublished));
        assert!(rooms.list().is_empty());
        drop(publish("s", "bob").unwrap_or_else(|e| panic!("{e}")));
        let reserved = rooms.reserve(name("s"), name("eve"), Protocol::Whip, NtpTime::default());
        let reserved = reserved.unwrap_or_else(|e| panic!("{e}"));
        assert!(matches!(publish("s", "eve"), Err(Refusal::InUse(_))), "the name is taken");
        assert!(rooms.find(&name("s"), &name("eve")).is_none(), "and there is nothing to play");
        reserved.begin();
        assert!(rooms.find(&name("s"), &name("eve")).is_some());
        drop(reserved);
        rooms.close();
        assert!(matches!(publish("s", "bob"), Err(Refusal::ShuttingDown)));
    }
}
