//! Being in rooms: entering and leaving, chat, moderation, and what is heard there.

use super::close::Close;
use super::refuse::Refused;
use super::session::{News, Session};
use super::translate;
use crate::protocol::room_api::{
    Ack, Action, Command, Info, Join, Moderate, Mute, OnData, RoomEvent, SendData, SendMessage,
    ServerMessage, StreamQuality, Word, shown,
};
use crate::room::{
    Entry, Event, Events, Expulsion, InvalidName, Media, Membership, Moderation, Name, PublishedName, Wish,
};
use std::collections::HashMap;
use std::sync::Arc;
use tracing::info;

/// Rooms that one session is in.
const MAX_ROOMS: usize = 8;

/// Being in a room.
pub(super) struct Seat {
    pub(super) membership: Membership,
    serial: u64,
    /// What is muted of the streams of others, for playbacks that begin later.
    pub(super) muted: HashMap<PublishedName, Media>,
    /// How well streams arrive, as the client was last told.
    pub(super) quality: Vec<StreamQuality>,
}

type Outcome = Result<Option<Ack>, Refused>;

impl Session {
    /// A command to a room; acknowledged exactly once.
    pub(super) fn command(&mut self, data: SendData) {
        let outcome = match data.payload {
            Command::Join(options) => self.join(&options),
            Command::Leave(options) => self.leave_room(&options.name),
            Command::SendMessage(options) => self.send_message(options),
            Command::Moderate(options) => self.moderate(options),
            Command::Unknown(name) => {
                Err(Refused::new(Word::UnknownCommand, format!("there is no command {name:?}")))
            }
            Command::Malformed(what) => Err(Refused::new(Word::Malformed, what)),
        };
        self.acknowledge(data.operation_id, outcome.map_err(|Refused { word, sentence }| (word, sentence)));
    }

    fn join(&mut self, options: &Join) -> Outcome {
        let Some(client) = &self.client else {
            return Err(Refused::new(Word::NotConnected, "\"connection\" comes first"));
        };
        let login = client.login.clone().map_err(|sentence| Refused::new(Word::InvalidName, sentence))?;
        let key = client.key;
        let room = room_name(&options.name)?;
        if self.seats.contains_key(&room) {
            return Err(Refused::new(Word::AlreadyJoined, format!("{login} is already in {room}")));
        }
        if self.seats.len() >= MAX_ROOMS {
            let sentence = format!("a session is in {MAX_ROOMS} rooms at most");
            return Err(Refused::new(Word::TooManyRooms, sentence));
        }
        let entry = Entry { login: login.clone(), protocol: self.protocol, key, listens: true };
        let (membership, events) = self.conference.rooms.join(room.clone(), entry)?;
        info!(%room, %login, protocol = self.protocol.as_str(), "joined");
        if options.record {
            // A wish, and nothing that could keep anybody from joining: what became of it is told to all who are in.
            drop(membership.record(Wish::Room(true)));
        }
        let serial = self.number();
        self.seats
            .insert(room.clone(), Seat { membership, serial, muted: HashMap::new(), quality: Vec::new() });
        self.listen(room, serial, events);
        Ok(None)
    }

    fn leave_room(&mut self, name: &str) -> Outcome {
        let room = room_name(name)?;
        let seat = self.seats.remove(&room).ok_or_else(not_joined)?;
        info!(%room, login = %seat.membership.login(), "left");
        // Before the room ends what is published there, so that it is known why.
        self.part(&room, &Info::StoppedByUser);
        seat.membership.leave();
        Ok(None)
    }

    fn send_message(&self, options: SendMessage) -> Outcome {
        let declared = self.is_declared();
        let seat = self.seat(&options.room_config.name)?;
        let recipient = |name: String| {
            name.parse().map_err(|_| {
                Refused::new(Word::UnknownRecipient, format!("{} is not in the room", shown(&name)))
            })
        };
        let to = options.to.map(recipient).transpose()?;
        // The SDK's pages say a line to everybody by saying it to each.
        let private = declared && to.is_some();
        let (id, time) = seat.membership.say(to, private, &options.text)?;
        Ok(Some(Ack::Said { id: id.0, time: time.unix_millis() }))
    }

