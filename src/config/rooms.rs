//! Section `[rooms]`.

use super::units::Span;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Admission to rooms, and what a participant may do.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rooms {
    /// Rooms at the same time.
    pub max_rooms: usize,
    /// Participants of one room.
    pub max_participants: usize,
    /// Streams that one participant publishes at the same time.
    pub max_streams: usize,
    /// Chat messages of one participant a second, in the long run.
    pub messages_per_second: u32,
    /// The longest chat message, in characters.
    pub message_length: usize,
    /// Chat messages of a room that are kept for those who come later.
    pub history: usize,
    /// How long a room goes on with nobody in it.
    pub linger: Span,
}

impl Default for Rooms {
    fn default() -> Self {
        Self {
            max_rooms: 1000,
            max_participants: 100,
            max_streams: 4,
            messages_per_second: 5,
            message_length: 4000,
            history: 200,
            linger: Span(Duration::from_secs(30)),
        }
    }
}
