//! Sound through the whole pipeline, judged by what a decoder gives at the far end.

mod changes;
mod legacy;

use super::aac::{self, AacEncoder};
use super::opus::{OpusDecoder, OpusEncoder};
use super::{Decoder, Encoder, Transcoder, decoder};
use crate::bridge::converter::{Converter, Output};
use crate::codec::opus::OpusConfig;
use crate::media::{CodecParams, Frame, MediaKind, StreamClock};
use crate::stream::Event;
use crate::time::{ClockRate, MediaDuration, Timestamp};
use fdk_aac::enc::AudioObjectType;
use std::f64::consts::TAU;
use std::time::{Duration, Instant};

/// Where the test streams start, so that nothing hides at zero.
const START: Timestamp = Timestamp::from_millis(5_000);

#[expect(clippy::disallowed_methods, reason = "any instant will do; none can be made otherwise")]
fn some_instant() -> Instant {
    Instant::now()
}

/// A track of frames as a source would send it: the sample `n` of `signal` is heard at `START + n / rate`.
struct Source {
    params: CodecParams,
    frames: Vec<Frame>,
}

/// What a listener hears: interleaved samples, the first at `start`, at `rate`.
struct Heard {
    start: Timestamp,
    rate: ClockRate,
    channels: usize,
    pcm: Vec<f32>,
}

fn tone(rate: u32, seconds: f32) -> Vec<f32> {
    (0..(rate as f32 * seconds) as u32)
        .map(|n| (0.5 * (TAU * 1_000.0 * f64::from(n) / f64::from(rate)).sin()) as f32)
        .collect()
}

/// A short burst of 2 kHz around `at` seconds.
fn burst(rate: u32, seconds: f32, at: f32) -> Vec<f32> {
    (0..(rate as f32 * seconds) as usize)
        .map(|n| {
            let t = n as f32 / rate as f32 - at;
            0.7 * (-(t / 0.003).powi(2)).exp() * (TAU as f32 * 2_000.0 * t).cos()
        })
        .collect()
}

/// Encodes a mono signal, on every channel, with the encoder's delay taken off the times. RTMP rounds to milliseconds.
fn encode(encoder: &mut dyn Encoder, rate: u32, channels: usize, signal: &[f32], rounded: bool) -> Source {
    let rate = ClockRate::new(rate).unwrap();
    let interleaved: Vec<f32> = signal.iter().flat_map(|x| std::iter::repeat_n(*x, channels)).collect();
    let (samples, delay) = (encoder.frame_samples() as i64, encoder.delay() as i64);
    let mut frames = Vec::new();
    for (index, block) in (0..).zip(interleaved.chunks_exact(samples as usize * channels)) {
        let packet = encoder.encode(block).unwrap();
        let mut time = START + MediaDuration::from_ticks(index * samples - delay, rate);
        if rounded {
            time = Timestamp::from_millis(time.to_ticks(ClockRate::MILLISECONDS));
        }
        frames.push(Frame::audio(time, packet));
    }
    Source { params: encoder.params(), frames }
}

fn aac(rate: u32, channels: usize, signal: &[f32]) -> Source {
    let mut encoder = AacEncoder::at(ClockRate::new(rate).unwrap(), channels).unwrap();
    encode(&mut encoder, rate, channels, signal, true)
}

fn opus(channels: usize, signal: &[f32]) -> Source {
    encode(&mut OpusEncoder::new(channels).unwrap(), 48_000, channels, signal, false)
}

/// Runs a source through a transcoder, each packet arriving when it plays; `lost` tells which are missing.
fn transcode(mut transcoder: Transcoder, source: &Source, lost: impl Fn(usize) -> bool) -> Vec<Output> {
    let (origin, mut out) = (some_instant(), Vec::new());
    transcoder.handle(Event::Params(source.params.clone()), origin, &mut out);
    for (index, frame) in source.frames.iter().enumerate() {
        let now = origin + Duration::from(frame.pts - Timestamp::ZERO);
        while let Some(due) = transcoder.deadline().filter(|due| *due <= now) {
            transcoder.poll(due, &mut out);
        }
        if lost(index) {
            transcoder.handle(Event::Skipped { kind: MediaKind::Audio, frames: 1 }, now, &mut out);
        } else {
            transcoder.handle(Event::Frame(frame.clone()), now, &mut out);
        }
    }
    out
}

