//! Hybrid MP4 (ISO/IEC 14496-12): fragmented while it is written, so that a file cut anywhere plays up to there, and an
//! ordinary one, with an index, once it is finished. Nothing that was written is written again for that:
//!
//! ```text
//! growing     ftyp  free(16)  moov+mvex  moof mdat  moof mdat ...
//! finished    ftyp  mdat(--------------------------------------)  moov
//! ```
//!
//! [`Writer`] gives the bytes of the growing file. [`finalise()`] appends the index, read off the fragments themselves,
//! and then makes the 16 bytes of `free` the head of one `mdat` over everything between: the same after an orderly end
//! as after a crash. [`scan()`] says what a file holds, [`faststart()`] copies one with the index in front, which [`fronted()`]
//! tells from others.

mod boxes;
mod entry;
mod finalise;
mod fragment;
mod front;
mod index;
mod movie;
mod scan;
#[cfg(test)]
mod tests;
mod writer;

pub use entry::{AudioEntry, VideoEntry};
pub use finalise::{Finalised, cut, faststart, finalise};
pub use front::fronted;
pub use scan::{ReadError, Scan, State, Track, scan};
pub use writer::{WriteError, Writer};

/// Where the `free` box stands: behind an `ftyp` of fixed size, in the first sector, so that it changes in one piece.
const SLOT: u64 = 28;
/// `free`, or the head of an `mdat` with a 64-bit size.
const SLOT_LEN: u64 = 16;
/// What stands there while the file grows.
const FREE: [u8; SLOT_LEN as usize] = *b"\0\0\0\x10free\0\0\0\0\0\0\0\0";
/// Track numbers: they say the kind.
const VIDEO_ID: u32 = 1;
const AUDIO_ID: u32 = 2;
/// Ticks a second of the movie: of its length, and of the empty edits before a track that begins late.
const MOVIE_SCALE: u32 = 90_000;
/// Samples of one fragment: 10 s of every packet that 120 pictures a second and sound of 2.5 ms make, several times.
const MAX_SAMPLES: usize = 16_384;
/// Bytes of a `moof`, with [`MAX_SAMPLES`] of 16 bytes in it.
const MAX_MOOF: u64 = 512 << 10;
/// Bytes of the `moov` at the beginning. Parameter sets have some hundreds of bytes, and a kilobyte is all the rest.
const MAX_MOOV: u64 = 256 << 10;
