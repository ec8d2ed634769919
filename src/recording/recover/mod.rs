//! Sessions that were interrupted: what is there is completed, once nobody writes to it any more.

mod command;
mod salvage;

use super::faststart::Faststart;
use super::file::close::hash;
use super::format::{Container, FinaliseError};
use super::manifest::{File, FileState, Manifest, SessionState};
use super::session;
use super::store::{SessionFolder, Store};
use crate::container::{mp4, webm};
use std::io;
use std::path::Path;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

pub use command::{RecoverError, Report, recover};

/// Why a file in which nothing was is lost.
const EMPTY: &str = "not one whole second of it was written";

/// What became of one session.
#[derive(Clone, PartialEq, Debug)]
pub struct Recovered {
    /// What is known of the session now, as it stands in its folder.
    pub manifest: Manifest,
    /// Of these files of it something has become, for good or ill.
    names: Vec<String>,
    /// Files of which nothing could be made and nobody knows anything, and why. They are left as they are.
    pub strange: Vec<(String, String)>,
}

impl Recovered {
    /// The recordings that were completed, or are lost.
    pub fn files(&self) -> impl Iterator<Item = &File> {
        self.manifest.files.iter().filter(|file| self.names.contains(&file.name))
    }
}

/// A session that is to be completed.
struct Interrupted {
    /// As far as there is one that can be read.
    manifest: Option<Manifest>,
    /// There is one, and it cannot be read.
    is_damaged: bool,
    recordings: Vec<(String, Container)>,
}

/// Completes a session of a folder of recordings. `None`: there was nothing to do.
pub(super) fn session(
    store: &Store,
    room: &str,
    session: &str,
    faststart: Option<Faststart>,
) -> io::Result<Option<Recovered>> {
    one(&store.session_to_mend(room, session)?, faststart)
}

fn one(folder: &SessionFolder, faststart: Option<Faststart>) -> io::Result<Option<Recovered>> {
    let Some(interrupted) = Interrupted::look(folder)? else { return Ok(None) };
    folder.remove_unfinished()?;
    let Interrupted { manifest, is_damaged, recordings } = interrupted;
    let is_known = manifest.is_some();
    let mut manifest = manifest.unwrap_or_else(|| salvage::manifest(folder));
    let (mut names, mut strange) = (Vec::new(), Vec::new());
    let (mut is_open, mut was_cut) = (false, !is_known);
    for (name, container) in recordings {
        let at = manifest.files.iter().position(|file| file.name == name);
        let known = at.and_then(|at| manifest.files.get_mut(at));
        if known.as_ref().is_some_and(|file| file.is_done()) {
            continue;
        }
        let outcome = match complete(folder, &name, container, faststart) {
            Ok(completed) => Ok(completed),
            Err(CompleteError::Hopeless(error)) => Err(error),
            // What cannot be read today may be tomorrow.
            Err(CompleteError::Io(error)) => {
                tracing::warn!(room = folder.room(), session = folder.session(), file = name, %error, "not completed now");
                is_open = true;
                continue;
            }
        };
        match (known, outcome) {
            (Some(file), Ok(Completed { seconds, size, sha256, .. })) => {
                (file.size, file.sha256) = (size, Some(sha256));
                if file.state != FileState::Finished {
                    cut(file, seconds);
                }
                if file.state == FileState::Recording {
                    (file.state, was_cut) = (FileState::Recovered, true);
                }
            }
            (Some(file), Err(error)) => {
                (file.state, file.error, was_cut) = (FileState::Lost, Some(error), true);
            }
            // Before the first manifest was written there may be a file already.
            (None, Ok(completed)) => {
                manifest.files.push(salvage::file(&name, completed));
                was_cut = true;
            }
            (None, Err(error)) => {
                strange.push((name, error));
                continue;
            }
        }
        names.push(name);
    }
    if !is_known && manifest.files.is_empty() {
        // Nothing here is a session's.
        return Ok(None);
    }
    let present = folder.files()?;
    let is_missing = |file: &&mut File| file.state == FileState::Recording && !present.contains(&file.name);
    for file in manifest.files.iter_mut().filter(is_missing) {
        (file.state, was_cut) = (FileState::Lost, true);
        file.error.get_or_insert_with(|| "the file is not there".to_owned());
        names.push(file.name.clone());
    }
    manifest.duration = manifest.files.iter().map(|file| file.end).fold(0.0, f64::max);
    manifest.state = match () {
        () if is_open => SessionState::Recording,
        // A server that went down in order had ended it.
        () if !was_cut && manifest.end.is_some() && manifest.state != SessionState::Recovered => {
            SessionState::Finished
        }
        () => SessionState::Recovered,
    };
    if !is_open && was_cut {
        manifest.end = session::after(&manifest.start, manifest.duration);
    }
    if is_damaged {
        folder.set_manifest_aside()?;
    }
    folder.write_manifest(&manifest)?;
    Ok(Some(Recovered { manifest, names, strange }))
}

