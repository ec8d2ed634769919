//! A picture -> a PNG or JPEG file.

use super::scaler::{Colours, Shape, converter};
use super::{MAX_PIXELS, Picture, VideoError};
use crate::bridge::snapshot::ImageFormat;
use bytes::Bytes;
use ffmpeg_next as ffmpeg;
use ffmpeg_next::codec::{self, Id, encoder};
use ffmpeg_next::format::Pixel;
use ffmpeg_next::{Dictionary, Packet, Rational, color};

/// The picture as a file, in the shape in which it is to be seen: samples that are not square are made so. Of more
/// than `lines` lines it is made smaller.
pub(in crate::bridge) fn write(
    picture: &Picture,
    format: ImageFormat,
    lines: Option<u32>,
) -> Result<Bytes, VideoError> {
    let Picture(picture) = picture;
    let (id, pixels, options): (_, _, &[(&str, &str)]) = match format {
        ImageFormat::Png => (Id::PNG, Pixel::RGB24, &[("compression_level", "3"), ("pred", "up")]),
        // Scale 4 of 1 to 31: no flaw to be seen, and a fifth of the bytes of scale 1.
        ImageFormat::Jpeg => (Id::MJPEG, Pixel::YUVJ420P, &[("flags", "qscale"), ("global_quality", "472")]),
    };
    let (width, height) = shape(picture.width(), picture.height(), picture.aspect_ratio());
    let (width, height) = fit(width, height, lines.unwrap_or(u32::MAX));
    let mut converted = ffmpeg::frame::Video::new(pixels, width, height);
    let shape = Shape { format: pixels, width, height };
    converter(picture, shape, Colours::OfImages)?.run(picture, &mut converted)?;
    if pixels == Pixel::YUVJ420P {
        converted.set_color_range(color::Range::JPEG);
    }

    let found = encoder::find(id).ok_or(VideoError::NoCodec(format.as_str()))?;
    let mut encoder = codec::Context::new_with_codec(found).encoder().video()?;
    encoder.set_width(width);
    encoder.set_height(height);
    encoder.set_format(pixels);
    encoder.set_time_base(Rational(1, 1));
    let mut dictionary = Dictionary::new();
    options.iter().for_each(|(key, value)| dictionary.set(key, value));
    dictionary.set("threads", "1");
    let mut encoder = encoder.open_as_with(found, dictionary)?;
    converted.set_pts(Some(0));
    encoder.send_frame(&converted)?;
    encoder.send_eof()?;
    let mut packet = Packet::empty();
    encoder.receive_packet(&mut packet)?;
    Ok(Bytes::copy_from_slice(packet.data().unwrap_or_default()))
}

/// The size in square samples: as wide as it is to be seen, unless that is out of proportion.
fn shape(width: u32, height: u32, sample: Rational) -> (u32, u32) {
    let (Ok(numerator @ 1..), Ok(denominator @ 1..)) = (u64::try_from(sample.0), u64::try_from(sample.1))
    else {
        return (width, height); // not known
    };
    let seen = u64::from(width) * numerator / denominator;
    match u32::try_from(seen) {
        Ok(seen) if (width / 4..=width * 4).contains(&seen) && seen > 0 && seen * height <= MAX_PIXELS => {
            (seen, height)
        }
        _ => (width, height),
    }
}

/// The size with so many lines at most, in the same proportion.
fn fit(width: u32, height: u32, lines: u32) -> (u32, u32) {
    if height <= lines {
        return (width, height);
    }
    let narrower = u64::from(width) * u64::from(lines) / u64::from(height);
    (u32::try_from(narrower).unwrap_or(width).max(1), lines.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn samples_become_square() {
        assert_eq!(shape(720, 576, Rational(16, 11)), (1_047, 576));
        assert_eq!(shape(1_440, 1_080, Rational(4, 3)), (1_920, 1_080));
        for unknown in [Rational(0, 1), Rational(1, 0), Rational(1, 1), Rational(-3, 4)] {
            assert_eq!(shape(1_280, 720, unknown), (1_280, 720));
        }
        assert_eq!(shape(1_280, 720, Rational(65_535, 1)), (1_280, 720), "out of proportion");
    }

    #[test]
    fn what_is_too_large_is_made_smaller() {
        assert_eq!(fit(1_920, 1_080, 360), (640, 360));
        assert_eq!(fit(640, 360, 360), (640, 360));
        assert_eq!(fit(1, 1_080, 360), (1, 360));
    }

    proptest! {
        #[test]
        fn no_ratio_makes_a_picture_too_large(
            width in 1..4_096_u32, height in 1..2_304_u32, numerator: i32, denominator: i32
        ) {
            let (seen, lines) = shape(width, height, Rational(numerator, denominator));
            prop_assert!(seen > 0 && seen * lines <= MAX_PIXELS && lines == height);
        }
    }
}
