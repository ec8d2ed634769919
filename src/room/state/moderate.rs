//! What hosts may do.

use super::super::event::{Event, Expulsion, LeaveReason};
use super::super::member::{MemberId, Role};
use super::super::name::Name;
use super::super::publication::Revocation;
use super::super::published::PublishedName;
use super::super::refusal::Refusal;
use super::{Effect, Now, Room};
use crate::media::MediaKind;
use std::sync::Arc;

/// What a host does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Moderation {
    /// Lets nothing of a medium pass, or everything again.
    Mute {
        /// Whose.
        login: Name,
        /// Of which stream; `None`: of all, those to come included.
        stream: Option<PublishedName>,
        /// Sound or picture.
        medium: MediaKind,
        /// Nothing, or everything.
        muted: bool,
    },
    /// Removes somebody, who cannot come again by this name or key.
    Kick(Name),
    /// Gives somebody a role.
    SetRole(Name, Role),
    /// Lets nobody else in, or everybody again.
    Lock(bool),
    /// Ends the room for all.
    End,
}

impl Room {
    pub(super) fn moderate(
        &mut self,
        id: MemberId,
        action: Moderation,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let (by, host) = self.member(id)?;
        if host.role != Role::Host {
            return Err(Refusal::NotHost);
        }
        let by = by.clone();
        self.take_rate(id, now)?;
        match action {
            Moderation::Mute { login, stream, medium, muted } => {
                self.host_mute(by, &login, stream, medium, muted, effects)
            }
            Moderation::Kick(login) => self.kick(by, login, now, effects),
            Moderation::SetRole(login, role) => self.set_role(login, role, effects),
            Moderation::Lock(locked) => {
                self.locked = locked;
                self.tell_all(&Event::Locked { locked, by }, effects);
                Ok(())
            }
            Moderation::End => {
                self.end(&by, now, effects);
                Ok(())
            }
        }
    }

    fn host_mute(
        &mut self,
        by: Name,
        login: &Name,
        stream: Option<PublishedName>,
        medium: MediaKind,
        muted: bool,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let member = self.members.get_mut(login).ok_or_else(|| Refusal::UnknownParticipant(login.clone()))?;
        if stream.is_none() {
            member.host_muted.set(medium, muted);
        }
        let wanted = |name: &PublishedName| stream.as_ref().is_none_or(|stream| stream == name);
        let meant: Vec<_> = self
            .streams
            .iter_mut()
            .filter(|(name, published)| published.login == *login && wanted(name))
            .map(|(name, published)| {
                published.host_muted.set(medium, muted);
                (name.clone(), published.is_silent(medium))
            })
            .collect();
        if meant.is_empty() && stream.is_some() {
            return Err(Refusal::UnknownStream);
        }
        if meant.is_empty() {
            let (login, by) = (login.clone(), by.clone());
            self.tell_all(&Event::Held { login, medium, muted, by }, effects);
        }
        for (stream, silent) in meant {
            effects.push(Effect::Gate { stream: stream.clone(), medium, muted });
            let (login, by) = (login.clone(), Some(by.clone()));
            let event = Event::Muted { login, stream, medium, muted, silent, by };
            self.tell_all(&event, effects);
        }
        Ok(())
    }

    fn kick(&mut self, by: Name, login: Name, now: Now, effects: &mut Vec<Effect>) -> Result<(), Refusal> {
        let Some(member) = self.members.get(&login) else {
            return Err(Refusal::UnknownParticipant(login));
        };
        if self.is_last_host(&login) {
            return Err(Refusal::LastHost);
        }
        let (id, key) = (member.id, member.key);
        self.memory.kick(login, key);
        self.leave(id, LeaveReason::Kicked, now, effects);
        Self::expel(id, Expulsion::Kicked { by }, effects);
        Ok(())
    }

    fn set_role(&mut self, login: Name, role: Role, effects: &mut Vec<Effect>) -> Result<(), Refusal> {
        if role != Role::Host && self.is_last_host(&login) {
            return Err(Refusal::LastHost);
        }
        let Some(member) = self.members.get_mut(&login) else {
            return Err(Refusal::UnknownParticipant(login));
        };
        // An encoder cannot moderate: it hears nothing and says nothing.
        if role == Role::Host && !member.listens {
            return Err(Refusal::UnknownParticipant(login));
        }
        member.role = role;
        if role < Role::Speaker {
            self.end_streams_of(&login, Revocation::NotSpeaker, effects);
        }
        self.tell_all(&Event::Role { login, role }, effects);
        Ok(())
    }

    /// Everybody is out, and nothing of the room is remembered.
    fn end(&mut self, by: &Name, now: Now, effects: &mut Vec<Effect>) {
        for stream in std::mem::take(&mut self.streams).into_keys() {
            effects.push(Effect::End { stream, why: Revocation::Ended });
        }
        let event = Arc::new(Event::Expelled(Expulsion::Ended { by: by.clone() }));
        for (login, member) in std::mem::take(&mut self.members) {
            if member.present {
                let reason = LeaveReason::Ended;
                effects.push(Effect::Observe(Arc::new(Event::Left { login, reason })));
            }
            if member.listens {
                effects.push(Effect::Tell { to: member.id, event: event.clone() });
            }
            effects.push(Effect::Expel(member.id));
        }
        *self = Self::new(self.name.clone(), self.limits, now);
        effects.push(Effect::Observe(Arc::new(Event::Wanted(self.wanted()))));
    }

    fn is_last_host(&self, login: &Name) -> bool {
        let hosts = self.members.iter().filter(|(_, member)| member.role == Role::Host);
        hosts.map(|(name, _)| name).eq([login])
    }
}
