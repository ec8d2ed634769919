//! RTP packets -> frames, once per stream, behind a jitter buffer: only who wants whole frames waits for late packets.

use super::converter::{Converter, Output};
use crate::codec::h264::{AvcConfig, NalKind, ParameterSets};
use crate::codec::opus;
use crate::media::{AccessUnit, CodecParams, Frame, MediaKind, Packet, Payload};
use crate::protocol::rtp::{h264, jitter, vp8};
use crate::stream::Event;
use crate::time::Timestamp;
use jitter::JitterBuffer;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Long enough for a picture's packet to be asked for twice over a round trip of 100 ms.
const VIDEO_LATENCY: Duration = Duration::from_millis(250);
/// Browsers do not send sound again: what has not come by now was lost, and not merely overtaken.
const AUDIO_LATENCY: Duration = Duration::from_millis(60);
/// Times of pictures that are being put together; they come out in order, so that few are under way.
const MAX_TIMES: usize = 64;

/// Packets of H.264 into access units.
pub(super) struct H264 {
    buffer: JitterBuffer<Packet>,
    depacketizer: h264::Depacketizer,
    sets: ParameterSets,
    config: Option<AvcConfig>,
    clock: Clock,
    start: StartPoint,
}

/// Packets of VP8 into frames.
pub(super) struct Vp8 {
    buffer: JitterBuffer<Packet>,
    depacketizer: vp8::Depacketizer,
    clock: Clock,
    start: StartPoint,
}

/// Packets of Opus into frames.
pub(super) struct Opus {
    buffer: JitterBuffer<Packet>,
    last: Option<Timestamp>,
}

/// Whether a decoder can go on.
#[derive(Default)]
struct StartPoint {
    running: bool,
    /// Pictures left out since it could not.
    skipped: u64,
}

/// Gives pictures, which know their RTP timestamp only, their time.
#[derive(Default)]
struct Clock {
    times: VecDeque<(i64, Timestamp)>,
    last: Option<Timestamp>,
}

impl H264 {
    pub(super) fn new() -> Self {
        Self {
            buffer: JitterBuffer::new(VIDEO_LATENCY),
            depacketizer: h264::Depacketizer::new(),
            sets: ParameterSets::default(),
            config: None,
            clock: Clock::default(),
            start: StartPoint::default(),
        }
    }

    fn picture(&mut self, picture: h264::Picture, out: &mut Vec<Output>) {
        let Some(time) = self.clock.time_of(picture.ticks) else { return };
        let mut coded = Vec::with_capacity(picture.nals.len());
        let mut slices = false;
        for nal in &picture.nals {
            match NalKind::of(nal) {
                Some(NalKind::Sps | NalKind::Pps) => {
                    self.sets.add(nal);
                }
                None | Some(NalKind::Delimiter | NalKind::Filler) => {}
                Some(kind) => {
                    slices |= matches!(kind, NalKind::Slice | NalKind::IdrSlice);
                    coded.push(&nal[..]);
                }
            }
        }
        if !slices {
            return; // parameter sets on their own
        }
        let unit = AccessUnit::from_nals(coded);
        let keyframe = unit.is_idr();
        if !self.start.admits(keyframe, picture.after_loss, out) {
            return;
        }
        if keyframe {
            let config = self.sets.config();
            if config.is_none() && self.config.is_none() {
                self.start.running = false; // nothing can decode it
                return;
            }
            if config != self.config {
                out.extend(config.clone().map(CodecParams::H264).map(Output::Params));
                self.config = config;
            }
        }
        out.push(Output::Frame(self.clock.frame(time, keyframe, Payload::Nalus(unit))));
    }
}

impl Converter for H264 {
    fn handle(&mut self, event: Event, now: Instant, out: &mut Vec<Output>) {
        match event {
            Event::Params(CodecParams::H264(config)) => {
                for nal in config.sps().iter().chain(config.pps()) {
                    self.sets.add(nal);
                }
            }
            Event::Packets(_, packets) => {
                for packet in packets.iter() {
                    self.buffer.insert(now, packet.sequence, packet.clone());
                }
                self.poll(now, out);
            }
            _ => {}
        }
    }

