//! What of a recorded session can be shown: the manifest, which anybody may have edited, held against the files that are
//! there.

use super::span::{self, Span};
use crate::probe::Contents;
use crate::recording::manifest::{self, Event, FileState, Kind, Manifest, Track};

/// A session that can be composed.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Session {
    /// The title.
    pub(crate) title: String,
    /// The time of day at zero, if it is one.
    pub(crate) date: Option<String>,
    /// In seconds.
    pub(crate) duration: f64,
    /// The recordings.
    pub(crate) sources: Vec<Source>,
    /// So many more there are than can be put together.
    pub(crate) beyond: usize,
    /// Who came and went, in order.
    pub(crate) moves: Vec<Move>,
}

/// A recording that is there.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Source {
    /// The name of the file, in the session's folder.
    pub(crate) file: String,
    pub(crate) container: Container,
    /// Whose it is, in letters that can be shown.
    pub(crate) name: String,
    pub(crate) is_screen: bool,
    /// Where the file's zero lies, in seconds.
    pub(crate) start: f64,
    /// When it has a tile.
    pub(crate) there: Vec<Span>,
    /// When there is a picture in the tile; at other times a card.
    pub(crate) pictured: Vec<Span>,
    /// Channels of the sound; `None` without sound.
    pub(crate) channels: Option<u32>,
}

/// What a file is made of, by its name. It is told to FFmpeg, which would otherwise also take a playlist for a film.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Container {
    Mp4,
    Matroska,
}

/// Somebody comes or goes.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Move {
    pub(crate) time: f64,
    pub(crate) name: String,
    pub(crate) is_arrival: bool,
}

/// No recording is longer: two weeks, in seconds.
const LONGEST: f64 = 14.0 * 86_400.0;
/// No more files are put together; FFmpeg decodes all of them at a time.
pub(super) const MOST_FILES: usize = 64;
/// No more of the listed files are looked at.
pub(super) const MOST_LISTED: usize = 1_000;
/// No more comings and goings are looked at.
const MOST_MOVES: usize = 10_000;
/// Who is away for no longer keeps the place, in seconds.
const KEEPS_PLACE: f64 = 5.0;
/// In a shorter hole the last picture stays, in seconds.
const SHORT: f64 = 0.5;
/// Letters of a name that are shown.
const LONGEST_NAME: usize = 64;

impl Container {
    /// FFmpeg's name for what reads it.
    pub(crate) const fn demuxer(self) -> &'static str {
        match self {
            Self::Mp4 => "mov",
            Self::Matroska => "matroska",
        }
    }
}

impl Session {
    /// The session of `manifest`. `look` says what is in a file of the folder, or why nothing is to be had of it. What is
    /// left out is told to `warn`.
    pub(crate) fn new(
        manifest: &Manifest,
        mut look: impl FnMut(&str) -> Result<Contents, String>,
        mut warn: impl FnMut(String),
    ) -> Self {
        let mut sources: Vec<Source> = Vec::new();
        let mut beyond = 0;
        for file in &manifest.files {
            let name = readable(&file.name);
            if sources.len() == MOST_FILES {
                beyond += 1;
                warn(format!("{name} is left out: more than {MOST_FILES} files"));
                continue;
            }
            let repeated = sources.iter().any(|source| source.file == file.name);
            let source = if repeated {
                Err("it is listed twice".to_owned())
            } else {
                container(file).and_then(|container| Source::new(file, container, &look(&file.name)?))
            };
            match source {
                Ok(source) => {
                    match file.state {
                        FileState::Recording => {
                            warn(format!("{name} is unfinished: it is taken as far as it goes"))
                        }
                        FileState::Failed => warn(format!(
                            "{name} ends early{}",
                            file.error
                                .as_deref()
                                .map_or_else(String::new, |error| format!(": {}", readable(error)))
                        )),
                        FileState::Finished | FileState::Recovered | FileState::Lost => {}
                    }
                    sources.push(source);
                }
                Err(why) => warn(format!("{name} is left out: {why}")),
            }
        }
        let ends = sources.iter().flat_map(|source| source.there.last()).map(|span| span.end);
        Self {
            title: readable(&manifest.room),
            date: is_date(&manifest.start).then(|| manifest.start.clone()),
            duration: ends.fold(0.0, f64::max),
            sources,
            beyond,
            moves: manifest.events.iter().filter_map(Move::new).take(MOST_MOVES).collect(),
        }
    }
}

