//! Packets of Opus -> frames.

use crate::bridge::converter::{Converter, Output};
use crate::codec::opus;
use crate::media::{Frame, Packet};
use crate::protocol::rtp::jitter::{self, JitterBuffer};
use crate::stream::Event;
use crate::time::Timestamp;
use std::time::{Duration, Instant};

/// Browsers do not send sound again: what has not come by now was lost, and not merely overtaken.
const LATENCY: Duration = Duration::from_millis(60);

/// Packets of Opus into frames.
pub(in crate::bridge) struct Opus {
    buffer: JitterBuffer<Packet>,
    last: Option<Timestamp>,
}

impl Opus {
    pub(in crate::bridge) const fn new() -> Self {
        Self { buffer: JitterBuffer::new(LATENCY), last: None }
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
