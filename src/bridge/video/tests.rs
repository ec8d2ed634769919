//! Transcoders fed with what real encoders make; what comes out is decoded and looked at: each picture is one shade of grey.

use super::flatten::Flatten;
use super::*;
use crate::bridge::Reason;
use crate::bridge::converter::{Converter, Output};
use crate::bridge::places::Places;
use crate::codec::h264::{NalKind, ParameterSets, byte_stream};
use crate::config::VideoEncoder;
use crate::media::{AccessUnit, Codec, CodecParams, Frame, MediaKind, Payload};
use crate::stream::Event;
use crate::time::{BitRate, MediaDuration};
use bytes::Bytes;
use ffmpeg_next as ffmpeg;
use ffmpeg_next::format::Pixel;
use ffmpeg_next::{Dictionary, Packet, Rational, codec, color};
use std::time::{Duration, Instant};

const SETTINGS: Settings = Settings {
    encoder: VideoEncoder::Libx264,
    max_pixels: 1_920 * 1_088,
    max_rate: BitRate::from_kbps(8_000),
};
/// Between pictures.
const STEP: i64 = 40;

mod streams;

/// The luma of a picture.
const fn shade(index: i64) -> u8 {
    40 + (index * 7 % 160) as u8
}

/// So many pictures by one of FFmpeg's encoders, in decode order; times count from `first` pictures on.
fn source(
    name: &'static str,
    (width, height): (u32, u32),
    first: i64,
    count: i64,
    options: &[(&str, &str)],
) -> (CodecParams, Vec<Frame>) {
    let found = codec::encoder::find_by_name(name).unwrap();
    let mut encoder = codec::Context::new_with_codec(found).encoder().video().unwrap();
    encoder.set_width(width);
    encoder.set_height(height);
    encoder.set_format(Pixel::YUV420P);
    encoder.set_time_base(Rational(1, 1_000));
    encoder.set_frame_rate(Some(Rational(25, 1)));
    encoder.set_bit_rate(400_000);
    let mut dictionary = Dictionary::new();
    options.iter().for_each(|(key, value)| dictionary.set(key, value));
    let mut encoder = encoder.open_as_with(found, dictionary).unwrap();
    let (mut frames, mut sets) = (Vec::new(), ParameterSets::default());
    let mut packet = Packet::empty();
    for index in 0..=count {
        if index < count {
            let mut picture = ffmpeg::frame::Video::new(Pixel::YUV420P, width, height);
            [shade(first + index), 128, 128]
                .into_iter()
                .enumerate()
                .for_each(|(plane, value)| picture.data_mut(plane).fill(value));
            picture.set_color_range(color::Range::MPEG);
            picture.set_pts(Some((first + index) * STEP));
            encoder.send_frame(&picture).unwrap();
        } else {
            encoder.send_eof().unwrap();
        }
        while encoder.receive_packet(&mut packet).is_ok() {
            let [dts, pts] = [packet.dts(), packet.pts()].map(|time| Timestamp::from_millis(time.unwrap()));
            let data = packet.data().unwrap();
            let payload = if name == "libx264" {
                let is_set = |nal: &&[u8]| matches!(NalKind::of(nal), Some(NalKind::Sps | NalKind::Pps));
                byte_stream(data).filter(is_set).for_each(|nal| {
                    sets.add(&Bytes::copy_from_slice(nal));
                });
                Payload::Nalus(AccessUnit::from_nals(byte_stream(data).filter(|nal| !is_set(nal))))
            } else {
                Payload::Packet(Bytes::copy_from_slice(data))
            };
            let keyframe = packet.is_key();
            frames.push(Frame { kind: MediaKind::Video, dts, pts, keyframe, payload });
        }
    }
    let params = sets.config().map_or(CodecParams::Vp8, CodecParams::H264);
    (params, frames)
}

const X264: [(&str, &str); 3] = [("preset", "veryfast"), ("g", "25"), ("sc_threshold", "0")];

