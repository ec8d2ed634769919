//! Section `[recording]`.

use super::units::{ByteSize, Span};
use super::upload::Upload;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// What is recorded, where, and how.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recording {
    /// The folder for recordings.
    pub dir: PathBuf,
    /// Who decides whether a room is recorded.
    pub policy: Policy,
    /// Where the files of a session begin and end.
    pub align: Align,
    /// What the sound is recorded in.
    pub audio: RecordedAudio,
    /// How files are called, without the ending.
    pub file: String,
    /// How long a publisher that has vanished may take to go on in the same file.
    pub grace: Span,
    /// Whether MP4 files get their index in front once they are complete.
    pub faststart: bool,
    /// How often what was written is forced onto the disk.
    pub sync: Span,
    /// Whether recordings may be listed, played, downloaded and deleted over HTTP, by everybody who reaches it.
    pub browse: bool,
    /// Whether recording may be started, stopped and aligned over HTTP, by everybody who reaches it.
    pub control: bool,
    /// With less space than this on the disk nothing is recorded.
    pub min_free: ByteSize,
    /// How long sessions are kept after their end. 0: for ever.
    pub max_age: Span,
    /// What all sessions together may take. 0: whatever there is.
    pub max_size: ByteSize,
    /// Where sessions are uploaded to.
    pub upload: Upload,
}

/// Who decides whether a room is recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Nothing is.
    #[default]
    Never,
    /// Hosts of the room and publishers for their own streams; over the API whoever reaches it, where that is on.
    OnRequest,
    /// Everything is.
    Always,
}

/// Where the files of a session begin and end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Align {
    /// Each where its stream does.
    #[default]
    Off,
    /// All with the first, in black and silence until the stream begins.
    LeadIn,
    /// The same, with gaps and the end filled, too.
    Full,
}

/// What the sound is recorded in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordedAudio {
    /// AAC, which everything plays, beside H.264.
    #[default]
    Aac,
    /// What is published.
    Source,
}

impl Recording {
    /// How often what was written is forced onto the disk; `None`: only at the end.
    pub fn sync_every(&self) -> Option<Duration> {
        (self.sync.0 > Duration::ZERO).then_some(self.sync.0)
    }
}

impl Default for Recording {
    fn default() -> Self {
        Self {
            dir: "recordings".into(),
            policy: Policy::Never,
            align: Align::Off,
            audio: RecordedAudio::Aac,
            file: "{participant}-{kind}".to_owned(),
            grace: Span(Duration::from_secs(30)),
            faststart: false,
            sync: Span(Duration::from_secs(5)),
            browse: false,
            control: false,
            min_free: ByteSize(1 << 30),
            max_age: Span(Duration::ZERO),
            max_size: ByteSize(0),
            upload: Upload::default(),
        }
    }
}
