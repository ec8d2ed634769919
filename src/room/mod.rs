//! Rooms: who is here and what they publish.

mod name;
mod registry;

pub use name::{InvalidName, Name};
pub use registry::{Limits, ParticipantInfo, Protocol, Publication, Refusal, RoomInfo, Rooms};