impl Interrupted {
    /// `None`: it is complete, or no session.
    fn look(folder: &SessionFolder) -> io::Result<Option<Self>> {
        let (manifest, is_damaged) = match folder.read_manifest() {
            Ok(manifest)
                if manifest.state != SessionState::Recording && manifest.files.iter().all(File::is_done) =>
            {
                return Ok(None);
            }
            Ok(manifest) => (Some(manifest), false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (None, false),
            // What stands there is no manifest. Anything else may pass, and is no reason to write another.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
            {
                (None, true)
            }
            Err(error) => return Err(error),
        };
        let container =
            |name: &str| Container::by_extension(Path::new(name).extension().and_then(|end| end.to_str())?);
        let files = folder.files()?.into_iter();
        let recordings: Vec<_> =
            files.filter_map(|name| container(&name).map(|container| (name, container))).collect();
        let is_session = manifest.is_some() || !recordings.is_empty();
        Ok(is_session.then_some(Self { manifest, is_damaged, recordings }))
    }
}

/// A file ends so many seconds behind its start: what was told of later times is not so.
fn cut(file: &mut File, seconds: f64) {
    let end = file.start + seconds;
    file.end = end;
    file.gaps.retain(|gap| gap.start < end);
    file.gaps.iter_mut().for_each(|gap| gap.end = gap.end.min(end));
    file.streams.iter_mut().for_each(|part| part.end = part.end.min(end));
    if let Some(last) = file.streams.last_mut() {
        last.end = end;
    }
}

/// Why a file could not be completed.
#[derive(Debug, Error)]
enum CompleteError {
    /// It cannot be read or written now.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It never will be.
    #[error("{0}")]
    Hopeless(String),
}

impl From<FinaliseError> for CompleteError {
    fn from(error: FinaliseError) -> Self {
        match error {
            FinaliseError::Io(error)
            | FinaliseError::Mp4(mp4::ReadError::Io(error))
            | FinaliseError::WebM(webm::ScanError::Io(error))
                if error.kind() != io::ErrorKind::UnexpectedEof =>
            {
                Self::Io(error)
            }
            other => Self::Hopeless(other.to_string()),
        }
    }
}

impl From<mp4::ReadError> for CompleteError {
    fn from(error: mp4::ReadError) -> Self {
        FinaliseError::from(error).into()
    }
}

/// A file that is complete.
struct Completed {
    seconds: f64,
    size: u64,
    sha256: String,
    contents: salvage::Contents,
}

fn complete(
    folder: &SessionFolder,
    name: &str,
    container: Container,
    faststart: Option<Faststart>,
) -> Result<Completed, CompleteError> {
    let mut file = folder.open_to_mend(name)?;
    let unhurried = CancellationToken::new();
    // One that was complete, but for the manifest to say so.
    let fronted = if container == Container::Mp4 { mp4::fronted(&mut file)? } else { None };
    let (length, contents) = if let Some(length) = fronted {
        (length, salvage::Contents::default())
    } else {
        let contents = salvage::Contents::of(container, &mut file)?;
        let length = container.finalise(&mut file)?;
        if length.as_secs_f64() <= 0.0 {
            return Err(CompleteError::Hopeless(EMPTY.to_owned()));
        }
        if let Some(faststart) = faststart {
            file = faststart.apply(container, folder, name, file, &unhurried);
        }
        (length, contents)
    };
    let (size, sha256) = hash(&mut file, &unhurried)?;
    Ok(Completed { seconds: length.as_secs_f64(), size, sha256, contents })
}

#[cfg(test)]
mod tests;
