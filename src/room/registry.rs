//! All rooms of this server: the thin part around [`Room`] that has the lock, the clock and the outboxes.
//!
//! A room needs no task: a command is handled under the lock, which is held for some microseconds, and what follows from it
//! is put into the outbox of each member in the same step. So all members hear everything in one order.

use super::event::{Event, LeaveReason, MessageId, Participant};
use super::hall::{Done, Hall, Handle};
use super::limits::Limits;
use super::member::{Key, Media, MemberId, Protocol};
use super::membership::{Events, Membership};
use super::name::Name;
use super::publication::{Publication, Revoked};
use super::published::{PublishedName, StreamKind};
use super::refusal::Refusal;
use super::state::{Command, Entry, Now, Room};
use crate::media::MediaKind;
use crate::stream::{Stream, StreamName};
use crate::time::{MediaDuration, NtpTime};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

/// News that wait for a member. One that has taken none of so many is out.
const OUTBOX: usize = 1_024;
/// Rooms that are over are looked for this often.
const TIDY_INTERVAL: Duration = Duration::from_secs(5);

/// The registry. Cloning gives another handle to the same.
#[derive(Clone)]
pub struct Rooms {
    pub(super) shared: Arc<Shared>,
}

/// A room as the API shows it.
#[derive(Clone, Debug)]
pub struct RoomInfo {
    /// Its name.
    pub name: Name,
    /// Whether nobody else may enter.
    pub locked: bool,
    /// Whether it is being recorded.
    pub recording: bool,
    /// The session that it is recorded in.
    pub session: Option<String>,
    /// Who is in, by name.
    pub participants: Vec<ParticipantInfo>,
}

/// A participant as the API shows it.
#[derive(Clone, Debug)]
pub struct ParticipantInfo {
    /// What the others see.
    pub seen: Participant,
    /// What it publishes and can be played, by name; also what the others have not been told of yet.
    pub streams: Vec<Stream>,
}

pub(super) struct Shared {
    /// What holds in a room, by its name.
    limits: Box<dyn Fn(&Name) -> Limits + Send + Sync>,
    /// Rooms at the same time.
    max_rooms: usize,
    /// Counts rooms that came into being.
    pub(super) arrivals: watch::Sender<u64>,
    /// Both clocks at the beginning.
    began: Now,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) rooms: BTreeMap<Name, Hall>,
    /// Where each publication is: their names are unique on the server.
    published: HashMap<PublishedName, Name>,
    members: u64,
    closed: bool,
}

impl Rooms {
    /// No rooms yet. `wall` is the time of day now.
    pub fn new(limits: Limits, wall: NtpTime) -> Self {
        Self::with_limits(limits.rooms, wall, move |_| limits)
    }

    /// The same for rooms that differ in what holds in them.
    pub fn with_limits(
        max_rooms: usize,
        wall: NtpTime,
        limits: impl Fn(&Name) -> Limits + Send + Sync + 'static,
    ) -> Self {
        let began = Now { instant: Instant::now(), wall };
        Self {
            shared: Arc::new(Shared {
                limits: Box::new(limits),
                max_rooms,
                arrivals: watch::Sender::new(0),
                began,
                state: Mutex::default(),
            }),
        }
    }

    /// Lets somebody in who listens; the room comes into being with its first. The first event is the room's state.
    pub fn join(&self, room: Name, entry: Entry) -> Result<(Membership, Events), Refusal> {
        let (outbox, events) = mpsc::channel(OUTBOX);
        let login = entry.login.clone();
        let id = self.shared.enter(&mut self.shared.lock(), &room, entry, Some(outbox))?;
        Ok((Membership::new(self.shared.clone(), room, login, id), Events::new(events)))
    }

    /// Lets a publisher in that is connected and does not listen: an encoder. `origin` becomes the stream's origin.
    pub fn publish(
        &self,
        room: Name,
        participant: Name,
        protocol: Protocol,
        origin: NtpTime,
    ) -> Result<Publication, Refusal> {
        let publication = self.reserve(room, participant, protocol, origin)?;
        publication.open();
        publication.begin();
        Ok(publication)
    }

