//! RTP and RTCP as they come out of SRTP: their sender has the keys, and is not to be trusted any more for that.

use commonroom::protocol::rtcp::{Packet, packets};
use commonroom::protocol::rtp::extensions::{Extension, ExtensionIds};
use commonroom::protocol::rtp::nack::NackGenerator;
use commonroom::protocol::rtp::packet::PacketView;
use commonroom::protocol::rtp::report::{Arrival, Reception};
use commonroom::protocol::rtp::twcc::{Arrived, Recorder};
use commonroom::protocol::rtp::{Header, Ssrc};
use commonroom::time::{ClockRate, NtpTime, RtpTime};
use std::time::{Duration, Instant};

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

/// A compound of reports and feedback, and all that is in it.
pub(crate) fn rtcp(input: &[u8]) {
    for packet in packets(input) {
        match packet {
            Ok(Packet::SenderReport { blocks, .. } | Packet::ReceiverReport { blocks, .. }) => {
                for block in blocks {
                    let _ = block.round_trip(NtpTime::from_bits(u64::MAX / 3));
                }
            }
            Ok(Packet::Goodbye(sources)) => assert!(sources.count() < 32),
            Ok(Packet::Nack { lost, .. }) => assert!(lost.count() <= 17 * input.len() / 4),
            Ok(Packet::Fir(entries)) => assert!(entries.count() <= input.len() / 8),
            Ok(Packet::TransportFeedback(feedback)) => {
                let mut before = None;
                for (_, arrived) in feedback.statuses() {
                    let _ = before
                        .zip(arrived)
                        .map(|(before, arrived): (Arrived, Arrived)| arrived.since(before));
                    before = arrived.or(before);
                }
            }
            Ok(Packet::Pli { .. } | Packet::Other { .. }) | Err(_) => {}
        }
    }
}

/// Packets that come in any order with numbers that jump at will, and the feedback that follows from them. Of each:
/// sequence number, transport-wide sequence number, time stamp, and the milliseconds since the one before.
pub(crate) fn reception(mut input: &[u8]) {
    let mut now = Instant::now();
    let mut reception = Reception::new(Ssrc(9), ClockRate::VIDEO);
    let (mut nacks, mut transport) = (NackGenerator::new(true), Recorder::new());
    let (mut requests, mut feedback) = (Vec::new(), Vec::new());
    while let Some(([a, b, c, d, e, f, wait], rest)) = input.split_first_chunk() {
        input = rest;
        now += Duration::from_millis(u64::from(*wait));
        let header = Header {
            marker: false,
            payload_type: 96,
            sequence: u16::from_be_bytes([*a, *b]),
            timestamp: RtpTime(u32::from_be_bytes([*e, *f, 0, 0])),
            ssrc: Ssrc(9),
        };
        transport.packet(u16::from_be_bytes([*c, *d]), now);
        match reception.packet(&header, now) {
            Arrival::Fresh(position) => nacks.received(position.sequence, now),
            Arrival::Restart(position) => {
                nacks.reset();
                nacks.received(position.sequence, now);
            }
            Arrival::Duplicate | Arrival::Stray => {}
        }
        if nacks.deadline().is_some_and(|deadline| deadline <= now) {
            requests.clear();
            nacks.requests(now, &mut requests);
            assert!(requests.len() <= 1000, "{} packets are asked for at once", requests.len());
        }
        // As often as is due, and no more often than packets come.
        if transport.deadline().is_some_and(|deadline| deadline <= now) {
            feedback.clear();
            if transport.feedback(Ssrc(1), Ssrc(9), &mut feedback) {
                assert!(feedback.len() < 1200, "{} bytes of feedback", feedback.len());
                for packet in packets(&feedback) {
                    packet.expect("what we write we can read");
                }
            }
        }
        let _ = reception.report_block(now);
    }
}

pub(crate) fn reception_seeds() -> Vec<Vec<u8>> {
    let packet = |sequence: u16, transport: u16, time: u16, wait: u8| {
        let mut packet = Vec::new();
        for number in [sequence, transport, time] {
            packet.extend(number.to_be_bytes());
        }
        packet.push(wait);
        packet
    };
    let steady: Vec<u8> = (0..200)
        .flat_map(|n: u16| packet(65_500_u16.wrapping_add(n), 65_400_u16.wrapping_add(n), n / 3, 3))
        .collect();
    let lossy: Vec<u8> = (0..200).filter(|n| n % 7 > 0).flat_map(|n: u16| packet(n, n, n / 3, 7)).collect();
    let jumping: Vec<u8> =
        (0..100).flat_map(|n: u16| packet(n.wrapping_mul(9973), n.wrapping_mul(32_768), n, 100)).collect();
    vec![steady, lossy, jumping]
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
            0x8f, 205, 0, 7, 0, 0, 0, 9, 0, 0, 0, 5, 0xff, 0xf0, 0, 7, 0, 1, 2, 3, 0x20, 7, 4, 4, 4, 4, 4, 4,
            4, 0, 0, 0,
        ],
        &[
            0x8f, 205, 0, 8, 0, 0, 0, 9, 0, 0, 0, 5, 0, 1, 0, 9, 0xff, 0xff, 0xff, 0, 0xd5, 0x5a, 0xbf, 0xff,
            4, 4, 4, 4, 4, 0xff, 0, 0x7f, 0, 4, 4, 0,
        ],
        // PLI, FIR, REMB.
        &[0x81, 206, 0, 2, 0, 0, 0, 9, 0, 0, 0, 5],
        &[0x84, 206, 0, 4, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 5, 7, 0, 0, 0],
        &[0x8f, 206, 0, 5, 0, 0, 0, 9, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 1, 0x0b, 0xb8, 0, 0, 0, 0, 5],
    ];
    kinds.iter().map(|kind| kind.to_vec()).chain([kinds.concat()]).collect()
}

#[test]
fn the_seeds_are_valid() {
    for seed in rtcp_seeds() {
        assert!(packets(&seed).all(|packet| packet.is_ok()), "{seed:?}");
    }
    let all = rtcp_seeds().pop().expect("the compound comes last");
    assert_eq!(packets(&all).count(), 11);
    assert!(packet_seeds().iter().all(|seed| PacketView::parse(seed).is_ok()));
}
