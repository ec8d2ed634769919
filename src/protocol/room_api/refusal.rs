//! Why something was not done, for programs.

use serde::{Deserialize, Serialize};

/// The closed set of refusals, `commonroom.error` of an acknowledgement. The sentence beside it is for people.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// `connection` has not come, or said no login.
    NotConnected,
    /// Somebody of this login is in the room.
    LoginInUse,
    /// The room has as many participants as it may.
    RoomFull,
    /// The server has as many rooms as it may, or the session is in as many.
    TooManyRooms,
    /// A host has locked the room.
    RoomLocked,
    /// A room, a login or a stream is called what it must not be.
    InvalidName,
    /// Only hosts may do that.
    NotHost,
    /// Viewers do not publish.
    NotSpeaker,
    /// A room keeps one host at least.
    LastHost,
    /// Too much at once; later it would have been done.
    RateLimited,
    /// A chat line is longer than `limits.textLength`.
    TextTooLong,
    /// Nobody of that login is in the room.
    UnknownRecipient,
    /// There is no such stream in the room.
    UnknownStream,
    /// The session is not in that room.
    NotJoined,
    /// The session is in that room already.
    AlreadyJoined,
    /// A host has put this person out of the room.
    Kicked,
    /// The participant publishes as many streams as it may.
    TooManyStreams,
    /// There is a publication of this name on the server.
    StreamNameInUse,
    /// The operator lets nobody record this room.
    NotRecorded,
    /// The operator has this room recorded always.
    AlwaysRecorded,
    /// The server does not know the command.
    UnknownCommand,
    /// The message is not what the protocol says.
    Malformed,
    /// The server goes down.
    ShuttingDown,
}

impl Word {
    /// As it stands on the wire; also the label of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotConnected => "not_connected",
            Self::LoginInUse => "login_in_use",
            Self::RoomFull => "room_full",
            Self::TooManyRooms => "too_many_rooms",
            Self::RoomLocked => "room_locked",
            Self::InvalidName => "invalid_name",
            Self::NotHost => "not_host",
            Self::NotSpeaker => "not_speaker",
            Self::LastHost => "last_host",
            Self::RateLimited => "rate_limited",
            Self::TextTooLong => "text_too_long",
            Self::UnknownRecipient => "unknown_recipient",
            Self::UnknownStream => "unknown_stream",
            Self::NotJoined => "not_joined",
            Self::AlreadyJoined => "already_joined",
            Self::Kicked => "kicked",
            Self::TooManyStreams => "too_many_streams",
            Self::StreamNameInUse => "stream_name_in_use",
            Self::NotRecorded => "not_recorded",
            Self::AlwaysRecorded => "always_recorded",
            Self::UnknownCommand => "unknown_command",
            Self::Malformed => "malformed",
            Self::ShuttingDown => "shutting_down",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_metrics_are_the_words_of_the_wire() {
        for word in [Word::NotConnected, Word::LoginInUse, Word::TextTooLong, Word::ShuttingDown] {
            assert_eq!(serde_json::to_value(word).unwrap(), word.as_str());
        }
    }
}
