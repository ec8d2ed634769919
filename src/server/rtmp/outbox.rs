//! What waits to be written to a socket: shared slices, written several at a time.

use bytes::{Buf, Bytes};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::io::IoSlice;

/// Slices of one write. A message is two or three.
const SLICES: usize = 64;

/// Bytes in order. Who fills it stops while much waits.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    parts: VecDeque<Bytes>,
    len: usize,
}

impl Outbox {
    pub(super) fn push(&mut self, part: Bytes) {
        if !part.is_empty() {
            self.len += part.len();
            self.parts.push_back(part);
        }
    }

    /// Bytes that wait.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The front of it, for a vectored write.
    pub(super) fn slices(&self) -> SmallVec<[IoSlice<'_>; SLICES]> {
        self.parts.iter().take(SLICES).map(|part| IoSlice::new(part)).collect()
    }

    /// Forgets `written` bytes from the front.
    pub(super) fn advance(&mut self, mut written: usize) {
        self.len = self.len.saturating_sub(written);
        while let Some(front) = self.parts.front_mut() {
            if front.len() > written {
                front.advance(written);
                return;
            }
            written -= front.len();
            self.parts.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_in_any_pieces() {
        let mut outbox = Outbox::default();
        for part in ["one", "", "two", "three"] {
            outbox.push(Bytes::from_static(part.as_bytes()));
        }
        let mut seen = Vec::new();
        for step in [2, 1, 4, 4] {
            let bytes: Vec<u8> = outbox.slices().iter().flat_map(|slice| slice.to_vec()).collect();
            assert_eq!(bytes.len(), outbox.len());
            seen.extend(&bytes[..step]);
            outbox.advance(step);
        }
        assert_eq!((&seen[..], outbox.is_empty(), outbox.slices().len()), (&b"onetwothree"[..], true, 0));
    }
}
