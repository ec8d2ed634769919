//! A whole WebRTC peer: what comes to its port before there are keys, the handshake, and what comes with them.

use super::ice::request;
use commonroom::protocol::sdp::DtlsRole;
use commonroom::server::webrtc::dtls::{Dtls, Identity};
use commonroom::server::webrtc::harness::{Harness, SOURCES};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::LazyLock;
use std::time::Duration;

/// Making a certificate takes longer than all the rest.
static IDENTITY: LazyLock<Identity> =
    LazyLock::new(|| Identity::generate().expect("the system has random numbers"));

/// Steps of a session: what happens, how many milliseconds later, and with how many bytes.
const CHECK: u8 = 0;
const DATAGRAM: u8 = 1;
const STRANGER: u8 = 2;
const HANDSHAKE: u8 = 3;
const RTP: u8 = 4;
const RTCP: u8 = 5;
const WAIT: u8 = 6;

/// A publisher.
pub(crate) fn publisher(input: &[u8]) {
    session(Harness::publisher(&offer("sendonly")).expect("a good offer"), input);
}

/// A viewer.
pub(crate) fn viewer(input: &[u8]) {
    session(Harness::waiting_viewer(&offer("recvonly")).expect("a good offer"), input);
}

fn session(mut peer: Harness, input: &[u8]) {
    let mut rest = input;
    while let Some(([what, wait, length], after)) = rest.split_first_chunk() {
        let (bytes, after) = after.split_at(usize::from(*length).min(after.len()));
        rest = after;
        let wait = Duration::from_millis((*wait).into());
        let sent = match what % 8 {
            CHECK => peer.datagram(wait, client(), &request(bytes)).len(),
            DATAGRAM => peer.datagram(wait, client(), bytes).len(),
            STRANGER => {
                let sent = peer.datagram(wait, SocketAddr::from((Ipv4Addr::LOCALHOST, 9)), bytes).len();
                // With keys there may be feedback for the publisher as well.
                assert!(sent <= 1 || peer.is_connected(), "a stranger gets no more than he sends");
                sent
            }
            HANDSHAKE => shake_hands(&mut peer),
            // These have proved authentic, and nothing has before the handshake.
            RTP if peer.is_connected() => peer.packet(wait, false, bytes),
            RTCP if peer.is_connected() => peer.packet(wait, true, bytes),
            _ => peer.pass(wait * 20).len(),
        };
        assert!(sent <= 600, "{sent} datagrams upon one");
        if peer.is_gone() {
            return;
        }
    }
    peer.end();
}

/// A handshake as it should be, unless one was before.
fn shake_hands(peer: &mut Harness) -> usize {
    if peer.is_connected() {
        return 0;
    }
    let mut dtls = Dtls::new(IDENTITY.clone(), DtlsRole::Client, vec![Harness::fingerprint()]);
    peer.datagram(Duration::ZERO, client(), &request(&NOMINATED));
    dtls.begin(peer.now()).expect("a client can always begin");
    let mut count = 0;
    while let Some(datagram) = dtls.poll_transmit() {
        for answer in peer.datagram(Duration::ZERO, client(), &datagram) {
            count += 1;
            // What was spoilt before may spoil this one.
            if answer.first().is_some_and(|first| (20..64).contains(first))
                && dtls.handle(peer.now(), &answer).is_err()
            {
                return count;
            }
        }
    }
    count
}

/// USE-CANDIDATE.
const NOMINATED: [u8; 4] = [0, 0x25, 0, 0];

fn client() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000))
}

fn offer(direction: &str) -> String {
    let fingerprint = IDENTITY.fingerprint();
    let section = |kind: &str, mid: u8, formats: &str, lines: &str| {
        format!(
            "m={kind} 9 UDP/TLS/RTP/SAVPF {formats}\na=mid:{mid}\na={direction}\na=rtcp-mux\na=rtcp-rsize\n\
             a=ice-ufrag:them\na=ice-pwd:passwordpasswordpassword\na=fingerprint:{fingerprint}\na=setup:actpass\n\
             a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\n\
             a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\n{lines}"
        )
    };
    let audio = section("audio", 0, "111", "a=rtpmap:111 opus/48000/2\na=rtcp-fb:111 transport-cc\n");
    // A viewer gets VP8, of which the harness has some packets.
    let codec = match direction {
        "recvonly" => "a=rtpmap:96 VP8/90000\n",
        _ => {
            "a=rtpmap:96 H264/90000\na=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0LAFdk=,aMuMsg==\n"
        }
    };
    let video = format!(
        "{codec}a=rtcp-fb:96 nack\na=rtcp-fb:96 nack pli\na=rtcp-fb:96 ccm fir\na=rtcp-fb:96 transport-cc\n\
         a=rtpmap:97 rtx/90000\na=fmtp:97 apt=96\n"
    );
    let video = section("video", 1, "96 97", &video);
    format!("v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nt=0 0\na=group:BUNDLE 0 1\n{audio}{video}")
}

