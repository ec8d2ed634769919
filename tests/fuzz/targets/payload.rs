//! RTP payloads: packets in any order, with any loss, back into pictures.

use bytes::Bytes;
use commonroom::protocol::rtp::h264::{self, PacketizationMode, Packetizer};
use commonroom::protocol::rtp::jitter::{JitterBuffer, Output};
use commonroom::protocol::rtp::{opus, vp8};
use std::time::{Duration, Instant};

/// One packet of an input: five bytes of sequence, time and marker, one of length, and so much payload.
struct Piece<'a> {
    sequence: i64,
    ticks: i64,
    marker: bool,
    payload: &'a [u8],
}

/// The packets of an input. Sequence numbers and time go on from one to the next by the signed steps in it.
fn packets(mut input: &[u8]) -> Vec<Piece<'_>> {
    let (mut sequence, mut ticks) = (65_530, 0);
    let mut packets = Vec::new();
    while let Some(([step, ahead, behind, flags, length], rest)) = input.split_first_chunk() {
        let (payload, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        sequence += i64::from(step.cast_signed());
        ticks += (3000 * (i64::from(*ahead) - i64::from(*behind))) << (flags >> 4);
        packets.push(Piece { sequence, ticks, marker: flags & 1 == 1, payload });
        input = rest;
    }
    packets
}

/// Writes packets the way `packets` reads them: in sequence, a marker ends a picture.
fn seed(payloads: &[(bool, &[u8])]) -> Vec<u8> {
    let mut seed = Vec::new();
    let mut ahead = 1;
    for (marker, payload) in payloads {
        seed.extend([1, ahead, 0, u8::from(*marker), payload.len() as u8]);
        seed.extend(*payload);
        ahead = u8::from(*marker);
    }
    seed
}

/// Packets through the jitter buffer into the H.264 depacketiser, and its pictures out through the packetiser again.
pub(crate) fn h264(input: &[u8]) {
    let mut depacketizer = h264::Depacketizer::new();
    let packetizer = Packetizer::new(64, PacketizationMode::NonInterleaved);
    for piece in reordered(packets(input)) {
        let _ = h264::starts_keyframe(piece.payload);
        let payload = Bytes::copy_from_slice(piece.payload);
        depacketizer.push(piece.sequence, piece.ticks, piece.marker, &payload);
        while let Some((_, picture)) = depacketizer.poll() {
            assert!(picture.nals.iter().all(|nal| !nal.is_empty()));
            let _ = packetizer.packetize(picture.nals);
        }
    }
}

/// The same for VP8, and what is read of Opus.
pub(crate) fn vp8(input: &[u8]) {
    let mut depacketizer = vp8::Depacketizer::new();
    for piece in reordered(packets(input)) {
        let _ = vp8::starts_keyframe(piece.payload);
        let payload = Bytes::copy_from_slice(piece.payload);
        let _ = opus::packet(&payload);
        depacketizer.push(piece.sequence, piece.ticks, piece.marker, &payload);
        while depacketizer.poll().is_some() {}
    }
}

/// What a jitter buffer lets through of packets that come a few milliseconds apart.
fn reordered(packets: Vec<Piece<'_>>) -> Vec<Piece<'_>> {
    let mut now = Instant::now();
    let mut buffer = JitterBuffer::new(Duration::from_millis(20));
    let mut out = Vec::new();
    let mut newest = None;
    for piece in packets {
        buffer.insert(now, piece.sequence, piece);
        while let Some(output) = buffer.poll(now) {
            if let Output::Packet(piece) = output {
                out.push(piece);
            }
        }
        now += Duration::from_millis(3);
        newest = newest.max(buffer.deadline());
    }
    while let Some(output) = buffer.poll(newest.unwrap_or(now) + Duration::from_secs(1)) {
        if let Output::Packet(piece) = output {
            out.push(piece);
        }
    }
    out
}

pub(crate) fn h264_seeds() -> Vec<Vec<u8>> {
    let (sps, pps): (&[u8], &[u8]) = (&[0x67, 0x42, 0xc0, 0x15, 0xda, 0x07], &[0x68, 0xce, 0x3c, 0x80]);
    let stap = [&[0x78, 0, 6][..], sps, &[0, 4], pps].concat();
    let (first, middle, last) = ([0x7c, 0x85, 0x88, 0x84], [0x7c, 0x05, 1, 2], [0x7c, 0x45, 3, 4]);
    vec![
        seed(&[(false, sps), (false, pps), (true, &[0x65, 0x88, 0x84]), (true, &[0x41, 0x9a, 2])]),
        seed(&[(false, &stap), (false, &first), (false, &middle), (true, &last), (true, &[0x41, 0x9a, 2])]),
        // Two slices; a delimiter and filler; a fragment that is both ends; the types that nobody sends.
        seed(&[
            (false, &[0x65, 0x88]),
            (true, &[0x65, 0x44]),
            (true, &[0x09, 0xf0]),
            (true, &[0x0c, 0xff, 0x80]),
        ]),
        seed(&[
            (true, &[0x7c, 0xc5, 1]),
            (true, &[0x79, 0, 0]),
            (true, &[0x7d, 0x85, 0, 1]),
            (true, &[0x78]),
        ]),
    ]
}

pub(crate) fn vp8_seeds() -> Vec<Vec<u8>> {
    let key = [0x10, 0x10, 2, 0, 0x9d, 1, 0x2a, 0xe0, 1, 0x10, 1, 7];
    vec![
        seed(&[(false, &key), (true, &[0, 1, 2, 3]), (true, &[0x10, 0x11, 0, 0])]),
        // The extended descriptor with each picture id there is, layers and key index.
        seed(&[
            (true, &[&[0x90, 0x80, 5][..], &key[1..]].concat()),
            (true, &[0xb0, 0xf0, 0x80, 6, 1, 0x60, 0x11, 0, 0]),
        ]),
        seed(&[(false, &key), (true, &[0x01, 1]), (true, &[0x80]), (true, &[])]),
    ]
}

#[test]
fn the_seeds_give_pictures() {
    for (seed, expected) in [(0, 2), (1, 2)] {
        let seeds = h264_seeds();
        let mut depacketizer = h264::Depacketizer::new();
        let mut pictures = 0;
        for piece in reordered(packets(&seeds[seed])) {
            depacketizer.push(
                piece.sequence,
                piece.ticks,
                piece.marker,
                &Bytes::copy_from_slice(piece.payload),
            );
            pictures += std::iter::from_fn(|| depacketizer.poll()).count();
        }
        assert_eq!(pictures, expected);
    }
}
