//! Why a codec's description of itself cannot be used: one small set for the codecs of enhanced RTMP.

use crate::wire::Truncated;
use thiserror::Error;

/// A decoder configuration record, or a header within the stream, that cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ConfigError {
    /// It ends too early.
    #[error(transparent)]
    Truncated(#[from] Truncated),
    /// A version of the record that is not known.
    #[error("configuration version {0} is unknown")]
    Version(u8),
    /// Nothing can be decoded without them.
    #[error("headers that a decoder needs are missing")]
    NoHeaders,
    /// NAL units behind lengths of 3 bytes, which is reserved.
    #[error("NAL unit lengths of 3 bytes")]
    LengthSize,
    /// More headers, or longer ones, than any encoder makes.
    #[error("headers that are too long or too many")]
    TooLong,
    /// It says what the standard forbids, or what no file can carry.
    #[error("a value out of its range")]
    OutOfRange,
}
