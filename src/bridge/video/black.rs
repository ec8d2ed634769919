//! One black key picture by an encoder.

use super::{MAX_PIXELS, VideoError};
use crate::codec::av1;
use crate::codec::h264::byte_stream;
use crate::media::{AccessUnit, CodecParams};
use bytes::Bytes;
use ffmpeg_next as ffmpeg;
use ffmpeg_next::codec::{self, encoder};
use ffmpeg_next::format::Pixel;
use ffmpeg_next::{Dictionary, Packet, Rational, color, log};

/// An encoder with the options that make it quick and exact, and let it hold nothing back.
type Choice = (&'static str, &'static [(&'static str, &'static str)]);

const HEVC: Choice = (
    "libx265",
    &[
        ("preset", "ultrafast"),
        ("tune", "zerolatency"),
        ("x265-params", "log-level=none:pools=none:frame-threads=1:bframes=0:qp=10:repeat-headers=1:info=0"),
    ],
);
const AV1: Choice =
    ("libaom-av1", &[("usage", "realtime"), ("cpu-used", "8"), ("lag-in-frames", "0"), ("crf", "10")]);
const VP9: Choice =
    ("libvpx-vp9", &[("deadline", "realtime"), ("cpu-used", "8"), ("lag-in-frames", "0"), ("lossless", "1")]);

/// Black of television's range, and grey chroma, in 8 bits.
const LEVELS: [u16; 3] = [16, 128, 128];

/// A key picture of the size, depth and chroma of this track: HEVC with its parameter sets and lengths of 4 bytes, AV1 with
/// its sequence header.
pub(in crate::bridge) fn black(params: &CodecParams) -> Result<Bytes, VideoError> {
    let ((name, options), depth, is_halved) = match params {
        CodecParams::Hevc(config) => (HEVC, config.said().luma_depth, config.said().chroma_format == 1),
        CodecParams::Av1(config) => {
            let said = config.said();
            (AV1, said.depth, said.subsampling == (true, true) && !said.is_monochrome)
        }
        CodecParams::Vp9(config) => (VP9, config.key().depth, config.key().subsampling == (true, true)),
        _ => return Err(VideoError::OtherCodec),
    };
    let pixels = match depth {
        8 if is_halved => Pixel::YUV420P,
        10 if is_halved => Pixel::YUV420P10LE,
        _ => return Err(VideoError::Format),
    };
    let (width, height) = params.picture_size().ok_or(VideoError::Format)?;
    if width.saturating_mul(height) > MAX_PIXELS {
        return Err(VideoError::Format);
    }
    log::set_level(log::Level::Fatal);
    let found = encoder::find_by_name(name).ok_or(VideoError::NoCodec(name))?;
    let mut encoder = codec::Context::new_with_codec(found).encoder().video()?;
    encoder.set_width(width);
    encoder.set_height(height);
    encoder.set_format(pixels);
    encoder.set_color_range(color::Range::MPEG);
    encoder.set_time_base(Rational(1, 25));
    encoder.set_gop(1);
    encoder.set_max_b_frames(0);
    let mut dictionary = Dictionary::new();
    options.iter().for_each(|(key, value)| dictionary.set(key, value));
    dictionary.set("threads", "1");
    let mut encoder = encoder.open_as_with(found, dictionary)?;
    encoder.send_frame(&painted(pixels, width, height))?;
    encoder.send_eof()?;
    let mut packet = Packet::empty();
    encoder.receive_packet(&mut packet)?;
    let data = packet.data().unwrap_or_default();
    match params {
        CodecParams::Hevc(_) => Ok(AccessUnit::from_nals(byte_stream(data)).as_length_prefixed().clone()),
        CodecParams::Av1(_) => Ok(av1::without_delimiter(&Bytes::copy_from_slice(data))),
        _ => Ok(Bytes::copy_from_slice(data)),
    }
}

