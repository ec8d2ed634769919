//! `session.json`: what a recorded session consists of, for programs that put it together again.
//!
//! All times are seconds on the session's clock, whose zero is the start of the first recorded stream; `start` says which
//! time of day that was. Fields are added, never renamed; what a reader does not know it ignores.

pub use crate::room::Alignment;
use serde::{Deserialize, Serialize};

/// The name of the file in a session's folder.
pub const FILE_NAME: &str = "session.json";
/// The name of the film that is made of it, unless somebody chooses another.
pub const FILM_NAME: &str = "composed.mp4";
/// The version that is written.
pub const VERSION: u32 = 1;

/// One session of one room: the folder with this file has all its recordings.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Manifest {
    /// Version of this description: 1.
    pub version: u32,
    /// The room.
    pub room: String,
    /// The session, by the name of its folder.
    pub session: String,
    /// Whether it goes on.
    pub state: SessionState,
    /// How the files lie on the session's clock.
    pub align: Alignment,
    /// The time of day at zero, as RFC 3339 in UTC.
    pub start: String,
    /// The time of day at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// Seconds from zero to the end of the last recording.
    pub duration: f64,
    /// The recordings, in the order in which they began.
    pub files: Vec<File>,
    /// What happened in the room, in order.
    pub events: Vec<TimedEvent>,
    /// Events that are not here because there were too many.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub events_left_out: u64,
}

/// What most need of a manifest: without streams, gaps and events, which may be long.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct Brief {
    /// Whether it goes on.
    pub state: SessionState,
    /// The time of day at zero.
    pub start: String,
    /// Seconds from zero to the end of the last recording.
    pub duration: f64,
    /// The recordings.
    pub files: Vec<BriefFile>,
}

/// The same of a recording.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct BriefFile {
    /// The name, in the folder of the session.
    pub name: String,
    /// Whether it is complete.
    pub state: FileState,
    /// Who is recorded.
    pub participant: String,
    /// Bytes; 0 until it is complete.
    pub size: u64,
    /// The SHA-256 of the complete file, in hexadecimal.
    #[serde(default)]
    pub sha256: Option<String>,
}

/// Whether a session is complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// It goes on, or is being completed, which the next start of the server does otherwise.
    Recording,
    /// It ended in order.
    Finished,
    /// The server was killed; the files were completed afterwards.
    Recovered,
}

/// One recording.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct File {
    /// The name, in the folder of the session.
    pub name: String,
    /// Whether it is complete.
    pub state: FileState,
    /// Why it is not what it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Who is recorded.
    pub participant: String,
    /// What of the participant: a camera (or whatever an encoder sends) or a screen.
    pub kind: Kind,
    /// The streams in it, one behind the other; more than one where a publisher has come again.
    pub streams: Vec<Part>,
    /// Where the file's own zero lies. 0 where files are aligned.
    pub start: f64,
    /// Where its last sample ends.
    pub end: f64,
    /// The sound, if there is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<Audio>,
    /// The picture, if there is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video: Option<Video>,
    /// Where nothing came, in order.
    pub gaps: Vec<Gap>,
    /// Bytes; 0 until it is complete.
    pub size: u64,
    /// The SHA-256 of the complete file, in hexadecimal. A file that has just been closed gets it when it has been read once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl File {
    /// A recording of which nothing is there yet.
    pub(super) fn of(participant: &str, kind: Kind) -> Self {
        Self {
            name: String::new(),
            state: FileState::Recording,
            error: None,
            participant: participant.to_owned(),
            kind,
            streams: Vec::new(),
            start: 0.0,
            end: 0.0,
            audio: None,
            video: None,
            gaps: Vec::new(),
            size: 0,
            sha256: None,
        }
    }

    /// Whether there is nothing left to be done for it.
    pub(super) fn is_done(&self) -> bool {
        self.state == FileState::Lost
            || self.name.is_empty()
            || self.state != FileState::Recording && self.sha256.is_some()
    }
}

