//! Pictures decoded, encoded, written as images: FFmpeg's libraries behind a guard.
//!
//! What comes from a peer reaches FFmpeg through [`Decoder`] alone, which bounds the size of a coded frame and of the
//! picture that it may turn into, and runs on the thread that calls it. Compiled with the feature `transcode`.

mod black;
mod decoder;
mod encoder;
mod flatten;
mod image;
mod kind;
mod scaler;
#[cfg(test)]
mod tests;
mod transcoder;

pub(super) use black::black;
pub(super) use decoder::Decoder;
pub(super) use flatten::Flatten;
pub(super) use image::write;
pub(super) use transcoder::{Settings, Transcoder};

use crate::time::{ClockRate, Timestamp};
use thiserror::Error;

/// The largest picture that is drawn or made black: 4K. One of them takes 14 MB, as RGB twice that.
pub(super) const MAX_PIXELS: u32 = 4_096 * 2_304;
/// The largest coded frame, in bytes. A keyframe in 4K at the rates that encoders send live is a tenth of it.
const MAX_FRAME: usize = 8 << 20;

/// A decoded picture, in the format of its codec.
pub(super) struct Picture(ffmpeg_next::frame::Video);

impl Picture {
    /// Columns and lines.
    fn size(&self) -> (u32, u32) {
        (self.0.width(), self.0.height())
    }

    /// When it is shown, where its frame said so.
    fn time(&self) -> Option<Timestamp> {
        self.0.pts().map(|ticks| Timestamp::from_ticks(ticks, ClockRate::VIDEO))
    }
}

/// A frame that cannot be decoded, or a picture that cannot be written: the library is sound, this piece is lost.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub(super) enum VideoError {
    /// This build of FFmpeg lacks the codec.
    #[error("this FFmpeg has no {0}")]
    NoCodec(&'static str),
    /// A coded frame is larger than any sensible one.
    #[error("a frame of {0} bytes")]
    TooLarge(usize),
    /// A frame of a codec that is not the decoder's, or not video.
    #[error("a frame of another codec")]
    OtherCodec,
    /// An encoder keeps pictures to itself, or makes no keyframe where one is asked for.
    #[error("it does not give each picture at once, with a keyframe where one is wanted")]
    HoldsBack,
    /// Pictures of a kind or size that no black is made of.
    #[error("pictures of another format than 4:2:0 with 8 or 10 bits, or too large ones")]
    Format,
    /// What FFmpeg says.
    #[error(transparent)]
    Library(#[from] ffmpeg_next::Error),
}