fn frames(out: &[Output]) -> Vec<Frame> {
    out.iter()
        .filter_map(|output| match output {
            Output::Frame(frame) => Some(frame.clone()),
            _ => None,
        })
        .collect()
}

/// Decodes what came out, and insists that packet follows packet without a gap.
fn listen(out: &[Output]) -> Heard {
    let Some(Output::Params(params)) = out.first() else { panic!("no parameters first: {:?}", out.first()) };
    let (mut decoder, samples): (Box<dyn Decoder>, _) = match params {
        CodecParams::Opus(config) => (Box::new(OpusDecoder::new(*config).unwrap()), 960),
        CodecParams::Aac(config) => (aac::decoder(config).unwrap(), 1_024),
        CodecParams::Sound(_) => (decoder(params).unwrap(), 960),
        other => panic!("{other:?}"),
    };
    let frames = frames(out);
    let start = frames[0].pts;
    let mut heard = Heard { start, rate: ClockRate::OPUS, channels: 0, pcm: Vec::new() };
    for (index, frame) in (0..).zip(&frames) {
        let expected = start.to_ticks(ClockRate::OPUS) + index * samples;
        assert_eq!(frame.pts.to_ticks(ClockRate::OPUS), expected, "packet {index} follows");
        let format = decoder.decode(frame.payload.bytes(), &mut heard.pcm).unwrap();
        (heard.rate, heard.channels) = (format.rate, format.channels);
    }
    heard
}

impl Heard {
    /// One channel between two times, in seconds after `START`.
    fn between(&self, from: f64, to: f64, channel: usize) -> Vec<f32> {
        let skip = (START - self.start).as_secs_f64();
        let rate = f64::from(self.rate.get());
        let index = |seconds: f64| ((seconds + skip) * rate).round() as usize;
        (index(from)..index(to)).map(|n| self.pcm[n * self.channels + channel]).collect()
    }

    /// How far a 1 kHz tone stands above everything else, in decibels.
    fn snr(&self, from: f64, to: f64, channel: usize) -> f64 {
        let pcm = self.between(from, to, channel);
        let angle = |n: usize| TAU * 1_000.0 * n as f64 / f64::from(self.rate.get());
        let project = |f: fn(f64) -> f64| {
            2.0 * pcm.iter().enumerate().map(|(n, x)| f64::from(*x) * f(angle(n))).sum::<f64>()
                / pcm.len() as f64
        };
        let (s, c) = (project(f64::sin), project(f64::cos));
        let noise: f64 = pcm
            .iter()
            .enumerate()
            .map(|(n, x)| (f64::from(*x) - s * angle(n).sin() - c * angle(n).cos()).powi(2))
            .sum();
        let signal = (s * s + c * c) / 2.0 * pcm.len() as f64;
        10.0 * (signal / noise).log10()
    }

    /// Where the loudest sample is, in seconds after `START`.
    fn peak(&self) -> f64 {
        let loudest =
            (0..self.pcm.len()).max_by(|a, b| self.pcm[*a].abs().total_cmp(&self.pcm[*b].abs())).unwrap();
        let time = self.start + MediaDuration::from_ticks((loudest / self.channels) as i64, self.rate);
        (time - START).as_secs_f64()
    }

    fn rms(&self, from: f64, to: f64) -> f32 {
        let pcm = self.between(from, to, 0);
        (pcm.iter().map(|x| x * x).sum::<f32>() / pcm.len() as f32).sqrt()
    }
}

#[test]
fn a_tone_from_aac_is_clean_in_opus() {
    for (rate, channels) in [(48_000, 2), (44_100, 2), (44_100, 1), (32_000, 1)] {
        let source = aac(rate, channels, &tone(rate, 3.0));
        let heard = listen(&transcode(Transcoder::to_opus(), &source, |_| false));
        assert_eq!(heard.channels, channels);
        let snr = heard.snr(0.5, 2.5, channels - 1);
        assert!(snr >= 30.0, "{rate} Hz, {channels} channels: {snr:.1} dB");
    }
}

