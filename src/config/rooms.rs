//! Section `[rooms]`.

use serde::{Deserialize, Serialize};

/// Admission to rooms.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rooms {
    /// Rooms at the same time.
    pub max_rooms: usize,
    /// Participants of one room.
    pub max_participants: usize,
}

impl Default for Rooms {
    fn default() -> Self {
        Self { max_rooms: 1000, max_participants: 100 }
    }
}
