//! Whole sessions over loopback sockets.

mod adaptation;
mod answers;
mod client;
mod joins;
mod mute;
mod progress;
mod simulcast;

use super::Server;
use super::{Answer, Options, SignallingError};
use crate::bridge::Bridge;
use crate::config;
use crate::protocol::rtcp::{Packet, packets, write};
use crate::protocol::rtp::{Header, PacketView, Ssrc};
use crate::room::{Limits, Name, Protocol, Rooms};
use crate::stream::{Stream, Warning};
use crate::time::{NtpTime, RtpTime};
use client::{Client, H264, Incoming, OPUS, PATIENCE, RTX, header};
use metrics_exporter_prometheus::PrometheusBuilder;
use std::net::SocketAddr;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const KEY_PICTURE: &[u8] = &[0x78, 0, 5, 0x67, 0x42, 0xe0, 0x1f, 0x95, 0, 2, 0x68, 0xce, 0, 3, 0x65, 0x88, 1];
const PICTURE: &[u8] = &[0x41, 1, 2, 3];
const SOUND: &[u8] = &[0xfc, 1, 2, 3];
const MODE_1: &str = "packetization-mode=1";
const MODE_0: &str = "packetization-mode=0";
/// `KEY_PICTURE` as packets of one NAL unit each.
const KEY_UNITS: [&[u8]; 3] = [&[0x67, 0x42, 0xe0, 0x1f, 0x95], &[0x68, 0xce], &[0x65, 0x88, 1]];

struct World {
    rooms: Rooms,
    server: Server,
    stop: CancellationToken,
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

impl World {
    fn new() -> Self {
        Self::with_places(4)
    }

    fn with_places(max_sessions: usize) -> Self {
        let config = config::Webrtc {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            shards: 2,
            max_sessions,
            ..config::Webrtc::default()
        };
        let stop = CancellationToken::new();
        let rooms =
            Rooms::new(Limits { rooms: 10, participants: 10, ..Limits::default() }, NtpTime::default());
        let bridge = Bridge::default();
        let server = Server::bind(config, bridge, stop.clone()).unwrap();
        Self { rooms, server, stop }
    }

    /// Reserves the name and answers the offer, as WHIP does.
    fn publish(&self, who: &str, offer: &str) -> Result<Answer, SignallingError> {
        let publication = self.rooms.reserve(name("room"), name(who), Protocol::Whip, NtpTime::default());
        self.server.publish(publication.unwrap_or_else(|e| panic!("{e}")), offer, &Options::default())
    }

    fn stream(&self, who: &str) -> Option<Stream> {
        self.rooms.find(&name("room"), who)
    }

    /// Answers an offer for alice's stream, as WHEP does.
    fn play(&self, offer: &str) -> Result<Answer, SignallingError> {
        self.server.play(self.stream("alice").expect("alice publishes"), offer, &Options::default())
    }

    /// A connected publisher whose stream has sound and picture.
    async fn publisher(&self) -> Client {
        let mut client = Client::udp(self.server.local_addr()).await;
        let answer = self.publish("alice", &client.offer("sendonly")).unwrap();
        client.connect(&answer.sdp).await;
        assert_eq!(client.profile, "AEAD_AES_128_GCM");
        client.send_rtp(header(OPUS, 100, false), Some(1), SOUND).await;
        client.send_rtp(header(H264, 100, true), Some(2), KEY_PICTURE).await;
        self.tracks(2).await;
        client
    }

    /// Waits until the stream has so many tracks.
    async fn tracks(&self, count: usize) {
        let stream = || self.stream("alice");
        let live = async {
            while stream().is_none_or(|stream| stream.feeds().len() < count) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, live).await.expect("the tracks appear");
    }

    /// A connected publisher whose packets are one NAL unit each, and which says so.
    async fn single_nal_publisher(&self) -> Client {
        let mut client = Client::udp(self.server.local_addr()).await;
        let offer = client.offer("sendonly").replace(MODE_1, MODE_0);
        let answer = self.publish("alice", &offer).unwrap();
        assert!(answer.sdp.contains(MODE_0));
        client.connect(&answer.sdp).await;
        send_units(&mut client, 100).await;
        self.tracks(1).await;
        client
    }