fn painted(pixels: Pixel, width: u32, height: u32) -> ffmpeg::frame::Video {
    let mut picture = ffmpeg::frame::Video::new(pixels, width, height);
    for (plane, level) in LEVELS.into_iter().enumerate() {
        let data = picture.data_mut(plane);
        if pixels == Pixel::YUV420P10LE {
            let sample = (level << 2).to_le_bytes();
            data.iter_mut().zip(sample.into_iter().cycle()).for_each(|(byte, value)| *byte = value);
        } else {
            data.fill(level as u8); // at most 128
        }
    }
    picture.set_color_range(color::Range::MPEG);
    picture.set_pts(Some(0));
    picture
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::video::{Decoder, Picture};
    use crate::codec::av1::Av1Config;
    use crate::codec::hevc::HevcConfig;
    use crate::codec::vp9::{KeyHeader, Vp9Config};
    use crate::media::{Frame, Payload};
    use crate::time::Timestamp;

    fn vp9(width: u32, height: u32, depth: u8) -> CodecParams {
        let profile = if depth == 8 { 0 } else { 2 };
        let key = KeyHeader {
            profile,
            depth,
            colour_space: 2,
            is_full_range: false,
            subsampling: (true, true),
            width,
            height,
        };
        CodecParams::Vp9(Vp9Config::new(None, key).unwrap())
    }

    /// libaom, 320x180.
    fn av1() -> CodecParams {
        let header = [0x0a, 0x0b, 0, 0, 0, 4, 0x3c, 0xfe, 0xcc, 0xda, 0x99, 0, 0x40];
        CodecParams::Av1(Av1Config::new(&header).unwrap())
    }

    /// x265, 320x180.
    fn hevc() -> CodecParams {
        let sps: &[u8] = &[
            0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03,
            0x00, 0x3c, 0xa0, 0x0a, 0x08, 0x0c, 0x1f, 0x3e, 0x59, 0x59, 0x52, 0x93, 0x0b, 0xc0, 0x5a, 0x02,
            0x00, 0x00, 0x03, 0x00, 0x02, 0x00, 0x00, 0x03, 0x00, 0x3c, 0x10,
        ];
        let set = |bytes: &[u8]| vec![Bytes::copy_from_slice(bytes)];
        let config = HevcConfig::new(set(&[0x40, 1, 0x0c]), set(sps), set(&[0x44, 1, 0xc0])).unwrap();
        CodecParams::Hevc(config)
    }

    /// The params that a black picture has itself, as a decoder needs them.
    fn own_params(params: &CodecParams, picture: &Bytes) -> CodecParams {
        match params {
            CodecParams::Hevc(_) => {
                let nals = crate::codec::h264::length_prefixed(picture, 4);
                CodecParams::Hevc(HevcConfig::updated_by(None, nals).unwrap().unwrap())
            }
            CodecParams::Av1(_) => {
                CodecParams::Av1(Av1Config::new(av1::sequence_header(picture).unwrap()).unwrap())
            }
            other => other.clone(),
        }
    }

    #[test]
    fn black_is_a_key_picture_and_black() {
        for params in [vp9(320, 180, 8), vp9(1_280, 720, 8), vp9(640, 360, 10), av1(), hevc()] {
            let picture = black(&params).unwrap();
            let own = own_params(&params, &picture);
            assert_eq!(own.picture_size(), params.picture_size());
            let mut decoder = Decoder::new(params.codec(), MAX_PIXELS).unwrap();
            let payload = Payload::Packet(picture.clone());
            let (kind, time) = (params.codec().kind(), Timestamp::ZERO);
            decoder.decode(&own, &Frame { kind, dts: time, pts: time, keyframe: true, payload }).unwrap();
            decoder.finish().unwrap();
            let Picture(decoded) = decoder.next().unwrap();
            let (width, height) = params.picture_size().unwrap();
            assert_eq!((decoded.width(), decoded.height()), (width, height));
            let is_deep = decoded.format() == Pixel::YUV420P10LE;
            for (plane, level) in LEVELS.into_iter().enumerate() {
                let wide = decoded.plane_width(plane) as usize * if is_deep { 2 } else { 1 };
                let rows = decoded.data(plane).chunks(decoded.stride(plane));
                let sample = if is_deep { (level << 2).to_le_bytes().to_vec() } else { vec![level as u8] };
                for row in rows.take(decoded.plane_height(plane) as usize) {
                    assert!(
                        row[..wide].chunks(sample.len()).all(|found| found == sample),
                        "{params:?}, {plane}"
                    );
                }
            }
            println!("{}: {} bytes", params.codec_string(), picture.len());
        }
    }

    #[test]
    fn what_cannot_be_made_is_an_error() {
        assert_eq!(black(&CodecParams::Vp8), Err(VideoError::OtherCodec));
        assert_eq!(black(&vp9(16_384, 16_384, 8)), Err(VideoError::Format));
        assert_eq!(black(&vp9(64, 64, 12)), Err(VideoError::Format));
    }
}
