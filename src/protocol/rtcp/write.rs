//! Appending packets to a buffer. Several in a row make a compound; a report comes first (RFC 3550, section 6.1).

use super::{
    FORMAT_FIR, FORMAT_NACK, FORMAT_PLI, GOODBYE, PAYLOAD_FEEDBACK, RECEIVER_REPORT, ReportBlock,
    SENDER_REPORT, SOURCE_DESCRIPTION, SenderInfo, TRANSPORT_FEEDBACK, VERSION,
};
use crate::protocol::rtp::Ssrc;
use bytes::BufMut;

/// The count field has five bits.
const MAX_COUNT: usize = 31;
/// CNAME (RFC 3550, section 6.5.1).
const CNAME: u8 = 1;
/// Ends of the 24 bits that count lost packets.
const MAX_LOST: i32 = 0x7f_ffff;
const MIN_LOST: i32 = -0x80_0000;

/// A sender report of `ssrc`. Of more than 31 blocks the first 31 are written.
pub fn sender_report(out: &mut Vec<u8>, ssrc: Ssrc, info: &SenderInfo, blocks: &[ReportBlock]) {
    packet(out, SENDER_REPORT, blocks.len().min(MAX_COUNT), |out| {
        out.put_u32(ssrc.0);
        out.put_u64(info.ntp.to_bits());
        out.put_u32(info.rtp.0);
        out.put_u32(info.packets);
        out.put_u32(info.octets);
        report_blocks(out, blocks);
    });
}

/// A receiver report by `ssrc`. Of more than 31 blocks the first 31 are written.
pub fn receiver_report(out: &mut Vec<u8>, ssrc: Ssrc, blocks: &[ReportBlock]) {
    packet(out, RECEIVER_REPORT, blocks.len().min(MAX_COUNT), |out| {
        out.put_u32(ssrc.0);
        report_blocks(out, blocks);
    });
}

fn report_blocks(out: &mut Vec<u8>, blocks: &[ReportBlock]) {
    for block in blocks.iter().take(MAX_COUNT) {
        out.put_u32(block.ssrc.0);
        out.put_u8(block.fraction_lost);
        out.put_int(block.lost.clamp(MIN_LOST, MAX_LOST).into(), 3);
        out.put_u32(block.highest);
        out.put_u32(block.jitter);
        out.put_u32(block.last_report);
        out.put_u32(block.delay);
    }
}

/// The canonical name of `ssrc`, cut to 255 bytes.
pub fn source_description(out: &mut Vec<u8>, ssrc: Ssrc, cname: &str) {
    let name = cname.as_bytes();
    let name = &name[..name.len().min(255)];
    packet(out, SOURCE_DESCRIPTION, 1, |out| {
        out.put_u32(ssrc.0);
        out.put_slice(&[CNAME, name.len() as u8]); // cut to 255 above
        out.put_slice(name);
        out.put_u8(0); // the end of the list; what is missing to a word is padded with more of them
    });
}

/// Sources leave. Of more than 31 the first 31 are written.
pub fn goodbye(out: &mut Vec<u8>, sources: &[Ssrc]) {
    let sources = &sources[..sources.len().min(MAX_COUNT)];
    packet(out, GOODBYE, sources.len(), |out| {
        for ssrc in sources {
            out.put_u32(ssrc.0);
        }
    });
}

/// Asks `media` for packets again. The fewer words the closer `lost` is to ascending; nothing is written for none.
pub fn nack(out: &mut Vec<u8>, sender: Ssrc, media: Ssrc, lost: &[u16]) {
    let Some((first, rest)) = lost.split_first() else { return };
    packet(out, TRANSPORT_FEEDBACK, FORMAT_NACK.into(), |out| {
        out.put_u32(sender.0);
        out.put_u32(media.0);
        let (mut first, mut mask) = (*first, 0u16);
        for sequence in rest {
            match sequence.wrapping_sub(first) {
                0 => {}
                distance @ 1..=16 => mask |= 1 << (distance - 1),
                _ => {
                    out.put_slice(&[first.to_be_bytes(), mask.to_be_bytes()].concat());
                    (first, mask) = (*sequence, 0);
                }
            }
        }
        out.put_slice(&[first.to_be_bytes(), mask.to_be_bytes()].concat());
    });
}

/// Tells `media` that a picture was lost.
pub fn pli(out: &mut Vec<u8>, sender: Ssrc, media: Ssrc) {
    packet(out, PAYLOAD_FEEDBACK, FORMAT_PLI.into(), |out| {
        out.put_u32(sender.0);
        out.put_u32(media.0);
    });
}

/// Commands `media` to send a key frame; `number` is one more with each new command.
pub fn fir(out: &mut Vec<u8>, sender: Ssrc, media: Ssrc, number: u8) {
    packet(out, PAYLOAD_FEEDBACK, FORMAT_FIR.into(), |out| {
        out.put_u32(sender.0);
        out.put_u32(0); // unused: the entries name the sources
        out.put_u32(media.0);
        out.put_slice(&[number, 0, 0, 0]);
    });
}

/// Writes the header, lets `body` write the rest, pads with zeros to a word and puts the length in.
pub(in crate::protocol) fn packet(
    out: &mut Vec<u8>,
    packet_type: u8,
    count: usize,
    body: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    out.put_slice(&[VERSION << 6 | count as u8 & 0x1f, packet_type, 0, 0]); // counts and formats have five bits
    body(out);
    out.resize(start + (out.len() - start).next_multiple_of(4), 0);
    let words = (out.len() - start) / 4 - 1;
    // Callers bound what they write to far below 256 KiB.
    if let Some(length) = out.get_mut(start + 2..start + 4) {
        length.copy_from_slice(&(words as u16).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_ends_in_a_zero_and_on_a_word() {
        for (name, len) in [("", 12), ("a", 12), ("ab", 16), ("abcde", 16), ("abcdef", 20)] {
            let mut out = Vec::new();
            source_description(&mut out, Ssrc(1), name);
            assert_eq!((out.len(), out[3], out[9]), (len, (len / 4 - 1) as u8, name.len() as u8), "{name}");
            assert_eq!(out.last(), Some(&0), "{name}");
        }
        let mut out = Vec::new();
        source_description(&mut out, Ssrc(1), &"x".repeat(300));
        assert_eq!((out[9], out.len()), (255, 268));
    }

    #[test]
    fn a_nack_packs_seventeen_into_a_word() {
        let mut out = Vec::new();
        nack(&mut out, Ssrc(1), Ssrc(2), &[10, 11, 26, 27]);
        assert_eq!(out, [0x81, 205, 0, 4, 0, 0, 0, 1, 0, 0, 0, 2, 0, 10, 0x80, 1, 0, 27, 0, 0]);
        out.clear();
        nack(&mut out, Ssrc(1), Ssrc(2), &[]);
        assert!(out.is_empty());
    }

    #[test]
    fn counts_stay_at_their_bounds() {
        let mut out = Vec::new();
        goodbye(&mut out, &[Ssrc(5); 40]);
        assert_eq!((out[0], out.len()), (0x80 | 31, 4 + 31 * 4));
        out.clear();
        let block = ReportBlock {
            ssrc: Ssrc(1),
            fraction_lost: 0,
            lost: i32::MIN,
            highest: 0,
            jitter: 0,
            last_report: 0,
            delay: 0,
        };
        receiver_report(&mut out, Ssrc(1), &[block; 40]);
        assert_eq!((out[0], out.len()), (0x80 | 31, 8 + 31 * 24));
        assert_eq!(out[13..16], [0x80, 0, 0]);
    }
}