    /// A viewer that takes H.264 in packetization mode 0 alone.
    async fn single_nal_viewer(&self) -> (Client, String) {
        let mut client = Client::udp(self.server.local_addr()).await;
        let offer = client.offer("recvonly").replace(MODE_1, MODE_0);
        let answer = self.play(&offer).unwrap();
        client.connect(&answer.sdp).await;
        (client, answer.sdp)
    }

    async fn viewer(&self, mut client: Client) -> Client {
        let answer = self.play(&client.offer("recvonly")).unwrap();
        client.connect(&answer.sdp).await;
        client
    }

    async fn udp_viewer(&self) -> Client {
        self.viewer(Client::udp(self.server.local_addr()).await).await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Sends `KEY_UNITS` from number `first` on.
async fn send_units(publisher: &mut Client, first: u16) {
    let timestamp = RtpTime(u32::from(first) * 3_000);
    for (sequence, unit) in (first..).zip(KEY_UNITS) {
        let header = Header { timestamp, ..header(H264, sequence, sequence == first + 2) };
        publisher.send_rtp(header, None, unit).await;
    }
}

fn is_pli(datagram: &[u8]) -> bool {
    packets(datagram).any(|packet| matches!(packet, Ok(Packet::Pli { .. })))
}

/// Waits until the publisher is asked for a key picture, and sends it as number `sequence`.
async fn send_wanted_key_picture(publisher: &mut Client, sequence: u16) {
    publisher.next_rtcp(is_pli).await;
    publisher.send_rtp(header(H264, sequence, true), None, KEY_PICTURE).await;
}

fn sequence(packet: &[u8]) -> u16 {
    PacketView::parse(packet).unwrap().header().sequence
}

#[tokio::test]
async fn packets_travel_with_headers_of_the_viewers_own() {
    let world = World::new();
    let mut publisher = world.publisher().await;
    let mut viewer = world.udp_viewer().await;
    publisher.send_rtp(header(H264, 101, true), None, PICTURE).await;
    publisher.send_rtp(header(OPUS, 101, false), None, SOUND).await;
    let sound = viewer.next_rtp(OPUS).await;
    assert_eq!(PacketView::parse(&sound).unwrap().payload(), SOUND, "sound begins at once");
    send_wanted_key_picture(&mut publisher, 102).await;
    publisher.send_rtp(header(H264, 103, true), None, PICTURE).await;
    let (first, second) = (viewer.next_rtp(H264).await, viewer.next_rtp(H264).await);
    let (first, second) = (PacketView::parse(&first).unwrap(), PacketView::parse(&second).unwrap());
    assert_eq!((first.payload(), second.payload()), (KEY_PICTURE, PICTURE), "the picture with a key picture");
    assert_eq!(second.header().sequence, first.header().sequence.wrapping_add(1));
    assert_eq!(second.header().timestamp.0.wrapping_sub(first.header().timestamp.0), 3_000);
    assert!(first.header().marker && first.header().ssrc != Ssrc(2));
    let sessions = world.server.sessions();
    assert!(sessions.iter().all(|session| session.srtp == Some("AEAD_AES_128_GCM")), "{sessions:?}");
}

#[tokio::test]
async fn single_nal_units_reach_viewers_of_either_mode() {
    let world = World::new();
    let mut publisher = world.single_nal_publisher().await;
    let ((mut old, answer), mut new) = (world.single_nal_viewer().await, world.udp_viewer().await);
    assert!(answer.contains(MODE_0));
    // Both have their place by now, though in different shards perhaps.
    send_units(&mut publisher, 103).await;
    for viewer in [&mut old, &mut new] {
        for unit in KEY_UNITS {
            let packet = viewer.next_rtp(H264).await;
            assert_eq!(PacketView::parse(&packet).unwrap().payload(), unit);
        }
    }
}

#[tokio::test]
async fn a_viewer_without_fragments_gets_the_sound_and_the_publisher_the_reason() {
    let world = World::new();
    let mut publisher = world.publisher().await;
    let (mut viewer, answer) = world.single_nal_viewer().await;
    assert!(answer.contains("m=video 0 "), "{answer}");
    publisher.send_rtp(header(OPUS, 101, false), None, SOUND).await;
    viewer.next_rtp(OPUS).await;
    let stream = world.stream("alice").unwrap();
    assert_eq!(stream.warnings(), [Warning::PacketizationMode]);
}

#[tokio::test]
async fn announced_parameter_sets_go_before_key_pictures() {
    let world = World::new();
    let mut publisher = Client::udp(world.server.local_addr()).await;
    // `KEY_UNITS`' sets in base64.
    let announced = format!("{MODE_1};sprop-parameter-sets=Z0LgH5U=,aM4=");
    let offer = publisher.offer("sendonly").replace(MODE_1, &announced);
    let answer = world.publish("alice", &offer).unwrap();
    publisher.connect(&answer.sdp).await;
    publisher.send_rtp(header(H264, 100, true), None, KEY_UNITS[2]).await;
    world.tracks(1).await;
    let mut viewer = world.udp_viewer().await;
    publisher.send_rtp(header(H264, 101, true), None, KEY_UNITS[2]).await;
    // 102 is lost for now; the next key picture comes before it.
    publisher.send_rtp(header(H264, 103, true), None, KEY_UNITS[2]).await;
    publisher.send_rtp(header(H264, 102, true), None, PICTURE).await;
    let sets = [&[0x78, 0, 5], KEY_UNITS[0], &[0, 2], KEY_UNITS[1]].concat();
    let mut packets = Vec::new();
    for _ in 0..5 {
        let packet = viewer.next_rtp(H264).await;
        packets.push((sequence(&packet), PacketView::parse(&packet).unwrap().payload().to_vec()));
    }
    let first = packets[0].0;
    packets.sort_by_key(|(sequence, _)| sequence.wrapping_sub(first));
    let numbers: Vec<_> = packets.iter().map(|(sequence, _)| sequence.wrapping_sub(first)).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4], "nothing seems lost");
    let payloads: Vec<_> = packets.iter().map(|(_, payload)| &payload[..]).collect();
    assert_eq!(payloads, [&sets, KEY_UNITS[2], PICTURE, &sets, KEY_UNITS[2]]);
}

#[tokio::test]
async fn sender_reports_come_with_the_first_packets() {
    let world = World::new();
    let mut publisher = world.publisher().await;
    let mut viewer = world.udp_viewer().await;
    publisher.send_rtp(header(OPUS, 101, false), None, SOUND).await;
    let is_report = |d: &[u8]| packets(d).any(|packet| matches!(packet, Ok(Packet::SenderReport { .. })));
    viewer.next_rtcp(is_report).await;
}

#[tokio::test]
async fn what_a_viewer_misses_is_sent_again() {
    let world = World::new();
    let mut publisher = world.publisher().await;
    let mut viewer = world.udp_viewer().await;
    send_wanted_key_picture(&mut publisher, 101).await;
    let picture = viewer.next_rtp(H264).await;
    let (media, number) = (PacketView::parse(&picture).unwrap().header().ssrc, sequence(&picture));
    let mut nack = Vec::new();
    write::nack(&mut nack, Ssrc(9), media, &[number, number.wrapping_add(5)]);
    viewer.send_rtcp(&nack).await;
    let again = viewer.next_rtp(RTX).await;
    let view = PacketView::parse(&again).unwrap();
    assert_eq!(view.payload(), [&number.to_be_bytes()[..], KEY_PICTURE].concat());
    assert!(view.header().ssrc != media);
}

#[tokio::test]
async fn the_totals_have_what_sessions_carried() {
    let recorder = PrometheusBuilder::new().build_recorder();
    // Sessions look their metrics up where they are made: on this thread.
    let _local = metrics::set_default_local_recorder(&recorder);
    let world = World::new();
    let mut publisher = world.publisher().await;
    let mut viewer = world.udp_viewer().await;
    send_wanted_key_picture(&mut publisher, 101).await;
    let picture = viewer.next_rtp(H264).await;
    let mut nack = Vec::new();
    write::nack(
        &mut nack,
        Ssrc(9),
        PacketView::parse(&picture).unwrap().header().ssrc,
        &[sequence(&picture)],
    );
    viewer.send_rtcp(&nack).await;
    viewer.next_rtp(RTX).await;
    let shown = |name: &str, kind: &str, value: usize| {
        let text = recorder.handle().render();
        let line = format!("{name}{{kind=\"{kind}\"}} {value}");
        assert!(text.lines().any(|shown| shown.ends_with(&line)), "{line} in\n{text}");
    };
    for kind in ["publisher", "viewer"] {
        shown("_webrtc_sessions", kind, 1);
        shown("_webrtc_sessions_started_total", kind, 1);
        shown("_webrtc_connect_seconds_count", kind, 1);
    }
    publisher.close().await;
    let gone = async {
        while !world.server.sessions().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the viewer goes with its publisher");
    let received = 2 * KEY_PICTURE.len() + SOUND.len();
    for (kind, bytes, packets, again, nacks) in
        [("publisher", received, 3, 0, 0), ("viewer", KEY_PICTURE.len(), 1, 1, 1)]
    {
        shown("_webrtc_sessions", kind, 0);
        shown("_webrtc_media_bytes_total", kind, bytes);
        shown("_webrtc_media_packets_total", kind, packets);
        shown("_webrtc_retransmitted_packets_total", kind, again);
        shown("_webrtc_nacks_total", kind, nacks);
    }
}

#[tokio::test]
async fn what_the_server_misses_is_asked_for() {
    let world = World::new();
    let mut publisher = world.publisher().await;
    publisher.send_rtp(header(H264, 103, true), None, PICTURE).await;
    let is_nack = |datagram: &[u8]| {
        packets(datagram).any(|packet| {
            matches!(packet, Ok(Packet::Nack { media: Ssrc(2), lost }) if lost.clone().eq([101, 102]))
        })
    };
    publisher.next_rtcp(is_nack).await;
}

#[tokio::test]
async fn arrivals_are_fed_back() {
    let world = World::new();
    let mut publisher = world.publisher().await;
    let is_feedback =
        |datagram: &[u8]| packets(datagram).any(|packet| matches!(packet, Ok(Packet::TransportFeedback(_))));
    publisher.next_rtcp(is_feedback).await;
}

#[tokio::test]
async fn a_viewer_may_come_over_tcp() {
    let world = World::new();
    let mut publisher = world.publisher().await;
    let mut viewer = world.viewer(Client::tcp(world.server.local_addr()).await).await;
    publisher.send_rtp(header(OPUS, 101, false), None, SOUND).await;
    viewer.next_rtp(OPUS).await;
    assert!(world.server.sessions().iter().any(|session| session.transport == Some("tcp")));
}

#[tokio::test]
async fn a_viewer_may_change_its_address() {
    let world = World::new();
    let mut publisher = world.publisher().await;
    let mut viewer = world.udp_viewer().await;
    publisher.send_rtp(header(OPUS, 101, false), None, SOUND).await;
    let before = sequence(&viewer.next_rtp(OPUS).await);
    // More than one, so that some come to the other shard's socket.
    for step in 1..=4 {
        viewer.move_to_another_address().await;
        viewer.check(true).await;
        assert!(matches!(viewer.next().await, Incoming::Other));
        publisher.send_rtp(header(OPUS, 101 + step, false), None, SOUND).await;
        assert_eq!(sequence(&viewer.next_rtp(OPUS).await), before + step);
        // What it sends from there is taken, too.
        let mut pli = Vec::new();
        write::receiver_report(&mut pli, Ssrc(9), &[]);
        viewer.send_rtcp(&pli).await;
    }
}

#[tokio::test]
async fn viewers_hear_of_the_end() {
    let world = World::new();
    let mut publisher = world.publisher().await;
    let mut viewer = world.udp_viewer().await;
    publisher.close().await;
    let is_goodbye =
        |datagram: &[u8]| packets(datagram).any(|packet| matches!(packet, Ok(Packet::Goodbye(_))));
    viewer.next_rtcp(is_goodbye).await;
    let closed = async { while !matches!(viewer.next().await, Incoming::Closed) {} };
    tokio::time::timeout(PATIENCE, closed).await.expect("and DTLS says so");
    assert!(world.server.sessions().is_empty());
}

#[tokio::test]
async fn viewers_hear_within_five_seconds_of_a_publisher_that_vanishes() {
    let world = World::new();
    let publisher = world.publisher().await;
    let mut viewer = world.udp_viewer().await;
    drop(publisher);
    let kept_alive = async {
        loop {
            viewer.check(true).await;
            if matches!(
                tokio::time::timeout(Duration::from_millis(500), viewer.next()).await,
                Ok(Incoming::Closed)
            ) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(6), kept_alive).await.expect("the viewer is told");
}

#[tokio::test]
async fn a_publisher_without_media_lives_by_checks_six_seconds_apart() {
    let world = World::new();
    let mut publisher = Client::udp(world.server.local_addr()).await;
    let answer = world.publish("alice", &publisher.offer("sendonly")).unwrap();
    publisher.connect(&answer.sdp).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(world.server.sessions().len(), 1);
}

#[tokio::test]
async fn a_publisher_whose_media_stops_is_asked_and_stays() {
    let world = World::new();
    let mut publisher = world.publisher().await;
    let asked = async { while !matches!(publisher.next().await, Incoming::Asked) {} };
    tokio::time::timeout(Duration::from_secs(4), asked).await.expect("the publisher is asked");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.server.sessions().len(), 1);
}

#[tokio::test]
async fn the_server_ends_with_a_word_to_everybody() {
    let world = World::new();
    let mut publisher = world.publisher().await;
    world.stop.cancel();
    let closed = async { while !matches!(publisher.next().await, Incoming::Closed) {} };
    tokio::time::timeout(PATIENCE, closed).await.expect("DTLS says so");
    tokio::time::timeout(PATIENCE, world.server.closed()).await.expect("all threads end");
}

#[tokio::test]
async fn names_and_places_are_given_out_and_given_back() {
    let world = World::new();
    let mut publisher = Client::udp(world.server.local_addr()).await;
    let reserved = world.publish("alice", &publisher.offer("sendonly")).unwrap();
    assert!(world.stream("alice").is_none(), "nobody waits for who may never come");
    publisher.connect(&reserved.sdp).await;
    let offer = publisher.offer("sendonly");
    assert!(matches!(world.publish("bob", "v=1"), Err(SignallingError::Offer(_))));
    let again = world.publish("bob", &offer).expect("the name is free again");
    assert!(world.server.close(&again.session));
    let play = || world.play(&publisher.offer("recvonly"));
    assert!(matches!(world.play("v=1"), Err(SignallingError::Offer(_))));
    let waiting: Vec<_> = (0..3).map(|_| play().unwrap()).collect();
    assert!(matches!(play(), Err(SignallingError::TooManySessions(4))));
    assert!(world.server.close(&waiting[0].session) && !world.server.close(&waiting[0].session));
    assert!(play().is_ok());
    assert!(world.server.trickle(&waiting[1].session, "a=end-of-candidates\r\n").is_ok());
    assert!(world.server.trickle(&waiting[1].session, "nonsense").is_err());
    assert!(matches!(world.server.trickle(&waiting[0].session, ""), Err(SignallingError::NoSession)));
}

#[tokio::test]
async fn strangers_get_nothing_and_disturb_nobody() {
    let world = World::new();
    let mut publisher = world.publisher().await;
    let mut viewer = world.udp_viewer().await;
    let mut stranger = Client::udp(world.server.local_addr()).await;
    let answer = world.play(&stranger.offer("recvonly")).unwrap();
    stranger.take_answer(&answer.sdp);
    let forged = stranger.check_bytes(true, "guessguessguessguessguess");
    let unknown = {
        let mut check = forged.clone();
        check[24] ^= 1;
        check
    };
    for garbage in [&forged[..], &unknown, &[22, 0xfe, 0xfd], &[0x80; 200], &[0], &[]] {
        stranger.send(garbage).await;
    }
    // From an address of its own, a connected peer may send nonsense as well.
    for garbage in
        [&[22u8, 0xfe, 0xfd, 0, 0][..], &[0x80, 111, 0, 1], &[0x80, 200, 0, 1, 0, 0, 0, 0], &[0x16; 1_400]]
    {
        viewer.send(garbage).await;
    }
    publisher.send_rtp(header(OPUS, 101, false), None, SOUND).await;
    viewer.next_rtp(OPUS).await;
    // The real one is still welcome.
    stranger.connect(&answer.sdp).await;
}
