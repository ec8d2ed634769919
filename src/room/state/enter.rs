//! Who comes and who goes.

use super::super::event::{Event, Expulsion, LeaveReason, State};
use super::super::member::{Key, Media, MemberId, Role};
use super::super::name::Name;
use super::super::publication::Revocation;
use super::super::rate::Rate;
use super::super::refusal::Refusal;
use super::{Effect, Entry, Member, Now, REMEMBERED, Room};
use std::sync::Arc;
use std::time::Duration;

/// Who was silent for so long may be replaced by one of the same name.
const SILENT: Duration = Duration::from_secs(5);
/// How many seconds' worth of messages may come at once.
const BURST_SECONDS: u32 = 3;

impl Room {
    pub(super) fn enter(
        &mut self,
        id: MemberId,
        entry: Entry,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let Entry { login, protocol, key, listens } = entry;
        let is_same = |name: &Name, other: Option<_>| *name == login || (key.is_some() && key == other);
        if self.kicked.iter().any(|(name, other)| is_same(name, *other)) {
            return Err(Refusal::Kicked(self.name.clone()));
        }
        let before = match self.members.get(&login) {
            Some(holder) if !holder.gives_way_to(key, listens, now) => {
                return Err(Refusal::LoginInUse { login, room: self.name.clone() });
            }
            holder => holder.map(|holder| (holder.role, holder.joined)),
        };
        let known = key.and_then(|key| self.known.iter().rev().find(|(other, _)| *other == key));
        let known = known.map(|(_, role)| *role);
        if before.is_none() {
            if self.locked && known.is_none() {
                return Err(Refusal::Locked(self.name.clone()));
            }
            if self.members.len() >= self.limits.participants {
                return Err(Refusal::RoomFull { room: self.name.clone(), limit: self.limits.participants });
            }
        }
        if before.is_some() {
            self.give_way(&login, effects);
        }
        let first = (listens && self.host().is_none()).then_some(Role::Host);
        let role = before.map(|(role, _)| role).or(first).or(known).unwrap_or(Role::Speaker);
        let per_second = self.limits.messages_per_second;
        let member = Member {
            id,
            protocol,
            role,
            key,
            joined: before.map_or(now.wall, |(_, joined)| joined),
            listens,
            present: listens,
            heard: now.instant,
            rate: Rate::new(per_second, per_second.saturating_mul(BURST_SECONDS)),
            copies: None,
            host_muted: Media::default(),
        };
        let you = self.view(&login, &member);
        self.vacant_since = None;
        if listens {
            let state = State {
                room: self.name.clone(),
                you: you.clone(),
                participants: self.participants(),
                locked: self.locked,
                recording: self.recording,
                messages: self.history.lines(),
            };
            effects.push(Effect::Tell { to: id, event: Arc::new(Event::State(state)) });
            if before.is_none() {
                self.tell_others(id, &Event::Joined(you), effects);
            }
        }
        self.members.insert(login, member);
        Ok(())
    }

    pub(super) fn leave(&mut self, id: MemberId, reason: LeaveReason, now: Now, effects: &mut Vec<Effect>) {
        let Ok((login, _)) = self.member(id) else { return };
        let login = login.clone();
        self.end_streams_of(&login, reason.into(), effects);
        let Some(member) = self.members.remove(&login) else { return };
        if let Some(key) = member.key {
            self.known.retain(|(other, _)| *other != key);
            self.known.push_back((key, member.role));
            if self.known.len() > REMEMBERED {
                self.known.pop_front();
            }
        }
        if member.present {
            self.tell_others(id, &Event::Left { login, reason }, effects);
        }
        if member.role == Role::Host && self.host().is_none() {
            self.name_host(effects);
        }
        if self.members.is_empty() {
            self.vacant_since = Some(now.instant);
        }
    }

    /// Takes a member out for another connection of the same participant. The others see its streams go, not itself.
    fn give_way(&mut self, login: &Name, effects: &mut Vec<Effect>) {
        self.end_streams_of(login, Revocation::TakenOver, effects);
        if let Some(holder) = self.members.remove(login) {
            let event = Arc::new(Event::Expelled(Expulsion::TakenOver));
            effects.push(Effect::Tell { to: holder.id, event });
            effects.push(Effect::Expel(holder.id));
        }
    }

    pub(super) fn end_streams_of(&mut self, login: &Name, why: Revocation, effects: &mut Vec<Effect>) {
        let failed = matches!(why, Revocation::Vanished | Revocation::TakenOver);
        let own = self.streams.iter().filter(|(_, published)| published.login == *login);
        let own: Vec<_> = own.map(|(name, _)| name.clone()).collect();
        for stream in own {
            effects.push(Effect::End { stream: stream.clone(), why });
            self.finish(&stream, failed, effects);
        }
    }

    pub(super) fn host(&self) -> Option<&Name> {
        self.members.iter().find(|(_, member)| member.role == Role::Host).map(|(login, _)| login)
    }

    /// Who has been here for longest is host when the last one has gone.
    fn name_host(&mut self, effects: &mut Vec<Effect>) {
        let eligible =
            self.members.iter().filter(|(_, member)| member.listens && member.role >= Role::Speaker);
        let listening = self.members.iter().filter(|(_, member)| member.listens);
        let heir = eligible.min_by_key(|(_, member)| member.id);
        let Some(login) =
            heir.or_else(|| listening.min_by_key(|(_, member)| member.id)).map(|(login, _)| login.clone())
        else {
            return;
        };
        if let Some(member) = self.members.get_mut(&login) {
            member.role = Role::Host;
        }
        self.tell_all(&Event::Role { login, role: Role::Host }, effects);
    }
}

impl Member {
    /// Whether one of the same name may take this one's place: it proves to be the same, or neither can prove anything and
    /// this one has gone silent.
    fn gives_way_to(&self, key: Option<Key>, listens: bool, now: Now) -> bool {
        let is_silent = now.instant.saturating_duration_since(self.heard) >= SILENT;
        let is_proven = self.key.is_some() && self.key == key;
        self.listens && listens && (is_proven || self.key.is_none() && is_silent)
    }
}
