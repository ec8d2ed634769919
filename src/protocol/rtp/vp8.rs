//! The payload format of VP8 (RFC 7741): payload descriptor, keyframes, frames put together again.

mod counts;

pub use counts::{Counts, Head};

use super::assemble;
use crate::codec::vp8::{Size, is_keyframe};
use crate::wire::{ByteReader, Truncated};
use bytes::{BufMut, Bytes, BytesMut};

/// A larger frame is given up.
const MAX_BYTES: usize = 8 << 20;

/// What stands before the VP8 data of each packet (RFC 7741, section 4.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Descriptor {
    /// N: no other frame refers to this one.
    pub non_reference: bool,
    /// S: the packet begins a partition.
    pub start: bool,
    /// PID: which partition.
    pub partition: u8,
    /// The picture's number of 7 or 15 bits, where there is one.
    pub picture_id: Option<u16>,
    /// TL0PICIDX: how many pictures of the lowest temporal layer there were, where it is told.
    pub layer_index: Option<u8>,
    /// Size of the descriptor in bytes.
    pub len: usize,
}

/// One coded VP8 frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Picture {
    /// The frame as a decoder takes it.
    pub data: Bytes,
    /// Whether a decoder can start here.
    pub keyframe: bool,
    /// Packets were lost between the last frame that came out and this one.
    pub after_loss: bool,
}

/// Puts frames together from their packets.
pub type Depacketizer = assemble::Depacketizer<Assembly>;

/// What came of one frame.
#[derive(Debug)]
pub struct Assembly {
    ticks: i64,
    data: BytesMut,
    /// The first packet has come.
    begun: bool,
    damaged: bool,
}

impl Descriptor {
    /// Reads the descriptor at the start of a payload.
    pub fn parse(payload: &[u8]) -> Result<Self, Truncated> {
        let mut reader = ByteReader::new(payload);
        let first = reader.u8()?;
        let extended = if first & 0x80 != 0 { reader.u8()? } else { 0 };
        let mut picture_id = None;
        if extended & 0x80 != 0 {
            let id = reader.u8()?;
            picture_id = Some(if id & 0x80 != 0 {
                u16::from(id & 0x7f) << 8 | u16::from(reader.u8()?)
            } else {
                u16::from(id)
            });
        }
        let layer_index = if extended & 0x40 != 0 { Some(reader.u8()?) } else { None };
        if extended & 0x30 != 0 {
            reader.u8()?; // TID, Y, KEYIDX
        }
        Ok(Self {
            non_reference: first & 0x20 != 0,
            start: first & 0x10 != 0,
            partition: first & 0x07,
            picture_id,
            layer_index,
            len: payload.len() - reader.len(),
        })
    }

    /// Whether the packet is the first of its frame.
    pub const fn begins_frame(&self) -> bool {
        self.start && self.partition == 0
    }
}

/// The payloads of one frame, of `max_payload` bytes at most and of equal size, of which the last may be shorter. `picture_id` counts
/// frames; its lower 15 bits are sent, as losses are found by them.
pub fn packetize(frame: &[u8], picture_id: u16, max_payload: usize) -> impl Iterator<Item = Bytes> {
    /// X, I with M: two bytes of picture number.
    const DESCRIPTOR: usize = 4;
    let room = max_payload.saturating_sub(DESCRIPTOR).max(1);
    let count = frame.len().div_ceil(room).max(1);
    let [high, low] = (picture_id | 0x8000).to_be_bytes();
    frame.chunks(frame.len().div_ceil(count).max(1)).enumerate().map(move |(at, data)| {
        let mut payload = BytesMut::with_capacity(DESCRIPTOR + data.len());
        let start = if at == 0 { 0x10 } else { 0 };
        payload.put_slice(&[0x80 | start, 0x80, high, low]);
        payload.put_slice(data);
        payload.freeze()
    })
}

/// Lines of the picture, from a payload that begins a key frame (RFC 6386, section 9.1).
pub fn height(payload: &[u8]) -> Option<u32> {
    let descriptor = Descriptor::parse(payload).ok().filter(Descriptor::begins_frame)?;
    Size::of_keyframe(payload.get(descriptor.len..)?).map(|size| size.height().into())
}

/// Whether this payload begins a key frame.
pub fn starts_keyframe(payload: &[u8]) -> bool {
    Descriptor::parse(payload).is_ok_and(|descriptor| {
        descriptor.begins_frame() && payload.get(descriptor.len..).is_some_and(is_keyframe)
    })
}

impl assemble::Assembly for Assembly {
    type Picture = Picture;

    fn new(ticks: i64) -> Self {
        Self { ticks, data: BytesMut::new(), begun: false, damaged: false }
    }

    fn ticks(&self) -> i64 {
        self.ticks
    }

