//! RTP payloads, in order -> pictures.

use super::{FU_A, FU_END, FU_START, STAP_A, TYPE, aggregated};
use crate::protocol::rtp::assemble;
use bytes::{BufMut, Bytes, BytesMut};

/// A larger picture is given up: no level of H.264 that anybody streams makes one.
const MAX_BYTES: usize = 8 << 20;
/// So is one of more NAL units than this.
const MAX_NALS: usize = 4_096;

/// The NAL units of one RTP timestamp, parameter sets among them. That may be parameter sets alone: some senders send
/// them under a timestamp of their own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Picture {
    /// In order, none of them empty.
    pub nals: Vec<Bytes>,
    /// Packets were lost between the last picture that came out and this one, of another picture or of one that is not
    /// whole: what this one refers to may be missing.
    pub after_loss: bool,
}

/// Puts pictures together from the payloads of [`Packetizer`](super::Packetizer) and its like.
pub type Depacketizer = assemble::Depacketizer<Assembly>;

/// What came of one picture.
#[derive(Debug)]
pub struct Assembly {
    ticks: i64,
    nals: Vec<Bytes>,
    bytes: usize,
    /// A fragmented NAL unit of which the last fragment has not come.
    fragment: Option<BytesMut>,
    damaged: bool,
}

impl assemble::Assembly for Assembly {
    type Picture = Picture;

    fn new(ticks: i64) -> Self {
        Self { ticks, nals: Vec::new(), bytes: 0, fragment: None, damaged: false }
    }

    fn ticks(&self) -> i64 {
        self.ticks
    }

    fn add(&mut self, payload: &Bytes, missing: bool) {
        if missing {
            self.damaged |= !self.nals.is_empty() || self.fragment.is_some() || !begins(payload);
        }
        self.take(payload);
    }

    fn damage(&mut self) {
        self.damaged = true;
    }

    fn finish(self, after_loss: bool) -> Option<Picture> {
        let whole = !self.damaged && self.fragment.is_none() && !self.nals.is_empty();
        whole.then_some(Picture { nals: self.nals, after_loss })
    }
}

impl Assembly {
    fn take(&mut self, payload: &Bytes) {
        self.bytes += payload.len();
        if self.bytes > MAX_BYTES || self.nals.len() >= MAX_NALS {
            self.damaged = true;
        }
        if self.damaged {
            (self.nals, self.fragment) = (Vec::new(), None);
            return;
        }
        let Some(header) = payload.first() else { return };
        match header & TYPE {
            1..=23 => {
                self.whole();
                self.nals.push(payload.clone());
            }
            STAP_A => {
                self.whole();
                let units = aggregated(&payload[1..]).filter(|nal| !nal.is_empty());
                let room = MAX_NALS - self.nals.len();
                self.nals.extend(units.take(room).map(|nal| payload.slice_ref(nal)));
            }
            FU_A => self.add_fragment(payload),
            _ => self.damaged = true,
        }
    }

    fn add_fragment(&mut self, payload: &[u8]) {
        let [indicator, header, fragment @ ..] = payload else {
            self.damaged = true;
            return;
        };
        if header & FU_START != 0 {
            self.whole();
            let mut nal = BytesMut::new();
            nal.put_u8(indicator & !TYPE | header & TYPE);
            self.fragment = Some(nal);
        }
        let Some(nal) = &mut self.fragment else {
            self.damaged = true;
            return;
        };
        nal.put_slice(fragment);
        if header & FU_END != 0 {
            self.nals.extend(self.fragment.take().map(BytesMut::freeze));
        }
    }

    /// Anything but the next fragment while one is open: its end is missing.
    const fn whole(&mut self) {
        self.damaged |= self.fragment.is_some();
    }
}

