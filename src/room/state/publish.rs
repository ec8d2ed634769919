//! What is published.

use super::super::event::Event;
use super::super::limits::MAX_DATA;
use super::super::member::{Media, MemberId, Role};
use super::super::published::{PublishedName, StreamKind};
use super::super::refusal::Refusal;
use super::{Effect, Now, Published, Room};
use crate::media::MediaKind;

impl Room {
    pub(super) fn reserve(
        &mut self,
        id: MemberId,
        stream: PublishedName,
        kind: StreamKind,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let (login, member) = self.member(id)?;
        if member.role < Role::Speaker {
            return Err(Refusal::NotSpeaker);
        }
        if self.streams.contains_key(&stream) {
            return Err(Refusal::StreamNameInUse(stream));
        }
        // What is asked for by this name would be another's.
        if self.members.keys().any(|other| other.as_str() == stream.as_str() && other != login) {
            return Err(Refusal::StreamNameInUse(stream));
        }
        let own = self.streams.values().filter(|published| published.login == *login).count();
        if own >= self.limits.streams {
            return Err(Refusal::TooManyStreams(self.limits.streams));
        }
        let (login, host_muted) = (login.clone(), member.host_muted);
        for (medium, muted) in [(MediaKind::Audio, host_muted.audio), (MediaKind::Video, host_muted.video)] {
            if muted {
                effects.push(Effect::Gate { stream: stream.clone(), medium, muted });
            }
        }
        let order = self.published;
        self.published += 1;
        let published = Published { login, kind, order, media: None, muted: Media::default(), host_muted };
        self.streams.insert(stream, published);
        Ok(())
    }

    pub(super) fn begin(&mut self, stream: &PublishedName, media: Media, effects: &mut Vec<Effect>) {
        let Some(published) = self.streams.get_mut(stream) else { return };
        if published.media.replace(media).is_some() {
            return;
        }
        let (login, view) = (published.login.clone(), published.view(stream));
        let Some(member) = self.members.get_mut(&login) else { return };
        let (id, is_new) = (member.id, !std::mem::replace(&mut member.present, true));
        if is_new && let Some(member) = self.members.get(&login) {
            let mut participant = self.view(&login, member);
            participant.streams.clear();
            self.tell_others(id, &Event::Joined(participant), effects);
        }
        if let Some(stream) = view {
            self.tell_others(id, &Event::Published { login, stream }, effects);
        }
    }

    pub(super) fn finish(&mut self, stream: &PublishedName, failed: bool, effects: &mut Vec<Effect>) {
        let Some(Published { login, media, .. }) = self.streams.remove(stream) else { return };
        self.wanted.streams.remove(stream);
        let Some(member) = self.members.get(&login).filter(|_| media.is_some()) else { return };
        let event = Event::Unpublished { login, stream: stream.clone(), failed };
        self.tell_others(member.id, &event, effects);
    }

    pub(super) fn mute(
        &mut self,
        id: MemberId,
        stream: &PublishedName,
        medium: MediaKind,
        muted: bool,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let login = self.owner(id, stream)?;
        // A bucket of its own: what is said must not keep others from knowing who is silent.
        if !self.member_mut(id)?.1.mutes.take(now.instant) {
            return Err(Refusal::RateLimited);
        }
        let published = self.streams.get_mut(stream).ok_or(Refusal::UnknownStream)?;
        published.muted.set(medium, muted);
        let silent = published.is_silent(medium);
        let event = Event::Muted { login, stream: stream.clone(), medium, muted, silent, by: None };
        self.tell_others(id, &event, effects);
        Ok(())
    }

    pub(super) fn data(
        &mut self,
        id: MemberId,
        stream: PublishedName,
        payload: std::sync::Arc<str>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        self.owner(id, &stream)?;
        self.take_rate(id, now)?;
        if payload.len() > MAX_DATA {
            return Err(Refusal::DataTooLong);
        }
        self.tell_others(id, &Event::Data { stream, payload }, effects);
        Ok(())
    }

    /// The name of the member, if the stream is its own.
    fn owner(&self, id: MemberId, stream: &PublishedName) -> Result<super::super::Name, Refusal> {
        let (login, _) = self.member(id)?;
        let published = self.streams.get(stream).ok_or(Refusal::UnknownStream)?;
        if published.login == *login { Ok(login.clone()) } else { Err(Refusal::UnknownStream) }
    }
}
