//! Coded frames -> pictures.

use super::{MAX_FRAME, Picture, VideoError};
use crate::codec::h264::length_prefixed;
use crate::media::{Codec, CodecParams, Frame, Payload};
use crate::time::ClockRate;
use ffmpeg_next as ffmpeg;
use ffmpeg_next::codec::discard::Discard;
use ffmpeg_next::codec::{self, Id, decoder};
use ffmpeg_next::{Dictionary, Packet, log, packet};

/// Between NAL units in a byte stream (ITU-T H.264, annex B).
const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// Decodes the frames of one track, from a keyframe on. Pictures come out in the order in which they are shown, which is
/// some frames after they went in where the stream has B-frames.
pub(in crate::bridge) struct Decoder {
    decoder: decoder::Video,
    codec: Codec,
    /// The frame in work as a byte stream, kept for its memory.
    stream: Vec<u8>,
}

impl Decoder {
    /// For any codec of pictures; those of more samples than `max_pixels` are refused.
    pub(in crate::bridge) fn new(codec: Codec, max_pixels: u32) -> Result<Self, VideoError> {
        let id = match codec {
            Codec::H264 => Id::H264,
            Codec::Vp8 => Id::VP8,
            Codec::Hevc => Id::HEVC,
            Codec::Av1 => Id::AV1,
            Codec::Vp9 => Id::VP9,
            Codec::Sorenson => Id::FLV1,
            Codec::Vp6 => Id::VP6F,
            _ => return Err(VideoError::OtherCodec),
        };
        // It writes to standard error by itself, at the pace of whoever sends rubbish.
        log::set_level(log::Level::Fatal);
        let found = decoder::find(id).ok_or(VideoError::NoCodec(codec.as_str()))?;
        let mut options = Dictionary::new();
        options.set("max_pixels", &max_pixels.to_string());
        // Threads of its own would hold frames back, and take cores that others have been promised.
        options.set("threads", "1");
        let context = codec::Context::new_with_codec(found);
        let decoder = context.decoder().open_as_with(found, options)?.video()?;
        Ok(Self { decoder, codec, stream: Vec::new() })
    }

    /// Takes a frame; the parameters are those in force since the last keyframe.
    pub(in crate::bridge) fn decode(
        &mut self,
        params: &CodecParams,
        frame: &Frame,
    ) -> Result<(), VideoError> {
        if frame.payload.len() > MAX_FRAME {
            return Err(VideoError::TooLarge(frame.payload.len()));
        }
        let mut packet = match (&frame.payload, params, self.codec) {
            (Payload::Nalus(unit), CodecParams::H264(config), Codec::H264) => {
                self.stream.clear();
                let sets = config.sps().iter().chain(config.pps()).filter(|_| frame.keyframe);
                for nal in sets.map(|set| &set[..]).chain(unit.nals()) {
                    self.stream.extend_from_slice(&START_CODE);
                    self.stream.extend_from_slice(nal);
                }
                Packet::copy(&self.stream)
            }
            (Payload::Packet(bytes), CodecParams::Hevc(config), Codec::Hevc) => {
                self.stream.clear();
                let sets = config.sets().filter(|_| frame.keyframe);
                for nal in sets.map(|set| &set[..]).chain(length_prefixed(bytes, 4)) {
                    self.stream.extend_from_slice(&START_CODE);
                    self.stream.extend_from_slice(nal);
                }
                Packet::copy(&self.stream)
            }
            (Payload::Packet(bytes), CodecParams::Vp8, Codec::Vp8)
            | (Payload::Packet(bytes), CodecParams::Av1(_), Codec::Av1)
            | (Payload::Packet(bytes), CodecParams::Vp9(_), Codec::Vp9)
            | (Payload::Packet(bytes), CodecParams::Sorenson, Codec::Sorenson)
            | (Payload::Packet(bytes), CodecParams::Vp6, Codec::Vp6) => Packet::copy(bytes),
            _ => return Err(VideoError::OtherCodec),
        };
        if frame.keyframe {
            packet.set_flags(packet::Flags::KEY);
        }
        packet.set_pts(Some(frame.pts.to_ticks(ClockRate::VIDEO)));
        packet.set_dts(Some(frame.dts.to_ticks(ClockRate::VIDEO)));
        Ok(self.decoder.send_packet(&packet)?)
    }

    /// The next picture, if one is ready.
    pub(in crate::bridge) fn next(&mut self) -> Option<Picture> {
        let mut picture = ffmpeg::frame::Video::empty();
        self.decoder.receive_frame(&mut picture).is_ok().then_some(Picture(picture))
    }

    /// Whether pictures that no other refers to are passed over.
    pub(in crate::bridge) fn skip_unneeded(&mut self, skip: bool) {
        self.decoder.skip_frame(if skip { Discard::NonReference } else { Discard::Default });
    }

    /// Forgets all pictures: what comes next has nothing to do with them.
    pub(in crate::bridge) fn flush(&mut self) {
        self.decoder.flush();
    }

    /// Says that no frame follows: pictures that were held back for their order come out.
    pub(in crate::bridge) fn finish(&mut self) -> Result<(), VideoError> {
        Ok(self.decoder.send_eof()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::video::MAX_PIXELS;
    use crate::codec::vp8::{self, Size};
    use crate::time::Timestamp;
    use bytes::Bytes;

    /// The distinct values of each plane of each picture.
    fn planes(frames: &[(bool, Bytes)]) -> Vec<(u32, u32, [Vec<u8>; 3])> {
        let mut decoder = Decoder::new(Codec::Vp8, MAX_PIXELS).unwrap();
        let mut pictures = Vec::new();
        for (at, (keyframe, data)) in frames.iter().enumerate() {
            let time = Timestamp::from_millis(at as i64 * 40);
            let payload = Payload::Packet(data.clone());
            let frame = Frame { kind: Codec::Vp8.kind(), dts: time, pts: time, keyframe: *keyframe, payload };
            decoder.decode(&CodecParams::Vp8, &frame).unwrap();
            while let Some(Picture(picture)) = decoder.next() {
                let values = [0, 1, 2].map(|plane| {
                    let (width, height) = (picture.plane_width(plane), picture.plane_height(plane));
                    let rows = picture.data(plane).chunks(picture.stride(plane)).take(height as usize);
                    let mut seen = [false; 256];
                    rows.flat_map(|row| &row[..width as usize])
                        .for_each(|value| seen[usize::from(*value)] = true);
                    (0..=255).filter(|value| seen[usize::from(*value)]).collect()
                });
                pictures.push((picture.width(), picture.height(), values));
            }
        }
        pictures
    }

    #[test]
    fn black_is_black_and_stays_so() {
        let sides = [
            (1, 1),
            (16, 16),
            (17, 15),
            (2, 500),
            (500, 2),
            (320, 180),
            (640, 480),
            (1_280, 720),
            (1_918, 1_078),
            (1_920, 1_080),
            (4_096, 2_304),
        ];
        for (width, height) in sides {
            let size = Size::new(width, height).unwrap();
            let (black, repeat) = (vp8::black(size), vp8::repeat(size));
            assert_eq!(Size::of_keyframe(&black), Some(size));
            assert!(vp8::is_keyframe(&black) && !vp8::is_keyframe(&repeat));
            let frames = [(true, black), (false, repeat.clone()), (false, repeat)];
            let black = [vec![16], vec![128], vec![128]];
            let wanted = (u32::from(width), u32::from(height), black);
            assert_eq!(planes(&frames), vec![wanted; 3], "{width}x{height}");
        }
    }
}
