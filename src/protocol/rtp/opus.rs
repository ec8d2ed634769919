//! The payload format of Opus (RFC 7587): a payload is one Opus packet, nothing around it.

use bytes::Bytes;

/// The Opus packet of a payload. `None` for an empty payload (padding only) and for one that is no Opus packet.
pub fn packet(payload: &Bytes) -> Option<Bytes> {
    crate::codec::opus::duration(payload).map(|_| payload.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_a_packet() {
        assert_eq!(packet(&Bytes::from_static(&[0xfc, 1, 2])), Some(Bytes::from_static(&[0xfc, 1, 2])));
        assert_eq!(packet(&Bytes::new()), None);
        assert_eq!(packet(&Bytes::from_static(&[0xff, 63])), None);
    }
}
