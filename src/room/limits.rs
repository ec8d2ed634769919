//! Bounds of admission, and of what a participant may do.

use super::recording::RecordingPolicy;
use std::time::Duration;

/// What a publisher's application may say at a time to those who play its stream, in bytes.
pub(super) const MAX_DATA: usize = 16 * 1024;

/// Bounds of rooms. All are checked where they are about to be exceeded, in the same step.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Rooms at the same time.
    pub rooms: usize,
    /// Participants in one room.
    pub participants: usize,
    /// Streams that one participant publishes at the same time.
    pub streams: usize,
    /// Messages of one participant a second, in the long run. Copies of a line to each one count once.
    pub messages_per_second: u32,
    /// Characters of a message.
    pub message_length: usize,
    /// Lines of a room that are kept for newcomers.
    pub history: usize,
    /// How long a room goes on with nobody in it: its lines and its roles.
    pub linger: Duration,
    /// Who decides whether it is recorded.
    pub recording: RecordingPolicy,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rooms: 1000,
            participants: 100,
            streams: 4,
            messages_per_second: 5,
            message_length: 4000,
            history: 200,
            linger: Duration::from_secs(30),
            recording: RecordingPolicy::Never,
        }
    }
}