    /// The same for one that has yet to connect: nobody finds its stream before it is [open](Publication::open), nobody in
    /// the room is told of it before it [begins](Publication::begin).
    pub fn reserve(
        &self,
        room: Name,
        participant: Name,
        protocol: Protocol,
        origin: NtpTime,
    ) -> Result<Publication, Refusal> {
        let mut state = self.shared.lock();
        let entry = Entry { login: participant.clone(), protocol, key: None, listens: false };
        let id = self.shared.enter(&mut state, &room, entry, None)?;
        let member = Membership::new(self.shared.clone(), room, participant, id);
        match self.shared.reserve(&mut state, &member, None, None, origin) {
            Ok(publication) => Ok(publication.of(member)),
            Err(refusal) => {
                // Leaving takes the lock.
                drop(state);
                Err(refusal)
            }
        }
    }

    /// A stream of a room, for those who are in it: by the name of a publication, or the first of a participant.
    pub fn find(&self, room: &Name, wanted: &str) -> Option<Stream> {
        self.shared.lock().rooms.get(room)?.find(wanted)
    }

    /// Where a stream of that name is published, if it is: such names are unique on the server.
    pub fn room_of(&self, stream: &PublishedName) -> Option<Name> {
        self.shared.lock().published.get(stream).cloned()
    }

    /// The same for those who are not in the room, by name and key if they have told.
    pub fn watch(
        &self,
        room: &Name,
        wanted: &str,
        who: Option<(&Name, Option<Key>)>,
    ) -> Result<Stream, Refusal> {
        let state = self.shared.lock();
        let hall = state.rooms.get(room).ok_or(Refusal::UnknownStream)?;
        if who.is_some_and(|(login, key)| hall.room.is_kicked(login, key)) {
            return Err(Refusal::Kicked(room.clone()));
        }
        if hall.room.is_locked() {
            return Err(Refusal::Locked(room.clone()));
        }
        hall.find(wanted).ok_or(Refusal::UnknownStream)
    }

    /// One room, if somebody is in it.
    pub fn room(&self, name: &Name) -> Option<RoomInfo> {
        self.shared.lock().rooms.get(name).and_then(|hall| hall.info(name))
    }

    /// All rooms with somebody in them, by name.
    pub fn list(&self) -> Vec<RoomInfo> {
        self.shared.lock().rooms.iter().filter_map(|(name, hall)| hall.info(name)).collect()
    }

    /// Tells a room that it is being recorded, or no longer. `session`: under which name, for programs.
    pub fn set_recording(&self, room: &Name, recording: bool, session: Option<&str>) {
        let now = self.shared.now();
        let mut state = self.shared.lock();
        // A room that is no more has nobody to tell.
        let Some(hall) = state.rooms.get_mut(room) else { return };
        hall.session = session.map(str::to_owned);
        drop(state.handle(room, Command::Record(recording), now));
    }

    /// Removes rooms that are over, and so what was said in them, until it is dropped.
    pub async fn tidy(&self) {
        let mut ticks = tokio::time::interval(TIDY_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now = self.shared.now();
            self.shared.lock().remove_over(now);
        }
    }

    /// What holds in a room.
    pub fn limits(&self, room: &Name) -> Limits {
        (self.shared.limits)(room)
    }

