//! Where one encoding of a picture goes on as another: numbers, times and VP8's own counts continue.

use crate::media::Packet;
use crate::protocol::rtp::vp8;
use crate::time::Timestamp;
use smallvec::SmallVec;

/// Pictures of the new encoding that may be older than the last of the old; more would lie at the place of the last of these.
const MAX_MOVED: usize = 16;

/// What the readers of the track have got so far, and how what comes next follows it.
#[derive(Debug, Default)]
pub(super) struct Seam {
    /// Where the present encoding begins, by its own number.
    from: i64,
    /// Added to its numbers.
    offset: i64,
    /// The highest number given.
    highest: Option<i64>,
    /// The latest picture given: its ticks and time.
    last: Option<(i64, Timestamp)>,
    /// The ticks of the last picture before the seam.
    floor: Option<i64>,
    /// Pictures behind the seam that are no newer than the last before it, in order.
    moved: SmallVec<[i64; 4]>,
    vp8: Option<Counts>,
}

/// VP8's counts of pictures.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    /// Added to those of the present encoding.
    up: vp8::Counts,
    /// Those of the latest picture given.
    last: Option<vp8::Counts>,
}

impl Seam {
    /// The encoding whose key picture begins with this packet follows.
    pub(super) fn begin(&mut self, key: &Packet, is_vp8: bool) {
        self.from = key.sequence;
        self.offset = self.highest.map_or(0, |highest| highest + 1 - key.sequence);
        self.floor = self.last.map(|(ticks, _)| ticks);
        self.moved.clear();
        if is_vp8 {
            let counts = self.vp8.get_or_insert_default();
            counts.up = counts.last.map_or_else(vp8::Counts::default, |last| {
                last.up_from(vp8::Counts::of(&key.payload)) // a decoder leaves out what counts back
            });
        }
    }

    /// A packet of the present encoding as the track has it; `None` for one from before the seam.
    pub(super) fn pass(&mut self, packet: &Packet) -> Option<Packet> {
        let (sequence, ticks, time) = self.note(packet)?;
        let head = self.vp8.as_ref().and_then(|counts| counts.up.added_to(&packet.payload));
        let payload = head.map_or_else(
            || packet.payload.clone(),
            |head| [&head[..], packet.payload.get(head.len()..).unwrap_or_default()].concat().into(),
        );
        Some(Packet { sequence, ticks, time, payload, ..packet.clone() })
    }

    /// Counts a packet of the present encoding that nobody reads, and says where it lies: its number, ticks and time.
    pub(super) fn note(&mut self, packet: &Packet) -> Option<(i64, i64, Timestamp)> {
        if packet.sequence < self.from {
            return None;
        }
        let sequence = packet.sequence + self.offset;
        self.highest = self.highest.max(Some(sequence));
        let before = self.last;
        let (ticks, time) = self.place(packet);
        if self.last != before
            && let Some(counts) = &mut self.vp8
        {
            counts.last = Some(vp8::Counts::of(&packet.payload).plus(counts.up));
        }
        Some((sequence, ticks, time))
    }

