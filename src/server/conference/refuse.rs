//! Refusals, as a word and a sentence.

use crate::protocol::room_api::{Info, Word};
use crate::room::Refusal;
use crate::server::webrtc::{End, SignallingError};
use crate::stream::EndReason;

/// Why a command was not done.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) word: Word,
    pub(super) sentence: String,
}

impl Refused {
    pub(super) fn new(word: Word, sentence: impl Into<String>) -> Self {
        Self { word, sentence: sentence.into() }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let word = match &refusal {
            Refusal::LoginInUse { .. } => Word::LoginInUse,
            Refusal::StreamNameInUse(_) => Word::StreamNameInUse,
            Refusal::TooManyRooms(_) => Word::TooManyRooms,
            Refusal::RoomFull { .. } => Word::RoomFull,
            Refusal::TooManyStreams(_) => Word::TooManyStreams,
            Refusal::Locked(_) => Word::RoomLocked,
            Refusal::Kicked(_) => Word::Kicked,
            Refusal::NotSpeaker => Word::NotSpeaker,
            Refusal::NotHost => Word::NotHost,
            Refusal::LastHost => Word::LastHost,
            Refusal::NotJoined => Word::NotJoined,
            Refusal::UnknownParticipant(_) => Word::UnknownRecipient,
            Refusal::UnknownStream => Word::UnknownStream,
            Refusal::NotRecorded => Word::NotRecorded,
            Refusal::AlwaysRecorded => Word::AlwaysRecorded,
            Refusal::RateLimited => Word::RateLimited,
            Refusal::TextTooLong(_) => Word::TextTooLong,
            Refusal::DataTooLong => Word::TextTooLong,
            Refusal::ForeignStreamName { .. } => Word::InvalidName,
            Refusal::ShuttingDown => Word::ShuttingDown,
        };
        Self::new(word, refusal.to_string())
    }
}

/// Why there is no stream, in the SDK's words where it has some.
pub(super) fn no_place(refusal: &Refusal) -> Info {
    match refusal {
        Refusal::StreamNameInUse(_) => Info::StreamNameInUse,
        Refusal::UnknownStream => Info::StreamNotFound,
        other => Info::sentence(other.to_string()),
    }
}

/// Why an offer has no answer.
pub(super) fn no_answer(error: &SignallingError) -> Info {
    match error {
        SignallingError::NoCommonCodec(_) => Info::NoCommonCodecs,
        other => Info::sentence(other.to_string()),
    }
}

/// Whether a stream ended as its client wanted, or what it played did; and why.
pub(super) const fn ended(end: End, is_publication: bool) -> (bool, Info) {
    match end {
        End::Closed | End::Left => (true, Info::StoppedByUser),
        End::Stream(EndReason::Revoked) if is_publication => (true, Info::RestrictedAccess),
        End::Stream(_) => (true, Info::StoppedByPublisherStop),
        End::NoCheck => (false, Info::FailedByIceTimeout),
        End::NotEstablished | End::Dtls => (false, Info::FailedByDtlsError),
        End::Fingerprint => (false, Info::FailedByDtlsFingerprint),
        End::Silent => (false, Info::FailedByIceKeepAlive),
        End::Shutdown => (false, Info::RequestedShutdown),
        End::Failed => (false, Info::FailedByError),
    }
}