#[test]
fn a_tone_from_opus_is_clean_in_aac() {
    for channels in [1, 2] {
        let source = opus(channels, &tone(48_000, 3.0));
        let heard = listen(&transcode(Transcoder::to_aac(), &source, |_| false));
        assert_eq!(heard.channels, channels);
        let snr = heard.snr(0.5, 2.5, channels - 1);
        assert!(snr >= 30.0, "{channels} channels: {snr:.1} dB");
    }
}

/// Gives each packet a new time; the function is told its time in seconds after the first.
fn shift(source: &mut Source, by: impl Fn(f64) -> MediaDuration) {
    let first = source.frames[0].pts;
    for frame in &mut source.frames {
        frame.pts += by((frame.pts - first).as_secs_f64());
        frame.dts = frame.pts;
    }
}

/// The worst twentieth of a second up to `end`, without the encoders' first second.
fn worst_snr(heard: &Heard, end: f64) -> f64 {
    let windows = (20..(end * 20.0) as u32).map(|window| f64::from(window) * 0.05);
    windows.map(|from| heard.snr(from, from + 0.05, 0)).fold(f64::INFINITY, f64::min)
}

#[test]
fn a_sliding_clock_does_not_bend_the_tone() {
    for direction in [-1.0, 1.0] {
        let mut source = opus(2, &tone(48_000, 12.0));
        // For three seconds the stream's clock slides as fast as it ever does, 5 ms a second.
        shift(&mut source, |at| {
            MediaDuration::from_millis((direction * 5.0 * (at - 2.0).clamp(0.0, 3.0)).round() as i64)
        });
        let heard = listen(&transcode(Transcoder::to_aac(), &source, |_| false));
        let worst = worst_snr(&heard, 11.0);
        assert!(worst >= 30.0, "{worst:.1} dB");
    }
}

#[test]
fn jitter_of_a_publishers_line_does_not_bend_the_tone() {
    // Placed by arrival, up to 15 ms late, the first packet among the latest: the clock slides back by all of that.
    let (mut clock, mut state) = (StreamClock::new(), 88_172_645_463_325_252_u64);
    let mut source = opus(1, &tone(48_000, 12.0));
    for (index, frame) in (0..).zip(&mut source.frames) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let late = if index == 0 { 15 } else { (state % 16) as i64 };
        let arrival = START + MediaDuration::from_millis(index * 20 + late);
        frame.pts = clock.packet(MediaKind::Audio, ClockRate::OPUS, arrival, index * 960);
        frame.dts = frame.pts;
    }
    let heard = listen(&transcode(Transcoder::to_aac(), &source, |_| false));
    let worst = worst_snr(&heard, 11.0);
    assert!(worst >= 30.0, "{worst:.1} dB");
}

#[test]
fn a_sound_stays_at_its_time() {
    for (rate, channels) in [(48_000, 2), (44_100, 2), (44_100, 1), (96_000, 2)] {
        let source = aac(rate, channels, &burst(rate, 2.0, 1.25));
        let heard = listen(&transcode(Transcoder::to_opus(), &source, |_| false));
        assert!((heard.peak() - 1.25).abs() < 0.001, "{rate} Hz: {}", heard.peak());
    }
    let heard = listen(&transcode(Transcoder::to_aac(), &opus(2, &burst(48_000, 2.0, 1.25)), |_| false));
    assert!((heard.peak() - 1.25).abs() < 0.001, "{}", heard.peak());
}

#[test]
fn he_aac_is_decoded_at_its_full_rate_and_time() {
    // What FDK's own HE-AAC encoder makes; its delay is not in the times, as in an encoder's RTMP stream.
    for object_type in HE_AAC {
        let source = encode(&mut HeAac::new(object_type), 44_100, 2, &burst(44_100, 2.0, 1.25), true);
        let heard = listen(&transcode(Transcoder::to_opus(), &source, |_| false));
        assert!((heard.peak() - 1.25).abs() < 0.005, "{object_type:?}: {}", heard.peak());
    }
}

