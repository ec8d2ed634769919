//! A room as a state machine: commands in, effects out; no clock, no lock, no waiting.
//!
//! `enter` has who comes and goes, `memory` what is remembered of them, `publish` what is published, `talk` what is said,
//! `moderate` what hosts may do, `record` what is to be recorded.

mod enter;
mod memory;
mod moderate;
mod publish;
mod record;
mod talk;
#[cfg(test)]
mod tests;

pub use moderate::Moderation;
pub use record::Wish;

use self::memory::Memory;
use super::chat::{Copies, History};
use super::event::{Event, LeaveReason, MessageId, Participant, StreamView};
use super::limits::Limits;
use super::member::{Key, Media, MemberId, Protocol, Role};
use super::name::Name;
use super::publication::Revocation;
use super::published::{PublishedName, StreamKind};
use super::rate::Rate;
use super::recording::Wanted;
use super::refusal::Refusal;
use crate::media::MediaKind;
use crate::time::NtpTime;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For spans.
    pub instant: Instant,
    /// For people.
    pub wall: NtpTime,
}

/// What somebody does in a room.
#[derive(Clone, Debug)]
pub enum Command {
    /// Somebody comes.
    Enter {
        /// Its number from now on.
        member: MemberId,
        /// Who it is.
        entry: Entry,
    },
    /// A member goes, and with it what it publishes. Of one that is gone already this is nothing.
    Leave {
        /// Who.
        member: MemberId,
        /// Why.
        reason: LeaveReason,
    },
    /// A member is about to publish: the name is taken, nobody is told.
    Reserve {
        /// Who.
        member: MemberId,
        /// What.
        stream: PublishedName,
        /// What it shows.
        kind: StreamKind,
    },
    /// A stream can be played.
    Begin {
        /// What.
        stream: PublishedName,
        /// What it has.
        media: Media,
    },
    /// A stream has ended. Of one that is gone already this is nothing.
    Finish {
        /// What.
        stream: PublishedName,
        /// Whether it broke off, instead of being stopped.
        failed: bool,
    },
    /// A member writes.
    Say {
        /// Who.
        member: MemberId,
        /// To whom; `None`: to everybody.
        to: Option<Name>,
        /// Whether a line to one is meant for it alone, or is a copy of what the others get one by one.
        private: bool,
        /// What.
        text: Arc<str>,
    },
    /// A publisher has muted sound or picture of its stream, or does no longer.
    Mute {
        /// Who.
        member: MemberId,
        /// What.
        stream: PublishedName,
        /// Sound or picture.
        medium: MediaKind,
        /// Muted, or no longer.
        muted: bool,
    },
    /// A publisher sends something to those who play its stream.
    Data {
        /// Who.
        member: MemberId,
        /// What it publishes.
        stream: PublishedName,
        /// As it came.
        payload: Arc<str>,
    },
    /// A host moderates.
    Moderate {
        /// Who.
        member: MemberId,
        /// What.
        action: Moderation,
    },
    /// Recording of the room began or ended.
    Record(bool),
    /// Somebody wants something recorded, or no longer.
    Want {
        /// Who; `None`: the operator.
        by: Option<MemberId>,
        /// What.
        wish: Wish,
    },
}

/// Who enters.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name.
    pub login: Name,
    /// How it is connected.
    pub protocol: Protocol,
    /// What proves that it is the one who was here before.
    pub key: Option<Key>,
    /// Whether it hears what happens. An encoder does not: the others see it from its first stream on.
    pub listens: bool,
}

/// What is to be done after a command, in this order.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Tell a member.
    Tell {
        /// Whom.
        to: MemberId,
        /// What.
        event: Arc<Event>,
    },
    /// A member is out; it has been told.
    Expel(MemberId),
    /// End a stream, whoever publishes it.
    End {
        /// Which stream.
        stream: PublishedName,
        /// Why.
        why: Revocation,
    },
    /// Let nothing of a stream's medium pass, or everything again.
    Gate {
        /// Which stream.
        stream: PublishedName,
        /// Sound or picture.
        medium: MediaKind,
        /// Nothing, or everything.
        muted: bool,
    },
    /// Tell whoever observes the room. What all are told is followed by this.
    Observe(Arc<Event>),
    /// What the one who wrote is told of its line.
    Said(MessageId, NtpTime),
}

/// The room.
#[derive(Debug)]
pub struct Room {
    name: Name,
    limits: Limits,
    members: BTreeMap<Name, Member>,
    streams: BTreeMap<PublishedName, Published>,
    history: History,
    locked: bool,
    recording: bool,
    wanted: Wanted,
    memory: Memory,
    vacant_since: Option<Instant>,
    /// Counts publications, for their order.
    published: u64,
}

#[derive(Debug)]
struct Member {
    id: MemberId,
    protocol: Protocol,
    role: Role,
    key: Option<Key>,
    joined: NtpTime,
    listens: bool,
    /// Whether the others have been told of it.
    present: bool,
    heard: Instant,
    /// Of what it says.
    rate: Rate,
    /// Of how often it mutes its streams.
    mutes: Rate,
    copies: Option<Copies>,
    host_muted: Media,
}

#[derive(Debug)]
struct Published {
    login: Name,
    kind: StreamKind,
    order: u64,
    /// What it has, once it can be played.
    media: Option<Media>,
    muted: Media,
    host_muted: Media,
}

