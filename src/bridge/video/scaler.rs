//! Pictures in the format and size that an encoder takes.

use super::{Picture, VideoError};
use ffmpeg_next as ffmpeg;
use ffmpeg_next::color;
use ffmpeg_next::format::Pixel;
use ffmpeg_next::software::scaling::{Context, Flags};

/// What a picture is to an encoder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shape {
    pub(super) format: Pixel,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// Makes pictures of one shape out of those that have another, or the full range of values.
pub(super) struct Scaler {
    wanted: Shape,
    /// Of pictures of a shape that is not the wanted one.
    context: Option<(Shape, Owned)>,
}

struct Owned(Context);

#[expect(unsafe_code, reason = "ffmpeg-next says nothing of threads here")]
// SAFETY: the context is ours alone and tied to no thread; FFmpeg allows its use from any one at a time.
unsafe impl Send for Owned {}

impl Scaler {
    pub(super) const fn new(wanted: Shape) -> Self {
        Self { wanted, context: None }
    }

    /// The picture as it is wanted, in the range of television; one that is so already comes back as it is.
    pub(super) fn run(&mut self, Picture(picture): Picture) -> Result<ffmpeg::frame::Video, VideoError> {
        let shape = Shape { format: picture.format(), width: picture.width(), height: picture.height() };
        if shape == self.wanted && picture.color_range() != color::Range::JPEG {
            return Ok(picture);
        }
        let Shape { format, width, height } = self.wanted;
        let known = self.context.take().filter(|(known, _)| *known == shape);
        let context = match known {
            Some((_, context)) => context,
            None => Owned(Context::get(
                shape.format,
                shape.width,
                shape.height,
                format,
                width,
                height,
                Flags::FAST_BILINEAR,
            )?),
        };
        let (_, Owned(context)) = self.context.insert((shape, context));
        let mut scaled = ffmpeg::frame::Video::empty();
        context.run(&picture, &mut scaled)?;
        Ok(scaled)
    }
}
