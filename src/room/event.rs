//! What members are told, in the order in which it happened.

use super::member::{Media, Protocol, Role};
use super::name::Name;
use super::published::{PublishedName, StreamKind};
use super::recording::Wanted;
use crate::media::MediaKind;
use crate::time::NtpTime;
use std::sync::Arc;

/// News of a room for one of its members. The member itself is never told that it joined or left.
#[derive(Clone, Debug)]
pub enum Event {
    /// What the newcomer finds: always the first one.
    State(State),
    /// Somebody came.
    Joined(Participant),
    /// Somebody went. Its publications have ended before.
    Left {
        /// Who.
        login: Name,
        /// Why.
        reason: LeaveReason,
    },
    /// Somebody's stream can be played.
    Published {
        /// Who.
        login: Name,
        /// What.
        stream: StreamView,
    },
    /// A stream that was published cannot be played any more.
    Unpublished {
        /// Who.
        login: Name,
        /// What.
        stream: PublishedName,
        /// Whether it broke off, instead of being stopped.
        failed: bool,
    },
    /// Somebody wrote.
    Message(Message),
    /// Sound or picture of a stream is muted, or no longer.
    Muted {
        /// Whose stream.
        login: Name,
        /// Which stream.
        stream: PublishedName,
        /// Sound or picture.
        medium: MediaKind,
        /// Muted, or no longer.
        muted: bool,
        /// Whether nothing of it comes now: both a host and the publisher may have muted it.
        silent: bool,
        /// The host who did it; `None`: the publisher itself.
        by: Option<Name>,
    },
    /// A host lets nothing of a medium pass of somebody who publishes nothing at present, or does no longer.
    Held {
        /// Who.
        login: Name,
        /// Sound or picture.
        medium: MediaKind,
        /// Nothing, or everything again.
        muted: bool,
        /// The host.
        by: Name,
    },
    /// The publisher of a stream sends something to those who play it.
    Data {
        /// The stream.
        stream: PublishedName,
        /// As it came, in the language of the client.
        payload: Arc<str>,
    },
    /// Somebody has another role, perhaps the one who is told.
    Role {
        /// Who.
        login: Name,
        /// What from now on.
        role: Role,
    },
    /// The room was locked or opened.
    Locked {
        /// Locked, or open again.
        locked: bool,
        /// By whom.
        by: Name,
    },
    /// Recording began or ended, or hosts or the operator want it, or no longer.
    Recording {
        /// Whether it is recorded now.
        recording: bool,
        /// Whether it is to be, once there is something to be recorded and a place for it.
        wanted: bool,
    },
    /// What is to be recorded has changed; for observers alone.
    Wanted(Wanted),
    /// The one who is told is out of the room; nothing more follows.
    Expelled(Expulsion),
}

/// Why a member is out of the room though it did not leave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expulsion {
    /// A host has removed it.
    Kicked {
        /// Who.
        by: Name,
    },
    /// A host has ended the room.
    Ended {
        /// Who.
        by: Name,
    },
    /// The same participant has come again by another connection.
    TakenOver,
    /// It did not take its news.
    TooSlow,
}

/// Why somebody is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LeaveReason {
    /// It said so.
    Left,
    /// Its connection broke or went silent.
    Vanished,
    /// A host removed it.
    Kicked,
    /// A host ended the room.
    Ended,
}

/// What a newcomer finds.
#[derive(Clone, Debug)]
pub struct State {
    /// The room.
    pub room: Name,
    /// Itself.
    pub you: Participant,
    /// What a host lets nothing pass of, of all that it publishes.
    pub host_muted: Media,
    /// The others, by name.
    pub participants: Vec<Participant>,
    /// Whether nobody else may enter.
    pub locked: bool,
    /// Whether the room is being recorded.
    pub recording: bool,
    /// Whether it is to be, once there is something to be recorded and a place for it.
    pub record_wanted: bool,
    /// What was said to everybody, oldest first.
    pub messages: Vec<Message>,
}

/// A participant as others see it.
#[derive(Clone, Debug)]
pub struct Participant {
    /// Its name.
    pub login: Name,
    /// How it is connected.
    pub protocol: Protocol,
    /// What it may do.
    pub role: Role,
    /// When it came.
    pub joined: NtpTime,
    /// What it publishes, oldest first.
    pub streams: Vec<StreamView>,
}

/// A publication as others see it.
#[derive(Clone, Debug)]
pub struct StreamView {
    /// Its name.
    pub name: PublishedName,
    /// What it shows.
    pub kind: StreamKind,
    /// What it has.
    pub media: Media,
    /// What of it is muted by the publisher or a host.
    pub muted: Media,
    /// What of it a host has muted.
    pub host_muted: Media,
}

/// A line of text.
#[derive(Clone, Debug)]
pub struct Message {
    /// Counts up in each room.
    pub id: MessageId,
    /// Who wrote it.
    pub from: Name,
    /// To whom alone; `None`: to everybody.
    pub to: Option<Name>,
    /// What; text, never HTML.
    pub text: Arc<str>,
    /// When it arrived here.
    pub time: NtpTime,
}

/// The number of a message in its room, from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct MessageId(pub u64);

impl LeaveReason {
    /// Lower case, for logs and clients.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Vanished => "vanished",
            Self::Kicked => "kicked",
            Self::Ended => "ended",
        }
    }
}
