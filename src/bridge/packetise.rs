//! Frames -> RTP packets, once per stream.

use super::Reason;
use super::converter::{Converter, Output};
use crate::codec::h264::{AvcConfig, NalKind};
use crate::media::{CodecParams, Extensions, Frame, MediaKind, Packet, PacketGroup, Payload};
use crate::protocol::rtp::h264::{PacketizationMode, Packetizer};
use crate::stream::Event;
use crate::time::{ClockRate, Timestamp};
use bytes::Bytes;
use std::time::Instant;

/// What a viewer's headers leave of a datagram: with IPv6 and UDP (48), RTP with extensions (12 + 20), SRTP's tag (16)
/// and RTX's sequence number (2) the datagram stays within the 1,280 bytes that every IPv6 path carries.
const MAX_PAYLOAD: usize = 1_180;

/// H.264 access units into packets: parameter sets before each keyframe, no filler, no delimiters, and no picture that
/// would make the shown time go back.
pub(super) struct H264 {
    packetizer: Packetizer,
    params: Option<AvcConfig>,
    sequence: i64,
    /// Presentation time of the last picture sent.
    last: Option<Timestamp>,
    reordered: bool,
}

/// Opus packets into RTP packets.
pub(super) struct Opus {
    sequence: i64,
    /// The next packet is the first of a talk spurt: at the start and behind a gap (RFC 7587, section 4.1).
    marker: bool,
}

impl H264 {
    pub(super) fn new() -> Self {
        Self {
            packetizer: Packetizer::new(MAX_PAYLOAD, PacketizationMode::NonInterleaved),
            params: None,
            sequence: 0,
            last: None,
            reordered: false,
        }
    }

    fn picture(&mut self, frame: &Frame, out: &mut Vec<Output>) {
        let Payload::Nalus(unit) = &frame.payload else { return };
        if !frame.keyframe && self.last.is_some_and(|last| frame.pts <= last) {
            if !self.reordered {
                self.reordered = true;
                out.push(Output::Reason(Reason::BFrames));
            }
            return;
        }
        let sets: &[&[Bytes]] = match &self.params {
            Some(config) if frame.keyframe => &[config.sps(), config.pps()],
            _ => &[],
        };
        // Sets in band are those of the configuration, or contradict it.
        let coded =
            unit.shared_nals().filter(|nal| !matches!(NalKind::of(nal), Some(NalKind::Sps | NalKind::Pps)));
        let nals = sets.iter().copied().flatten().cloned().chain(coded);
        let payloads = match self.packetizer.packetize(nals) {
            Ok(payloads) => payloads,
            Err(error) => {
                tracing::warn!(%error, "a picture cannot be packetised");
                return;
            }
        };
        self.last = Some(frame.pts);
        let first = self.sequence;
        let ticks = frame.pts.to_ticks(ClockRate::VIDEO);
        let packets: Vec<_> = (first..)
            .zip(payloads)
            .map(|(sequence, payload)| Packet {
                sequence,
                ticks,
                time: frame.pts,
                marker: payload.marker,
                keyframe: frame.keyframe && sequence == first,
                extensions: Extensions::default(),
                payload: payload.bytes,
            })
            .collect();
        self.sequence += packets.len() as i64; // a picture has few
        out.extend(PacketGroup::new(packets).map(Output::Packets));
    }
}

impl Converter for H264 {
    fn handle(&mut self, event: Event, _now: Instant, out: &mut Vec<Output>) {
        match event {
            Event::Params(CodecParams::H264(config)) => {
                self.params = Some(config.clone());
                out.push(Output::Params(CodecParams::H264(config)));
            }
            Event::Frame(frame) => self.picture(&frame, out),
            Event::Skipped { frames, .. } => {
                self.sequence += 1; // a hole, so that decoders know
                out.push(Output::Gap(frames));
            }
            _ => {}
        }
    }
}

impl Opus {
    pub(super) const fn new() -> Self {
        Self { sequence: 0, marker: true }
    }
}

impl Converter for Opus {
    fn handle(&mut self, event: Event, _now: Instant, out: &mut Vec<Output>) {
        match event {
            Event::Params(params) => out.push(Output::Params(params)),
            Event::Frame(Frame {
                kind: MediaKind::Audio, pts, payload: Payload::Packet(payload), ..
            }) => {
                let packet = Packet {
                    sequence: self.sequence,
                    ticks: pts.to_ticks(ClockRate::OPUS),
                    time: pts,
                    marker: std::mem::take(&mut self.marker),
                    keyframe: true,
                    extensions: Extensions::default(),
                    payload,
                };
                self.sequence += 1;
                out.push(Output::Packets(packet.into()));
            }
            Event::Skipped { frames, .. } => {
                self.marker = true;
                out.push(Output::Gap(frames));
            }
            _ => {}
        }
    }
}
