//! Pieces of files: which bytes a request wants, and a body that reads them as it is sent (RFC 9110, section 14).

use super::disk;
use axum::body::{Body, Bytes};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Read at a time: what a slow client keeps in memory.
const CHUNK: u64 = 128 << 10;
/// The most of one answer to whoever wants [pieces](Wanted::in_pieces): half of what Chromium takes off a connection for a player
/// that has enough for now.
pub(super) const PIECE: u64 = 256 << 10;

/// What a request wants of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Wanted {
    /// All of it: it says nothing else, or something that a server may ignore, such as several pieces.
    All,
    /// These bytes, at least one.
    Part(Range<u64>),
    /// Bytes that are not there.
    Nothing,
}

impl Wanted {
    /// Of a file of `size` bytes, by the value of `Range`.
    pub(super) fn of(range: Option<&str>, size: u64) -> Self {
        range.and_then(|range| Self::parse(range, size)).unwrap_or(Self::All)
    }

    /// Less than is wanted, as a server may (RFC 9110, section 15.3.7): whoever goes on asks again from there. A browser has six
    /// connections to a server, and a player that has enough for now holds one until its answer has come to its end.
    pub(super) fn in_pieces(self) -> Self {
        match self {
            Self::Part(part) => Self::Part(part.start..part.end.min(part.start.saturating_add(PIECE))),
            other => other,
        }
    }

    /// `None`: it is none that is known here.
    fn parse(range: &str, size: u64) -> Option<Self> {
        let (unit, range) = range.split_once('=')?;
        let (first, last) = range.trim().split_once('-')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let wanted = match (first, last) {
            ("", length) => size.saturating_sub(number(length)?)..size,
            (first, "") => number(first)?..size,
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                if first > last {
                    return None;
                }
                first..last.saturating_add(1).min(size)
            }
        };
        Some(if wanted.is_empty() { Self::Nothing } else { Self::Part(wanted) })
    }
}

/// Digits alone, which `parse` does not insist on.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // What is beyond all numbers is beyond all files.
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// A body of these bytes. It breaks off where the file has become shorter. `taken` is called whenever the client has taken some.
pub(super) fn body(file: File, range: Range<u64>, taken: impl Fn() + Send + 'static) -> Body {
    let file = Arc::new(file);
    Body::from_stream(futures_util::stream::unfold(range, move |left| {
        taken();
        let file = file.clone();
        async move {
            if left.is_empty() {
                return None;
            }
            let end = left.end.min(left.start.saturating_add(CHUNK));
            let piece = left.start..end;
            let read = disk::work(move || read(&file, piece)).await.and_then(|read| read);
            // Behind an error nothing is sent.
            let rest = if read.is_ok() { end..left.end } else { left.end..left.end };
            Some((read, rest))
        }
    }))
}

fn read(file: &File, range: Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    let mut buffer = vec![0; length];
    file.read_exact_at(&mut buffer, range.start)?;
    Ok(buffer.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    #[test]
    fn what_is_wanted() {
        for (range, wanted) in [
            ("bytes=0-99", Wanted::Part(0..100)),
            ("bytes=0-0", Wanted::Part(0..1)),
            ("Bytes = 90-", Wanted::Part(90..100)),
            ("bytes=90-1000", Wanted::Part(90..100)),
            ("bytes=-1", Wanted::Part(99..100)),
            ("bytes=-1000", Wanted::Part(0..100)),
            ("bytes=99999999999999999999999-", Wanted::Nothing),
            ("bytes=0-99999999999999999999999", Wanted::Part(0..100)),
            ("bytes=100-", Wanted::Nothing),
            ("bytes=100-200", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            // These are to be ignored.
            ("bytes=5-4", Wanted::All),
            ("bytes=0-1,4-5", Wanted::All),
            ("bytes=+1-2", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes", Wanted::All),
            ("seconds=0-1", Wanted::All),
            ("", Wanted::All),
        ] {
            assert_eq!(Wanted::of(Some(range), 100), wanted, "{range}");
        }
        assert_eq!(Wanted::of(None, 100), Wanted::All);
        assert_eq!(Wanted::of(Some("bytes=0-"), 0), Wanted::Nothing);
        assert_eq!(Wanted::of(Some("bytes=-5"), 0), Wanted::Nothing);
    }

    #[test]
    fn a_piece_is_bounded_and_all_is_all() {
        let piece = |range| Wanted::of(range, 3 * PIECE).in_pieces();
        assert_eq!(piece(Some("bytes=5-")), Wanted::Part(5..5 + PIECE));
        assert_eq!(piece(Some("bytes=5-6")), Wanted::Part(5..7));
        assert_eq!(piece(Some("bytes=-5")), Wanted::Part(3 * PIECE - 5..3 * PIECE));
        assert_eq!((piece(None), piece(Some("bytes=-0"))), (Wanted::All, Wanted::Nothing));
    }

    proptest! {
        #[test]
        fn a_piece_lies_in_the_file(range in "(bytes|b)=[0-9]{0,4}-[0-9]{0,4}", size in 0u64..2_000) {
            if let Wanted::Part(part) = Wanted::of(Some(&range), size) {
                prop_assert!(part.start < part.end && part.end <= size);
            }
        }
    }

    #[tokio::test]
    async fn a_body_is_what_the_file_has_there() {
        let mut file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..CHUNK as usize * 2 + 7).map(|at| (at % 251) as u8).collect();
        file.write_all(&bytes).unwrap();
        for range in [0..bytes.len(), 5..6, 3..CHUNK as usize + 3, 9..9] {
            let body = body(file.try_clone().unwrap(), range.start as u64..range.end as u64, || {});
            let sent = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            assert!(sent == bytes[range.clone()], "{range:?}");
        }
        let short = body(file, bytes.len() as u64 - 1..bytes.len() as u64 + 1, || {});
        assert!(axum::body::to_bytes(short, usize::MAX).await.is_err());
    }
}
