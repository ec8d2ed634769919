//! Why a room does not do what it is asked.

use super::limits::MAX_DATA;
use super::name::Name;
use super::published::PublishedName;
use thiserror::Error;

/// Why somebody may not enter, publish, talk or moderate. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Somebody of this name is in the room.
    #[error("{login} is already in {room}; choose another name, or end the other connection")]
    LoginInUse {
        /// The name.
        login: Name,
        /// The room.
        room: Name,
    },
    /// There is a publication of this name on the server.
    #[error("Stream name is already in use")]
    StreamNameInUse(PublishedName),
    /// There are as many rooms as the configuration allows.
    #[error("the server has reached its limit of {0} rooms (rooms.max_rooms)")]
    TooManyRooms(usize),
    /// The room is full.
    #[error("room {room} has reached its limit of {limit} participants (rooms.max_participants)")]
    RoomFull {
        /// Which.
        room: Name,
        /// How many fit.
        limit: usize,
    },
    /// The participant publishes as much as the configuration allows.
    #[error("a participant may publish {0} streams at a time (rooms.max_streams)")]
    TooManyStreams(usize),
    /// A host has locked the room.
    #[error("room {0} is locked; ask a host to let you in")]
    Locked(Name),
    /// A host has removed this participant.
    #[error("a host has removed you from room {0}")]
    Kicked(Name),
    /// Viewers do not publish.
    #[error("viewers may not publish; ask a host to make you a speaker")]
    NotSpeaker,
    /// Only hosts moderate.
    #[error("only a host of the room may do that")]
    NotHost,
    /// A room with people in it keeps one host at least.
    #[error("a room needs a host; make somebody else one first")]
    LastHost,
    /// The one who asks is not, or no longer, in the room.
    #[error("you are not in the room")]
    NotJoined,
    /// Nobody of that name is in the room.
    #[error("{0} is not in the room")]
    UnknownParticipant(Name),
    /// There is no such publication, or it belongs to somebody else.
    #[error("Stream not found")]
    UnknownStream,
    /// The operator lets nobody record.
    #[error("this room is not recorded (recording.policy)")]
    NotRecorded,
    /// The operator has everything recorded.
    #[error("this room is always recorded (recording.policy)")]
    AlwaysRecorded,
    /// More messages than the configuration allows.
    #[error("too many messages; wait a moment (rooms.messages_per_second)")]
    RateLimited,
    /// The text is longer than the configuration allows.
    #[error("a message has at most {0} characters (rooms.message_length)")]
    TextTooLong(usize),
    /// What a publisher's application says is too long.
    #[error("data of a stream has at most {MAX_DATA} bytes")]
    DataTooLong,
    /// The name of a stream does not say whose it is.
    #[error("the name of a stream begins with {room}-{login}")]
    ForeignStreamName {
        /// The room.
        room: Name,
        /// Who publishes.
        login: Name,
    },
    /// Nobody enters while the server goes down.
    #[error("the server is shutting down")]
    ShuttingDown,
}

impl Refusal {
    /// Whether another name would help.
    pub const fn is_name_in_use(&self) -> bool {
        matches!(self, Self::LoginInUse { .. } | Self::StreamNameInUse(_))
    }

    /// One word for clients, metrics and logs.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::LoginInUse { .. } => "login_in_use",
            Self::StreamNameInUse(_) => "stream_name_in_use",
            Self::TooManyRooms(_) => "too_many_rooms",
            Self::RoomFull { .. } => "room_full",
            Self::TooManyStreams(_) => "too_many_streams",
            Self::Locked(_) => "room_locked",
            Self::Kicked(_) => "kicked",
            Self::NotSpeaker => "not_speaker",
            Self::NotHost => "not_host",
            Self::LastHost => "last_host",
            Self::NotJoined => "not_joined",
            Self::UnknownParticipant(_) => "unknown_recipient",
            Self::UnknownStream => "unknown_stream",
            Self::NotRecorded => "not_recorded",
            Self::AlwaysRecorded => "always_recorded",
            Self::RateLimited => "rate_limited",
            Self::TextTooLong(_) => "text_too_long",
            Self::DataTooLong => "data_too_long",
            Self::ForeignStreamName { .. } => "foreign_stream_name",
            Self::ShuttingDown => "shutting_down",
        }
    }
}
