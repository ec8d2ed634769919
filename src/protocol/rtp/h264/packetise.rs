//! NAL units of one picture -> RTP payloads.

use super::{FU_A, FU_END, FU_START, REF_IDC, STAP_A, TYPE};
use crate::codec::h264::NalKind;
use bytes::{BufMut, Bytes, BytesMut};
use smallvec::SmallVec;

/// How many bytes of an FU-A stand before the fragment.
const FU_HEADER: usize = 2;
/// Bytes of length before each NAL unit of a STAP-A.
const STAP_LENGTH: usize = 2;

/// `packetization-mode` of the format parameters (RFC 6184, section 8.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PacketizationMode {
    /// 0: every packet is one NAL unit, so that one larger than a packet cannot be sent.
    SingleNal,
    /// 1: fragments and aggregates as well.
    NonInterleaved,
}

/// What goes into one RTP packet of a picture.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Payload {
    /// The RTP payload.
    pub bytes: Bytes,
    /// Whether it is the picture's last packet.
    pub marker: bool,
}

/// Splits pictures into payloads of a bounded size.
///
/// A NAL unit that does not fit is cut into fragments of *equal* size, of which only the last may be shorter: they can
/// leave as one segmented datagram, and no packet is nearly empty.
#[derive(Clone, Copy, Debug)]
pub struct Packetizer {
    max_payload: usize,
    mode: PacketizationMode,
}

/// NAL units that cannot be sent in single NAL unit mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a NAL unit of {len} bytes does not fit a packet, and packetization-mode 0 has no fragments")]
pub struct TooLarge {
    /// Its size in bytes.
    pub len: usize,
}

impl Packetizer {
    /// Payloads of at most `max_payload` bytes, at least 16.
    pub fn new(max_payload: usize, mode: PacketizationMode) -> Self {
        Self { max_payload: max_payload.max(16), mode }
    }

    /// The payloads of one picture, parameter sets included where the caller wants them. Delimiters and filler are left
    /// out: they mean nothing on RTP. Nothing comes for a picture of those alone.
    ///
    /// In single NAL unit mode a picture with a unit that does not fit is refused whole: half of it would be decoded
    /// as damage.
    pub fn packetize(&self, nals: impl IntoIterator<Item = Bytes>) -> Result<Vec<Payload>, TooLarge> {
        let mut payloads = Vec::new();
        let mut pending = Pending::default();
        for nal in nals {
            if matches!(NalKind::of(&nal), None | Some(NalKind::Delimiter | NalKind::Filler)) {
                continue;
            }
            if nal.len() > self.max_payload {
                pending.flush(&mut payloads);
                if self.mode == PacketizationMode::SingleNal {
                    return Err(TooLarge { len: nal.len() });
                }
                self.fragment(&nal, &mut payloads);
                continue;
            }
            if self.mode == PacketizationMode::SingleNal || pending.aggregated(nal.len()) > self.max_payload {
                pending.flush(&mut payloads);
            }
            pending.add(nal);
        }
        pending.flush(&mut payloads);
        if let Some(last) = payloads.last_mut() {
            last.marker = true;
        }
        Ok(payloads)
    }

    /// One NAL unit, larger than a packet, as FU-A: the first byte is taken apart into indicator and header.
    fn fragment(&self, nal: &Bytes, payloads: &mut Vec<Payload>) {
        let Some((header, body)) = nal.split_first() else { return };
        let count = body.len().div_ceil(self.max_payload - FU_HEADER);
        let size = body.len().div_ceil(count);
        // One allocation for the picture's fragments, whose slices share it.
        let mut buffer = BytesMut::with_capacity(body.len() + count * FU_HEADER);
        for (index, fragment) in body.chunks(size).enumerate() {
            let start = if index == 0 { FU_START } else { 0 };
            let end = if index + 1 == count { FU_END } else { 0 };
            buffer.put_u8(header & !TYPE | FU_A);
            buffer.put_u8(start | end | header & TYPE);
            buffer.put_slice(fragment);
            payloads.push(Payload { bytes: buffer.split().freeze(), marker: false });
        }
    }
}

/// Small NAL units that wait for company.
#[derive(Default)]
struct Pending {
    nals: SmallVec<[Bytes; 4]>,
    /// What they take in a STAP-A, its first byte apart.
    len: usize,
}

impl Pending {
    /// Size of the STAP-A with one more NAL unit of `len` bytes.
    fn aggregated(&self, len: usize) -> usize {
        1 + self.len + STAP_LENGTH + len
    }

