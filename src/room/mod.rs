//! Rooms: who is here, what is published, what is said, and who may do what.
//!
//! [`state`] decides: a pure state machine of one room, commands in, effects out. [`Rooms`] has all rooms behind a lock and does
//! what follows: it fills the members' outboxes and ends streams. Connections hold a [`Membership`] and a
//! [`Publication`] for each of their streams; dropping them is leaving and unpublishing, so nothing is left behind by a
//! connection that breaks. Encoders, which publish and listen to nothing, are participants like all others.

mod chat;
mod event;
mod hall;
mod limits;
mod member;
mod membership;
mod name;
mod publication;
mod published;
mod rate;
mod recording;
mod refusal;
mod registry;
pub mod state;
#[cfg(test)]
mod tests;

pub use event::{Event, Expulsion, LeaveReason, Message, MessageId, Participant, State, StreamView};
pub use limits::Limits;
pub use member::{Key, Media, MemberId, Protocol, Role};
pub use membership::{Events, Membership};
pub use name::{InvalidName, Name};
pub use publication::{Publication, Revocation};
pub use published::{InvalidPublishedName, PublishedName, StreamKind};
pub use rate::Rate;
pub use recording::{Alignment, Observed, RecordingPolicy, Wanted};
pub use refusal::Refusal;
pub use registry::{ParticipantInfo, RoomInfo, Rooms};
pub use state::{Entry, Moderation, Wish};
