//! What comes to the UDP port before there are keys: STUN and the first flight of DTLS.

use aws_lc_rs::hmac;
use commonroom::protocol::dtls::HelloReader;
use commonroom::protocol::ice::{Agent, Check, Credentials, Verdict};
use commonroom::server::webrtc::harness::{PASSWORD, UFRAG};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// A datagram that looks like STUN.
pub(crate) fn stun(input: &[u8]) {
    check(&mut agent(), Instant::now(), 0, input);
}

/// Checks that carry the right password: the input is their attributes, several checks one after another.
pub(crate) fn stun_authentic(input: &[u8]) {
    let (mut agent, began) = (agent(), Instant::now());
    for (index, attributes) in input.split(|byte| *byte == 0xee).take(64).enumerate() {
        check(&mut agent, began, index as u64, &request(attributes));
    }
}

fn agent() -> Agent<u8> {
    let credentials = Credentials { ufrag: UFRAG.to_owned(), password: PASSWORD.to_owned() };
    Agent::new(credentials, rtc_crypto::default_provider().expect("one is compiled in"), Instant::now())
}

fn check(agent: &mut Agent<u8>, began: Instant, index: u64, datagram: &[u8]) {
    let Ok(check) = Check::parse(datagram) else { return };
    let path = index as u8 % 20;
    let now = began + Duration::from_millis(50 * index);
    let source = SocketAddr::from((Ipv4Addr::LOCALHOST, 1000 + u16::from(path)));
    if let Verdict::Accepted { response, .. } = agent.handle_check(now, path, source, &check) {
        assert!(agent.is_valid(path) && !response.is_empty());
    }
    assert!(agent.paths().len() <= 16, "addresses of one peer are bounded");
}

/// A binding request with these attributes, a user name before them, MESSAGE-INTEGRITY and FINGERPRINT behind (RFC 8489).
pub(crate) fn request(attributes: &[u8]) -> Vec<u8> {
    let mut message = vec![0, 1, 0, 0];
    message.extend(MAGIC_COOKIE);
    message.extend([7; 12]);
    attribute(&mut message, 0x0006, format!("{UFRAG}:them").as_bytes());
    message.extend(attributes);
    // Attributes are padded to four bytes, a rest would only shift what comes behind it.
    message.resize(message.len().next_multiple_of(4), 0);
    set_length(&mut message, 24);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, PASSWORD.as_bytes());
    let integrity = hmac::sign(&key, &message);
    attribute(&mut message, 0x0008, integrity.as_ref());
    set_length(&mut message, 8);
    let fingerprint = crc32(&message) ^ 0x5354_554e;
    attribute(&mut message, 0x8028, &fingerprint.to_be_bytes());
    message
}

fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend(kind.to_be_bytes());
    message.extend((value.len() as u16).to_be_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

/// Writes the length that the header has once `more` bytes are added.
fn set_length(message: &mut [u8], more: usize) {
    let length = (message.len() - 20 + more) as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
}

/// The checksum of ITU-T V.42, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ ((crc & 1) * 0xedb8_8320))
    })
}

/// PRIORITY, USE-CANDIDATE, ICE-CONTROLLING, ICE-CONTROLLED, and one that nobody knows.
const ATTRIBUTES: [&[u8]; 5] = [
    &[0, 0x24, 0, 4, 110, 127, 30, 255],
    &[0, 0x25, 0, 0],
    &[0x80, 0x2a, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8],
    &[0x80, 0x29, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8],
    &[0xc0, 0x57, 0, 4, 0, 1, 0, 10],
];

pub(crate) fn attribute_seeds() -> Vec<Vec<u8>> {
    let several = ATTRIBUTES[..3].concat();
    let often = [&several[..], &[0xee]].concat().repeat(20);
    ATTRIBUTES
        .iter()
        .map(|attribute| attribute.to_vec())
        .chain([several, often, ATTRIBUTES.concat()])
        .collect()
}

pub(crate) fn stun_seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<_> = attribute_seeds().iter().map(|attributes| request(attributes)).collect();
    // A response, an indication and an allocation, which an agent that only answers has no use for.
    for kind in [[1, 1], [0, 0x11], [0, 3]] {
        let mut other = seeds[0].clone();
        other[..2].copy_from_slice(&kind);
        seeds.push(other);
    }
    seeds
}

/// Datagrams of a client's first flight, each with its length before it.
pub(crate) fn dtls_hello(mut input: &[u8]) {
    let mut reader = HelloReader::default();
    while let Some((length, rest)) = input.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (datagram, after) = rest.split_at(length);
        let _ = reader.push(datagram);
        input = after;
    }
}

pub(crate) fn hello_seeds() -> Vec<Vec<u8>> {
    let body = hello();
    let whole = record(&body, 0, body.len());
    let halves = [record(&body, body.len() / 2, body.len()), record(&body, 0, body.len() / 2 + 3)];
    let sized = |datagram: &Vec<u8>| [&(datagram.len() as u16).to_be_bytes()[..], datagram].concat();
    let tiny: Vec<u8> =
        (0..body.len()).step_by(9).flat_map(|at| sized(&record(&body, at, body.len().min(at + 9)))).collect();
    vec![sized(&whole), halves.iter().flat_map(sized).collect(), tiny, sized(&halves.concat())]
}

/// A handshake record with the bytes `from..to` of a ClientHello (RFC 6347, sections 4.1 and 4.2.2).
fn record(body: &[u8], from: usize, to: usize) -> Vec<u8> {
    let u24 = |number: usize| (number as u32).to_be_bytes()[1..].to_vec();
    let fragment = &body[from..to];
    let message = [&[1][..], &u24(body.len()), &[0, 0], &u24(from), &u24(fragment.len()), fragment].concat();
    let head = [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0];
    [&head[..], &(message.len() as u16).to_be_bytes(), &message].concat()
}

/// A ClientHello with two cipher suites and `use_srtp` (RFC 5764, section 4.1.1).
fn hello() -> Vec<u8> {
    let mut hello = vec![0xfe, 0xfd];
    hello.extend([9; 32]);
    hello.extend([0, 0, 0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0]);
    let extensions = [0, 10, 0, 4, 0, 2, 0, 29, 0, 14, 0, 7, 0, 4, 0, 7, 0, 1, 0, 0, 23, 0, 0];
    hello.extend((extensions.len() as u16).to_be_bytes());
    hello.extend(extensions);
    hello
}

#[test]
fn the_seeds_are_valid() {
    let mut agent = agent();
    let now = Instant::now();
    let check = Check::parse(&request(&ATTRIBUTES[..3].concat())).expect("a valid request");
    let source = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    assert!(matches!(agent.handle_check(now, 1, source, &check), Verdict::Accepted { .. }));
    let body = hello();
    assert_eq!(HelloReader::default().push(&record(&body, 0, body.len())), Some(vec![7, 1]));
}
