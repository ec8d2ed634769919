//! NAL unit headers, emulation prevention and the length-prefixed framing.

use bytes::{BufMut, Bytes, BytesMut};
use smallvec::SmallVec;

/// `nal_unit_type` (ITU-T H.264, table 7-1), as far as a gateway tells them apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NalKind {
    /// 1: a slice, or (2 to 4) a data partition, of a picture that is not an IDR.
    Slice,
    /// 5: a slice of an IDR picture.
    IdrSlice,
    /// 6: supplemental enhancement information.
    Sei,
    /// 7: sequence parameter set.
    Sps,
    /// 8: picture parameter set.
    Pps,
    /// 9: access unit delimiter.
    Delimiter,
    /// 12: filler data.
    Filler,
    /// Anything else.
    Other(u8),
}

impl NalKind {
    /// The kind of a NAL unit by its first byte; `None` when it is empty.
    pub fn of(nal: &[u8]) -> Option<Self> {
        nal.first().map(|header| match header & 0x1f {
            1..=4 => Self::Slice,
            5 => Self::IdrSlice,
            6 => Self::Sei,
            7 => Self::Sps,
            8 => Self::Pps,
            9 => Self::Delimiter,
            12 => Self::Filler,
            other => Self::Other(other),
        })
    }
}

/// Whether a NAL unit is SEI with a recovery point (ITU-T H.264, section D.2.8): where a stream without IDR pictures can
/// be joined.
pub fn is_recovery_point(nal: &[u8]) -> bool {
    const RECOVERY_POINT: usize = 6;
    let mut rest = match nal.split_first() {
        Some((_, payloads)) if NalKind::of(nal) == Some(NalKind::Sei) => payloads,
        _ => return false,
    };
    // Type and size count up by bytes of 255. Emulation prevention could only shift what stands behind a payload of
    // zeros, so at worst a recovery point is missed.
    let number = |rest: &mut &[u8]| {
        let mut sum = 0;
        loop {
            let (byte, behind) = rest.split_first()?;
            *rest = behind;
            sum += usize::from(*byte);
            if *byte != 255 {
                return Some(sum);
            }
        }
    };
    while let (Some(kind), Some(size)) = (number(&mut rest), number(&mut rest)) {
        if kind == RECOVERY_POINT {
            return true;
        }
        rest = rest.get(size..).unwrap_or_default();
    }
    false
}

/// Walks NAL units that stand behind big-endian lengths of `length_size` bytes (1, 2 or 4).
///
/// Empty units are passed over. A length that runs past the end ends the walk: what is left cannot be split.
pub fn length_prefixed(data: &[u8], length_size: usize) -> impl Iterator<Item = &[u8]> {
    let mut rest = data;
    std::iter::from_fn(move || {
        loop {
            let (prefix, behind) = rest.split_at_checked(length_size)?;
            let length = prefix.iter().fold(0usize, |n, byte| n << 8 | usize::from(*byte));
            let (nal, next) = behind.split_at_checked(length)?;
            rest = next;
            if !nal.is_empty() {
                return Some(nal);
            }
        }
    })
}

/// Walks the NAL units of a byte stream (ITU-T H.264 and H.265, annex B), none of them empty.
pub fn byte_stream(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut starts = memchr::memmem::find_iter(data, &[0, 0, 1]).peekable();
    std::iter::from_fn(move || {
        loop {
            let start = starts.next()? + 3;
            let end = starts.peek().copied().unwrap_or(data.len());
            let unit = data.get(start..end)?;
            // The code of the next one may have a zero more, and a unit never ends in one.
            if let Some(last) = unit.iter().rposition(|byte| *byte != 0) {
                return unit.get(..=last);
            }
        }
    })
}

/// The first bytes of a NAL unit's payload without emulation prevention (section 7.4.1).
pub(in crate::codec) fn unescape(body: &[u8], limit: usize) -> SmallVec<[u8; 64]> {
    let mut out = SmallVec::new();
    let mut zeros = 0;
    for byte in body.iter().take(limit) {
        if zeros >= 2 && *byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        out.push(*byte);
    }
    out
}

/// A NAL unit of this header and payload, with emulation prevention (section 7.4.1).
pub(super) fn nal_unit(header: u8, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(payload.len() + 8);
    out.put_u8(header);
    let mut zeros = 0;
    for byte in payload {
        if zeros == 2 && *byte <= 3 {
            out.put_u8(3);
            zeros = 0;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        out.put_u8(*byte);
    }
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_points_anywhere_in_sei() {
        assert!(is_recovery_point(&[6, 6, 1, 0xc4, 0x80]));
        assert!(is_recovery_point(&[6, 5, 2, 9, 9, 6, 1, 0xc4, 0x80]), "behind another");
        assert!(!is_recovery_point(&[6, 5, 2, 6, 6, 0x80]));
        assert!(!is_recovery_point(&[1, 6, 1, 0xc4, 0x80]), "a slice");
        assert!(!is_recovery_point(&[6, 255]));
    }

    #[test]
    fn a_byte_stream_is_split_at_its_codes() {
        let data = [9, 0, 0, 0, 1, 0x67, 1, 0, 0, 3, 0, 0, 1, 0, 0, 0, 1, 0x65, 2, 0, 0];
        assert_eq!(byte_stream(&data).collect::<Vec<_>>(), [&[0x67, 1, 0, 0, 3][..], &[0x65, 2]]);
        assert_eq!(byte_stream(&[0, 0, 1]).count() + byte_stream(&[1, 2, 3]).count(), 0);
    }

    #[test]
    fn splits_and_stops_at_a_lying_length() {
        let data = [0, 0, 0, 1, 0x65, 0, 0, 0, 0, 0, 0, 0, 2, 0x41, 1, 0, 0, 0, 9, 0x41];
        let nals: Vec<_> = length_prefixed(&data, 4).collect();
        assert_eq!(nals, [&[0x65][..], &[0x41, 1]]);
        assert_eq!(NalKind::of(nals[0]), Some(NalKind::IdrSlice));
    }
}
