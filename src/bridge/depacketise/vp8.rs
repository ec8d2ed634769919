//! Packets of VP8 -> frames.

use super::pictures::Pictures;
use crate::bridge::converter::{Converter, Output};
use crate::media::Payload;
use crate::protocol::rtp::vp8;
use crate::stream::Event;
use std::time::Instant;

/// Packets of VP8 into frames.
pub(in crate::bridge) struct Vp8 {
    pictures: Pictures<vp8::Assembly>,
}

impl Vp8 {
    pub(in crate::bridge) fn new() -> Self {
        Self { pictures: Pictures::new() }
    }
}

impl Converter for Vp8 {
    fn handle(&mut self, event: Event, now: Instant, out: &mut Vec<Output>) {
        match event {
            Event::Params(params) => out.push(Output::Params(params)),
            Event::Packets(_, packets) => {
                self.pictures.insert(now, &packets);
                self.poll(now, out);
            }
            Event::Skipped { .. } => self.pictures.cut(),
            _ => {}
        }
    }

    fn poll(&mut self, now: Instant, out: &mut Vec<Output>) {
        while let Some((picture, time)) = self.pictures.next(now) {
            if self.pictures.admits(picture.keyframe, picture.after_loss, out) {
                let payload = Payload::Packet(picture.data);
                out.push(Output::Frame(self.pictures.frame(time, picture.keyframe, payload)));
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.pictures.deadline()
    }
}
