//! `commonroom recover`: the same by hand, for folders that no server looks after.

use super::{Interrupted, Recovered, one};
use crate::recording::lock::{self, Lock};
use crate::recording::manifest::FileState;
use crate::recording::store::SessionFolder;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why nothing was looked at.
#[derive(Debug, Error)]
pub enum RecoverError {
    /// There is no such folder.
    #[error("{} cannot be looked into: {source}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is neither a session, nor a room with sessions, nor a folder of rooms.
    #[error("there is no recorded session in {}", .0.display())]
    NoSession(PathBuf),
    /// Somebody writes there, or completes sessions himself.
    #[error("a running server records to {}; it completes by itself what was interrupted before", .0.display())]
    InUse(PathBuf),
}

/// What became of one session.
#[derive(Debug)]
pub struct Report {
    /// Its folder.
    pub folder: PathBuf,
    /// `None`: there was nothing to do.
    pub outcome: io::Result<Option<Recovered>>,
}

impl Report {
    /// Whether anything of it could not be completed.
    pub fn is_bad(&self) -> bool {
        match &self.outcome {
            Ok(recovered) => recovered
                .as_ref()
                .is_some_and(|recovered| recovered.files().any(|file| file.state == FileState::Lost)),
            Err(_) => true,
        }
    }
}

/// Completes the sessions that were interrupted in a folder: one of them, a room's, or all that there are. Touches nothing
/// while a server writes there.
pub fn recover(path: &Path) -> Result<Vec<Report>, RecoverError> {
    let failed = |source| RecoverError::Folder { path: path.to_owned(), source };
    let path = path.canonicalize().map_err(failed)?;
    let sessions = find(&path).map_err(failed)?;
    if sessions.is_empty() {
        return Err(RecoverError::NoSession(path));
    }
    // One for each folder of recordings, held until all is done.
    let mut locks = BTreeMap::new();
    let mut reports = Vec::new();
    for folder in sessions {
        let opened = SessionFolder::at(&folder);
        let is_due = opened.as_ref().is_ok_and(|opened| matches!(Interrupted::look(opened), Ok(Some(_))));
        if is_due {
            hold(&folder, &mut locks)?;
        }
        let outcome = opened.and_then(|opened| one(&opened, None));
        reports.push(Report { folder, outcome });
    }
    Ok(reports)
}

/// Takes the lock of the folder of recordings that a session is in.
fn hold(session: &Path, locks: &mut BTreeMap<PathBuf, Lock>) -> Result<(), RecoverError> {
    // A session that was moved elsewhere has none.
    let Some(root) = session.ancestors().nth(2).filter(|root| !locks.contains_key(*root)) else {
        return Ok(());
    };
    let failed = |source| RecoverError::Folder { path: root.to_owned(), source };
    let file = match File::open(root.join(lock::FILE_NAME)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let lock = Lock::take(file).map_err(failed)?.ok_or_else(|| RecoverError::InUse(root.to_owned()))?;
    locks.insert(root.to_owned(), lock);
    Ok(())
}

/// The sessions in a folder, itself among them, no deeper than a folder of recordings has them.
fn find(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut level = vec![path.to_owned()];
    let mut found = Vec::new();
    for _ in 0..3 {
        let mut next = Vec::new();
        for folder in level {
            if is_session(&folder) {
                found.push(folder);
                continue;
            }
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                // No symbolic links: they lead to folders with other locks. And nothing of the file system's own.
                if entry.file_type()?.is_dir() && entry.file_name() != "lost+found" {
                    next.push(entry.path());
                }
            }
        }
        level = next;
    }
    found.sort();
    Ok(found)
}

fn is_session(folder: &Path) -> bool {
    let has_manifest = folder.join(crate::recording::manifest::FILE_NAME).exists();
    let interrupted = || Interrupted::look(&SessionFolder::at(folder)?);
    has_manifest || interrupted().is_ok_and(|interrupted| interrupted.is_some())
}

/// For a terminal: a line for the session, and one for each file that something has become of.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder = self.folder.display();
        let recovered = match &self.outcome {
            Ok(Some(recovered)) => recovered,
            Ok(None) => return writeln!(f, "{folder}: nothing to do"),
            Err(error) => return writeln!(f, "{folder}: not completed: {error}"),
        };
        writeln!(f, "{folder}: completed")?;
        for file in recovered.files() {
            let (name, error) = (&file.name, file.error.as_deref());
            match file.state {
                FileState::Lost => {
                    writeln!(f, "  {name}: lost: {}", error.unwrap_or("nothing is known of it"))?
                }
                _ => {
                    write!(f, "  {name}: {:.1} s, {} bytes", file.end - file.start, file.size)?;
                    error.map_or(Ok(()), |error| write!(f, " ({error})"))?;
                    writeln!(f)?;
                }
            }
        }
        recovered.strange.iter().try_for_each(|(name, error)| writeln!(f, "  {name}: left alone: {error}"))
    }
}
