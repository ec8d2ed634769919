//! What is to be recorded.

use super::super::event::Event;
use super::super::member::{MemberId, Role};
use super::super::published::PublishedName;
use super::super::recording::{Alignment, RecordingPolicy, Wanted};
use super::super::refusal::Refusal;
use super::{Effect, Room};
use std::sync::Arc;

/// What somebody wants recorded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wish {
    /// The whole room from now on, or nothing.
    Room(bool),
    /// One stream of its own, as long as it lasts.
    Stream(PublishedName),
    /// How the files lie, those of a session that goes on too.
    Align(Alignment),
}

impl Room {
    /// `by`: a member, or `None` for the operator.
    pub(super) fn want(
        &mut self,
        by: Option<MemberId>,
        wish: Wish,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        if let Some(id) = by {
            let (login, member) = self.member(id)?;
            match &wish {
                Wish::Room(_) | Wish::Align(_) if member.role != Role::Host => return Err(Refusal::NotHost),
                Wish::Stream(stream) if self.streams.get(stream).is_none_or(|own| own.login != *login) => {
                    return Err(Refusal::UnknownStream);
                }
                _ => {}
            }
        }
        match (self.limits.recording, &wish) {
            (RecordingPolicy::Never, Wish::Room(false)) => return Ok(()),
            (RecordingPolicy::Never, _) => return Err(Refusal::NotRecorded),
            (RecordingPolicy::Always, Wish::Room(false)) => return Err(Refusal::AlwaysRecorded),
            (RecordingPolicy::Always, Wish::Room(true) | Wish::Stream(_)) => return Ok(()),
            (RecordingPolicy::Always, Wish::Align(_)) | (RecordingPolicy::OnRequest, _) => {}
        }
        let before = self.wanted.clone();
        match wish {
            Wish::Room(false) => self.wanted = Wanted { align: self.wanted.align, ..Wanted::default() },
            Wish::Room(true) => self.wanted.room = true,
            Wish::Stream(stream) => {
                self.wanted.streams.insert(stream);
            }
            Wish::Align(align) => self.wanted.align = Some(align),
        }
        if self.wanted.room != before.room {
            // That it is recorded is told when something comes.
            self.tell_all(&self.recording(), effects);
        }
        if self.wanted != before {
            effects.push(Effect::Observe(Arc::new(Event::Wanted(self.wanted()))));
        }
        Ok(())
    }

    /// Whether it is recorded, and whether it is to be.
    pub(super) fn recording(&self) -> Event {
        Event::Recording { recording: self.recording, wanted: self.wanted().room }
    }

    /// What is to be recorded.
    pub fn wanted(&self) -> Wanted {
        let always = self.limits.recording == RecordingPolicy::Always;
        Wanted { room: self.wanted.room || always, ..self.wanted.clone() }
    }
}
