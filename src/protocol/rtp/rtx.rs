//! Retransmissions on a source of their own (RFC 4588, section 4): the original sequence number in front of the payload.

use bytes::BufMut;

/// Bytes that a retransmission is longer than the original.
pub const OVERHEAD: usize = 2;

/// Splits the payload of a retransmission into the original's sequence number and payload. `None` for one that is too
/// short; senders probe with such packets, which repeat nothing.
pub fn split(payload: &[u8]) -> Option<(u16, &[u8])> {
    let (sequence, original) = payload.split_first_chunk()?;
    Some((u16::from_be_bytes(*sequence), original))
}

/// Appends what stands between the header and the original's payload.
pub fn put_prefix(original: u16, out: &mut impl BufMut) {
    out.put_u16(original);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let mut out = Vec::new();
        put_prefix(0xfffe, &mut out);
        assert_eq!(out.len(), OVERHEAD);
        out.extend(b"abc");
        assert_eq!(split(&out), Some((0xfffe, &b"abc"[..])));
        assert_eq!((split(&[1]), split(&[1, 2])), (None, Some((0x0102, &[][..]))));
    }
}