fn plain(size: (u32, u32), first: i64, count: i64) -> (CodecParams, Vec<Frame>) {
    source("libx264", size, first, count, &[&X264[..], &[("bf", "0")]].concat())
}

/// As OBS sends them.
fn with_b_frames(first: i64, count: i64) -> (CodecParams, Vec<Frame>) {
    source("libx264", (160, 96), first, count, &[&X264[..], &[("bf", "3"), ("b_strategy", "0")]].concat())
}

/// A converter that is fed in real time, and what comes out of it.
struct Run<C> {
    converter: C,
    now: Instant,
    out: Vec<Output>,
}

impl<C: Converter> Run<C> {
    #[expect(clippy::disallowed_methods, reason = "any instant will do; none can be made otherwise")]
    fn new(converter: C) -> Self {
        Self { converter, now: Instant::now(), out: Vec::new() }
    }

    fn params(&mut self, params: &CodecParams) {
        self.converter.handle(Event::Params(params.clone()), self.now, &mut self.out);
    }

    fn frame(&mut self, frame: &Frame) {
        self.now += Duration::from_millis(STEP.unsigned_abs());
        self.converter.has_come(frame.dts);
        self.converter.handle(Event::Frame(frame.clone()), self.now, &mut self.out);
    }

    fn all(&mut self, (params, frames): &(CodecParams, Vec<Frame>)) -> &mut Self {
        self.params(params);
        frames.iter().for_each(|frame| self.frame(frame));
        self
    }

    fn frames(&self) -> Vec<&Frame> {
        let frames = self.out.iter().filter_map(|output| match output {
            Output::Frame(frame) => Some(frame),
            _ => None,
        });
        frames.collect()
    }

    /// Which pictures come out, by their times, checked by their shades.
    #[track_caller]
    fn pictures(&self) -> Vec<i64> {
        let (mut decoder, mut params) = (None, None);
        let mut found = Vec::new();
        for output in &self.out {
            match output {
                Output::Params(new) => params = Some(new.clone()),
                Output::Frame(frame) => {
                    let params = params.as_ref().expect("parameters before the first frame");
                    let codec = params.codec();
                    let decoder = decoder.get_or_insert_with(|| Decoder::new(codec, MAX_PIXELS).unwrap());
                    decoder.decode(params, frame).unwrap();
                    while let Some(picture) = decoder.next() {
                        let index = picture.time().unwrap().since_origin().as_millis() / STEP;
                        let luma = picture.0.data(0)[0];
                        assert!(luma.abs_diff(shade(index)) <= 3, "{luma} at {index}, not {}", shade(index));
                        found.push(index);
                    }
                }
                _ => {}
            }
        }
        found
    }

    fn reasons(&self) -> Vec<Reason> {
        let reason = |output: &Output| match output {
            Output::Reason(reason) => Some(*reason),
            _ => None,
        };
        self.out.iter().filter_map(reason).collect()
    }
}

#[test]
fn b_frames_come_out_as_they_are_shown() {
    let source = with_b_frames(0, 60);
    assert!(source.1.windows(2).any(|pair| pair[0].pts > pair[1].pts), "there are some");
    let mut run = Run::new(Flatten::new(SETTINGS, Places::new(1)));
    run.all(&source);
    assert_eq!(run.reasons(), [Reason::BFramesTranscoded]);
    let pictures = run.pictures();
    // The decoder holds back what it takes to put them in order.
    assert!(pictures.len() >= 57 && pictures.iter().copied().eq(0..pictures.len() as i64), "{pictures:?}");
    let frames = run.frames();
    assert!(frames[0].keyframe && frames.iter().all(|frame| frame.dts == frame.pts));
    assert_eq!(frames.iter().filter(|frame| frame.keyframe).count(), 1, "nobody asks for another");
    let Some(Output::Params(CodecParams::H264(config))) =
        run.out.iter().find(|output| matches!(output, Output::Params(_)))
    else {
        panic!("no parameters");
    };
    let [profile, constraints, _] = config.profile_level_id();
    assert!(profile == 66 && constraints & 0x40 != 0, "constrained baseline, which every peer takes");
}