    fn add(&mut self, nal: Bytes) {
        self.len += STAP_LENGTH + nal.len();
        self.nals.push(nal);
    }

    fn flush(&mut self, payloads: &mut Vec<Payload>) {
        let bytes = match &self.nals[..] {
            [] => return,
            [single] => single.clone(),
            several => {
                let mut out = BytesMut::with_capacity(1 + self.len);
                // F is set when it is on any unit, NRI is the highest (section 5.7.1).
                let forbidden = several.iter().fold(0, |bits, nal| bits | nal[0] & 0x80);
                let ref_idc = several.iter().map(|nal| nal[0] & REF_IDC).max().unwrap_or(0);
                out.put_u8(forbidden | ref_idc | STAP_A);
                for nal in several {
                    out.put_u16(nal.len() as u16); // within a payload, which is within a datagram
                    out.put_slice(nal);
                }
                out.freeze()
            }
        };
        payloads.push(Payload { bytes, marker: false });
        self.nals.clear();
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nal(header: u8, len: usize) -> Bytes {
        let mut bytes = vec![header];
        bytes.extend((1..len).map(|i| (i % 251) as u8));
        bytes.into()
    }

    fn packetize(max: usize, mode: PacketizationMode, nals: &[Bytes]) -> Vec<Payload> {
        Packetizer::new(max, mode).packetize(nals.iter().cloned()).unwrap()
    }

    #[test]
    fn an_idr_picture_is_a_stap_a_and_equal_fragments() {
        let nals =
            [nal(0x09, 2), nal(0x67, 20), nal(0x68, 5), nal(0x06, 30), nal(0x65, 10_000), nal(0x0c, 900)];
        let payloads = packetize(1_188, PacketizationMode::NonInterleaved, &nals);
        assert_eq!(payloads.len(), 1 + 9);
        let stap = &payloads[0].bytes;
        assert_eq!((stap[0], stap.len()), (0x78, 1 + 22 + 7 + 32), "SPS, PPS and SEI with the highest NRI");
        assert_eq!(stap[1..4], [0, 20, 0x67]);
        let sizes: Vec<_> = payloads[1..].iter().map(|payload| payload.bytes.len()).collect();
        assert_eq!(sizes, [[1_113; 8].as_slice(), &[2 + 9_999 - 8 * 1_111]].concat());
        assert_eq!(payloads[1].bytes[..2], [0x7c, 0x85]);
        assert_eq!(payloads[2].bytes[..2], [0x7c, 0x05]);
        assert_eq!(payloads[9].bytes[..2], [0x7c, 0x45]);
        let markers: Vec<_> = payloads.iter().map(|payload| payload.marker).collect();
        assert_eq!(markers, [[false; 9].as_slice(), &[true]].concat());
    }

    #[test]
    fn small_slices_share_a_packet_as_far_as_they_fit() {
        let nals = [nal(0x41, 500), nal(0x41, 500), nal(0x41, 500)];
        let payloads = packetize(1_188, PacketizationMode::NonInterleaved, &nals);
        let sizes: Vec<_> = payloads.iter().map(|payload| payload.bytes.len()).collect();
        assert_eq!(sizes, [1_005, 500]);
        assert_eq!(payloads[1].bytes, nals[2], "alone it is a single NAL unit packet");
    }

    #[test]
    fn mode_0_sends_single_units_or_refuses() {
        let nals = [nal(0x67, 20), nal(0x68, 5), nal(0x65, 1_188)];
        let payloads = packetize(1_188, PacketizationMode::SingleNal, &nals);
        assert_eq!(payloads.iter().map(|payload| payload.bytes.clone()).collect::<Vec<_>>(), nals);
        let refused = Packetizer::new(1_188, PacketizationMode::SingleNal).packetize([nal(0x65, 1_189)]);
        assert_eq!(refused, Err(TooLarge { len: 1_189 }));
    }

    #[test]
    fn the_largest_that_fits_is_not_cut() {
        let fits = packetize(1_188, PacketizationMode::NonInterleaved, &[nal(0x41, 1_188)]);
        assert_eq!((fits.len(), fits[0].marker), (1, true));
        let cut = packetize(1_188, PacketizationMode::NonInterleaved, &[nal(0x41, 1_189)]);
        assert_eq!(cut.iter().map(|payload| payload.bytes.len()).collect::<Vec<_>>(), [596, 596]);
    }

    #[test]
    fn a_picture_of_nothing_has_no_packets() {
        assert_eq!(
            packetize(1_188, PacketizationMode::NonInterleaved, &[nal(0x09, 2), nal(0x0c, 9), Bytes::new()]),
            []
        );
    }
}
