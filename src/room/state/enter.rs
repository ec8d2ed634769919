//! Who comes and who goes.

use super::super::event::{Event, Expulsion, LeaveReason, State};
use super::super::member::{Key, MemberId, Role};
use super::super::name::Name;
use super::super::publication::Revocation;
use super::super::rate::Rate;
use super::super::refusal::Refusal;
use super::memory::Gone;
use super::{Effect, Entry, Member, Now, Room};
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
        if self.memory.is_kicked(&login, key) {
            return Err(Refusal::Kicked(self.name.clone()));
        }
        // A stream may be asked for by its own name or by that of its participant.
        let is_stream = self
            .streams
            .iter()
            .any(|(stream, published)| stream.as_str() == login.as_str() && published.login != login);
        let holder = self.members.get(&login);
        if is_stream || holder.is_some_and(|holder| !holder.gives_way_to(key, listens, now)) {
            return Err(Refusal::LoginInUse { login, room: self.name.clone() });
        }
        let recalled = self.memory.recall(&login, key);
        // Who proves to be the same goes on as what it was. Who only has the name comes anew.
        let before = holder.filter(|holder| holder.is_proven(key)).map(|holder| Gone::of(&login, holder));
        let joined = before.as_ref().and(holder).map_or(now.wall, |holder| holder.joined);
        let replaced = holder.filter(|_| before.is_none()).map(|holder| holder.id);
        if before.is_none() {
            if self.locked && !recalled.is_known {
                return Err(Refusal::Locked(self.name.clone()));
            }
            let others = self.members.len() - usize::from(replaced.is_some());
            if others >= self.limits.participants {
                return Err(Refusal::RoomFull { room: self.name.clone(), limit: self.limits.participants });
            }
        }
        let per_second = self.limits.messages_per_second;
        let fresh = || Rate::new(per_second, per_second.saturating_mul(BURST_SECONDS));
        let mut rate = before.as_ref().map(|before| before.rate.clone()).or(recalled.rate);
        // Coming and going is no way to write more.
        if before.is_none() && listens && rate.as_mut().is_some_and(|rate| !rate.take(now.instant)) {
            return Err(Refusal::RateLimited);
        }

        if before.is_some() {
            self.give_way(&login, effects);
        }
        if let Some(id) = replaced {
            self.leave(id, LeaveReason::Vanished, now, effects);
            Self::expel(id, Expulsion::TakenOver, effects);
        }
        self.memory.forget(&login, key);
        let first = (listens && self.host().is_none()).then_some(Role::Host);
        let was = before.as_ref().map(|before| before.role);
        let member = Member {
            id,
            protocol,
            role: was.or(first).or(recalled.role).unwrap_or(Role::Speaker),
            key,
            joined,
            listens,
            present: listens,
            heard: now.instant,
            rate: rate.unwrap_or_else(fresh),
            mutes: fresh(),
            copies: None,
            host_muted: before.as_ref().map_or(recalled.host_muted, |before| before.host_muted),
        };
        let you = self.view(&login, &member);
        self.vacant_since = None;
        if listens {
            let state = State {
                room: self.name.clone(),
                you: you.clone(),
                host_muted: member.host_muted,
                participants: self.participants(),
                locked: self.locked,
                recording: self.recording,
                record_wanted: self.wanted().room,
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
        self.memory.keep(Gone::of(&login, &member));
        if member.present {
            self.tell_others(id, &Event::Left { login, reason }, effects);
        }
        if member.role == Role::Host && self.host().is_none() {
            self.name_host(effects);
        }
        if !self.members.values().any(|member| member.listens) {
            // Nobody is left who could open it.
            self.locked = false;
        }
        if self.members.is_empty() {
            self.vacant_since = Some(now.instant);
        }
    }

    /// Takes a member out for another connection of the same participant. The others see its streams go, not itself.
    fn give_way(&mut self, login: &Name, effects: &mut Vec<Effect>) {
        self.end_streams_of(login, Revocation::TakenOver, effects);
        if let Some(holder) = self.members.remove(login) {
            Self::expel(holder.id, Expulsion::TakenOver, effects);
        }
    }

    /// Says the last word to one who is no member any more.
    pub(super) fn expel(id: MemberId, why: Expulsion, effects: &mut Vec<Effect>) {
        effects.push(Effect::Tell { to: id, event: Arc::new(Event::Expelled(why)) });
        effects.push(Effect::Expel(id));
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
        self.listens && listens && (self.is_proven(key) || self.key.is_none() && is_silent)
    }

    /// Whether a key proves that somebody is the same.
    fn is_proven(&self, key: Option<Key>) -> bool {
        self.key.is_some() && self.key == key
    }
}

impl Gone {
    fn of(login: &Name, member: &Member) -> Self {
        Self {
            login: login.clone(),
            key: member.key,
            role: member.role,
            host_muted: member.host_muted,
            rate: member.rate.clone(),
        }
    }
}