impl Room {
    /// A room with nobody in it.
    pub fn new(name: Name, limits: Limits, now: Now) -> Self {
        Self {
            name,
            limits,
            members: BTreeMap::new(),
            streams: BTreeMap::new(),
            history: History::new(limits.history),
            locked: false,
            recording: false,
            wanted: Wanted::default(),
            memory: Memory::default(),
            vacant_since: Some(now.instant),
            published: 0,
        }
    }

    /// Does what somebody asks, or says why not; then nothing has changed.
    pub fn handle(&mut self, command: Command, now: Now) -> Result<Vec<Effect>, Refusal> {
        let mut effects = Vec::new();
        match command {
            Command::Enter { member, entry } => self.enter(member, entry, now, &mut effects)?,
            Command::Leave { member, reason } => self.leave(member, reason, now, &mut effects),
            Command::Reserve { member, stream, kind } => self.reserve(member, stream, kind, &mut effects)?,
            Command::Begin { stream, media } => self.begin(&stream, media, &mut effects),
            Command::Finish { stream, failed } => self.finish(&stream, failed, &mut effects),
            Command::Say { member, to, private, text } => {
                self.say(member, to, private, text, now, &mut effects)?;
            }
            Command::Mute { member, stream, medium, muted } => {
                self.mute(member, &stream, medium, muted, now, &mut effects)?;
            }
            Command::Data { member, stream, payload } => {
                self.data(member, stream, payload, now, &mut effects)?;
            }
            Command::Moderate { member, action } => self.moderate(member, action, now, &mut effects)?,
            Command::Record(recording) => {
                if std::mem::replace(&mut self.recording, recording) != recording {
                    self.tell_all(&self.recording(), &mut effects);
                }
            }
            Command::Want { by, wish } => self.want(by, wish, &mut effects)?,
        }
        Ok(effects)
    }

    /// A member has shown a sign of life.
    pub fn heard(&mut self, member: MemberId, now: Now) {
        if let Some(member) = self.members.values_mut().find(|other| other.id == member) {
            member.heard = now.instant;
        }
    }

    /// Whether nobody has been in it for so long that it is no more.
    pub fn is_over(&self, now: Now) -> bool {
        self.vacant_since.is_some_and(|since| now.instant >= since + self.limits.linger)
    }

    /// Since when nobody is in it.
    pub const fn vacant_since(&self) -> Option<Instant> {
        self.vacant_since
    }

    /// Whether a host has removed somebody of this name or key.
    pub fn is_kicked(&self, login: &Name, key: Option<Key>) -> bool {
        self.memory.is_kicked(login, key)
    }

    /// Whether those who are not in the room are kept out.
    pub const fn is_locked(&self) -> bool {
        self.locked
    }

    /// Whether it is being recorded.
    pub const fn is_recorded(&self) -> bool {
        self.recording
    }

    /// Everybody by name, and whether the others have been told.
    pub fn members(&self) -> impl Iterator<Item = (Participant, bool)> {
        self.members.iter().map(|(login, member)| (self.view(login, member), member.present))
    }

    /// Those of whom the others have been told.
    fn participants(&self) -> Vec<Participant> {
        self.members().filter(|(_, present)| *present).map(|(participant, _)| participant).collect()
    }

    /// The first stream of a participant, camera before screen, whether it can be played yet or not.
    pub fn first_stream(&self, login: &Name) -> Option<&PublishedName> {
        let own = self.streams.iter().filter(|(_, published)| published.login == *login);
        own.min_by_key(|(_, published)| (published.kind, published.order)).map(|(name, _)| name)
    }

    fn view(&self, login: &Name, member: &Member) -> Participant {
        let mut streams: Vec<_> =
            self.streams.iter().filter(|(_, published)| published.login == *login).collect();
        streams.sort_by_key(|(_, published)| published.order);
        Participant {
            login: login.clone(),
            protocol: member.protocol,
            role: member.role,
            joined: member.joined,
            streams: streams.into_iter().filter_map(|(name, published)| published.view(name)).collect(),
        }
    }

    fn member(&self, id: MemberId) -> Result<(&Name, &Member), Refusal> {
        self.members.iter().find(|(_, member)| member.id == id).ok_or(Refusal::NotJoined)
    }

    fn member_mut(&mut self, id: MemberId) -> Result<(&Name, &mut Member), Refusal> {
        self.members.iter_mut().find(|(_, member)| member.id == id).ok_or(Refusal::NotJoined)
    }

    /// Tells everybody who listens but one.
    fn tell_others(&self, but: MemberId, event: &Event, effects: &mut Vec<Effect>) {
        let event = Arc::new(event.clone());
        let others = self.members.values().filter(|member| member.listens && member.id != but);
        effects.extend(others.map(|member| Effect::Tell { to: member.id, event: event.clone() }));
        effects.push(Effect::Observe(event));
    }

    fn tell_all(&self, event: &Event, effects: &mut Vec<Effect>) {
        let event = Arc::new(event.clone());
        let all = self.members.values().filter(|member| member.listens);
        effects.extend(all.map(|member| Effect::Tell { to: member.id, event: event.clone() }));
        effects.push(Effect::Observe(event));
    }
}

impl Published {
    /// Whether nothing of a medium comes, whoever has muted it.
    fn is_silent(&self, medium: MediaKind) -> bool {
        self.muted.or(self.host_muted).has(medium)
    }

    fn view(&self, name: &PublishedName) -> Option<StreamView> {
        Some(StreamView {
            name: name.clone(),
            kind: self.kind,
            media: self.media?,
            muted: self.muted.or(self.host_muted),
            host_muted: self.host_muted,
        })
    }
}
