//! Recording: each stream in a file of its own, all of a room's on one clock.

mod attempts;
mod clock;
mod disk;
mod faststart;
mod file;
mod format;
mod intake;
mod lock;
pub mod manifest;
mod notice;
mod recover;
mod retention;
mod scribe;
mod service;
mod session;
mod space;
mod store;
mod take;
mod template;
mod timeline;
mod upload;
mod watch;

pub use notice::{Notice, NoticeKind, Notices, Subject, Summary, Uploaded};
pub use recover::{RecoverError, Recovered, Report, recover};
pub use service::{Recorder, RecorderError};
pub use store::{SessionFolder, Stamp, Store};
pub use template::InvalidTemplate;
pub use upload::{Destination, Object, Objects, Upload, UploadState, Verified};
