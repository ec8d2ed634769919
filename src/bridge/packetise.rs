//! Frames -> RTP packets, once per stream.

mod g711;

pub(super) use g711::G711;

use super::Reason;
use super::converter::{Converter, Output};
use super::order::{DisplayOrder, Reordering};
use crate::codec::h264::{AvcConfig, NalKind};
use crate::media::{CodecParams, Extensions, Frame, MAX_PAYLOAD, MediaKind, Packet, PacketGroup, Payload};
use crate::protocol::rtp::h264::{PacketizationMode, Packetizer};
use crate::protocol::rtp::vp8;
use crate::stream::Event;
use crate::time::ClockRate;
use std::time::Instant;

/// H.264 access units into packets: parameter sets before each keyframe, no filler, no delimiters, and no picture that
/// would make the shown time go back.
pub(super) struct H264 {
    packetizer: Packetizer,
    params: Option<AvcConfig>,
    sequence: i64,
    order: DisplayOrder,
    /// What the publisher has been told.
    told: Reordering,
}

/// VP8 frames into RTP packets.
pub(super) struct Vp8 {
    sequence: i64,
    /// Of the next picture.
    picture_id: u16,
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
            order: DisplayOrder::default(),
            told: Reordering::None,
        }
    }

    fn picture(&mut self, frame: &Frame, out: &mut Vec<Output>) {
        let Payload::Nalus(unit) = &frame.payload else { return };
        let sent = self.order.admits(frame, unit);
        let reordering = self.order.reordering();
        if std::mem::replace(&mut self.told, reordering) != reordering {
            out.push(Output::Reason(match reordering {
                Reordering::None => Reason::Packetised,
                Reordering::LeftOut => Reason::BFrames,
                Reordering::ReferredTo => Reason::BFrameReferences,
            }));
        }
        if !sent {
            return;
        }
        let sets = match &self.params {
            Some(config) if frame.keyframe => self.order.parameter_sets(config),
            _ => Vec::new(),
        };
        // Sets in band are those of the configuration, or contradict it.
        let coded =
            unit.shared_nals().filter(|nal| !matches!(NalKind::of(nal), Some(NalKind::Sps | NalKind::Pps)));
        let nals = sets.into_iter().chain(coded);
        let payloads = match self.packetizer.packetize(nals) {
            Ok(payloads) => payloads,
            Err(error) => {
                tracing::warn!(%error, "a picture cannot be packetised");
                return;
            }
        };
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
                if self.params.as_ref() != Some(&config) {
                    // Another encoder, or the same with other options: what was found of its order holds no longer.
                    self.order = DisplayOrder::default();
                    self.told = Reordering::None;
                }
                self.order.configure(&config);
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

impl Vp8 {
    pub(super) const fn new() -> Self {
        Self { sequence: 0, picture_id: 0 }
    }
}

impl Converter for Vp8 {
    fn handle(&mut self, event: Event, _now: Instant, out: &mut Vec<Output>) {
        match event {
            Event::Params(params) => out.push(Output::Params(params)),
            Event::Frame(Frame { pts, keyframe, payload: Payload::Packet(data), .. }) => {
                let mut packets: Vec<_> = vp8::packetize(&data, self.picture_id, MAX_PAYLOAD)
                    .zip(self.sequence..)
                    .map(|(payload, sequence)| Packet {
                        sequence,
                        ticks: pts.to_ticks(ClockRate::VIDEO),
                        time: pts,
                        marker: false,
                        keyframe: keyframe && sequence == self.sequence,
                        extensions: Extensions::default(),
                        payload,
                    })
                    .collect();
                if let Some(last) = packets.last_mut() {
                    last.marker = true;
                }
                self.sequence += packets.len() as i64; // a picture has few
                self.picture_id = self.picture_id.wrapping_add(1);
                out.extend(PacketGroup::new(packets).map(Output::Packets));
            }
            Event::Skipped { frames, .. } => {
                self.sequence += 1; // a hole, so that decoders know
                self.picture_id = self.picture_id.wrapping_add(1);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::AccessUnit;
    use crate::protocol::rtp::h264::starts_keyframe;
    use crate::time::Timestamp;
    use bytes::Bytes;

    #[expect(clippy::disallowed_methods, reason = "any instant will do; none can be made otherwise")]
    fn run(converter: &mut dyn Converter, events: impl IntoIterator<Item = Event>) -> Vec<Output> {
        let mut out = Vec::new();
        events.into_iter().for_each(|event| converter.handle(event, Instant::now(), &mut out));
        out
    }

    fn picture(ms: i64, keyframe: bool, nals: &[&[u8]]) -> Event {
        let (time, unit) = (Timestamp::from_millis(ms), AccessUnit::from_nals(nals.iter().copied()));
        let payload = Payload::Nalus(unit);
        Event::Frame(Frame { kind: MediaKind::Video, dts: time, pts: time, keyframe, payload })
    }

    fn groups(out: &[Output]) -> Vec<&PacketGroup> {
        out.iter()
            .filter_map(|output| match output {
                Output::Packets(packets) => Some(packets),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn keyframes_carry_the_parameter_sets_and_begin_a_group() {
        let set = Bytes::from_static;
        let config = AvcConfig::new(vec![set(&[0x67, 0x42, 0xc0, 0x1e])], vec![set(&[0x68, 0xce])]).unwrap();
        let idr = [&[0x65, 0x88][..], &[7; 3_000]].concat();
        let events = [
            Event::Params(CodecParams::H264(config)),
            picture(1_000, true, &[&[0x09, 0x10], &[0x67, 1, 2, 3], &[0x06, 5], &idr]),
            picture(1_033, false, &[&[0x41, 0x9a], &[0x0c, 0xff]]),
        ];
        let out = run(&mut H264::new(), events);
        assert!(matches!(out[0], Output::Params(_)));
        let groups = groups(&out);
        let (key, next) = (groups[0], groups[1]);
        assert_eq!(key.len(), 4);
        assert_eq!(key[0].payload[..], [0x78, 0, 4, 0x67, 0x42, 0xc0, 0x1e, 0, 2, 0x68, 0xce, 0, 2, 0x06, 5]);
        assert!(starts_keyframe(&key[0].payload));
        assert_eq!(key.iter().map(|p| p.keyframe).collect::<Vec<_>>(), [true, false, false, false]);
        assert_eq!(key.iter().map(|p| p.marker).collect::<Vec<_>>(), [false, false, false, true]);
        assert_eq!(key.iter().map(|p| p.sequence).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert!(key.iter().all(|p| p.ticks == 90_000 && p.time == Timestamp::from_millis(1_000)));
        assert_eq!((next.len(), next[0].sequence, next[0].ticks), (1, 4, 92_970));
        assert_eq!(next[0].payload[..], [0x41, 0x9a], "no sets, no filler");
    }

    #[test]
    fn a_loss_before_leaves_a_hole_in_the_numbers() {
        let skipped = Event::Skipped { kind: MediaKind::Video, frames: 3 };
        let events = [picture(0, false, &[&[0x41, 1]]), skipped, picture(40, true, &[&[0x65, 1]])];
        let out = run(&mut H264::new(), events);
        assert!(matches!(out[1], Output::Gap(3)));
        assert_eq!(groups(&out)[1][0].sequence, 2);
    }

    #[test]
    fn opus_packets_are_their_own_payload() {
        let sound =
            |ms| Event::Frame(Frame::audio(Timestamp::from_millis(ms), Bytes::from_static(&[0xfc, 1])));
        let gap = Event::Skipped { kind: MediaKind::Audio, frames: 1 };
        let out = run(&mut Opus::new(), [sound(20), sound(40), gap, sound(100)]);
        let packets: Vec<_> = groups(&out).iter().map(|g| (g[0].sequence, g[0].ticks, g[0].marker)).collect();
        assert_eq!(packets, [(0, 960, true), (1, 1_920, false), (2, 4_800, true)]);
    }
}
