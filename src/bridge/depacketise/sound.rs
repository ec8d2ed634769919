//! Packets of Opus or G.711 -> frames.

use crate::bridge::converter::{Converter, Output};
use crate::codec::opus;
use crate::media::{Frame, Packet};
use crate::protocol::rtp::jitter::{self, JitterBuffer};
use crate::stream::Event;
use crate::time::Timestamp;
use std::time::{Duration, Instant};

/// Browsers do not send sound again: what has not come by now was lost, and not merely overtaken.
const LATENCY: Duration = Duration::from_millis(60);

/// Packets of sound into frames.
pub(in crate::bridge) struct Sound {
    buffer: JitterBuffer<Packet>,
    last: Option<Timestamp>,
    /// Padding and what is no packet of the codec are left out.
    is_sound: fn(&[u8]) -> bool,
}

impl Sound {
    /// Opus.
    pub(in crate::bridge) const fn opus() -> Self {
        Self::new(|payload| opus::duration(payload).is_some())
    }

    /// G.711: every byte is a sample.
    pub(in crate::bridge) const fn g711() -> Self {
        Self::new(|payload| !payload.is_empty())
    }

    const fn new(is_sound: fn(&[u8]) -> bool) -> Self {
        Self { buffer: JitterBuffer::new(LATENCY), last: None, is_sound }
    }
}

impl Converter for Sound {
    fn handle(&mut self, event: Event, now: Instant, out: &mut Vec<Output>) {
        match event {
            Event::Params(params) => out.push(Output::Params(params)),
            Event::Packets(_, packets) => {
                for packet in packets.iter() {
                    self.buffer.insert(now, packet.sequence, packet.clone());
                }
                self.poll(now, out);
            }
            Event::Skipped { frames, .. } => {
                self.buffer.cut();
                out.push(Output::Gap(frames));
            }
            _ => {}
        }
    }

    fn poll(&mut self, now: Instant, out: &mut Vec<Output>) {
        while let Some(output) = self.buffer.poll(now) {
            match output {
                jitter::Output::Lost(packets) => out.push(Output::Gap(packets)),
                jitter::Output::Packet(packet) if !(self.is_sound)(&packet.payload) => {}
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
