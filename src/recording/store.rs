//! The folder of all recordings: one folder a room, in it one a session.
//!
//! Names of rooms and participants never become paths: all is opened relative to a handle of the folder, out of which no name
//! and no symbolic link leads.

use super::lock::{self, Lock};
use super::manifest::{self, Manifest};
use crate::room::Name;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt, OpenOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So many files of a session may want the same name.
const MAX_NUMBER: u32 = 10_000;
/// A manifest is no longer.
const MAX_MANIFEST: u64 = 64 << 20;
/// How names end of what is not whole.
const NEW: &str = ".new";

/// The folder of all recordings. Cloning gives another handle to the same.
#[derive(Clone, Debug)]
pub struct Store {
    root: Arc<Dir>,
    path: Arc<Path>,
    busy: Busy,
    /// Folders of rooms that could not be looked into: it is told once of each.
    closed: Arc<Mutex<HashSet<String>>>,
}

/// The folder of one session.
#[derive(Clone, Debug)]
pub struct SessionFolder {
    folder: Arc<Dir>,
    room: String,
    session: String,
    /// While it is recorded: it is busy for as long as anybody has this.
    _held: Option<Arc<Held>>,
}

/// Tells a file from one that was there before under its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stamp {
    number: u64,
    size: u64,
    written: (i64, i64),
}

/// What will stand in the place of a file, or of none, once it is whole.
#[derive(Debug)]
pub(super) struct Replacement<'a> {
    folder: &'a Dir,
    name: &'a str,
    file: File,
    is_whole: bool,
}

/// The sessions that are being recorded.
#[derive(Clone, Default, Debug)]
struct Busy(Arc<Mutex<HashSet<(String, String)>>>);

/// Keeps one of them.
#[derive(Debug)]
struct Held {
    busy: Busy,
    session: (String, String),
}

impl Busy {
    fn lock(&self) -> MutexGuard<'_, HashSet<(String, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&self, room: &str, session: &str) -> Arc<Held> {
        let session = (room.to_owned(), session.to_owned());
        self.lock().insert(session.clone());
        Arc::new(Held { busy: self.clone(), session })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.busy.lock().remove(&self.session);
    }
}

