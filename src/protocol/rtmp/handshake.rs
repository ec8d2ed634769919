//! The handshake (section 5.2), plain and with digests: rml_rtmp's, fed no more than the handshake's own bytes.

use bytes::{Buf, Bytes, BytesMut};
use rml_rtmp::handshake::{Handshake as Library, HandshakeProcessResult, PeerType};
use thiserror::Error;

const VERSION: u8 = 3;
const PACKET: usize = 1_536;
/// C0, C1 and C2.
const TOTAL: usize = 1 + 2 * PACKET;

/// A handshake in progress.
pub struct Handshake {
    library: Library,
    left: usize,
}

/// Why there is no handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum HandshakeError {
    /// The first byte is not RTMP's: an encrypted variant (6, 8, 9), TLS (22), or something else altogether.
    #[error("not RTMP: the first byte is {0:#04x}")]
    Version(u8),
    /// The digest library refuses the packet.
    #[error("malformed RTMP handshake")]
    Malformed,
}

/// What a step gave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// To be sent.
    pub response: Bytes,
    /// Whether the handshake is done: what is left of the input are chunks.
    pub done: bool,
}

impl Handshake {
    /// The server's side.
    #[expect(clippy::new_without_default, reason = "a handshake does not come about by default")]
    pub fn new() -> Self {
        Self { library: Library::new(PeerType::Server), left: TOTAL }
    }

    /// Takes what belongs to the handshake off the front of `input`.
    pub fn handle_input(&mut self, input: &mut BytesMut) -> Result<Step, HandshakeError> {
        if self.left == TOTAL
            && let Some(first) = input.first().filter(|first| **first != VERSION)
        {
            return Err(HandshakeError::Version(*first));
        }
        let taken = input.len().min(self.left);
        if taken == 0 {
            return Ok(Step { response: Bytes::new(), done: self.left == 0 });
        }
        let result = self.library.process_bytes(input.get(..taken).unwrap_or_default());
        input.advance(taken);
        self.left -= taken;
        match result {
            Ok(HandshakeProcessResult::InProgress { response_bytes }) => {
                Ok(Step { response: response_bytes.into(), done: false })
            }
            Ok(HandshakeProcessResult::Completed { response_bytes, .. }) => {
                Ok(Step { response: response_bytes.into(), done: true })
            }
            Err(_) => Err(HandshakeError::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C0 and C1 of the plain handshake: no digest, and zeros where digests have a version.
    fn plain() -> Vec<u8> {
        let mut bytes = vec![VERSION, 0, 0, 0, 9, 0, 0, 0, 0];
        bytes.extend((bytes.len()..=PACKET).map(|i| i as u8));
        bytes
    }

    #[test]
    fn plain_byte_by_byte_and_what_follows_is_left() {
        let mut handshake = Handshake::new();
        let mut sent = Vec::new();
        for byte in plain() {
            let step = handshake.handle_input(&mut BytesMut::from(&[byte][..])).unwrap();
            assert!(!step.done);
            sent.extend(step.response);
        }
        assert_eq!(sent.len(), 1 + 2 * PACKET, "S0, S1, S2");
        assert_eq!(sent[1 + PACKET..], plain()[1..], "S2 repeats C1");
        let mut rest = BytesMut::from(&sent[1..=PACKET]);
        rest.extend_from_slice(b"chunks");
        assert!(handshake.handle_input(&mut rest).unwrap().done);
        assert_eq!(&rest[..], b"chunks");
    }

    #[test]
    fn with_digests_in_one_piece() {
        let (mut client, mut handshake) = (Library::new(PeerType::Client), Handshake::new());
        let mut input = BytesMut::from(&client.generate_outbound_p0_and_p1().unwrap()[..]);
        let step = handshake.handle_input(&mut input).unwrap();
        let Ok(HandshakeProcessResult::Completed { response_bytes, .. }) =
            client.process_bytes(&step.response)
        else {
            panic!("the client does not accept S0 to S2");
        };
        assert!(handshake.handle_input(&mut BytesMut::from(&response_bytes[..])).unwrap().done);
    }

    #[test]
    fn another_protocol_is_told_by_its_first_byte() {
        for text in [&b"GET / HTTP/1.1\r\n"[..], &[0x16, 3, 1], &[6]] {
            let error = Handshake::new().handle_input(&mut BytesMut::from(text)).unwrap_err();
            assert_eq!(error, HandshakeError::Version(text[0]));
        }
    }
}
