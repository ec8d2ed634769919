//! Who may write to a folder of recordings: one process at a time.
//!
//! A lock of the operating system on a file in the folder, which is kept: the lock ends with the process that has it, however
//! that ends, so there are none to be cleared away.

use std::fs::{File, TryLockError};
use std::io;

/// The file in the folder of recordings.
pub(super) const FILE_NAME: &str = ".lock";

/// The right to write, while it lives.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes it. `None`: another process has it, or another one here.
    pub(super) fn take(file: File) -> io::Result<Option<Self>> {
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) if is_missing(&error) => {
                tracing::warn!(%error, "this file system has no locks; nothing else may write to the recordings");
                Ok(Some(Self { _file: file }))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Some network file systems have no locks, and recordings on them are worth having.
fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported || error.raw_os_error() == Some(libc::ENOLCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_it_until_it_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let first = Lock::take(File::create(&path).unwrap()).unwrap();
        assert!(first.is_some());
        assert!(Lock::take(File::open(&path).unwrap()).unwrap().is_none());
        drop(first);
        // A process that was killed leaves the file and no lock.
        assert!(Lock::take(File::open(&path).unwrap()).unwrap().is_some());
    }
}
