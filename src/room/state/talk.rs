//! What is said.

use super::super::chat::Copies;
use super::super::event::{Event, Message};
use super::super::member::MemberId;
use super::super::name::Name;
use super::super::refusal::Refusal;
use super::{Effect, Now, Room};
use std::sync::Arc;

impl Room {
    pub(super) fn say(
        &mut self,
        id: MemberId,
        to: Option<Name>,
        private: bool,
        text: Arc<str>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        if text.chars().count() > self.limits.message_length {
            return Err(Refusal::TextTooLong(self.limits.message_length));
        }
        let (from, member) = self.member(id)?;
        // The others do not know an encoder before its first picture, nor does it say anything.
        if !member.listens {
            return Err(Refusal::NotJoined);
        }
        let from = from.clone();
        let Some(to) = to else {
            self.take_rate(id, now)?;
            let line = self.history.line(from, None, text, now.wall);
            self.history.keep(line.clone());
            effects.push(Effect::Said(line.id, line.time));
            self.tell_others(id, &Event::Message(line), effects);
            return Ok(());
        };
        // Clients do not know themselves as a participant.
        let recipient = self.members.get(&to).filter(|member| member.present && member.id != id);
        let (recipient, listens) = match recipient {
            Some(recipient) => (recipient.id, recipient.listens),
            None => return Err(Refusal::UnknownParticipant(to)),
        };
        let copy =
            member.copies.as_ref().and_then(|copies| copies.continued_by(&text, recipient, now.instant));
        let line = match copy.filter(|_| !private) {
            Some(line) => line,
            None => {
                self.take_rate(id, now)?;
                let line = self.history.line(from, private.then_some(to), text, now.wall);
                if !private {
                    self.member_mut(id)?.1.copies = Some(Copies::new(line.clone(), now.instant));
                }
                line
            }
        };
        if !private && let Some(line) = self.copied(id, recipient) {
            self.history.keep(line.clone());
            effects.push(Effect::Observe(Arc::new(Event::Message(line))));
        }
        effects.push(Effect::Said(line.id, line.time));
        if listens {
            effects.push(Effect::Tell { to: recipient, event: Arc::new(Event::Message(line)) });
        }
        Ok(())
    }

    /// Notes who has got a copy of a member's last line. Gives the line when everybody has.
    fn copied(&mut self, id: MemberId, recipient: MemberId) -> Option<Message> {
        let others = self.members.values().filter(|member| member.present && member.id != id);
        let others: Vec<_> = others.map(|member| member.id).collect();
        let (_, member) = self.member_mut(id).ok()?;
        member.copies.as_mut()?.reached(recipient, others.into_iter())
    }

    pub(super) fn take_rate(&mut self, id: MemberId, now: Now) -> Result<(), Refusal> {
        let (_, member) = self.member_mut(id)?;
        if member.rate.take(now.instant) { Ok(()) } else { Err(Refusal::RateLimited) }
    }
}
