//! What the formats of video have in common: order, loss, and the time of a picture.

use crate::bridge::converter::Output;
use crate::media::{Frame, MediaKind, Packet, Payload};
use crate::protocol::rtp::assemble::{Assembly, Depacketizer};
use crate::protocol::rtp::jitter::{self, JitterBuffer};
use crate::time::Timestamp;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Long enough for a picture's packet to be asked for twice over a round trip of 100 ms.
const LATENCY: Duration = Duration::from_millis(250);
/// Times of pictures that are being put together; they come out in order, so that few are under way.
const MAX_TIMES: usize = 64;

/// Packets as they come, pictures as they were sent.
pub(super) struct Pictures<A: Assembly> {
    buffer: JitterBuffer<Packet>,
    depacketizer: Depacketizer<A>,
    clock: Clock,
    start: StartPoint,
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

impl<A: Assembly> Pictures<A> {
    pub(super) fn new() -> Self {
        Self {
            buffer: JitterBuffer::new(LATENCY),
            depacketizer: Depacketizer::new(),
            clock: Clock::default(),
            start: StartPoint::default(),
        }
    }

    pub(super) fn insert(&mut self, now: Instant, packets: &[Packet]) {
        for packet in packets {
            self.buffer.insert(now, packet.sequence, packet.clone());
        }
    }

    /// The source goes on elsewhere: what is missing is not waited for.
    pub(super) fn cut(&mut self) {
        self.buffer.cut();
    }

    /// The next picture that is whole, and its time.
    pub(super) fn next(&mut self, now: Instant) -> Option<(A::Picture, Timestamp)> {
        loop {
            while let Some((ticks, picture)) = self.depacketizer.poll() {
                if let Some(time) = self.clock.time_of(ticks) {
                    return Some((picture, time));
                }
            }
            // The depacketiser sees a loss by the sequence.
            if let jitter::Output::Packet(packet) = self.buffer.poll(now)? {
                self.clock.note(&packet);
                self.depacketizer.push(packet.sequence, packet.ticks, packet.marker, &packet.payload);
            }
        }
    }

    /// Whether a picture can be decoded: not before the first keyframe, and not after a loss until the next. While it
    /// cannot, a keyframe is asked for; how many were left out is told before the next that is not.
    pub(super) fn admits(&mut self, keyframe: bool, after_loss: bool, out: &mut Vec<Output>) -> bool {
        self.start.admits(keyframe, after_loss, out)
    }

    /// Nothing can be decoded, after all, before the next keyframe.
    pub(super) const fn stop(&mut self) {
        self.start.running = false;
    }

    /// A frame for the bus.
    pub(super) fn frame(&mut self, time: Timestamp, keyframe: bool, payload: Payload) -> Frame {
        self.clock.frame(time, keyframe, payload)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.buffer.deadline()
    }
}

impl StartPoint {
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