/// Whether a payload can be the first of a picture: what comes before the slices, or a slice that starts at the first
/// macroblock (`first_mb_in_slice` 0 is a single 1 bit in front).
fn begins(payload: &[u8]) -> bool {
    let first = |nal: &[u8]| match nal {
        [header, body @ ..] => {
            !matches!(header & TYPE, 1 | 2 | 5) || body.first().is_some_and(|byte| byte & 0x80 != 0)
        }
        [] => false,
    };
    match payload {
        [header, units @ ..] if header & TYPE == STAP_A => aggregated(units).next().is_some_and(first),
        [indicator, header, body @ ..] if indicator & TYPE == FU_A => {
            header & FU_START != 0
                && (!matches!(header & TYPE, 1 | 2 | 5) || body.first().is_some_and(|byte| byte & 0x80 != 0))
        }
        nal => first(nal),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PacketizationMode, Packetizer};
    use super::*;
    use proptest::prelude::*;

    fn nal(header: u8, len: usize) -> Bytes {
        // 0x88: first_mb_in_slice 0.
        let mut bytes = vec![header, 0x88];
        bytes.extend((2..len).map(|i| (i % 251) as u8));
        bytes.into()
    }

    /// Packets of pictures, numbered from 0, a tick apart.
    fn packets(pictures: &[Vec<Bytes>]) -> Vec<(i64, i64, bool, Bytes)> {
        let packetizer = Packetizer::new(1_188, PacketizationMode::NonInterleaved);
        let mut out: Vec<_> = Vec::new();
        for (ticks, nals) in (0..).zip(pictures) {
            for payload in packetizer.packetize(nals.iter().cloned()).unwrap() {
                out.push((out.len() as i64, ticks, payload.marker, payload.bytes));
            }
        }
        out
    }

    fn run(packets: impl IntoIterator<Item = (i64, i64, bool, Bytes)>) -> (Vec<(i64, Picture)>, u64) {
        let mut depacketizer = Depacketizer::new();
        let mut pictures = Vec::new();
        for (sequence, ticks, marker, payload) in packets {
            depacketizer.push(sequence, ticks, marker, &payload);
            pictures.extend(std::iter::from_fn(|| depacketizer.poll()));
        }
        (pictures, depacketizer.dropped())
    }

    fn gop() -> Vec<Vec<Bytes>> {
        vec![
            vec![nal(0x67, 20), nal(0x68, 6), nal(0x65, 3_000)],
            vec![nal(0x41, 2_000)],
            vec![nal(0x41, 100)],
            vec![nal(0x41, 2_500), nal(0x41, 40)],
        ]
    }

    #[test]
    fn a_lost_packet_costs_its_picture_and_marks_the_next() {
        // 0 STAP-A, 1-3 IDR; 4-5; 6; 7-9 slice, 10 slice.
        for (lost, ticks, after_loss, dropped) in [
            (2, vec![1, 2, 3], 1, 1),
            (4, vec![0, 2, 3], 2, 1),
            (5, vec![0, 2, 3], 2, 1),
            (6, vec![0, 1, 3], 3, 0),
            (7, vec![0, 1, 2], -1, 1),
        ] {
            let (pictures, count) = run(packets(&gop()).into_iter().filter(|packet| packet.0 != lost));
            assert_eq!(pictures.iter().map(|(ticks, _)| *ticks).collect::<Vec<_>>(), ticks, "packet {lost}");
            let marked = pictures.iter().find(|(_, p)| p.after_loss).map_or(-1, |(ticks, _)| *ticks);
            assert_eq!((marked, count), (after_loss, dropped), "packet {lost}");
        }
    }

    #[test]
    fn without_markers_the_next_timestamp_ends_a_picture() {
        let packets =
            packets(&gop()).into_iter().map(|(seq, ticks, _, payload)| (seq, ticks, false, payload));
        let (pictures, dropped) = run(packets);
        assert_eq!((pictures.len(), dropped), (3, 0), "the last one has no end yet");
        assert_eq!(pictures[0].1.nals, gop()[0]);
    }

    #[test]
    fn lone_parameter_sets_and_repetitions() {
        let sets = |seq, header| (seq, 5, false, nal(header, 4));
        let slice = (2, 5, true, nal(0x65, 50));
        let (pictures, _) =
            run([sets(0, 0x67), sets(1, 0x68), slice.clone(), slice, (3, 6, true, Bytes::new())]);
        assert_eq!(pictures.len(), 1);
        assert_eq!(pictures[0].1.nals.len(), 3);
    }

    #[test]
    fn what_the_format_does_not_know_costs_the_picture() {
        for hostile in
            [&[0x1e, 0][..], &[0x7c], &[0x7c, 0x05, 1], &[0x00, 1], &[0x1d, 0x85, 1], &[0x78, 0, 9, 1]]
        {
            let (pictures, dropped) =
                run([(0, 0, true, Bytes::copy_from_slice(hostile)), (1, 1, true, nal(0x41, 9))]);
            assert_eq!((pictures.len(), dropped), (1, 1), "{hostile:02x?}");
            assert!(pictures[0].1.after_loss);
        }
        let open = (0, 0, true, Bytes::from_static(&[0x7c, 0x85, 1]));
        assert_eq!(run([open]).1, 1, "a fragment without its end");
    }

    #[test]
    fn a_picture_without_end_is_bounded() {
        let fragment = Bytes::from(vec![0x7c; 60_000]);
        let endless = (0..200).map(|seq| (seq, 0, false, fragment.clone()));
        assert_eq!(run(endless.chain([(200, 0, true, fragment.clone())])), (vec![], 1));
    }

    proptest! {
        #[test]
        fn packets_carry_what_went_in(
            sizes in prop::collection::vec(prop::collection::vec(2usize..5_000, 1..6), 1..8),
            max in 16usize..1_500,
            single in any::<bool>(),
        ) {
            let mode = if single { PacketizationMode::SingleNal } else { PacketizationMode::NonInterleaved };
            let max = if single { 5_000 } else { max };
            let pictures: Vec<Vec<Bytes>> =
                sizes.iter().map(|sizes| sizes.iter().map(|len| nal(0x41, *len)).collect()).collect();
            let packetizer = Packetizer::new(max, mode);
            let (mut depacketizer, mut sequence) = (Depacketizer::new(), 65_530);
            for (ticks, nals) in (0..).zip(&pictures) {
                for payload in packetizer.packetize(nals.iter().cloned()).unwrap() {
                    prop_assert!(payload.bytes.len() <= max);
                    depacketizer.push(sequence, ticks, payload.marker, &payload.bytes);
                    sequence += 1;
                }
                let picture = depacketizer.poll();
                prop_assert_eq!(picture, Some((ticks, Picture { nals: nals.clone(), after_loss: false })));
            }
        }
    }
}