impl Store {
    /// Opens the folder, which is made if it is not there.
    pub fn open(path: &Path) -> io::Result<Self> {
        Dir::create_ambient_dir_all(path, ambient_authority())?;
        let root = Dir::open_ambient_dir(path, ambient_authority())?;
        Ok(Self { root: Arc::new(root), path: path.into(), busy: Busy::default(), closed: Arc::default() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The right to write to it, if no other process has it.
    pub(super) fn lock(&self) -> io::Result<Option<Lock>> {
        let file = self.root.open_with(lock::FILE_NAME, OpenOptions::new().write(true).create(true))?;
        Lock::take(file.into_std())
    }

    /// Makes the folder of a new session; a number is added to a name that is taken.
    pub fn create(&self, room: &str, session: &str) -> io::Result<SessionFolder> {
        self.root.create_dir_all(room)?;
        let rooms = self.root.open_dir(room)?;
        for name in numbered(session, "") {
            match rooms.create_dir(&name) {
                Ok(()) => {
                    let folder = Arc::new(rooms.open_dir(&name)?);
                    settle(&self.root)?;
                    settle(&rooms)?;
                    let held = Some(self.busy.hold(room, &name));
                    return Ok(SessionFolder { folder, room: room.to_owned(), session: name, _held: held });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// The folder of a session that is there.
    pub fn session(&self, room: &str, session: &str) -> io::Result<SessionFolder> {
        let folder = Arc::new(self.root.open_dir(room)?.open_dir(session)?);
        Ok(SessionFolder { folder, room: room.to_owned(), session: session.to_owned(), _held: None })
    }

    /// The same to complete what is there: as busy as if it were recorded, for as long as anybody has it.
    pub(super) fn session_to_mend(&self, room: &str, session: &str) -> io::Result<SessionFolder> {
        let folder = self.session(room, session)?;
        Ok(SessionFolder { _held: Some(self.busy.hold(room, session)), ..folder })
    }

    /// Whether a session is being recorded, or completed.
    pub fn is_recorded(&self, room: &str, session: &str) -> bool {
        self.busy.lock().contains(&(room.to_owned(), session.to_owned()))
    }

    /// The sessions of one room; none of a room that has never been recorded.
    pub fn sessions_of(&self, room: &str) -> io::Result<Vec<String>> {
        match self.root.open_dir(room) {
            Ok(rooms) => folders(&rooms),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// All sessions, by room and name. What is called as no room can be, such as a file system's `lost+found`, is not looked at, and
    /// rooms that cannot be looked into are left out.
    pub fn sessions(&self) -> io::Result<Vec<(String, String)>> {
        let mut found = Vec::new();
        for room in folders(&self.root)?.into_iter().filter(|room| room.parse::<Name>().is_ok()) {
            match self.root.open_dir(&room).and_then(|rooms| folders(&rooms)) {
                Ok(sessions) => found.extend(sessions.into_iter().map(|session| (room.clone(), session))),
                // It was removed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.tell_closed(room, &error),
            }
        }
        found.sort();
        Ok(found)
    }

    fn tell_closed(&self, room: String, error: &io::Error) {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if !closed.contains(&room) {
            let path = self.path.join(&room);
            tracing::warn!(path = %path.display(), %error, "a folder of recordings cannot be looked into");
            closed.insert(room);
        }
    }

    /// Bytes that may still be written.
    pub fn free(&self) -> io::Result<u64> {
        free(&self.root)
    }

    /// Removes a session with all it has, and the folder of its room if that was all. One that is being recorded is
    /// [busy](io::ErrorKind::ResourceBusy).
    pub fn remove(&self, room: &str, session: &str) -> io::Result<()> {
        if self.is_recorded(room, session) {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        let rooms = self.root.open_dir(room)?;
        rooms.remove_dir_all(session)?;
        drop(self.root.remove_dir(room));
        Ok(())
    }
}

impl SessionFolder {
    /// The folder at a path, wherever that is; room and session are called as it and the folder around it are.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        let folder = Arc::new(Dir::open_ambient_dir(path, ambient_authority())?);
        let name = |path: Option<&Path>| {
            path.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        };
        Ok(Self { folder, room: name(path.parent()), session: name(Some(path)), _held: None })
    }

    /// The room.
    pub fn room(&self) -> &str {
        &self.room
    }

    /// The name of the session.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// Makes a file; a number is added to a name that is taken. Gives its name.
    pub fn create(&self, name: &str, extension: &str) -> io::Result<(String, File)> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        for name in numbered(name, extension) {
            match self.folder.open_with(&name, &options) {
                Ok(file) => {
                    settle(&self.folder)?;
                    return Ok((name, file.into_std()));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Opens a file for reading.
    pub fn open(&self, name: &str) -> io::Result<File> {
        Ok(self.folder.open(name)?.into_std())
    }

    /// Opens a file to be repaired.
    pub fn open_to_mend(&self, name: &str) -> io::Result<File> {
        Ok(self.folder.open_with(name, OpenOptions::new().read(true).write(true))?.into_std())
    }

    /// Removes a file.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        self.folder.remove_file(name)
    }

    /// The names of its files.
    pub fn files(&self) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        for entry in self.folder.entries()? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                found.push(name);
            }
        }
        found.sort();
        Ok(found)
    }

    /// Bytes of its files.
    pub(super) fn size(&self) -> io::Result<u64> {
        self.folder.entries()?.try_fold(0_u64, |sum, entry| {
            let metadata = entry?.metadata()?;
            Ok(if metadata.is_file() { sum.saturating_add(metadata.len()) } else { sum })
        })
    }

    /// Writes the manifest: the old one stands until the new one is whole.
    pub fn write_manifest(&self, manifest: &Manifest) -> io::Result<()> {
        self.write(manifest::FILE_NAME, manifest)
    }

    /// Writes a file of JSON in the same way.
    pub(super) fn write(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string_pretty(value)? + "\n";
        if text.len() as u64 > MAX_MANIFEST {
            // What nobody could read again must not take the place of what can be.
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let new = self.replace(name)?;
        (&new.file).write_all(text.as_bytes())?;
        new.commit().map(drop)
    }

    /// Begins a file that takes the place of this one.
    pub(super) fn replace<'a>(&'a self, name: &'a str) -> io::Result<Replacement<'a>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        let file = self.folder.open_with(new_name(name), &options)?.into_std();
        Ok(Replacement { folder: &self.folder, name, file, is_whole: false })
    }

    /// Removes what was to take the place of files when the server was killed.
    pub(super) fn remove_unfinished(&self) -> io::Result<()> {
        let is_new = |name: &String| name.starts_with('.') && name.ends_with(NEW);
        self.files()?.iter().filter(|name| is_new(name)).try_for_each(|name| self.remove(name))
    }

    /// Bytes that may still be written.
    pub(super) fn free(&self) -> io::Result<u64> {
        free(&self.folder)
    }

    /// Keeps a manifest that cannot be read beside the one that will be written.
    pub(super) fn set_manifest_aside(&self) -> io::Result<()> {
        self.folder.rename(manifest::FILE_NAME, &self.folder, format!("{}.damaged", manifest::FILE_NAME))
    }

    /// Reads the manifest.
    pub fn read_manifest(&self) -> io::Result<Manifest> {
        self.read(manifest::FILE_NAME)
    }

    /// Reads what most need of it.
    pub fn read_brief(&self) -> io::Result<manifest::Brief> {
        self.read(manifest::FILE_NAME)
    }

    /// What tells the manifest from one that was there before.
    pub fn manifest_stamp(&self) -> io::Result<Stamp> {
        let metadata = self.folder.metadata(manifest::FILE_NAME)?;
        Ok(Stamp {
            number: metadata.ino(),
            size: metadata.len(),
            written: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }

    /// Reads a file of JSON.
    pub(super) fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<T> {
        let mut text = String::new();
        let read = self.folder.open(name)?.take(MAX_MANIFEST + 1).read_to_string(&mut text)?;
        if read as u64 > MAX_MANIFEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(serde_json::from_str(&text)?)
    }

    /// Where a file is, for programs and people.
    pub fn path(&self, store: &Store, name: &str) -> PathBuf {
        store.path().join(&self.room).join(&self.session).join(name)
    }
}

impl Replacement<'_> {
    /// The file that is to be written.
    pub(super) fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// It is whole, and takes its place once it is on the disk.
    pub(super) fn commit(mut self) -> io::Result<File> {
        self.file.sync_data()?;
        self.folder.rename(new_name(self.name), self.folder, self.name)?;
        settle(self.folder)?;
        self.is_whole = true;
        self.file()
    }
}

impl Drop for Replacement<'_> {
    fn drop(&mut self) {
        if !self.is_whole {
            drop(self.folder.remove_file(new_name(self.name)));
        }
    }
}

/// How a file is called until it is whole.
fn new_name(name: &str) -> String {
    format!(".{name}{NEW}")
}

/// Forces the names in a folder onto the disk: without that a power cut takes the files that they stand for. Some network
/// file systems do so by themselves, and refuse to be asked.
fn settle(folder: &Dir) -> io::Result<()> {
    match folder.open(".").and_then(|folder| folder.sync_all()) {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Ok(())
        }
        outcome => outcome,
    }
}

fn free(folder: &Dir) -> io::Result<u64> {
    let stat = rustix::fs::fstatvfs(folder)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// `name.ext`, `name-2.ext`, `name-3.ext`, ...
fn numbered<'a>(name: &'a str, extension: &'a str) -> impl Iterator<Item = String> + 'a {
    let dot = if extension.is_empty() { "" } else { "." };
    (1..=MAX_NUMBER).map(move |number| match number {
        1 => format!("{name}{dot}{extension}"),
        number => format!("{name}-{number}{dot}{extension}"),
    })
}

fn folders(dir: &Dir) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in dir.entries()? {
        let entry = entry?;
        if entry.file_type()?.is_dir()
            && let Ok(name) = entry.file_name().into_string()
        {
            found.push(name);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_no_room_and_what_cannot_be_looked_into_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        for room in ["a", "b", "c"] {
            drop(store.create(room, "one").unwrap());
        }
        std::fs::create_dir_all(dir.path().join("lost+found/one")).unwrap();
        // Root gets into any; what is in there is not there for it either.
        std::fs::remove_dir(dir.path().join("b/one")).unwrap();
        let closed = |mode| std::fs::set_permissions(dir.path().join("b"), Permissions::from_mode(mode));
        closed(0o000).unwrap();
        for _ in 0..2 {
            let found = store.sessions().unwrap();
            assert_eq!(found, [("a".to_owned(), "one".to_owned()), ("c".to_owned(), "one".to_owned())]);
        }
        closed(0o700).unwrap();
        drop(store.create("b", "two").unwrap());
        assert_eq!(store.sessions().unwrap().len(), 3);
    }
}
