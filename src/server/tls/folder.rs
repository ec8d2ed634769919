//! What must survive a restart, in a folder that only its owner can look into.

use super::TlsError;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

/// Only the owner reads, writes and enters.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// A folder that is there.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes it where it is missing.
    pub(super) fn open(path: PathBuf) -> Result<Self, TlsError> {
        match DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&path) {
            Ok(()) => Ok(Self(path)),
            Err(source) => Err(TlsError::State { path, source }),
        }
    }

    /// A folder in it.
    pub(super) fn inner(&self, name: &str) -> Result<Self, TlsError> {
        Self::open(self.0.join(name))
    }

    /// Where a file of this name lies.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// `None`: there is no such file.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, TlsError> {
        let path = self.path(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(TlsError::State { path, source }),
        }
    }

    /// Writes a file, whole or not at all, even where the power fails meanwhile.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), TlsError> {
        let (path, half_done) = (self.path(name), self.path(&format!("{name}.new")));
        let write = || {
            let options =
                OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).to_owned();
            let mut file = options.open(&half_done)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&half_done, &path)?;
            File::open(&self.0)?.sync_all()
        };
        write().map_err(|source| TlsError::State { path: path.clone(), source })
    }

    /// Gives a file another name, in place of what had that before.
    pub(super) fn set_aside(&self, name: &str) -> Result<PathBuf, TlsError> {
        let (path, aside) = (self.path(name), self.path(&format!("{name}.damaged")));
        match fs::rename(&path, &aside) {
            Ok(()) => Ok(aside),
            Err(source) => Err(TlsError::State { path, source }),
        }
    }

    /// Removes a file, if there is one.
    pub(super) fn remove(&self, name: &str) -> Result<(), TlsError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(TlsError::State { path, source }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_kept_is_private_and_whole() {
        let root = std::env::temp_dir().join(format!("commonroom-folder-{}", std::process::id()));
        let folder = Folder::open(root.join("state")).unwrap().inner("deeper").unwrap();
        assert!(folder.read("secret").unwrap().is_none());
        for text in [&b"a long first text"[..], b"second"] {
            folder.write("secret", text).unwrap();
            assert_eq!(folder.read("secret").unwrap().unwrap(), text);
        }
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(root.join("state")), mode(folder.path(""))), (0o700, 0o700));
        assert_eq!(mode(folder.path("secret")), 0o600);
        assert_eq!(fs::read_dir(folder.path("")).unwrap().count(), 1, "nothing half done is left");
        folder.remove("secret").unwrap();
        folder.remove("secret").unwrap();
        fs::remove_dir_all(&root).unwrap();
        let error = Folder::open("/dev/null/x".into()).unwrap_err().to_string();
        assert!(error.starts_with("/dev/null/x cannot be used (http.tls.state): "), "{error}");
    }
}