fn steps(list: &[(u8, u8, &[u8])]) -> Vec<u8> {
    list.iter()
        .flat_map(|(what, wait, bytes)| [&[*what, *wait, bytes.len() as u8], *bytes].concat())
        .collect()
}

fn rtp(payload_type: u8, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let [high, low] = sequence.to_be_bytes();
    let mut packet = vec![0x90, payload_type, high, low, 0, 0, high, low, 0, 0, 0, payload_type & 0x6f];
    // The section's name and the transport-wide number.
    packet.extend([
        0xbe,
        0xde,
        0,
        2,
        0x10,
        if payload_type == 111 { b'0' } else { b'1' },
        0x31,
        high,
        low,
        0,
        0,
        0,
    ]);
    packet.extend(payload);
    packet
}

/// The way to a connection, and noise on it.
fn common_seeds() -> Vec<Vec<u8>> {
    let hello = [&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20, 1][..], &[0; 19]].concat();
    vec![
        steps(&[(DATAGRAM, 0, &hello), (CHECK, 5, &NOMINATED), (DATAGRAM, 5, &hello), (WAIT, 250, &[])]),
        steps(&[
            (STRANGER, 0, &hello),
            (HANDSHAKE, 0, &[]),
            (DATAGRAM, 1, &hello),
            (STRANGER, 1, &[0x80; 40]),
        ]),
        steps(&[
            (HANDSHAKE, 0, &[]),
            (DATAGRAM, 1, &[0x80; 60]),
            (DATAGRAM, 1, &[0x80, 200, 0, 1, 0, 0, 0, 0]),
        ]),
    ]
}

pub(crate) fn publisher_seeds() -> Vec<Vec<u8>> {
    let reports = super::rtp::rtcp_seeds();
    let mut seeds = common_seeds();
    let pictures: [&[u8]; 6] = [
        &[0x65, 0x88, 1],
        &[0x41, 1, 2],
        &[0x78, 0, 5, 0x67, 0x42, 0xe0, 0x1f, 0x95, 0, 2, 0x68, 0xce, 0, 3, 0x65, 0x88, 1],
        &[0x7c, 0x85, 1, 2, 3],
        &[0x7c, 0x45, 1, 2, 3],
        &[],
    ];
    let packets: Vec<_> = (0..24)
        .map(|n| match n % 4 {
            0 => rtp(111, 65_530_u16.wrapping_add(n), &[0xfc, 1, 2]),
            // Some are missing, and some of those come as retransmissions.
            1 if n > 4 => rtp(97, n, &[&(n - 3).to_be_bytes()[..], pictures[usize::from(n) % 6]].concat()),
            _ => rtp(96, n + n / 8, pictures[usize::from(n) % 6]),
        })
        .collect();
    let media = packets.iter().map(|packet| (RTP, 9, &packet[..]));
    seeds.push(steps(&[(HANDSHAKE, 0, &[][..])].into_iter().chain(media.clone()).collect::<Vec<_>>()));
    let reported = reports.iter().filter(|report| report.len() < 256).map(|report| (RTCP, 30, &report[..]));
    seeds
        .push(steps(&[(HANDSHAKE, 0, &[][..])].into_iter().chain(media).chain(reported).collect::<Vec<_>>()));
    seeds
}

pub(crate) fn viewer_seeds() -> Vec<Vec<u8>> {
    let mut seeds = common_seeds();
    let [_, video, _] = SOURCES;
    // What asks for something names our source.
    let nack = [&[0x81, 205, 0, 4, 0, 0, 0, 9, 0, 0, 0, video as u8][..], &[0; 2], &[0xff; 6]].concat();
    let pli = [0x81, 206, 0, 2, 0, 0, 0, 9, 0, 0, 0, video as u8];
    let fir = [0x84, 206, 0, 4, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, video as u8, 1, 0, 0, 0];
    let reports = super::rtp::rtcp_seeds();
    let reported = reports.iter().filter(|report| report.len() < 256).map(|report| (RTCP, 30, &report[..]));
    let asked =
        [(HANDSHAKE, 0, &[][..]), (RTCP, 1, &nack), (RTCP, 30, &nack), (RTCP, 1, &pli), (RTCP, 1, &fir)];
    seeds.push(steps(&asked.into_iter().chain(reported).chain([(WAIT, 250, &[][..])]).collect::<Vec<_>>()));
    seeds
}

#[test]
fn handshakes_come_about_unless_they_are_spoilt() {
    let viewer = Harness::waiting_viewer(&offer("recvonly")).expect("a good offer");
    let publisher = Harness::publisher(&offer("sendonly")).expect("a good offer");
    for mut peer in [viewer, publisher] {
        assert!(shake_hands(&mut peer) > 0 && peer.is_connected() && !peer.is_gone());
    }
}
