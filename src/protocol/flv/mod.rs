//! FLV tag bodies: what RTMP's audio, video and data messages carry (Adobe Flash Video File Format 10.1, annex E; the
//! FourCC forms are Enhanced RTMP v2).

mod audio;
mod capabilities;
mod metadata;
mod video;

pub use audio::{AudioCodec, AudioTag, audio_fourcc, audio_frame_header, audio_sequence_header};
pub use capabilities::{accepted_audio, accepted_video, capabilities};
pub use metadata::{Metadata, SoundFacts};
pub use video::{VideoCodec, VideoTag, video_fourcc, video_frame_header, video_sequence_header};

use crate::wire::Truncated;
use thiserror::Error;

/// Why a tag body cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum FlvError {
    /// It ends too early.
    #[error(transparent)]
    Truncated(#[from] Truncated),
    /// A packet type that its codec does not have.
    #[error("unknown packet type {0}")]
    PacketType(u8),
}

/// Four characters that name a codec.
pub(super) type FourCc = [u8; 4];

/// How a FourCC that we do not know is shown: its letters where it has some.
fn show_fourcc(code: FourCc) -> String {
    code.escape_ascii().to_string()
}
