//! One second of a stream into the bytes of its file. The disk is left out, and so are the payloads, which are not copied.

use crate::{hex, noise};
use bytes::Bytes;
use commonroom::codec::MediaKind;
use commonroom::codec::aac::AudioSpecificConfig;
use commonroom::codec::h264::AvcConfig;
use commonroom::codec::opus::OpusConfig;
use commonroom::codec::vp8::Size;
use commonroom::container::{Sample, mp4, webm};
use commonroom::time::{ClockRate, MediaDuration, Timestamp};
use divan::Bencher;
use divan::counter::BytesCount;
use std::time::UNIX_EPOCH;

/// Pictures a second.
const PICTURES: i64 = 30;

/// A second of pictures and packets, 250 kB in all, moved on by a second each time.
struct Second {
    samples: Vec<Sample>,
    at: i64,
}

impl Second {
    /// With so many packets of sound, each of so many of its ticks.
    fn new(rate: ClockRate, packets: i64, ticks: i64) -> Self {
        let picture = Bytes::from(noise(7_800));
        let packet = Bytes::from(noise(340));
        let pictures =
            (0..PICTURES).map(|number| (MediaKind::Video, number, 3_000, ClockRate::VIDEO, &picture));
        let sounds = (0..packets).map(|number| (MediaKind::Audio, number, ticks, rate, &packet));
        let samples = pictures.chain(sounds).map(|(kind, number, ticks, rate, payload)| {
            let at = Timestamp::from_ticks(number * ticks, rate);
            Sample {
                kind,
                dts: at,
                pts: at,
                duration: MediaDuration::from_ticks(ticks, rate),
                keyframe: number == 0,
                prefix: Bytes::new(),
                payload: payload.clone(),
            }
        });
        Self { samples: samples.collect(), at: 0 }
    }

    fn bytes(&self) -> usize {
        self.samples.iter().map(|sample| sample.payload.len()).sum()
    }

    /// The next second.
    fn next(&mut self) -> Vec<Sample> {
        let on = MediaDuration::from_millis(self.at * 1_000);
        self.at += 1;
        let moved = |sample: &Sample| Sample { dts: sample.dts + on, pts: sample.pts + on, ..sample.clone() };
        self.samples.iter().map(moved).collect()
    }
}

/// H.264 and AAC as a fragment of MP4.
#[divan::bench]
fn mp4_fragment(bencher: Bencher<'_, '_>) {
    let rate = ClockRate::new(48_000).expect("not zero");
    // 46 packets fill most of a second, and never reach into the next.
    let mut second = Second::new(rate, 46, 1_024);
    let (sets, _) =
        include_str!("../../tests/data/h264/no_b_frames.txt").split_once('\n').expect("two parts");
    let (sps, pps) = sets.split_once(';').expect("both sets");
    let config = AvcConfig::new(vec![hex(sps)], vec![hex(pps)]).expect("sets");
    let sound = AudioSpecificConfig::parse(Bytes::from_static(&[0x11, 0x90])).expect("AAC-LC at 48 kHz");
    let (video, audio) = (mp4::VideoEntry::H264(config), mp4::AudioEntry::Aac(sound));
    let (mut writer, _) = mp4::Writer::new(Some(&video), Some(&audio), UNIX_EPOCH).expect("a head");
    bencher
        .counter(BytesCount::new(second.bytes()))
        .bench_local(|| writer.fragment(&second.next()).expect("in order"));
}

/// VP8 and Opus as a cluster of WebM.
#[divan::bench]
fn webm_cluster(bencher: Bencher<'_, '_>) {
    let mut second = Second::new(ClockRate::OPUS, 50, 960);
    let video = webm::VideoEntry::Vp8(Size::new(1_280, 720).expect("a size"));
    let audio = webm::AudioEntry::Opus(OpusConfig { channels: 2 });
    let (mut writer, _) = webm::Writer::new(Some(&video), Some(&audio), UNIX_EPOCH).expect("a head");
    bencher
        .counter(BytesCount::new(second.bytes()))
        .bench_local(|| writer.clusters(&second.next()).expect("in order"));
}
