//! Files of media as bytes: what a recording is written into, read from and repaired. Pure: no clock, no tasks, and files
//! only as anything that reads, writes and seeks.

pub mod mp4;
mod storage;
pub mod webm;

use crate::codec::MediaKind;
use crate::time::{MediaDuration, Timestamp};
use bytes::Bytes;

pub use storage::Storage;

/// One picture, or one packet of sound, with its place in the file. Cloning shares the bytes.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The track that it belongs to: a file has at most one of each kind.
    pub kind: MediaKind,
    /// When it is decoded, on the file's own clock: never negative, and within a track never back.
    pub dts: Timestamp,
    /// When it is shown or heard; never negative.
    pub pts: Timestamp,
    /// Up to the next one of its track.
    pub duration: MediaDuration,
    /// Whether a decoder can start here.
    pub keyframe: bool,
    /// Stands before the payload within the sample: parameter sets in band, or nothing.
    pub prefix: Bytes,
    /// The coded data; H.264 with lengths of 4 bytes.
    pub payload: Bytes,
}
