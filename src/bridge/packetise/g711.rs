//! G.711 into RTP packets of 20 ms (RFC 3551, section 4.5.14).

use crate::bridge::converter::{Converter, Output};
use crate::media::{CodecParams, Extensions, Frame, MediaKind, Packet, PacketGroup, Payload};
use crate::stream::Event;
use crate::time::{ClockRate, MediaDuration};
use bytes::Bytes;
use std::time::Instant;

/// Samples in a packet: 20 ms.
const PACKET: usize = 160;

/// G.711 of one channel into RTP packets; of two the left one.
pub(in crate::bridge) struct G711 {
    sequence: i64,
    /// The next packet is the first of a talk spurt: at the start and behind a gap.
    marker: bool,
    stereo: bool,
}

impl G711 {
    pub(in crate::bridge) const fn new() -> Self {
        Self { sequence: 0, marker: true, stereo: false }
    }

    fn packet(&mut self, frame: &Frame, index: usize, payload: Bytes) -> Packet {
        let offset = MediaDuration::from_ticks((index * PACKET) as i64, ClockRate::TELEPHONE); // a frame is short
        let time = frame.pts + offset;
        let packet = Packet {
            sequence: self.sequence,
            ticks: time.to_ticks(ClockRate::TELEPHONE),
            time,
            marker: std::mem::take(&mut self.marker),
            keyframe: true,
            extensions: Extensions::default(),
            payload,
        };
        self.sequence += 1;
        packet
    }
}

impl Converter for G711 {
    fn handle(&mut self, event: Event, _now: Instant, out: &mut Vec<Output>) {
        match event {
            Event::Params(params) => {
                self.stereo = matches!(&params, CodecParams::Sound(config) if config.channels > 1);
                out.push(Output::Params(params));
            }
            Event::Frame(frame) if frame.kind == MediaKind::Audio => {
                let Payload::Packet(payload) = &frame.payload else { return };
                let mono = match self.stereo {
                    true => payload.iter().step_by(2).copied().collect(),
                    false => payload.clone(),
                };
                let packets = mono
                    .chunks(PACKET)
                    .enumerate()
                    .map(|(index, chunk)| self.packet(&frame, index, mono.slice_ref(chunk)));
                out.extend(PacketGroup::new(packets.collect()).map(Output::Packets));
            }
            Event::Skipped { .. } => self.marker = true,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codec;
    use crate::codec::sound::SoundConfig;
    use crate::time::Timestamp;

    #[expect(clippy::disallowed_methods, reason = "any instant will do; none can be made otherwise")]
    fn packets(channels: u8, frames: &[(i64, usize)]) -> Vec<(i64, i64, bool, usize)> {
        let (mut packetiser, mut out, now) = (G711::new(), Vec::new(), Instant::now());
        let config = SoundConfig { channels, ..SoundConfig::telephone(Codec::Pcmu) };
        packetiser.handle(Event::Params(CodecParams::Sound(config)), now, &mut out);
        for (ms, len) in frames {
            let frame = Frame::audio(Timestamp::from_millis(*ms), vec![0xff; *len].into());
            packetiser.handle(Event::Frame(frame), now, &mut out);
        }
        let groups = out.iter().filter_map(|output| match output {
            Output::Packets(group) => Some(group),
            _ => None,
        });
        let packets = groups.flat_map(|group| group.iter());
        packets.map(|packet| (packet.sequence, packet.ticks, packet.marker, packet.payload.len())).collect()
    }

    #[test]
    fn packets_have_twenty_milliseconds_at_most() {
        assert_eq!(
            packets(1, &[(1_000, 160), (1_020, 160)]),
            [(0, 8_000, true, 160), (1, 8_160, false, 160)]
        );
        let long = packets(1, &[(0, 1_024)]);
        assert_eq!((long.len(), long[1], long[6]), (7, (1, 160, false, 160), (6, 960, false, 64)));
        assert_eq!(packets(2, &[(0, 320), (20, 0)]), [(0, 0, true, 160)], "one channel of two");
    }
}
