//! What becomes of recordings, for programs that want to know.

use super::manifest::{File, FileState};
use crate::time::NtpTime;
use serde::Serialize;
use tokio::sync::mpsc;

/// Notices that wait to be taken.
const WAITING: usize = 1_024;

/// Something has become of a recording.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Notice {
    /// What.
    #[serde(skip)]
    pub kind: NoticeKind,
    /// When, by the time of day.
    #[serde(skip)]
    pub time: NtpTime,
    /// The room.
    pub room: String,
    /// The session, by the name of its folder.
    pub session: String,
    /// How long the recording is, in seconds.
    pub duration: f64,
    /// The recording, as the manifest has it.
    pub file: File,
}

/// What becomes of recordings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoticeKind {
    /// A file has begun.
    Started,
    /// It is complete.
    Finished,
    /// It ended early, or nothing of it could be kept.
    Failed,
    /// It was interrupted, and is complete now.
    Recovered,
}

impl NoticeKind {
    /// The name of the event.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "recording.started",
            Self::Finished => "recording.finished",
            Self::Failed => "recording.failed",
            Self::Recovered => "recording.recovered",
        }
    }
}

impl From<FileState> for NoticeKind {
    fn from(state: FileState) -> Self {
        match state {
            FileState::Recording => Self::Started,
            FileState::Finished => Self::Finished,
            FileState::Failed | FileState::Lost => Self::Failed,
            FileState::Recovered => Self::Recovered,
        }
    }
}

/// Where notices go. Cloning gives another way to the same place.
#[derive(Clone, Debug, Default)]
pub struct Notices(Option<mpsc::Sender<Notice>>);

impl Notices {
    /// A place, and who looks there.
    pub fn channel() -> (Self, mpsc::Receiver<Notice>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(Some(sender)), receiver)
    }

    /// Tells what has become of a file. Recording never waits for who listens: what he has no place for he does not hear.
    pub fn tell(&self, time: NtpTime, (room, session): (&str, &str), file: &File) {
        let Some(sender) = &self.0 else { return };
        let notice = Notice {
            kind: file.state.into(),
            time,
            room: room.to_owned(),
            session: session.to_owned(),
            duration: (file.end - file.start).max(0.0),
            file: file.clone(),
        };
        if let Err(mpsc::error::TrySendError::Full(_)) = sender.try_send(notice) {
            metrics::counter!("commonroom_hooks_events_total", "outcome" => "dropped").increment(1);
        }
    }
}