#[test]
fn what_is_in_order_passes_as_it_is() {
    let source = plain((160, 96), 0, 30);
    let mut run = Run::new(Flatten::new(SETTINGS, Places::new(1)));
    run.all(&source);
    assert!(!run.converter.is_heavy() && run.reasons().is_empty());
    let frames = run.frames();
    assert_eq!(frames.len(), 30);
    assert!(frames.iter().zip(&source.1).all(|(one, other)| one.payload.bytes() == other.payload.bytes()));
}

#[test]
fn an_encoder_that_changes_its_mind_is_followed_and_gives_its_place_back() {
    let places = Places::new(1);
    let mut run = Run::new(Flatten::new(SETTINGS, places.clone()));
    run.all(&with_b_frames(0, 25));
    assert!(run.converter.is_heavy() && places.take().is_none());
    run.all(&plain((160, 96), 25, 25));
    assert!(!run.converter.is_heavy() && places.take().is_some());
    run.all(&with_b_frames(50, 30));
    assert_eq!(run.reasons(), [Reason::BFramesTranscoded, Reason::Packetised, Reason::BFramesTranscoded]);
    let pictures = run.pictures();
    assert!(pictures.windows(2).all(|pair| pair[0] < pair[1]) && pictures.len() > 70, "{pictures:?}");
}

#[test]
fn without_a_place_all_passes_until_there_is_one() {
    let places = Places::new(1);
    let place = places.take();
    let source = with_b_frames(0, 75);
    let mut run = Run::new(Flatten::new(SETTINGS, places));
    run.params(&source.0);
    source.1[..50].iter().for_each(|frame| run.frame(frame));
    assert_eq!((run.frames().len(), run.reasons()), (50, vec![]));
    drop(place);
    source.1[50..].iter().for_each(|frame| run.frame(frame));
    assert_eq!(run.reasons(), [Reason::BFramesTranscoded], "from the next keyframe on");
}

#[test]
fn what_is_too_large_to_be_decoded_passes() {
    let small = Settings { max_pixels: 160 * 96 - 1, ..SETTINGS };
    let mut run = Run::new(Flatten::new(small, Places::new(1)));
    run.all(&with_b_frames(0, 30));
    assert_eq!((run.frames().len(), run.reasons()), (30, vec![]));
}

#[test]
fn what_browsers_do_not_decode_is_transcoded() {
    let interlaced = [&X264[..], &[("bf", "0"), ("x264-params", "interlaced=1")]].concat();
    let source = source("libx264", (160, 96), 0, 30, &interlaced);
    let mut run = Run::new(Flatten::new(SETTINGS, Places::new(1)));
    run.all(&source);
    assert_eq!(run.reasons(), [Reason::ProfileTranscoded]);
    assert!(run.pictures().len() >= 28);
}

#[test]
fn keyframes_are_made_when_they_are_asked_for_and_not_too_often() {
    let (params, frames) = plain((160, 96), 0, 40);
    let mut run = Run::new(Transcoder::new(Codec::H264, SETTINGS));
    run.params(&params);
    for (index, frame) in frames.iter().enumerate() {
        if [10, 12, 30].contains(&index) {
            run.converter.request_keyframe();
        }
        run.frame(frame);
    }
    let keys =
        run.frames().into_iter().enumerate().filter(|(_, frame)| frame.keyframe).map(|(index, _)| index);
    // 250 ms are seven pictures.
    assert_eq!(keys.collect::<Vec<_>>(), [0, 10, 17, 30]);
    assert_eq!(run.pictures().len(), 40);
}

#[test]
fn each_codec_becomes_the_other() {
    let h264 = plain((162, 98), 0, 20);
    let vp8 = source("libvpx", (161, 97), 0, 20, &[("deadline", "realtime"), ("lag-in-frames", "0")]);
    for (source, to) in [(&h264, Codec::Vp8), (&vp8, Codec::H264)] {
        let mut run = Run::new(Transcoder::new(to, SETTINGS));
        run.all(source);
        assert!(run.pictures().into_iter().eq(0..20), "{to}");
        assert!(run.frames()[0].keyframe);
    }
}