#[test]
fn a_tone_from_he_aac_is_clean_on_both_sides() {
    for (object_type, profile) in HE_AAC.into_iter().zip([5, 29]) {
        let source = encode(&mut HeAac::new(object_type), 44_100, 2, &tone(44_100, 3.0), true);
        let CodecParams::Aac(config) = &source.params else { panic!() };
        let heard = (config.output_rate().get(), config.output_channels());
        assert_eq!((config.profile(), heard), (profile, (44_100, 2)));
        let heard = listen(&transcode(Transcoder::to_opus(), &source, |_| false));
        assert_eq!(heard.channels, 2);
        for channel in 0..2 {
            let snr = heard.snr(0.5, 2.5, channel);
            assert!(snr >= 25.0, "{object_type:?}, channel {channel}: {snr:.1} dB");
        }
        assert!((heard.rms(0.5, 2.5) - 0.3535).abs() < 0.03, "{}", heard.rms(0.5, 2.5));
    }
}

/// Versions 1 and 2.
const HE_AAC: [AudioObjectType; 2] = [AudioObjectType::Mpeg4HeAac, AudioObjectType::Mpeg4HeAacV2];

/// HE-AAC as an encoder sends it.
struct HeAac {
    encoder: fdk_aac::enc::Encoder,
    delay: usize,
}

impl HeAac {
    fn new(audio_object_type: AudioObjectType) -> Self {
        use fdk_aac::enc::{BitRate, ChannelMode, Encoder, EncoderParams, Transport};
        let encoder = Encoder::new(EncoderParams {
            bit_rate: BitRate::Cbr(48_000),
            sample_rate: 44_100,
            transport: Transport::Raw,
            channels: ChannelMode::Stereo,
            audio_object_type,
        })
        .unwrap();
        let delay = encoder.info().unwrap().nDelay as usize;
        Self { encoder, delay }
    }
}

impl Encoder for HeAac {
    fn frame_samples(&self) -> usize {
        self.encoder.info().unwrap().frameLength as usize
    }

    fn delay(&self) -> usize {
        self.delay
    }

    fn encode(&mut self, pcm: &[f32]) -> Result<bytes::Bytes, super::CodecError> {
        let pcm: Vec<i16> = pcm.iter().map(|x| (x * 32_767.0) as i16).collect();
        let mut packet = [0; 2_048];
        let encoded = self.encoder.encode(&pcm, &mut packet).unwrap();
        Ok(bytes::Bytes::copy_from_slice(&packet[..encoded.output_size]))
    }

    fn params(&self) -> CodecParams {
        let info = self.encoder.info().unwrap();
        let config = bytes::Bytes::copy_from_slice(&info.confBuf[..info.confSize as usize]);
        CodecParams::Aac(crate::codec::aac::AudioSpecificConfig::parse(config).unwrap())
    }
}

#[test]
fn lost_packets_are_concealed_and_time_goes_on() {
    let source = opus(1, &tone(48_000, 3.0));
    // One in twenty.
    let heard = listen(&transcode(Transcoder::to_aac(), &source, |index| index % 20 == 10));
    assert!(heard.snr(0.22, 0.40, 0) > 30.0, "between losses");
    // Packet 90 plays from 1.8 s on and is lost: the tone goes on, and in step behind it.
    assert!(heard.rms(1.795, 1.815) > 0.25, "{}", heard.rms(1.795, 1.815));
    assert!((heard.pcm.len() as f64 / 48_000.0 - 3.0).abs() < 0.1);
}

