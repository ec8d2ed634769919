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