#[test]
fn what_is_past_is_not_shown_and_what_waits_is_shed() {
    let (params, frames) = plain((160, 96), 0, 100);
    let mut run = Run::new(Transcoder::new(Codec::H264, SETTINGS));
    run.params(&params);
    // Forty pictures that were there before anybody came, and the next sixty as they come.
    for (index, frame) in frames.iter().enumerate() {
        run.converter.has_come(frames[index.max(40)].dts);
        run.converter.handle(Event::Frame(frame.clone()), run.now, &mut run.out);
        if index >= 40 {
            run.now += Duration::from_millis(STEP.unsigned_abs());
        }
    }
    // One picture behind the latest is as good as that.
    assert!(run.pictures().into_iter().eq(39..100));

    // Two seconds wait, of which each picture takes 10 ms: one in 200 ms is shown until nearly nothing waits.
    let mut late = Run::new(Transcoder::new(Codec::H264, SETTINGS));
    late.params(&params);
    frames[..10].iter().for_each(|frame| late.frame(frame));
    late.out.retain(|output| matches!(output, Output::Params(_)));
    let before = late.frames().len();
    for frame in &frames[10..60] {
        late.converter.has_come(frames[59].dts);
        late.now += Duration::from_millis(10);
        late.converter.handle(Event::Frame(frame.clone()), late.now, &mut late.out);
    }
    let shown = late.frames().len() - before;
    assert!((3..=5).contains(&shown), "{shown}");
    frames[60..].iter().for_each(|frame| late.frame(frame));
    assert_eq!(late.frames().len() - before - shown, 40, "all again");
}

#[test]
fn another_size_is_another_encoder() {
    let mut run = Run::new(Transcoder::new(Codec::H264, SETTINGS));
    run.all(&plain((160, 96), 0, 25)).all(&plain((320, 180), 25, 25));
    let frames = run.frames();
    assert_eq!(frames.len(), 50);
    assert!(frames[25].keyframe);
    let sizes = run.out.iter().filter_map(|output| match output {
        Output::Params(params) => params.picture_size(),
        _ => None,
    });
    assert_eq!(sizes.collect::<Vec<_>>(), [(160, 96), (320, 180)]);
}

#[test]
fn rubbish_ends_at_the_next_keyframe() {
    let (params, frames) = source("libvpx", (64, 64), 0, 12, &[("deadline", "realtime"), ("g", "6")]);
    let mut run = Run::new(Transcoder::new(Codec::H264, SETTINGS));
    run.params(&params);
    for (index, frame) in frames.iter().enumerate() {
        let payload =
            if index == 2 { Payload::Packet(Bytes::from_static(&[1])) } else { frame.payload.clone() };
        run.frame(&Frame { payload, ..frame.clone() });
    }
    assert_eq!(run.pictures(), [0, 1, 6, 7, 8, 9, 10, 11]);
    assert_eq!(run.out.iter().filter(|output| matches!(output, Output::KeyframeWanted)).count(), 1);
    let huge: &[u8] = &[0xf0, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0xff, 0x3f, 0xff, 0x3f, 0, 0, 0x47, 8];
    run.frame(&Frame { payload: Payload::Packet(Bytes::from_static(huge)), ..frames[0].clone() });
    assert_eq!(run.frames().len(), 8, "beyond max_pixels");
}

#[test]
fn the_rate_is_that_of_the_source_within_bounds() {
    let mut measure = transcoder::Measure::default();
    assert_eq!(measure.rate(), None);
    for index in 0..=50 {
        let time = Timestamp::ZERO + MediaDuration::from_millis(STEP * index);
        let payload = Payload::Packet(Bytes::from_static(&[0; 5_000]));
        measure.add(&Frame { kind: MediaKind::Video, dts: time, pts: time, keyframe: index == 0, payload });
    }
    assert_eq!(measure.rate(), Some(BitRate::from_kbps(1_000)), "50 pictures of 40 kbit in 2 s");
}
