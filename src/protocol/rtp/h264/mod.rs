//! The payload format of H.264 (RFC 6184): NAL units in, RTP payloads out, and back.
//!
//! Single NAL unit packets, STAP-A and FU-A are what every WebRTC stack sends and takes; the interleaved mode's kinds
//! (STAP-B, MTAP, FU-B) are refused, as is everything that does not parse.

mod depacketise;
mod packetise;

pub use depacketise::{Assembly, Depacketizer, Picture};
pub use packetise::{PacketizationMode, Packetizer, Payload};

use crate::wire::ByteReader;

/// `nal_unit_type` of an aggregation packet: several NAL units, each behind 16 bits of length (section 5.7.1).
const STAP_A: u8 = 24;
/// `nal_unit_type` of a fragment (section 5.8).
const FU_A: u8 = 28;
/// In the FU header: the first fragment, and the last.
const FU_START: u8 = 0x80;
const FU_END: u8 = 0x40;
/// The type in the first byte of a NAL unit, and what stands before it.
const TYPE: u8 = 0x1f;
const REF_IDC: u8 = 0x60;

const IDR: u8 = 5;
const SPS: u8 = 7;

/// Whether a decoder can start at this payload: it holds an SPS or begins an IDR slice.
///
/// Several packets of one picture may say yes (the SPS, then each slice): the first of them is where to start.
pub fn starts_keyframe(payload: &[u8]) -> bool {
    let starts = |header: u8| matches!(header & TYPE, IDR | SPS);
    match payload {
        [header, rest @ ..] if header & TYPE == STAP_A => {
            aggregated(rest).any(|nal| nal.first().is_some_and(|header| starts(*header)))
        }
        [indicator, header, ..] if indicator & TYPE == FU_A => header & FU_START != 0 && starts(*header),
        [header, ..] => starts(*header),
        [] => false,
    }
}

/// The NAL units of an aggregation packet, behind its first byte; ends at the first that does not fit.
fn aggregated(units: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut reader = ByteReader::new(units);
    std::iter::from_fn(move || {
        let length = reader.u16().ok()?;
        reader.bytes(length.into()).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyframes_by_the_first_bytes() {
        assert!(starts_keyframe(&[0x67, 0x42]), "an SPS alone");
        assert!(starts_keyframe(&[0x65, 0x88]), "an IDR slice");
        assert!(starts_keyframe(&[0x78, 0, 2, 0x67, 0x42, 0, 2, 0x68, 0xce]), "SPS and PPS aggregated");
        assert!(starts_keyframe(&[0x78, 0, 2, 0x06, 0x05, 0, 2, 0x65, 0x88]), "IDR behind an SEI");
        assert!(starts_keyframe(&[0x7c, 0x85, 0x88]), "first fragment of an IDR slice");
        assert!(!starts_keyframe(&[0x7c, 0x05, 0x88]), "a later fragment of it");
        assert!(
            !starts_keyframe(&[0x41, 0x9a]) && !starts_keyframe(&[0x5c, 0x81]) && !starts_keyframe(&[0x68])
        );
        assert!(!starts_keyframe(&[]) && !starts_keyframe(&[0x7c]) && !starts_keyframe(&[0x78, 0, 9, 0x67]));
    }
}