#[test]
fn what_was_not_sent_is_silence_by_the_clock() {
    let source = opus(1, &tone(48_000, 4.0));
    // A muted microphone sends nothing for a second and a half.
    let quiet = |index: usize| (50..125).contains(&index);
    let mut silent = Source { params: source.params, frames: source.frames };
    silent.frames =
        silent.frames.into_iter().enumerate().filter(|(n, _)| !quiet(*n)).map(|(_, f)| f).collect();
    let heard = listen(&transcode(Transcoder::to_aac(), &silent, |_| false));
    assert!(heard.rms(0.5, 0.95) > 0.3 && heard.rms(2.6, 3.5) > 0.3);
    assert!(heard.rms(1.05, 2.45) < 0.001, "{}", heard.rms(1.05, 2.45));
    assert!(heard.snr(2.7, 3.6, 0) > 30.0);
}

#[test]
fn silence_does_not_wait_for_the_next_packet() {
    let source = opus(1, &tone(48_000, 0.5));
    let (mut transcoder, origin, mut out) = (Transcoder::to_aac(), some_instant(), Vec::new());
    transcoder.handle(Event::Params(source.params.clone()), origin, &mut out);
    for frame in &source.frames {
        transcoder.handle(Event::Frame(frame.clone()), origin, &mut out);
    }
    let before = frames(&out).len();
    let mut now = origin;
    for _ in 0..50 {
        now = transcoder.deadline().expect("silence is due");
        transcoder.poll(now, &mut out);
    }
    assert!(now - origin < Duration::from_millis(1_400), "{:?}", now - origin);
    assert!(frames(&out).len() - before >= 45, "a second of silence");
    assert_eq!(Transcoder::to_opus().deadline(), None);
}

#[test]
fn nothing_of_aac_stands_before_the_origin() {
    let mut source = opus(1, &tone(48_000, 0.5));
    let shift = START + MediaDuration::from_millis(60) - Timestamp::ZERO;
    source
        .frames
        .iter_mut()
        .for_each(|frame| (frame.pts, frame.dts) = (frame.pts - shift, frame.dts - shift));
    let out = frames(&transcode(Transcoder::to_aac(), &source, |_| false));
    let first = out[0].pts.to_ticks(ClockRate::OPUS);
    assert!((0..1_024).contains(&first), "{first}");
}

#[test]
fn a_jump_of_the_source_starts_anew_at_its_time() {
    let source = aac(48_000, 2, &tone(48_000, 1.0));
    let mut later = aac(48_000, 2, &burst(48_000, 1.0, 0.5));
    let shift = MediaDuration::from_millis(10_000);
    later.frames.iter_mut().for_each(|frame| (frame.pts, frame.dts) = (frame.pts + shift, frame.dts + shift));
    let both = Source { params: source.params, frames: [source.frames, later.frames].concat() };
    let out = frames(&transcode(Transcoder::to_opus(), &both, |_| false));
    assert!(out.windows(2).all(|pair| pair[0].pts < pair[1].pts), "times never go back");
    let jump = out.windows(2).map(|pair| pair[1].pts - pair[0].pts).max().unwrap();
    assert!((8_900..9_100).contains(&jump.as_millis()), "{jump:?}");
}

#[test]
fn broken_packets_cost_themselves() {
    let mut source = aac(48_000, 2, &tone(48_000, 2.0));
    for (index, len) in [(20, 0), (21, 1), (22, 700)] {
        let noise: Vec<u8> = (0..len).map(|n: usize| (n * 151 + 7) as u8).collect();
        source.frames[index] = Frame::audio(source.frames[index].pts, noise.into());
    }
    let heard = listen(&transcode(Transcoder::to_opus(), &source, |_| false));
    assert!(heard.snr(1.0, 1.6, 0) > 30.0);
}

#[test]
fn mono_and_stereo_opus_are_told_by_the_parameters() {
    for channels in [1, 2] {
        let decoder = OpusDecoder::new(OpusConfig { channels }).unwrap();
        let (mut decoder, mut pcm): (Box<dyn Decoder>, _) = (Box::new(decoder), Vec::new());
        let source = opus(2, &tone(48_000, 0.1));
        let format = decoder.decode(source.frames[0].payload.bytes(), &mut pcm).unwrap();
        assert_eq!((format.channels, pcm.len()), (usize::from(channels), 960 * usize::from(channels)));
    }
}