    /// Lets nobody in from now on.
    pub fn close(&self) {
        self.shared.lock().closed = true;
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time of day advances with the steady clock, so that the lines of a room never go back in time.
    pub(super) fn now(&self) -> Now {
        let instant = Instant::now();
        let span = MediaDuration::from(instant - self.began.instant);
        Now { instant, wall: self.began.wall.plus(span) }
    }

    fn enter(
        &self,
        state: &mut State,
        room: &Name,
        entry: Entry,
        outbox: Option<mpsc::Sender<Arc<Event>>>,
    ) -> Result<MemberId, Refusal> {
        if state.closed {
            return Err(Refusal::ShuttingDown);
        }
        let now = self.now();
        if state.rooms.get(room).is_some_and(|hall| hall.room.is_over(now)) {
            state.rooms.remove(room);
        }
        if !state.rooms.contains_key(room) {
            state.make_room(self.max_rooms, now)?;
            state.rooms.insert(room.clone(), Hall::new(Room::new(room.clone(), (self.limits)(room), now)));
            self.arrivals.send_modify(|count| *count += 1);
        }
        state.members += 1;
        let id = MemberId(state.members);
        if let (Some(outbox), Some(hall)) = (outbox, state.rooms.get_mut(room)) {
            hall.outboxes.insert(id, outbox);
        }
        let entered = state.handle(room, Command::Enter { member: id, entry }, now);
        if let (Err(_), Some(hall)) = (&entered, state.rooms.get_mut(room)) {
            hall.outboxes.remove(&id);
        }
        entered.map(|_| id)
    }

    /// Takes a name for a stream that a member is about to publish; `None`: one is made up. Without a `kind` its name tells.
    pub(super) fn reserve(
        self: &Arc<Self>,
        state: &mut State,
        member: &Membership,
        name: Option<PublishedName>,
        kind: Option<StreamKind>,
        origin: NtpTime,
    ) -> Result<Publication, Refusal> {
        if state.closed {
            return Err(Refusal::ShuttingDown);
        }
        let (room, login) = (member.room(), member.login());
        let name = name.unwrap_or_else(|| state.free_name(room, login));
        if !name.is_of(room, login) {
            return Err(Refusal::ForeignStreamName { room: room.clone(), login: login.clone() });
        }
        if state.published.contains_key(&name) {
            return Err(Refusal::StreamNameInUse(name));
        }
        let full_name = StreamName {
            room: member.room().shared(),
            participant: member.login().shared(),
            stream: name.shared(),
        };
        let (stream, publisher) = Stream::publish(full_name, origin);
        let revoked = Revoked::default();
        let hall = state.rooms.get_mut(member.room()).ok_or(Refusal::NotJoined)?;
        // Before the room is asked: what it answers may be meant for the stream.
        let handle = Handle { stream, revoked: revoked.clone(), open: false };
        hall.streams.insert(name.clone(), handle);
        let command = Command::Reserve {
            member: member.id(),
            stream: name.clone(),
            kind: kind.unwrap_or_else(|| name.kind()),
        };
        if let Err(refusal) = state.handle(member.room(), command, self.now()) {
            if let Some(hall) = state.rooms.get_mut(member.room()) {
                hall.streams.remove(&name);
            }
            return Err(refusal);
        }
        state.published.insert(name.clone(), member.room().clone());
        Ok(Publication::new(self.clone(), member.room().clone(), name, publisher, revoked))
    }

    /// The stream can be found.
    pub(super) fn open(&self, room: &Name, name: &PublishedName, stream: &Stream) {
        let mut state = self.lock();
        if let Some(handle) = state.stream(room, name, stream) {
            handle.open = true;
        }
    }

    /// The room is told of the stream.
    pub(super) fn begin(&self, room: &Name, name: &PublishedName, stream: &Stream) {
        let now = self.now();
        let mut state = self.lock();
        let Some(handle) = state.stream(room, name, stream) else { return };
        handle.open = true;
        let has = |kind| stream.sends(kind) == Some(true);
        let media = Media { audio: has(MediaKind::Audio), video: has(MediaKind::Video) };
        let command = Command::Begin { stream: name.clone(), media };
        // It refuses neither this nor the end.
        drop(state.handle(room, command, now));
    }

    /// The stream has ended; its name is free.
    pub(super) fn finish(&self, room: &Name, name: &PublishedName, stream: &Stream, failed: bool) {
        let now = self.now();
        let mut state = self.lock();
        // A name that was taken from this stream may belong to another one by now.
        if state.stream(room, name, stream).is_none() {
            return;
        }
        state.published.remove(name);
        if let Some(hall) = state.rooms.get_mut(room) {
            hall.streams.remove(name);
        }
        drop(state.handle(room, Command::Finish { stream: name.clone(), failed }, now));
    }

    /// Does what a member asks. Gives the number and the time of a line that was said.
    pub(super) fn act(&self, room: &Name, command: Command) -> Result<Option<(MessageId, NtpTime)>, Refusal> {
        let now = self.now();
        self.lock().handle(room, command, now)
    }

    pub(super) fn leave(&self, room: &Name, member: MemberId, reason: LeaveReason) {
        // Of a room that is no more there is nothing to leave.
        drop(self.act(room, Command::Leave { member, reason }));
        if let Some(hall) = self.lock().rooms.get_mut(room) {
            hall.outboxes.remove(&member);
        }
    }

    pub(super) fn heard(&self, room: &Name, member: MemberId) {
        let now = self.now();
        if let Some(hall) = self.lock().rooms.get_mut(room) {
            hall.room.heard(member, now);
        }
    }
}

impl State {
    /// Rooms with nobody in them give way, those that are over first.
    fn make_room(&mut self, most: usize, now: Now) -> Result<(), Refusal> {
        if self.rooms.len() < most {
            return Ok(());
        }
        self.remove_over(now);
        while self.rooms.len() >= most {
            let vacant = self.rooms.iter().filter_map(|(name, hall)| Some((hall.room.vacant_since()?, name)));
            let Some(name) = vacant.min().map(|(_, name)| name.clone()) else {
                return Err(Refusal::TooManyRooms(most));
            };
            self.rooms.remove(&name);
        }
        Ok(())
    }