    /// Where it lies: a picture that is no newer than the last before the seam comes right behind that, as no two pictures
    /// may have the same ticks.
    fn place(&mut self, packet: &Packet) -> (i64, Timestamp) {
        let (ticks, time) = match self.floor {
            Some(floor) if packet.ticks <= floor + self.moved.len() as i64 => {
                let at = self.moved.iter().position(|moved| *moved == packet.ticks);
                let at = at.unwrap_or_else(|| {
                    if self.moved.len() < MAX_MOVED {
                        self.moved.push(packet.ticks);
                    }
                    self.moved.len() - 1
                });
                (floor + 1 + at as i64, packet.time) // at most MAX_MOVED
            }
            _ => (packet.ticks, packet.time),
        };
        match self.last {
            Some((last, at)) if ticks == last => (last, at),
            Some((last, at)) if ticks < last => (ticks, time.min(at)),
            last => {
                let time = last.map_or(time, |(_, at)| time.max(at));
                self.last = Some((ticks, time));
                (ticks, time)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Extensions;
    use bytes::Bytes;
    use proptest::prelude::*;

    fn packet(sequence: i64, ticks: i64, payload: &[u8]) -> Packet {
        Packet {
            sequence,
            ticks,
            time: Timestamp::from_millis(ticks / 90),
            marker: true,
            keyframe: false,
            extensions: Extensions::default(),
            payload: Bytes::copy_from_slice(payload),
        }
    }

    fn shown(seam: &mut Seam, packets: &[Packet]) -> Vec<(i64, i64)> {
        packets
            .iter()
            .filter_map(|packet| seam.pass(packet))
            .map(|packet| (packet.sequence, packet.ticks))
            .collect()
    }

    #[test]
    fn the_first_encoding_is_passed_on_as_it_is() {
        let mut seam = Seam::default();
        seam.begin(&packet(10, 3_000, &[]), false);
        let packets =
            [packet(9, 0, &[]), packet(10, 3_000, &[]), packet(12, 6_000, &[]), packet(11, 3_000, &[])];
        assert_eq!(
            shown(&mut seam, &packets),
            [(10, 3_000), (12, 6_000), (11, 3_000)],
            "none from before its start"
        );
    }

    #[test]
    fn another_follows_in_number_and_time() {
        let mut seam = Seam::default();
        seam.begin(&packet(10, 3_000, &[]), false);
        shown(&mut seam, &[packet(10, 3_000, &[]), packet(11, 6_000, &[])]);
        // Its key picture is the one that was shown last already; the next is new.
        let packets = [
            packet(500, 6_000, &[]),
            packet(501, 6_000, &[]),
            packet(502, 9_000, &[]),
            packet(499, 3_000, &[]),
        ];
        seam.begin(&packets[0], false);
        assert_eq!(shown(&mut seam, &packets), [(12, 6_001), (13, 6_001), (14, 9_000)]);
        // One that is far behind.
        let packets: Vec<_> = (0..3).map(|index| packet(70 + index, 1_000 + 3_000 * index, &[])).collect();
        seam.begin(&packets[0], false);
        assert_eq!(shown(&mut seam, &packets), [(15, 9_001), (16, 9_002), (17, 9_003)]);
    }

    #[test]
    fn counts_of_vp8_go_on() {
        let payload = |picture: u16, layer: u8| {
            let [high, low] = (picture | 0x8000).to_be_bytes();
            [0x90, 0xc0, high, low, layer, 0x51]
        };
        let mut seam = Seam::default();
        seam.begin(&packet(1, 0, &payload(0x7ffe, 250)), true);
        let counts = |seam: &mut Seam, sequence, picture, layer| {
            let passed = seam.pass(&packet(sequence, sequence * 3_000, &payload(picture, layer))).unwrap();
            let [_, _, high, low, layer, _] = passed.payload[..] else { panic!("{:02x?}", passed.payload) };
            (u16::from_be_bytes([high, low]) & 0x7fff, layer)
        };
        assert_eq!(counts(&mut seam, 1, 0x7ffe, 250), (0x7ffe, 250));
        seam.begin(&packet(40, 120_000, &payload(700, 9)), true);
        assert_eq!(counts(&mut seam, 40, 700, 9), (0x7fff, 251));
        assert_eq!(counts(&mut seam, 41, 701, 9), (0, 251));
        assert_eq!(counts(&mut seam, 43, 703, 10), (2, 252));
        assert_eq!(counts(&mut seam, 42, 702, 9), (1, 251), "it comes late");
        seam.begin(&packet(90, 300_000, &payload(3, 0)), true);
        assert_eq!(counts(&mut seam, 90, 3, 0), (3, 253));
    }

    #[test]
    fn what_nobody_reads_counts_all_the_same() {
        let payload = |picture: u8| [0x90, 0x80, picture, 0x51];
        let (mut read, mut unread) = (Seam::default(), Seam::default());
        for seam in [&mut read, &mut unread] {
            seam.begin(&packet(7, 3_000, &payload(20)), true);
        }
        for index in 0..3 {
            let packet = packet(7 + index, 3_000 * (1 + index), &payload(20 + index as u8));
            read.pass(&packet);
            unread.note(&packet);
        }
        let key = packet(300, 9_000, &payload(90));
        let shown = [&mut read, &mut unread].map(|seam| {
            seam.begin(&key, true);
            let packet = seam.pass(&key).unwrap();
            (packet.sequence, packet.ticks, packet.time, packet.payload)
        });
        assert_eq!(shown[0], shown[1]);
        assert_eq!((shown[1].0, shown[1].3[2]), (10, 23));
    }

    proptest! {
        #[test]
        fn numbers_have_no_holes_and_pictures_never_go_back(
            parts in prop::collection::vec((0i64..1 << 20, -90_000i64..90_000, 1usize..6), 1..12),
        ) {
            let (mut seam, mut at, mut got) = (Seam::default(), 0, Vec::new());
            for (sequence, step, count) in parts {
                at += step;
                let packets: Vec<_> =
                    (0..count as i64).map(|index| packet(sequence + index, at + index * 3_000, &[])).collect();
                seam.begin(&packets[0], false);
                got.extend(packets.iter().filter_map(|packet| seam.pass(packet)));
                at += count as i64 * 3_000;
            }
            for pair in got.windows(2) {
                prop_assert_eq!(pair[0].sequence + 1, pair[1].sequence);
                prop_assert!(pair[0].ticks < pair[1].ticks, "{} then {}", pair[0].ticks, pair[1].ticks);
                prop_assert!(pair[0].time <= pair[1].time);
            }
        }
    }
}
