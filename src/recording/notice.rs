//! What becomes of recordings, for programs that want to know.

use super::manifest::{File, FileState, Manifest, SessionState};
use super::upload::Object;
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
    /// How long the recording, or the session, is, in seconds.
    pub duration: f64,
    /// What it has become of.
    #[serde(flatten)]
    pub subject: Subject,
}

/// What something has become of.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A recording, as the manifest has it.
    File(File),
    /// The upload of a session.
    Upload(Uploaded),
    /// A session.
    Summary(Summary),
}

/// A session, in short; its manifest has all.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Summary {
    /// Whether it is complete.
    pub state: SessionState,
    /// The time of day at its zero.
    pub start: String,
    /// The names of its files.
    pub files: Vec<String>,
}

impl From<&Manifest> for Summary {
    fn from(manifest: &Manifest) -> Self {
        let names = manifest.files.iter().map(|file| &file.name).filter(|name| !name.is_empty());
        Self { state: manifest.state, start: manifest.start.clone(), files: names.cloned().collect() }
    }
}

/// A session on its way to a store of objects.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Uploaded {
    /// The bucket.
    pub bucket: String,
    /// Where its manifest is, or will be.
    pub url: String,
    /// Bytes of all files that are there.
    pub size: u64,
    /// What is there, the manifest included.
    pub files: Vec<Object>,
    /// Why it is not all; it will be tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long the session is, in seconds.
    #[serde(skip)]
    pub duration: f64,
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
    /// A session is in the store of objects, and was verified.
    Uploaded,
    /// It could not be uploaded, and will be tried again.
    UploadFailed,
    /// A session has begun.
    SessionStarted,
    /// It is complete, and so is its manifest.
    SessionFinished,
}

impl NoticeKind {
    /// The name of the event.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "recording.started",
            Self::Finished => "recording.finished",
            Self::Failed => "recording.failed",
            Self::Recovered => "recording.recovered",
            Self::Uploaded => "recording.uploaded",
            Self::UploadFailed => "recording.upload_failed",
            Self::SessionStarted => "session.started",
            Self::SessionFinished => "session.finished",
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
    pub fn tell(&self, time: NtpTime, at: (&str, &str), file: &File) {
        let duration = (file.end - file.start).max(0.0);
        self.put(file.state.into(), time, at, duration, Subject::File(file.clone()));
    }

    /// Tells in the same way what has become of an upload.
    pub fn tell_upload(&self, time: NtpTime, at: (&str, &str), upload: Uploaded) {
        let kind = if upload.error.is_none() { NoticeKind::Uploaded } else { NoticeKind::UploadFailed };
        self.put(kind, time, at, upload.duration, Subject::Upload(upload));
    }

    /// Tells in the same way of a session, as its manifest has it.
    pub fn tell_session(&self, time: NtpTime, manifest: &Manifest) {
        let is_over = manifest.state != SessionState::Recording;
        let kind = if is_over { NoticeKind::SessionFinished } else { NoticeKind::SessionStarted };
        let (at, subject) = ((&*manifest.room, &*manifest.session), Subject::Summary(manifest.into()));
        self.put(kind, time, at, manifest.duration, subject);
    }

    fn put(
        &self,
        kind: NoticeKind,
        time: NtpTime,
        (room, session): (&str, &str),
        duration: f64,
        subject: Subject,
    ) {
        let Some(sender) = &self.0 else { return };
        let notice =
            Notice { kind, time, room: room.to_owned(), session: session.to_owned(), duration, subject };
        if let Err(mpsc::error::TrySendError::Full(_)) = sender.try_send(notice) {
            metrics::counter!("commonroom_hooks_events_total", "outcome" => "dropped").increment(1);
        }
    }
}