    fn remove_over(&mut self, now: Now) {
        self.rooms.retain(|_, hall| !hall.room.is_over(now));
    }

    fn free_name(&self, room: &Name, login: &Name) -> PublishedName {
        let mut random = [0; 2];
        aws_lc_rs::rand::fill(&mut random)
            .expect("the system's random generator cannot fail once it has started");
        let start = u16::from_be_bytes(random);
        let mut names = (0..u16::MAX).map(|n| PublishedName::of(room, login, start.wrapping_add(n)));
        // A participant has far fewer streams than there are numbers.
        names
            .find(|name| !self.published.contains_key(name))
            .unwrap_or_else(|| PublishedName::of(room, login, start))
    }

    fn stream(&mut self, room: &Name, name: &PublishedName, stream: &Stream) -> Option<&mut Handle> {
        let handle = self.rooms.get_mut(room)?.streams.get_mut(name)?;
        handle.stream.is(stream).then_some(handle)
    }

    /// Has a room do something, and frees the names of all streams that end with it, whosever they are.
    fn handle(
        &mut self,
        room: &Name,
        command: Command,
        now: Now,
    ) -> Result<Option<(MessageId, NtpTime)>, Refusal> {
        let hall = self.rooms.get_mut(room).ok_or(Refusal::NotJoined)?;
        let Done { said, ended } = hall.handle(command, now)?;
        for name in &ended {
            self.published.remove(name);
        }
        Ok(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_of_a_room_that_is_over() {
        let limits = Limits { linger: Duration::from_secs(30), ..Limits::default() };
        let rooms = Rooms::new(limits, NtpTime::default());
        let name = |text: &str| text.parse::<Name>().unwrap();
        let entry =
            || Entry { login: name("alice"), protocol: Protocol::WebSocket, key: None, listens: true };
        let held = || rooms.shared.lock().rooms.keys().map(Name::to_string).collect::<Vec<_>>();
        let (stays, _events) = rooms.join(name("stays"), entry()).unwrap();
        drop(rooms.join(name("goes"), entry()).unwrap());
        let tidying = tokio::spawn({
            let rooms = rooms.clone();
            async move { rooms.tidy().await }
        });
        tokio::time::sleep(limits.linger - Duration::from_secs(1)).await;
        assert_eq!(held(), ["goes", "stays"], "somebody may come back");
        tokio::time::sleep(Duration::from_secs(1) + TIDY_INTERVAL).await;
        assert_eq!(held(), ["stays"]);
        drop(stays);
        tokio::time::sleep(limits.linger + TIDY_INTERVAL).await;
        assert!(held().is_empty());
        tidying.abort();
    }
}