/// Whether a recording is complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// It is being written, or the server was killed.
    Recording,
    /// It is complete.
    Finished,
    /// It ends early, as `error` says, and plays up to there.
    Failed,
    /// The server was killed; the file was cut to its last whole fragment and completed.
    Recovered,
    /// Nothing of it could be kept.
    Lost,
}

/// What a recording shows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A person, or whatever an encoder sends.
    Camera,
    /// A screen or a window.
    Screen,
}

/// One stream in a file.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Part {
    /// The name of the publication.
    pub stream: String,
    /// Where its first sample lies.
    pub start: f64,
    /// Where its last sample ends.
    pub end: f64,
    /// How its own clock was mapped to the session's: pairs of [stream, session] times between which it runs evenly. The
    /// first one is where it began.
    pub clock: Vec<(f64, f64)>,
}

/// The sound of a recording.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Audio {
    /// `aac`, `opus`, ...
    pub codec: String,
    /// What the publisher sends, where it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_codec: Option<String>,
    /// Samples a second.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u8,
}

/// The picture of a recording.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Video {
    /// `h264`, `vp8`, `h265`, `av1`, `vp9`.
    pub codec: String,
    /// Codec, profile and level as browsers know them (RFC 6381), as `hvc1.1.6.L93.B0`: what the picture begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codec_string: Option<String>,
    /// Its sizes, in order; more than one where it changed.
    pub sizes: Vec<Size>,
}

/// The size of the picture from some time on.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Size {
    /// From when on.
    pub time: f64,
    /// Columns.
    pub width: u32,
    /// Lines.
    pub height: u32,
}

/// A time in which nothing came.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Gap {
    /// Of which track.
    pub track: Track,
    /// Where the last sample before it ends.
    pub start: f64,
    /// Where the first sample behind it lies.
    pub end: f64,
    /// Why.
    pub cause: Cause,
    /// Whether black picture or silence stands there; if not, the picture stands still and players hear nothing.
    pub filled: bool,
}

/// A track of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Track {
    /// The sound.
    Audio,
    /// The picture.
    Video,
}

/// Why nothing came.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The stream had not begun.
    LeadIn,
    /// The publisher sent nothing: it was muted without packets, or its capture stood still.
    Stall,
    /// The publisher or a host had muted it.
    Mute,
    /// Packets were lost on the way.
    Loss,
    /// The publisher was gone and has come again.
    Reconnect,
    /// The disk was too slow, and media was given up for it.
    SlowDisk,
    /// The stream had ended before the session.
    Tail,
}

/// Something that happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TimedEvent {
    /// When; negative before the first stream.
    pub time: f64,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What happens in a room.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// Somebody is in the room: who came, and who was there when the session began.
    Joined {
        /// The name.
        login: String,
        /// `websocket`, `rtmp`, `whip`, `flash`.
        protocol: String,
    },
    /// Somebody went.
    Left {
        /// The name.
        login: String,
        /// `left`, `vanished`, `kicked`, `ended`.
        reason: String,
    },
    /// A line for everybody. What was said to one alone is not recorded.
    Message {
        /// Its number in the room.
        id: u64,
        /// Who wrote it.
        from: String,
        /// What, as plain text.
        text: String,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_schema_is_true() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/recording/session.schema.json");
        let schema = serde_json::to_string_pretty(&schemars::schema_for!(Manifest)).unwrap() + "\n";
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(&file, &schema).unwrap();
        }
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(written == schema, "run this test with UPDATE_SCHEMA=1 and look at what it changes");
    }

    #[test]
    fn what_a_later_version_adds_is_ignored() {
        let text = r#"{"version":1,"room":"r","session":"s","state":"finished","align":"lead-in","start":"2026-01-01T00:00:00Z",
            "duration":2.5,"files":[],"events":[{"time":0.5,"type":"left","login":"a","reason":"left","more":1}],"new":true}"#;
        let manifest: Manifest = serde_json::from_str(text).unwrap();
        assert_eq!(
            (manifest.align, manifest.events.len(), manifest.events_left_out),
            (Alignment::LeadIn, 1, 0)
        );
    }
}
