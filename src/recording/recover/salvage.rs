//! What is known of recordings without a manifest: what their names and they themselves say.

use super::Completed;
use crate::codec::{Codec, MediaKind};
use crate::container::{mp4, webm};
use crate::recording::format::{Container, FinaliseError};
use crate::recording::manifest::{
    self, Alignment, Audio, File, FileState, Kind, Manifest, Part, Size, Video,
};
use crate::recording::session;
use crate::recording::store::SessionFolder;
use std::time::{Duration, UNIX_EPOCH};

/// Told of files that no manifest has known.
const UNPLACED: &str = "the manifest was lost: when the recording began is not known";

/// What is in a file.
#[derive(Default)]
pub(super) struct Contents {
    audio: Option<Audio>,
    video: Option<Video>,
}

impl Contents {
    /// Reads it off a file, whether that is complete or not.
    pub(super) fn of(container: Container, file: &mut std::fs::File) -> Result<Self, FinaliseError> {
        match container {
            Container::Mp4 => {
                let scan = mp4::scan(file)?;
                let audio = scan
                    .track(MediaKind::Audio)
                    .map(|track| audio(track.codec, track.timescale.get(), track.channels));
                let video = scan.track(MediaKind::Video).map(|track| {
                    let (width, height) = track.size;
                    video(track.codec, width, height)
                });
                Ok(Self { audio, video })
            }
            Container::WebM => {
                let summary = webm::scan(file)?;
                let audio = summary
                    .audio
                    .map(|webm::AudioEntry::Opus(config)| audio(Codec::Opus, 48_000, config.channels));
                let video = summary
                    .video
                    .map(|webm::VideoEntry::Vp8(size)| video(Codec::Vp8, size.width(), size.height()));
                Ok(Self { audio, video })
            }
        }
    }
}

/// A session of which nothing is known but its folder.
pub(super) fn manifest(folder: &SessionFolder) -> Manifest {
    Manifest {
        version: manifest::VERSION,
        room: folder.room().to_owned(),
        session: folder.session().to_owned(),
        state: manifest::SessionState::Recording,
        align: Alignment::Off,
        start: start(folder),
        end: None,
        duration: 0.0,
        files: Vec::new(),
        events: Vec::new(),
        events_left_out: 0,
    }
}

/// One recording of which only the file is there.
pub(super) fn file(name: &str, completed: Completed) -> File {
    let Completed { seconds, size, sha256, contents: Contents { audio, video } } = completed;
    let (participant, kind) = participant(name);
    let part = Part { stream: participant.clone(), start: 0.0, end: seconds, clock: vec![(0.0, 0.0)] };
    File {
        name: name.to_owned(),
        state: FileState::Recovered,
        error: Some(UNPLACED.to_owned()),
        participant,
        kind,
        streams: vec![part],
        start: 0.0,
        end: seconds,
        audio,
        video,
        gaps: Vec::new(),
        size,
        sha256: Some(sha256),
    }
}

fn audio(codec: Codec, sample_rate: u32, channels: u8) -> Audio {
    Audio { codec: codec.to_string().to_lowercase(), source_codec: None, sample_rate, channels }
}

fn video(codec: Codec, width: u16, height: u16) -> Video {
    let sizes = vec![Size { time: 0.0, width: width.into(), height: height.into() }];
    Video { codec: codec.to_string().to_lowercase(), codec_string: None, sizes }
}

/// Who is recorded in a file with a name as the built-in template makes it: `alice-camera-2.mp4`.
fn participant(name: &str) -> (String, Kind) {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let bare = stem.rsplit_once('-').filter(|(_, end)| is_number(end)).map_or(stem, |(bare, _)| bare);
    if let Some(who) = bare.strip_suffix("-screen") {
        (who.to_owned(), Kind::Screen)
    } else if let Some(who) = bare.strip_suffix("-camera") {
        (who.to_owned(), Kind::Camera)
    } else {
        (stem.to_owned(), Kind::Camera)
    }
}

/// When it began: by the name of its folder, or else the day on which computers began.
fn start(folder: &SessionFolder) -> String {
    let seconds = session::began(folder.session()).map_or(0, |began| began.unix_timestamp());
    let since = Duration::from_secs(seconds.try_into().unwrap_or(0));
    session::rfc_3339((UNIX_EPOCH + since).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_who_it_is() {
        let said = |name| {
            let (who, kind) = participant(name);
            (who, kind == Kind::Screen)
        };
        assert_eq!(said("alice-camera.mp4"), ("alice".to_owned(), false));
        assert_eq!(said("a-b-screen-12.webm"), ("a-b".to_owned(), true));
        assert_eq!(said("take-2.mp4"), ("take-2".to_owned(), false));
        assert_eq!(said("-camera"), (String::new(), false));
    }
}
