//! Packets of H.264 -> access units.

use super::pictures::Pictures;
use crate::bridge::converter::{Converter, Output};
use crate::codec::h264::{AvcConfig, NalKind, ParameterSets};
use crate::media::{AccessUnit, CodecParams, Payload};
use crate::protocol::rtp::h264;
use crate::stream::Event;
use crate::time::Timestamp;
use std::time::Instant;

/// Packets of H.264 into access units.
pub(in crate::bridge) struct H264 {
    pictures: Pictures<h264::Assembly>,
    sets: ParameterSets,
    config: Option<AvcConfig>,
}

impl H264 {
    pub(in crate::bridge) fn new() -> Self {
        Self { pictures: Pictures::new(), sets: ParameterSets::default(), config: None }
    }

    fn picture(&mut self, picture: &h264::Picture, time: Timestamp, out: &mut Vec<Output>) {
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
        if !self.pictures.admits(keyframe, picture.after_loss, out) {
            return;
        }
        if keyframe {
            // What cannot be read is decoded with whatever there is.
            let slice = unit.nals().find(|nal| NalKind::of(nal) == Some(NalKind::IdrSlice));
            let config = slice.and_then(|nal| self.sets.config_of(nal)).or_else(|| self.sets.config());
            if config.is_none() && self.config.is_none() {
                self.pictures.stop(); // nothing can decode it
                return;
            }
            if config != self.config {
                out.extend(config.clone().map(CodecParams::H264).map(Output::Params));
                self.config = config;
            }
        }
        out.push(Output::Frame(self.pictures.frame(time, keyframe, Payload::Nalus(unit))));
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
                self.pictures.insert(now, &packets);
                self.poll(now, out);
            }
            Event::Skipped { .. } => self.pictures.cut(),
            _ => {}
        }
    }

    fn poll(&mut self, now: Instant, out: &mut Vec<Output>) {
        while let Some((picture, time)) = self.pictures.next(now) {
            self.picture(&picture, time, out);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.pictures.deadline()
    }
}