    fn poll(&mut self, now: Instant, out: &mut Vec<Output>) {
        while let Some(output) = self.buffer.poll(now) {
            // The depacketiser sees a loss by the sequence.
            let jitter::Output::Packet(packet) = output else { continue };
            self.clock.note(&packet);
            self.depacketizer.push(packet.sequence, packet.ticks, packet.marker, &packet.payload);
            while let Some(picture) = self.depacketizer.poll() {
                self.picture(picture, out);
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.buffer.deadline()
    }
}

impl Vp8 {
    pub(super) fn new() -> Self {
        Self {
            buffer: JitterBuffer::new(VIDEO_LATENCY),
            depacketizer: vp8::Depacketizer::new(),
            clock: Clock::default(),
            start: StartPoint::default(),
        }
    }
}

impl Converter for Vp8 {
    fn handle(&mut self, event: Event, now: Instant, out: &mut Vec<Output>) {
        match event {
            Event::Params(params) => out.push(Output::Params(params)),
            Event::Packets(_, packets) => {
                for packet in packets.iter() {
                    self.buffer.insert(now, packet.sequence, packet.clone());
                }
                self.poll(now, out);
            }
            _ => {}
        }
    }

    fn poll(&mut self, now: Instant, out: &mut Vec<Output>) {
        while let Some(output) = self.buffer.poll(now) {
            let jitter::Output::Packet(packet) = output else { continue };
            self.clock.note(&packet);
            self.depacketizer.push(packet.sequence, packet.ticks, packet.marker, &packet.payload);
            while let Some(picture) = self.depacketizer.poll() {
                let Some(time) = self.clock.time_of(picture.ticks) else { continue };
                if self.start.admits(picture.keyframe, picture.after_loss, out) {
                    let payload = Payload::Packet(picture.data);
                    out.push(Output::Frame(self.clock.frame(time, picture.keyframe, payload)));
                }
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.buffer.deadline()
    }
}

impl Opus {
    pub(super) const fn new() -> Self {
        Self { buffer: JitterBuffer::new(AUDIO_LATENCY), last: None }
    }
}

impl Converter for Opus {
    fn handle(&mut self, event: Event, now: Instant, out: &mut Vec<Output>) {
        match event {
            Event::Params(params) => out.push(Output::Params(params)),
            Event::Packets(_, packets) => {
                for packet in packets.iter() {
                    self.buffer.insert(now, packet.sequence, packet.clone());
                }
                self.poll(now, out);
            }
            Event::Skipped { frames, .. } => out.push(Output::Gap(frames)),
            _ => {}
        }
    }

    fn poll(&mut self, now: Instant, out: &mut Vec<Output>) {
        while let Some(output) = self.buffer.poll(now) {
            match output {
                jitter::Output::Lost(packets) => out.push(Output::Gap(packets)),
                // Padding and what is no Opus packet.
                jitter::Output::Packet(packet) if opus::duration(&packet.payload).is_none() => {}
                jitter::Output::Packet(packet) => {
                    let time = self.last.map_or(packet.time, |last| last.max(packet.time));
                    self.last = Some(time);
                    out.push(Output::Frame(Frame::audio(time, packet.payload)));
                }
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.buffer.deadline()
    }
}

impl StartPoint {
    /// Whether a picture can be decoded: not before the first keyframe, and not after a loss until the next. While it
    /// cannot, a keyframe is asked for; how many were left out is told before the next that is not.
    fn admits(&mut self, keyframe: bool, after_loss: bool, out: &mut Vec<Output>) -> bool {
        self.running = keyframe || self.running && !after_loss;
        if !self.running {
            self.skipped += 1;
            out.push(Output::KeyframeWanted);
        } else if self.skipped > 0 {
            out.push(Output::Gap(std::mem::take(&mut self.skipped)));
        }
        self.running
    }
}

impl Clock {
    fn note(&mut self, packet: &Packet) {
        if self.times.back().is_none_or(|(ticks, _)| *ticks != packet.ticks) {
            if self.times.len() >= MAX_TIMES {
                self.times.pop_front();
            }
            self.times.push_back((packet.ticks, packet.time));
        }
    }

    /// The time of a picture; those before it have come out or never will.
    fn time_of(&mut self, ticks: i64) -> Option<Timestamp> {
        let at = self.times.iter().position(|(other, _)| *other == ticks)?;
        self.times.drain(..at);
        self.times.front().map(|(_, time)| *time)
    }

    /// WebRTC senders do not reorder: a picture is decoded when it is shown. Should one do so all the same, decode times
    /// stand still rather than go back.
    fn frame(&mut self, pts: Timestamp, keyframe: bool, payload: Payload) -> Frame {
        let dts = self.last.map_or(pts, |last| last.max(pts));
        self.last = Some(dts);
        Frame { kind: MediaKind::Video, dts, pts, keyframe, payload }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::packetise;
    use crate::media::{Extensions, PacketGroup};
    use bytes::Bytes;

    const SPS: &[u8] = &[0x67, 0x42, 0xc0, 0x1e, 0x95];
    const PPS: &[u8] = &[0x68, 0xce];

    #[expect(clippy::disallowed_methods, reason = "any instant will do; none can be made otherwise")]
    fn some_instant() -> Instant {
        Instant::now()
    }

    fn picture(index: i64, keyframe: bool) -> Frame {
        let body = [&[if keyframe { 0x65 } else { 0x41 }, 0x88][..], &[index as u8; 2_500]].concat();
        let time = Timestamp::from_millis(index * 40);
        let payload = Payload::Nalus(AccessUnit::from_nals([&body[..]]));
        Frame { kind: MediaKind::Video, dts: time, pts: time, keyframe, payload }
    }

    /// A stream of pictures 40 ms apart, each of three packets behind the first, a keyframe every tenth.
    fn packets(pictures: i64) -> Vec<Packet> {
        let set = Bytes::from_static;
        let config = AvcConfig::new(vec![set(SPS)], vec![set(PPS)]).unwrap();
        let (mut packetiser, mut out) = (packetise::H264::new(), Vec::new());
        packetiser.handle(Event::Params(CodecParams::H264(config)), some_instant(), &mut out);
        for index in 0..pictures {
            packetiser.handle(Event::Frame(picture(index, index % 10 == 0)), some_instant(), &mut out);
        }
        let groups = out.into_iter().filter_map(|output| match output {
            Output::Packets(packets) => Some(packets.to_vec()),
            _ => None,
        });
        groups.flatten().collect()
    }

    /// Feeds packets one by one, each at the time it is stamped with, and shows what comes out.
    fn run(
        converter: &mut dyn Converter,
        packets: impl IntoIterator<Item = (Duration, Packet)>,
    ) -> Vec<String> {
        let (origin, mut out) = (some_instant(), Vec::new());
        for (late, packet) in packets {
            let now = origin + Duration::from(packet.time - Timestamp::ZERO) + late;
            while let Some(due) = converter.deadline().filter(|due| *due <= now) {
                converter.poll(due, &mut out);
            }
            converter.handle(Event::Packets(MediaKind::Video, PacketGroup::from(packet)), now, &mut out);
        }
        out.iter().map(show).collect()
    }

    fn show(output: &Output) -> String {
        match output {
            Output::Params(_) => "params".into(),
            Output::Frame(f) => {
                format!("{}{}", (f.pts - Timestamp::ZERO).as_millis(), if f.keyframe { "k" } else { "" })
            }
            Output::Gap(frames) => format!("-{frames}"),
            Output::KeyframeWanted => "pli".into(),
            other => format!("{other:?}"),
        }
    }

    fn on_time(packets: Vec<Packet>) -> impl Iterator<Item = (Duration, Packet)> {
        packets.into_iter().map(|packet| (Duration::ZERO, packet))
    }

    #[test]
    fn pictures_survive_the_way_over_packets() {
        let (mut converter, mut out) = (H264::new(), Vec::new());
        for packet in packets(3) {
            converter.handle(Event::Packets(MediaKind::Video, packet.into()), some_instant(), &mut out);
        }
        let Output::Params(CodecParams::H264(config)) = &out[0] else { panic!("{out:?}") };
        assert_eq!((&config.sps()[0][..], &config.pps()[0][..]), (SPS, PPS));
        for (index, output) in (0..).zip(&out[1..]) {
            let Output::Frame(frame) = output else { panic!("{output:?}") };
            assert_eq!(frame.payload.bytes(), picture(index, index == 0).payload.bytes());
        }
        assert_eq!(out.len(), 4);
    }

    #[test]
    fn it_starts_at_a_keyframe_and_says_parameters_only_on_change() {
        let late = packets(23).into_iter().filter(|packet| packet.sequence >= 8).collect();
        let out = run(&mut H264::new(), on_time(late));
        let from = out.iter().position(|line| line == "params").unwrap();
        assert!(out[..from].iter().all(|line| line == "pli" || line.starts_with('-')), "{out:?}");
        assert_eq!(out[from + 1], "400k");
        assert_eq!(out.iter().filter(|line| *line == "params").count(), 1);
    }

    #[test]
    fn a_packet_sent_again_costs_nothing_and_a_lost_one_the_rest_of_the_gop() {
        let order = |late: Duration| {
            // The second packet of the fourth picture comes late, if at all.
            let mut packets: Vec<_> = on_time(packets(14)).collect();
            let at = packets.iter().position(|(_, p)| p.time == Timestamp::from_millis(120)).unwrap() + 1;
            let mut missing = packets.remove(at);
            missing.0 = late;
            let arrival = missing.1.time + late.into();
            let behind = packets.iter().position(|(_, p)| p.time > arrival).unwrap_or(packets.len());
            packets.insert(behind, missing);
            packets
        };
        let mended = run(&mut H264::new(), order(Duration::from_millis(100)));
        let times: Vec<_> = mended[1..].iter().map(String::as_str).collect();
        assert_eq!(times[..5], ["0k", "40", "80", "120", "160"]);
        assert_eq!(times.len(), 14);
        let lost = run(&mut H264::new(), order(Duration::from_millis(260)));
        assert_eq!(lost[1..5], ["0k", "40", "80", "pli"]);
        let (again, gap) = (lost.iter().position(|line| line == "400k").unwrap(), &lost[4..]);
        assert_eq!(lost[again - 1], "-6", "{gap:?}");
    }

    #[test]
    fn opus_tells_of_losses_and_keeps_order() {
        let packet = |sequence: i64| {
            let time = Timestamp::from_millis(sequence * 20);
            let payload = if sequence == 4 { Bytes::new() } else { Bytes::from_static(&[0xfc, 0]) };
            Packet {
                sequence,
                ticks: sequence * 960,
                time,
                marker: false,
                keyframe: true,
                extensions: Extensions::default(),
                payload,
            }
        };
        let order = [0, 2, 1, 3, 4, 6, 7, 8, 9, 10];
        let packets = order.map(|sequence| (Duration::ZERO, packet(sequence)));
        assert_eq!(
            run(&mut Opus::new(), packets),
            ["0k", "20k", "40k", "60k", "-1", "120k", "140k", "160k", "180k", "200k"]
        );
    }

    #[test]
    fn vp8_goes_on_at_a_keyframe_after_a_loss() {
        let packet = |sequence: i64, keyframe: bool| Packet {
            sequence,
            ticks: sequence * 3_000,
            time: Timestamp::from_millis(sequence * 100),
            marker: true,
            keyframe,
            extensions: Extensions::default(),
            payload: Bytes::copy_from_slice(&[0x10, u8::from(!keyframe), 0, 0]),
        };
        let packets =
            [(0, false), (1, true), (2, false), (4, false), (5, false), (8, true), (9, false), (12, false)];
        let packets = packets.map(|(sequence, keyframe)| (Duration::ZERO, packet(sequence, keyframe)));
        assert_eq!(
            run(&mut Vp8::new(), packets),
            ["pli", "-1", "100k", "200", "pli", "pli", "-2", "800k", "900"],
            "behind what was left out comes the next keyframe"
        );
    }
}
