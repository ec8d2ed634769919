//! One H.264 picture: its NAL units, whatever framing they came in.

use crate::codec::h264::{NalKind, length_prefixed};
use bytes::{BufMut, Bytes, BytesMut};

const LENGTH_SIZE: usize = 4;

/// The NAL units of one access unit, each behind a length of 4 bytes. Parameter sets are not among them: they stand in
/// the track's [`CodecParams`](super::CodecParams). Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessUnit {
    data: Bytes,
}

impl AccessUnit {
    /// Takes the bytes of an FLV or MP4 sample as they are when `length_size` is 4, else re-frames them.
    pub fn from_length_prefixed(data: Bytes, length_size: usize) -> Self {
        if length_size == LENGTH_SIZE {
            return Self { data };
        }
        Self::from_nals(length_prefixed(&data, length_size))
    }

    /// Puts NAL units, without framing of their own, behind lengths.
    pub fn from_nals<'a>(nals: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut data = BytesMut::new();
        for nal in nals {
            // No NAL unit of 4 GiB comes past the limits of any reader.
            data.put_u32(u32::try_from(nal.len()).unwrap_or(u32::MAX));
            data.put_slice(nal);
        }
        Self { data: data.freeze() }
    }

    /// The NAL units in order, none of them empty.
    pub fn nals(&self) -> impl Iterator<Item = &[u8]> {
        length_prefixed(&self.data, LENGTH_SIZE)
    }

    /// The NAL units in order as slices that share this unit's bytes.
    pub fn shared_nals(&self) -> impl Iterator<Item = Bytes> {
        self.nals().map(|nal| self.data.slice_ref(nal))
    }

    /// The whole unit with lengths of 4 bytes: the body of an FLV video tag or an MP4 sample.
    pub const fn as_length_prefixed(&self) -> &Bytes {
        &self.data
    }

    /// Whether this is an IDR picture, at which a decoder can start.
    pub fn is_idr(&self) -> bool {
        self.nals().any(|nal| NalKind::of(nal) == Some(NalKind::IdrSlice))
    }

    /// Whether no other picture refers to this one (`nal_ref_idc` 0 on every slice), so that it can be left out.
    pub fn is_disposable(&self) -> bool {
        let mut slices = self
            .nals()
            .filter(|nal| matches!(NalKind::of(nal), Some(NalKind::Slice | NalKind::IdrSlice)))
            .peekable();
        slices.peek().is_some() && slices.all(|nal| nal[0] & 0x60 == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_walks() {
        let unit = AccessUnit::from_nals([&[0x06, 1][..], &[0x65, 2, 3]]);
        assert_eq!(unit.as_length_prefixed()[..], [0, 0, 0, 2, 6, 1, 0, 0, 0, 3, 0x65, 2, 3]);
        assert!(unit.is_idr() && !unit.is_disposable());
        let short = AccessUnit::from_length_prefixed(Bytes::from_static(&[0, 2, 0x01, 9]), 2);
        assert_eq!(short.as_length_prefixed()[..], [0, 0, 0, 2, 1, 9]);
        assert!(short.is_disposable() && !short.is_idr());
    }

    #[test]
    fn a_unit_without_slices_is_not_disposable() {
        assert!(!AccessUnit::from_nals([&[0x06, 1][..]]).is_disposable());
    }
}
