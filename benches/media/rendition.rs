//! One second of a stream from one form into another, by way of the bridge.

use crate::{hex, noise};
use bytes::Bytes;
use commonroom::bridge::{Accepts, Bridge, Subscription};
use commonroom::codec::aac::AudioSpecificConfig;
use commonroom::codec::h264::AvcConfig;
use commonroom::codec::opus::OpusConfig;
use commonroom::media::{AccessUnit, Codec, CodecParams, Frame, MediaKind, Payload};
use commonroom::stream::{
    Event, FeedKey, FeedWriter, Form, Publisher, QueueLimits, Start, Stream, StreamName,
};
use commonroom::time::{ClockRate, NtpTime, Timestamp};
use divan::Bencher;
use std::f32::consts::TAU;
use tokio::runtime::{Builder, Runtime};

/// A publisher with one track, and somebody who wants it otherwise.
struct Rig {
    runtime: Runtime,
    subscription: Subscription,
    writer: FeedWriter,
    events: Vec<Event>,
    out: usize,
    _publisher: Publisher,
}

impl Rig {
    fn new(params: CodecParams, wanted: FeedKey) -> Self {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let name = StreamName { room: "room".into(), participant: "publisher".into(), stream: "s".into() };
        let (stream, publisher) = Stream::publish(name, NtpTime::default());
        let writer = publisher.track(FeedKey::new(params.codec(), Form::Frames)).expect("a track");
        writer.set_params(params);
        let mut accepts = Accepts::default();
        match wanted.kind() {
            MediaKind::Audio => accepts.audio.push(wanted),
            MediaKind::Video => accepts.video.push(wanted),
        }
        let subscription = {
            let _inside = runtime.enter();
            Bridge::default().subscribe(&stream, accepts, Start::Anywhere, QueueLimits::default())
        };
        Self { runtime, subscription, writer, events: Vec::new(), out: 0, _publisher: publisher }
    }

    /// Publishes frames, and waits until so many frames or groups of packets have come out since the beginning.
    fn run(&mut self, frames: impl Iterator<Item = Frame>, wanted: usize) {
        frames.for_each(|frame| self.writer.write(frame));
        while self.out < wanted {
            self.runtime.block_on(self.subscription.next_batch(&mut self.events));
            let media = |event: &Event| matches!(event, Event::Frame(_) | Event::Packets(..));
            self.out += self.events.drain(..).filter(media).count();
        }
    }
}

/// 1 MB a second: 30 pictures, the first of them a key picture of 130 kB.
#[divan::bench]
fn packetise_h264(bencher: Bencher<'_, '_>) {
    let (sets, lines) =
        include_str!("../../tests/data/h264/no_b_frames.txt").split_once('\n').expect("two parts");
    let (sps, pps) = sets.split_once(';').expect("both sets");
    let config = AvcConfig::new(vec![hex(sps)], vec![hex(pps)]).expect("sets");
    let units: Vec<_> = lines
        .lines()
        .take(30)
        .map(|line| {
            let fields: Vec<_> = line.split(' ').collect();
            let keyframe = fields[2] == "1";
            // The slice's real header, and as much behind it as makes up its size.
            let slice = [&hex(fields[3])[..], &noise(if keyframe { 130_000 } else { 30_000 })].concat();
            (keyframe, AccessUnit::from_nals([&slice[..]]))
        })
        .collect();
    let mut rig = Rig::new(CodecParams::H264(config), FeedKey::new(Codec::H264, Form::Packets));
    let (mut number, mut wanted) = (0, 0);
    bencher.bench_local(|| {
        let frames = units.iter().map(|(keyframe, unit)| {
            let time = Timestamp::from_ticks(number, ClockRate::new(30).expect("not zero"));
            number += 1;
            let payload = Payload::Nalus(unit.clone());
            Frame { kind: MediaKind::Video, dts: time, pts: time, keyframe: *keyframe, payload }
        });
        wanted += units.len();
        rig.run(frames, wanted);
    });
}

