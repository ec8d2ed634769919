//! AV1 (AV1 Bitstream & Decoding Process Specification; AV1 Codec ISO Media File Format Binding): open bitstream units, the
//! sequence header, the av1C record.

mod config;
mod obu;
mod sequence;

pub use config::Av1Config;
pub use obu::{Obu, ObuKind, obus};
pub use sequence::SequenceHeader;

use bytes::Bytes;

/// Whether a decoder can start with this temporal unit, provided that it knows the sequence header: its first frame is a key
/// frame that is shown (section 7.6.1).
pub fn is_keyframe(unit: &[u8], sequence: &SequenceHeader) -> bool {
    let mut frames = obus(unit).filter(|obu| matches!(obu.kind, ObuKind::Frame | ObuKind::FrameHeader));
    // Its header begins with show_existing_frame, frame_type (0 is a key frame) and show_frame (section 5.9.2); there is
    // neither of them where all frames are key frames.
    frames
        .next()
        .and_then(|frame| frame.payload.first().copied())
        .is_some_and(|head| sequence.is_still || (head & 0xe0 == 0 && head & 0x10 != 0))
}

/// The sequence header in a temporal unit, whole, if there is one.
pub fn sequence_header(unit: &[u8]) -> Option<&[u8]> {
    obus(unit).find(|obu| obu.kind == ObuKind::SequenceHeader).map(|obu| obu.whole)
}

/// A temporal unit as files have it: without the delimiter at its beginning (ISO binding, section 2.5).
pub fn without_delimiter(unit: &Bytes) -> Bytes {
    let mut rest = &unit[..];
    while let Some(obu) = obus(rest).next().filter(|obu| obu.kind == ObuKind::TemporalDelimiter) {
        rest = rest.get(obu.whole.len()..).unwrap_or_default();
    }
    unit.slice_ref(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_temporal_unit_begins_with() {
        let key: &[u8] =
            &[0x12, 0, 0x0a, 0x0b, 0, 0, 0, 4, 0x3c, 0xfe, 0xcc, 0xda, 0x99, 0, 0x40, 0x32, 2, 0x10, 1];
        let header = sequence_header(key).unwrap();
        assert_eq!(header, &key[2..15]);
        let sequence = SequenceHeader::parse(header).unwrap();
        assert!(is_keyframe(key, &sequence));
        let inter = [0x12, 0, 0x32, 2, 0x30, 1];
        assert!(!is_keyframe(&inter, &sequence) && sequence_header(&inter).is_none());
        for hidden in [0x00, 0x80, 0x50, 0x70] {
            assert!(!is_keyframe(&[0x32, 1, hidden], &sequence), "{hidden:02x}");
        }
        assert!(!is_keyframe(&[], &sequence) && !is_keyframe(&[0x32, 0], &sequence));
        let bare = without_delimiter(&Bytes::copy_from_slice(key));
        assert_eq!(bare[..], key[2..]);
        assert_eq!(without_delimiter(&bare), bare);
    }
}