    fn add(&mut self, payload: &Bytes, missing: bool) {
        let descriptor = Descriptor::parse(payload).ok();
        let begins = !self.begun && descriptor.is_some_and(|descriptor| descriptor.begins_frame());
        self.damaged |= !begins && (missing || !self.begun);
        self.begun = true;
        match descriptor.and_then(|descriptor| payload.get(descriptor.len..)) {
            Some(data) if self.data.len() + data.len() <= MAX_BYTES => self.data.extend_from_slice(data),
            _ => self.damaged = true,
        }
    }

    fn damage(&mut self) {
        self.damaged = true;
    }

    fn finish(self, after_loss: bool) -> Option<Picture> {
        if self.damaged || self.data.is_empty() {
            return None;
        }
        Some(Picture { keyframe: is_keyframe(&self.data), data: self.data.freeze(), after_loss })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = &[0x90, 0x80, 0x11, 0x50, 0x00, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00];

    #[test]
    fn a_frame_is_cut_into_equal_payloads_and_put_together_again() {
        let frame: Vec<u8> = (0..=255).cycle().take(2_500).collect();
        let payloads: Vec<_> = packetize(&frame, 0xffff, 1_000).collect();
        assert_eq!(payloads.iter().map(Bytes::len).collect::<Vec<_>>(), [838, 838, 836]);
        let heads: Vec<_> = payloads.iter().map(|payload| Descriptor::parse(payload).unwrap()).collect();
        assert_eq!(heads.iter().map(Descriptor::begins_frame).collect::<Vec<_>>(), [true, false, false]);
        assert!(heads.iter().all(|head| head.picture_id == Some(0x7fff) && head.len == 4));
        assert_eq!(payloads.iter().flat_map(|payload| &payload[4..]).copied().collect::<Vec<_>>(), frame);
        assert_eq!(packetize(&[], 0, 1_000).count(), 0);
        assert!(packetize(&[1; 10], 0, 0).count() == 10);
    }

    #[test]
    fn descriptors_of_every_shape() {
        let plain = Descriptor::parse(&[0x10, 0]).unwrap();
        assert_eq!((plain.len, plain.begins_frame(), plain.picture_id), (1, true, None));
        let chromium = Descriptor::parse(&[0x90, 0xe0, 0x92, 0x34, 7, 0x20, 0]).unwrap();
        assert_eq!((chromium.len, chromium.picture_id), (6, Some(0x1234)));
        let short = Descriptor::parse(KEY).unwrap();
        assert_eq!((short.len, short.picture_id, short.non_reference), (3, Some(0x11), false));
        assert!(!Descriptor::parse(&[0x31]).unwrap().begins_frame(), "partition 1");
        for cut in [&[][..], &[0x80], &[0x80, 0x80], &[0x80, 0x80, 0x80], &[0x80, 0x40], &[0x80, 0x10]] {
            assert_eq!(Descriptor::parse(cut), Err(Truncated), "{cut:02x?}");
        }
    }

    #[test]
    fn heights_of_key_frames() {
        assert_eq!(height(KEY), Some(240));
        for other in [
            &KEY[..12],
            &[0x10, 0x51, 0, 0, 0x9d, 1, 0x2a, 0, 0, 9, 0][..],
            &[0x00, 0x50],
            &[0x10, 0x50],
            &[],
        ] {
            assert_eq!(height(other), None, "{other:02x?}");
        }
    }

    #[test]
    fn keyframes_by_the_first_bytes() {
        assert!(starts_keyframe(KEY));
        assert!(!starts_keyframe(&[0x10, 0x31]), "an interframe");
        assert!(!starts_keyframe(&[0x00, 0x50]), "a later packet");
        assert!(!starts_keyframe(&[0x10]) && !starts_keyframe(&[]));
    }

    #[test]
    fn frames_come_whole_or_not_at_all() {
        let mut depacketizer = Depacketizer::new();
        let packets: &[(i64, i64, bool, &'static [u8])] = &[
            (0, 0, false, KEY),
            (1, 0, true, &[0x00, 7, 8]),
            (2, 1, false, &[0x10, 0x31, 1]),
            (4, 1, true, &[0x00, 9]),
            (5, 2, true, &[0x10, 0x31, 2]),
            (7, 4, true, &[0x10, 0x31, 3]),
            (8, 5, true, &[0x00, 4]),
        ];
        let mut frames = Vec::new();
        for (sequence, ticks, marker, payload) in packets {
            depacketizer.push(*sequence, *ticks, *marker, &Bytes::from_static(payload));
            frames.extend(std::iter::from_fn(|| depacketizer.poll()));
        }
        let seen: Vec<_> =
            frames.iter().map(|(ticks, f)| (*ticks, f.data.len(), f.keyframe, f.after_loss)).collect();
        assert_eq!(seen, [(0, 12, true, false), (2, 2, false, true), (4, 2, false, true)]);
        assert_eq!(depacketizer.dropped(), 2, "one with a hole, one without its beginning");
    }
}
