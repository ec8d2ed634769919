//! A file that is read here and there, some bytes at a time.

use super::ebml::{Head, MAX_HEAD};
use std::io::{self, Read, Seek, SeekFrom};

/// Reads through a window, so that heads that lie close together cost one call.
pub(super) struct Source<'a, F> {
    file: &'a mut F,
    len: u64,
    /// What was read last, and where it stands in the file.
    window: Vec<u8>,
    start: u64,
}

/// How much is read at once.
const WINDOW: usize = 4 << 10;

impl<'a, F: Read + Seek> Source<'a, F> {
    pub(super) fn new(file: &'a mut F) -> io::Result<Self> {
        let len = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, len, window: Vec::new(), start: 0 })
    }

    /// The length of the file.
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// `count` bytes from `at` on, or fewer where the file ends before.
    pub(super) fn bytes(&mut self, at: u64, count: usize) -> io::Result<&[u8]> {
        let count = count.min(usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX));
        if let Some(offset) = self.offset(at, count) {
            return Ok(&self.window[offset..offset + count]);
        }
        self.file.seek(SeekFrom::Start(at))?;
        self.window.clear();
        self.start = at;
        self.file.by_ref().take(count.max(WINDOW) as u64).read_to_end(&mut self.window)?;
        Ok(&self.window[..count.min(self.window.len())])
    }

    /// The head of the element at `at`, if there is one.
    pub(super) fn head(&mut self, at: u64) -> io::Result<Option<Head>> {
        Ok(Head::parse(self.bytes(at, MAX_HEAD)?).ok())
    }

    /// Where in the window these bytes stand, if they do.
    fn offset(&self, at: u64, count: usize) -> Option<usize> {
        let offset = usize::try_from(at.checked_sub(self.start)?).ok()?;
        (offset.checked_add(count)? <= self.window.len()).then_some(offset)
    }
}
