//! What a file must be able to do to be finished in place.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, Write};

/// A file, or what stands for one in a test.
pub trait Storage: Read + Write + Seek {
    /// Cuts it, or extends it with zeros, to so many bytes.
    fn set_len(&mut self, len: u64) -> io::Result<()>;

    /// Comes back once all that was written will survive a power cut.
    fn sync(&mut self) -> io::Result<()>;
}

impl Storage for File {
    fn set_len(&mut self, len: u64) -> io::Result<()> {
        Self::set_len(self, len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

impl Storage for Cursor<Vec<u8>> {
    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.get_mut().resize(usize::try_from(len).map_err(io::Error::other)?, 0);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}
