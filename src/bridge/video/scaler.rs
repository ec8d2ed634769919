//! Pictures in another format and size, with the colours that they mean.

use super::{Picture, VideoError};
use ffmpeg_next as ffmpeg;
use ffmpeg_next::format::Pixel;
use ffmpeg_next::software::scaling::{Context, Flags};
use ffmpeg_next::{color, ffi};

/// From this many lines on, a picture that does not say how its colours are meant is taken to mean those of high
/// definition, as players do.
const HD: u32 = 720;

/// What a picture is to an encoder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shape {
    pub(super) format: Pixel,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// How the numbers that come out are meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Colours {
    /// As RGB, or as JPEG files have them: the matrix of BT.601 in full range.
    OfImages,
    /// By the matrix of the source, in the range of television.
    OfVideo,
}

/// Makes pictures of one shape, in the range of television, out of others.
pub(super) struct Scaler {
    wanted: Shape,
    /// For pictures of this shape and range.
    context: Option<(Shape, bool, Owned)>,
}

struct Owned(Context);

#[expect(unsafe_code, reason = "ffmpeg-next says nothing of threads here")]
// SAFETY: the context is ours alone and tied to no thread; FFmpeg allows its use from any one at a time.
unsafe impl Send for Owned {}

impl Scaler {
    pub(super) const fn new(wanted: Shape) -> Self {
        Self { wanted, context: None }
    }

    /// The picture as it is wanted; one that is so already comes back as it is.
    pub(super) fn run(&mut self, Picture(picture): Picture) -> Result<ffmpeg::frame::Video, VideoError> {
        let shape = Shape { format: picture.format(), width: picture.width(), height: picture.height() };
        let is_full = is_full_range(&picture);
        if shape == self.wanted && !is_full {
            return Ok(picture);
        }
        let known = self.context.take().filter(|(known, full, _)| (*known, *full) == (shape, is_full));
        let context = match known {
            Some((.., context)) => context,
            None => Owned(converter(&picture, self.wanted, Colours::OfVideo)?),
        };
        let (.., Owned(context)) = self.context.insert((shape, is_full, context));
        let mut scaled = ffmpeg::frame::Video::empty();
        context.run(&picture, &mut scaled)?;
        Ok(scaled)
    }
}

fn is_full_range(picture: &ffmpeg::frame::Video) -> bool {
    picture.color_range() == color::Range::JPEG
        || matches!(picture.format(), Pixel::YUVJ420P | Pixel::YUVJ422P | Pixel::YUVJ444P)
}

/// What turns a picture into one of another shape.
#[expect(unsafe_code, reason = "FFmpeg's colour matrices, for which ffmpeg-next has no call")]
pub(super) fn converter(
    picture: &ffmpeg::frame::Video,
    to: Shape,
    colours: Colours,
) -> Result<Context, VideoError> {
    let (from, lines) = (picture.format(), picture.height());
    let mut context =
        Context::get(from, picture.width(), lines, to.format, to.width, to.height, Flags::BILINEAR)?;
    let space = match picture.color_space() {
        color::Space::BT709 => ffi::SWS_CS_ITU709,
        color::Space::BT2020NCL | color::Space::BT2020CL => ffi::SWS_CS_BT2020,
        color::Space::Unspecified if lines >= HD => ffi::SWS_CS_ITU709,
        _ => ffi::SWS_CS_ITU601,
    };
    let (target, is_full) = match colours {
        Colours::OfImages => (ffi::SWS_CS_ITU601, 1), // what JFIF says; RGB has none
        Colours::OfVideo => (space, 0),
    };
    // SAFETY: the context is valid and ours; the tables are FFmpeg's own and live as long as the program.
    let set = unsafe {
        let (source, target) = (ffi::sws_getCoefficients(space), ffi::sws_getCoefficients(target));
        let (was_full, one) = (i32::from(is_full_range(picture)), 1 << 16);
        ffi::sws_setColorspaceDetails(context.as_mut_ptr(), source, was_full, target, is_full, 0, one, one)
    };
    // Formats that are RGB themselves have no matrix to set.
    if set < 0 {
        tracing::debug!(?from, "no colour matrix for this format");
    }
    Ok(context)
}
