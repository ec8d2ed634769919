//! Retransmissions on a source of their own (RFC 4588, section 4): the original sequence number in front of the payload.

/// Splits the payload of a retransmission into the original's sequence number and payload. `None` for one that is too
/// short; senders probe with such packets, which repeat nothing.
pub fn split(payload: &[u8]) -> Option<(u16, &[u8])> {
    let (sequence, original) = payload.split_first_chunk()?;
    Some((u16::from_be_bytes(*sequence), original))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_original_is_named_in_front() {
        assert_eq!(split(&[0xff, 0xfe, b'a', b'b']), Some((0xfffe, &b"ab"[..])));
        assert_eq!((split(&[1]), split(&[1, 2])), (None, Some((0x0102, &[][..]))));
    }
}
