//! RTP and RTCP as they come out of SRTP: their sender has the keys, and is not to be trusted any more for that.

use commonroom::protocol::rtp::extensions::{Extension, ExtensionIds};
use commonroom::protocol::rtp::packet::PacketView;

fn ids() -> ExtensionIds {
    let mut ids = ExtensionIds::default();
    for (id, extension) in (1..).zip(Extension::ALL) {
        ids.insert(extension, id);
    }
    ids
}

/// Header, extensions and payload.
pub(crate) fn packet(input: &[u8]) {
    let Ok(view) = PacketView::parse(input) else { return };
    let range = view.payload_range();
    assert_eq!(view.payload(), &input[range], "the payload lies within the packet");
    let values = view.values(&ids());
    let mut written = Vec::new();
    view.header().write(&values, &ids(), &mut written);
    assert!(PacketView::parse(&written).is_ok(), "what we write we can read");
}

pub(crate) fn packet_seeds() -> Vec<Vec<u8>> {
    let head = |first: u8, second: u8| {
        let mut head = vec![first, second, 0xff, 0xfe];
        head.extend([0, 1, 2, 3, 0, 0, 0, 9]);
        head
    };
    let one_byte = [0xbe, 0xde, 0, 3, 0x10, b'0', 0x41, 0xff, 0xff, 0x52, 1, 2, 3, 0x60, 0x85, 0];
    let two_byte = [0x10, 0, 0, 2, 1, 1, b'0', 4, 2, 0, 1, 0];
    vec![
        [head(0x80, 96), vec![0x65, 1, 2, 3]].concat(),
        [head(0x90, 0xe0), one_byte.into(), vec![0x7c, 0x85, 1, 2]].concat(),
        [head(0x90, 111), two_byte.into(), vec![0xfc, 1]].concat(),
        [head(0xb2, 96), vec![0; 8], one_byte.into(), vec![1, 2, 0, 0, 3]].concat(),
    ]
}

/// One RTCP packet of each kind (RFC 3550, RFC 4585, RFC 5104, transport-wide congestion control), and all of them
/// as one compound.
pub(crate) fn rtcp_seeds() -> Vec<Vec<u8>> {
    let kinds: [&[u8]; 11] = [
        &[0x80, 200, 0, 6, 0, 0, 0, 9, 0xe0, 1, 2, 3, 4, 5, 6, 7, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 3, 0],
        &[
            0x81, 201, 0, 7, 0, 0, 0, 9, 0, 0, 0, 5, 1, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 1, 1, 2, 3, 4, 0, 0, 1,
            0,
        ],
        &[0x81, 202, 0, 3, 0, 0, 0, 9, 1, 3, b'a', b'b', b'c', 0, 0, 0],
        &[0x81, 203, 0, 1, 0, 0, 0, 9],
        &[0x80, 204, 0, 3, 0, 0, 0, 9, b'n', b'a', b'm', b'e', 1, 2, 3, 4],
        // Generic NACK, then transport-cc with a run and a vector of symbols.
        &[0x81, 205, 0, 3, 0, 0, 0, 9, 0, 0, 0, 5, 0xff, 0xff, 0x80, 1],
        &[
            0x8f, 205, 0, 6, 0, 0, 0, 9, 0, 0, 0, 5, 0xff, 0xf0, 0, 7, 0, 1, 2, 3, 0x20, 7, 4, 4, 4, 4, 4, 4,
            4, 0,
        ],
        &[0x8f, 205, 0, 5, 0, 0, 0, 9, 0, 0, 0, 5, 0, 1, 0, 14, 0xff, 0xff, 0xff, 0, 0xbf, 0xff, 0xd5, 0x55],
        // PLI, FIR, REMB.
        &[0x81, 206, 0, 2, 0, 0, 0, 9, 0, 0, 0, 5],
        &[0x84, 206, 0, 4, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 5, 7, 0, 0, 0],
        &[0x8f, 206, 0, 5, 0, 0, 0, 9, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 1, 0x0b, 0xb8, 0, 0, 0, 0, 5],
    ];
    kinds.iter().map(|kind| kind.to_vec()).chain([kinds.concat()]).collect()
}
