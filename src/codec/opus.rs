//! Opus packets (RFC 6716, section 3.1).

use crate::time::{ClockRate, MediaDuration};

/// What is said of an Opus stream outside its packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpusConfig {
    /// 1 or 2: what a decoder should give; packets of either kind may come (RFC 7587, section 7.1).
    pub channels: u8,
}

impl OpusConfig {
    /// Reads an identification header (RFC 7845, section 5.1) of one stream of one or two channels.
    pub fn parse(header: &[u8]) -> Option<Self> {
        let channels = *header.get(9)?;
        let is_plain = header.starts_with(b"OpusHead") && *header.get(18)? == 0;
        (is_plain && matches!(channels, 1 | 2)).then_some(Self { channels })
    }

    /// An identification header that says so, with nothing to be left out at the beginning.
    pub fn to_header(self) -> [u8; 19] {
        let [a, b, c, d] = ClockRate::OPUS.get().to_le_bytes();
        let [o, p, u, s, h, e, a_, d_] = *b"OpusHead";
        [o, p, u, s, h, e, a_, d_, 1, self.channels, 0, 0, a, b, c, d, 0, 0, 0]
    }

    /// What a packet says of itself; 1 for none.
    pub fn of_packet(packet: &[u8]) -> Self {
        let stereo = packet.first().is_some_and(|toc| toc & 4 != 0);
        Self { channels: if stereo { 2 } else { 1 } }
    }
}

/// How long a packet plays, from its table-of-contents byte; `None` for a packet that breaks RFC 6716's rules.
pub fn duration(packet: &[u8]) -> Option<MediaDuration> {
    let toc = packet.first()?;
    // Samples at 48 kHz of one frame, by configuration number.
    let frame = match toc >> 3 {
        config @ 0..=11 => [480, 960, 1_920, 2_880][usize::from(config & 3)],
        config @ 12..=15 => [480, 960][usize::from(config & 1)],
        config => [120, 240, 480, 960][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => i64::from(packet.get(1)? & 0x3f),
    };
    let samples = frame * frames;
    (1..=5_760).contains(&samples).then(|| MediaDuration::from_ticks(samples, ClockRate::OPUS))
}

/// A packet of 20 ms of digital silence.
///
/// CELT over the full band (configuration 31), whose first coded bit says that there is nothing. A decoder that played sound
/// before lets it fade within the packet, as its windows overlap, and goes on from silence.
pub const fn silence(config: OpusConfig) -> &'static [u8] {
    if config.channels == 1 { &[0xf8, 0xff, 0xfe] } else { &[0xfc, 0xff, 0xfe] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_one_stream() {
        let header = |channels, family| {
            [b"OpusHead\x01".as_slice(), &[channels, 0x38, 1, 0x80, 0xbb, 0, 0, 0, 0, family]].concat()
        };
        let read =
            |channels, family| OpusConfig::parse(&header(channels, family)).map(|config| config.channels);
        assert_eq!(
            [read(1, 0), read(2, 0), read(6, 1), read(2, 1), read(0, 0)],
            [Some(1), Some(2), None, None, None]
        );
        assert_eq!(OpusConfig::parse(&header(2, 0)[..18]), None);
        let ours = OpusConfig { channels: 2 };
        assert_eq!(OpusConfig::parse(&ours.to_header()), Some(ours));
        assert_eq!([[0xf8], [0xfc]].map(|packet| OpusConfig::of_packet(&packet).channels), [1, 2]);
    }

    #[test]
    fn durations_by_toc() {
        let ms = |packet: &[u8]| duration(packet).map(MediaDuration::as_millis);
        assert_eq!(ms(&[0xfc]), Some(20), "CELT fullband, one frame: what browsers send");
        assert_eq!(ms(&[0x78]), Some(20), "hybrid");
        assert_eq!(ms(&[0x18]), Some(60), "SILK, 60 ms");
        assert_eq!(ms(&[0xff, 6]), Some(120), "six frames of 20 ms");
        assert_eq!(ms(&[0xff, 7]), None, "more than 120 ms");
        for channels in [1, 2] {
            assert_eq!(ms(silence(OpusConfig { channels })), Some(20));
        }
        assert_eq!((ms(&[]), ms(&[0xff]), ms(&[0xff, 0])), (None, None, None));
    }
}
