//! A room with what its effects act upon: outboxes, streams, those who look on.

use super::event::{Event, Expulsion, LeaveReason, MessageId};
use super::member::MemberId;
use super::name::Name;
use super::publication::Revoked;
use super::published::PublishedName;
use super::refusal::Refusal;
use super::registry::{ParticipantInfo, RoomInfo};
use super::state::{Command, Effect, Now, Room};
use crate::stream::{EndReason, Stream};
use crate::time::NtpTime;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::sync::mpsc;

/// A room and what its effects act upon.
pub(super) struct Hall {
    pub(super) room: Room,
    pub(super) outboxes: HashMap<MemberId, mpsc::Sender<Arc<Event>>>,
    /// Of those who look without being in it.
    pub(super) observers: Vec<mpsc::Sender<Arc<Event>>>,
    pub(super) streams: BTreeMap<PublishedName, Handle>,
    /// The session that it is recorded in.
    pub(super) session: Option<String>,
}

pub(super) struct Handle {
    pub(super) stream: Stream,
    pub(super) revoked: Revoked,
    pub(super) open: bool,
}

/// What came of a command, besides what members were told.
#[derive(Default)]
pub(super) struct Done {
    pub(super) said: Option<(MessageId, NtpTime)>,
    pub(super) ended: Vec<PublishedName>,
}

impl Hall {
    pub(super) fn new(room: Room) -> Self {
        Self {
            room,
            outboxes: HashMap::new(),
            observers: Vec::new(),
            streams: BTreeMap::new(),
            session: None,
        }
    }

    pub(super) fn handle(&mut self, command: Command, now: Now) -> Result<Done, Refusal> {
        let effects = self.room.handle(command, now)?;
        let mut done = Done::default();
        let mut too_slow = self.apply(effects, &mut done);
        while let Some(member) = too_slow.pop() {
            if self.outboxes.remove(&member).is_some() {
                let command = Command::Leave { member, reason: LeaveReason::Vanished };
                let effects = self.room.handle(command, now).unwrap_or_default();
                too_slow.extend(self.apply(effects, &mut done));
            }
        }
        Ok(done)
    }

    /// Gives those whose outbox is full.
    fn apply(&mut self, effects: Vec<Effect>, done: &mut Done) -> Vec<MemberId> {
        let mut too_slow = Vec::new();
        for effect in effects {
            match effect {
                Effect::Tell { to, event } => {
                    let Some(outbox) = self.outboxes.get(&to) else { continue };
                    // The last place is for the last word.
                    let is_full = outbox.capacity() <= 1;
                    let event = if is_full { Arc::new(Event::Expelled(Expulsion::TooSlow)) } else { event };
                    if outbox.try_send(event).is_err() || is_full {
                        too_slow.push(to);
                    }
                }
                Effect::Expel(member) => drop(self.outboxes.remove(&member)),
                Effect::End { stream: name, why } => {
                    if let Some(handle) = self.streams.remove(&name) {
                        handle.stream.end(EndReason::Revoked);
                        handle.revoked.revoke(why);
                        done.ended.push(name);
                    }
                }
                Effect::Gate { stream, medium, muted } => {
                    if let Some(handle) = self.streams.get(&stream) {
                        handle.stream.set_muted(medium, muted);
                    }
                }
                // One that does not read looks anew.
                Effect::Observe(event) => {
                    self.observers.retain(|outbox| outbox.try_send(event.clone()).is_ok());
                }
                Effect::Said(id, time) => done.said = Some((id, time)),
            }
        }
        too_slow
    }

    pub(super) fn find(&self, wanted: &str) -> Option<Stream> {
        let by_participant = || self.room.first_stream(&wanted.parse().ok()?);
        let by_name =
            || wanted.parse().ok().and_then(|name: PublishedName| self.streams.get_key_value(&name));
        let name = by_participant().or_else(|| by_name().map(|(name, _)| name))?;
        self.streams.get(name).filter(|handle| handle.open).map(|handle| handle.stream.clone())
    }

    /// The room, unless nobody is to be seen in it.
    pub(super) fn info(&self, name: &Name) -> Option<RoomInfo> {
        let open: Vec<_> = self.streams.values().filter(|handle| handle.open).collect();
        let participants: Vec<_> = self
            .room
            .members()
            .map(|(seen, present)| {
                let is_own = |handle: &&&Handle| *handle.stream.name().participant == *seen.login.as_str();
                let streams: Vec<_> =
                    open.iter().filter(is_own).map(|handle| handle.stream.clone()).collect();
                (ParticipantInfo { seen, streams }, present)
            })
            .filter(|(info, present)| *present || !info.streams.is_empty())
            .map(|(info, _)| info)
            .collect();
        (!participants.is_empty()).then(|| RoomInfo {
            name: name.clone(),
            locked: self.room.is_locked(),
            recording: self.room.is_recorded(),
            session: self.session.clone(),
            participants,
        })
    }
}