impl Session {
    /// Forgets absences of up to `apart` seconds; the last picture stays meanwhile.
    pub(crate) fn forget_absences(&mut self, apart: f64) {
        for source in &mut self.sources {
            for spans in [&mut source.there, &mut source.pictured] {
                *spans = span::join(std::mem::take(spans), apart);
            }
        }
    }
}

impl Source {
    fn new(file: &manifest::File, container: Container, contents: &Contents) -> Result<Self, String> {
        if !contents.has_video && contents.channels.is_none() {
            return Err("it has neither sound nor picture".into());
        }
        let start = time(file.start)?;
        // What a server that was killed had not written down yet is in the file.
        let unfinished = file.state == FileState::Recording;
        let last = contents.duration.map(|duration| (start + duration).min(LONGEST));
        let end = if unfinished { last.map_or_else(|| time(file.end), Ok)? } else { time(file.end)? };
        let mut parts = Vec::new();
        for (index, part) in file.streams.iter().enumerate() {
            let is_last = index + 1 == file.streams.len();
            let until = if unfinished && is_last { end } else { time(part.end)?.min(end) };
            parts.push(Span::new(time(part.start)?, until));
        }
        if parts.is_empty() {
            parts.push(Span::new(start, end));
        }
        // A file that is shorter than it should be has nothing to show behind its end.
        if let Some(last) = last {
            parts.retain_mut(|part| {
                part.end = part.end.min(last + SHORT);
                part.length() > 0.0
            });
        }
        let parts = span::join(parts, 0.0);
        if parts.is_empty() {
            return Err("nothing is in it at any time".into());
        }
        let mut holes = Vec::new();
        for gap in file.gaps.iter().filter(|gap| gap.track == Track::Video) {
            let hole = Span::new(time(gap.start)?, time(gap.end)?);
            if hole.length() >= SHORT {
                holes.push(hole);
            }
        }
        let pictured =
            if contents.has_video { span::subtract(&parts, &span::join(holes, 0.0)) } else { Vec::new() };
        Ok(Self {
            file: file.name.clone(),
            container,
            name: readable(&file.participant),
            is_screen: file.kind == Kind::Screen,
            start,
            there: span::join(parts, KEEPS_PLACE),
            pictured,
            channels: contents.channels,
        })
    }
}

impl Move {
    fn new(event: &manifest::TimedEvent) -> Option<Self> {
        let (login, is_arrival) = match &event.event {
            Event::Joined { login, .. } => (login, true),
            Event::Left { login, .. } => (login, false),
            Event::Message { .. } => return None,
        };
        // Who was there before is there from the beginning.
        (event.time.is_finite()).then(|| Self {
            time: event.time.max(0.0),
            name: readable(login),
            is_arrival,
        })
    }
}

/// By the name, which must be one of a file in the folder itself.
pub(super) fn container(file: &manifest::File) -> Result<Container, String> {
    if file.state == FileState::Lost {
        return Err("it was lost".into());
    }
    let name = &file.name;
    if name.contains(['/', '\\']) || name.chars().any(char::is_control) || name.starts_with('.') {
        return Err("its name is not one of a file of this folder".into());
    }
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("mp4" | "m4a") => Ok(Container::Mp4),
        Some("webm" | "mkv" | "mka") => Ok(Container::Matroska),
        _ => Err("it is neither MP4 nor WebM".into()),
    }
}

/// A time of the session, which lies in its bounds.
fn time(seconds: f64) -> Result<f64, String> {
    if seconds.is_finite() && seconds.abs() <= LONGEST {
        // A microsecond is enough, and a short number is easier to read.
        Ok((seconds.max(0.0) * 1e6).round() / 1e6)
    } else {
        Err(format!("its times are out of bounds ({seconds:e} s)"))
    }
}

/// As one line that is not too long.
fn readable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(LONGEST_NAME).collect()
}

/// Whether it looks like an RFC 3339 time.
fn is_date(text: &str) -> bool {
    text.len() >= "2026-01-01T00:00:00Z".len()
        && text.len() <= 40
        && text.bytes().all(|byte| byte.is_ascii_digit() || b"-:.+TZ".contains(&byte))
}

#[cfg(test)]
pub(super) mod tests;