    fn moderate(&self, options: Moderate) -> Outcome {
        let seat = self.seat(&options.name)?;
        let record = |recorded| {
            seat.membership.record(Wish::Room(recorded))?;
            Ok(None)
        };
        let mute = |Mute { login, stream, medium }: Mute, muted| {
            let unknown = || Refused::new(Word::UnknownStream, "there is no such stream");
            let stream = stream.map(|name| name.as_str().parse().map_err(|_| unknown())).transpose()?;
            let medium = translate::kind(medium);
            Ok::<_, Refused>(Moderation::Mute { login: login_of(&login)?, stream, medium, muted })
        };
        seat.membership.moderate(match options.action {
            Action::Mute(whom) => mute(whom, true)?,
            Action::Unmute(whom) => mute(whom, false)?,
            Action::Kick { login } => Moderation::Kick(login_of(&login)?),
            Action::Role { login, role } => Moderation::SetRole(login_of(&login)?, translate::role_of(role)),
            Action::Lock => Moderation::Lock(true),
            Action::Unlock => Moderation::Lock(false),
            Action::Record => return record(true),
            Action::StopRecording => return record(false),
            Action::End => Moderation::End,
        })?;
        Ok(None)
    }

    /// Waits for the next that happens in a room.
    fn listen(&self, room: Name, serial: u64, mut events: Events) {
        self.news.push(Box::pin(async move {
            let event = events.next().await;
            News::Room { room, serial, event, events }
        }));
    }

    pub(super) fn room_news(&mut self, room: Name, serial: u64, event: Option<Arc<Event>>, events: Events) {
        let declared = self.is_declared();
        let Some(seat) = self.seats.get_mut(&room).filter(|seat| seat.serial == serial) else { return };
        let Some(event) = event else { return self.lose(&room, Close::Ended) };
        let heard = seat.note(&event);
        let login = seat.membership.login().clone();
        if let Some(told) = translate::event(&event, &login, declared, &self.conference.rooms.limits(&room)) {
            let payload = RoomEvent { room_name: room.to_string(), event: told };
            self.say(ServerMessage::OnData((OnData { payload },)));
        }
        match &*event {
            Event::Muted { stream, medium, silent, .. } if heard => self.muted(stream, *medium, *silent),
            Event::Unpublished { stream, .. } => self.unpublished(stream),
            Event::Data { stream, payload } => self.published_data(stream, payload),
            Event::Expelled(expulsion) => {
                return self.lose(
                    &room,
                    match expulsion {
                        Expulsion::Kicked { .. } => Close::Kicked,
                        Expulsion::Ended { .. } => Close::Ended,
                        Expulsion::TakenOver => Close::TakenOver,
                        Expulsion::TooSlow => Close::TooSlow,
                    },
                );
            }
            _ => {}
        }
        self.listen(room, serial, events);
    }

    /// Is out of a room against its will. Clients that have no word for that are disconnected, whatever other rooms they are in:
    /// they would go on showing this one. Those who have come again by another connection need this one for nothing but other
    /// rooms.
    fn lose(&mut self, room: &Name, why: Close) {
        info!(%room, reason = why.as_str(), "out of the room");
        self.seats.remove(room);
        self.part(room, &Info::RestrictedAccess);
        let goes_on = match why {
            Close::Kicked | Close::Ended => true,
            Close::TakenOver => !self.seats.is_empty(),
            _ => false,
        };
        if !(goes_on && self.is_declared()) {
            self.close(why);
        }
    }

    fn seat(&self, room: &str) -> Result<&Seat, Refused> {
        self.seats.get(&room_name(room)?).ok_or_else(not_joined)
    }
}

impl Seat {
    /// Keeps in mind what is muted. Says whether a stream is heard or seen in another way than before.
    fn note(&mut self, event: &Event) -> bool {
        match event {
            Event::State(state) => {
                let streams = state.participants.iter().flat_map(|participant| &participant.streams);
                self.muted = streams.map(|view| (view.name.clone(), view.muted)).collect();
            }
            Event::Published { stream, .. } => drop(self.muted.insert(stream.name.clone(), stream.muted)),
            Event::Unpublished { stream, .. } => drop(self.muted.remove(stream)),
            Event::Muted { stream, medium, silent, .. } => {
                if let Some(media) = self.muted.get_mut(stream) {
                    let changed = media.has(*medium) != *silent;
                    media.set(*medium, *silent);
                    return changed;
                }
            }
            _ => {}
        }
        false
    }
}

fn not_joined() -> Refused {
    Refused::new(Word::NotJoined, "you are not in the room")
}

fn room_name(name: &str) -> Result<Name, Refused> {
    name.parse().map_err(|error: InvalidName| Refused::new(Word::InvalidName, format!("room: {error}")))
}

fn login_of(login: &str) -> Result<Name, Refused> {
    let sentence = || format!("{} is not in the room", shown(login));
    login.parse().map_err(|_| Refused::new(Word::UnknownRecipient, sentence()))
}