/// 128 kbit/s of stereo at 48 kHz into packets of Opus; a second is 47 packets of AAC, or three thousandths more.
#[divan::bench]
fn aac_to_opus(bencher: Bencher<'_, '_>) {
    use fdk_aac::enc::{AudioObjectType, BitRate, ChannelMode, Encoder, EncoderParams, Transport};
    let encoder = Encoder::new(EncoderParams {
        bit_rate: BitRate::Cbr(128_000),
        sample_rate: 48_000,
        transport: Transport::Raw,
        channels: ChannelMode::Stereo,
        audio_object_type: AudioObjectType::Mpeg4LowComplexity,
    })
    .expect("an encoder");
    let packets: Vec<_> = music()
        .chunks_exact(1_024 * 2)
        .map(|pcm| {
            let pcm: Vec<_> = pcm.iter().map(|x| (x * 32_767.0) as i16).collect();
            let mut packet = [0; 2_048];
            let len = encoder.encode(&pcm, &mut packet).expect("a packet").output_size;
            Bytes::copy_from_slice(&packet[..len])
        })
        .collect();
    let config = AudioSpecificConfig::aac_lc(48_000, 2).expect("a usual format");
    transcode(
        bencher,
        CodecParams::Aac(config),
        FeedKey::new(Codec::Opus, Form::Packets),
        &packets,
        1_024,
        960,
    );
}

/// 96 kbit/s of stereo Opus into AAC; a second is 50 packets of Opus.
#[divan::bench]
fn opus_to_aac(bencher: Bencher<'_, '_>) {
    use audiopus::{Application, Bitrate, Channels, SampleRate, coder::Encoder};
    let mut encoder =
        Encoder::new(SampleRate::Hz48000, Channels::Stereo, Application::Audio).expect("an encoder");
    encoder.set_bitrate(Bitrate::BitsPerSecond(96_000)).expect("a usual rate");
    let packets: Vec<_> = music()
        .chunks_exact(960 * 2)
        .map(|pcm| {
            let mut packet = [0; 1_500];
            let len = encoder.encode_float(pcm, &mut packet[..]).expect("a packet");
            Bytes::copy_from_slice(&packet[..len])
        })
        .collect();
    let params = CodecParams::Opus(OpusConfig { channels: 2 });
    transcode(bencher, params, FeedKey::new(Codec::Aac, Form::Frames), &packets, 960, 1_024);
}

/// A second of sound at a time: packets of `from` samples come out as packets of `to` samples.
fn transcode(
    bencher: Bencher<'_, '_>,
    params: CodecParams,
    wanted: FeedKey,
    packets: &[Bytes],
    from: usize,
    to: usize,
) {
    let mut rig = Rig::new(params, wanted);
    let (mut packets, mut number) = (packets.iter().cycle(), 0);
    bencher.bench_local(|| {
        let first = number;
        number += 48_000_usize.div_ceil(from);
        let frames = (first..number).zip(&mut packets).map(|(number, packet)| {
            let time = Timestamp::from_ticks((number * from) as i64, ClockRate::OPUS);
            Frame::audio(time, packet.clone())
        });
        // What the codecs hold back comes with the next second.
        rig.run(frames, (number * from / to).saturating_sub(4));
    });
}

/// Ten seconds of stereo: chords that change twice a second over a little noise.
fn music() -> Vec<f32> {
    let hiss = noise(480_000 * 2);
    let pitches =
        |beat: usize| [220.0, 277.2, 329.6, 880.0].map(|hertz| hertz * [1.0, 1.122, 1.335][beat % 3]);
    hiss.chunks_exact(2)
        .enumerate()
        .flat_map(|(n, hiss)| {
            let at = n as f32 / 48_000.0;
            let decay = (-(at % 0.5) * 4.0).exp();
            let chord = pitches(n / 24_000).map(|hertz| (TAU * hertz * (at % 0.5)).sin()).iter().sum::<f32>();
            [0, 1].map(|channel| 0.2 * decay * chord + (f32::from(hiss[channel]) - 128.0) / 12_800.0)
        })
        .collect()
}
