//! What answers promise, and that it comes.

use super::client::{Client, H264, OPUS, header};
use super::{KEY_PICTURE, SOUND, World, name, send_wanted_key_picture};
use crate::codec::Codec;
use crate::codec::MediaKind::{self, Audio, Video};
use crate::codec::opus::OpusConfig;
use crate::media::CodecParams;
use crate::protocol::rtp::PacketView;
use crate::room::Protocol;
use crate::server::webrtc::{Options, Transport};
use crate::stream::{FeedKey, Form};
use crate::time::NtpTime;

/// The lines of the `m=` section at `index`, itself included.
fn section(sdp: &str, index: usize) -> Vec<&str> {
    let starts: Vec<_> = sdp.match_indices("m=").filter(|(at, _)| sdp[..*at].ends_with('\n')).collect();
    let end = starts.get(index + 1).map_or(sdp.len(), |(at, _)| *at);
    sdp[starts[index].0..end].lines().collect()
}

fn has(section: &[&str], prefix: &str) -> bool {
    section.iter().any(|line| line.starts_with(prefix))
}

/// A connected publisher of one kind alone, whose section is named 0.
async fn publisher_of(world: &World, kind: MediaKind) -> Client {
    let mut client = Client::udp(world.server.local_addr()).await;
    let answer = world.publish("alice", &client.offer_of("sendonly", &[kind])).unwrap();
    assert!(section(&answer.sdp, 0).contains(&"a=mid:0") && answer.sdp.contains("a=group:BUNDLE 0\r\n"));
    client.connect(&answer.sdp).await;
    match kind {
        Audio => client.send_rtp(header(OPUS, 100, false), Some(1), SOUND).await,
        Video => client.send_rtp(header(H264, 100, true), Some(1), KEY_PICTURE).await,
    }
    world.tracks(1).await;
    client
}

#[tokio::test]
async fn a_stream_of_pictures_alone_has_inactive_sound() {
    let world = World::new();
    let mut publisher = publisher_of(&world, Video).await;
    let mut viewer = Client::udp(world.server.local_addr()).await;
    let answer = world.play(&viewer.offer("recvonly")).unwrap();
    let (audio, video) = (section(&answer.sdp, 0), section(&answer.sdp, 1));
    assert!(audio.contains(&"a=inactive") && video.contains(&"a=sendonly"), "{}", answer.sdp);
    assert!(
        has(&audio, "a=candidate:") && !has(&video, "a=candidate:"),
        "the first of the bundle has them all"
    );
    viewer.connect(&answer.sdp).await;
    send_wanted_key_picture(&mut publisher, 101).await;
    let picture = viewer.next_rtp(H264).await;
    assert_eq!(PacketView::parse(&picture).unwrap().payload(), KEY_PICTURE);
}

#[tokio::test]
async fn a_stream_of_sound_alone_has_an_inactive_picture_from_its_first_packet_on() {
    let world = World::new();
    let mut publisher = publisher_of(&world, Audio).await;
    let mut viewer = Client::udp(world.server.local_addr()).await;
    let answer = world.play(&viewer.offer("recvonly")).unwrap();
    let (audio, video) = (section(&answer.sdp, 0), section(&answer.sdp, 1));
    assert!(audio.contains(&"a=sendonly") && video.contains(&"a=inactive"), "{}", answer.sdp);
    assert!(!has(&video, "a=msid:"));
    viewer.connect(&answer.sdp).await;
    publisher.send_rtp(header(OPUS, 101, false), None, SOUND).await;
    viewer.next_rtp(OPUS).await;
    let offer = viewer.offer_of("recvonly", &[Video]);
    assert!(world.play(&offer).is_err(), "there is nothing for it");
}

#[tokio::test]
async fn what_an_rtmp_publisher_has_not_sent_so_far_may_come_unless_the_player_waits_for_it() {
    let world = World::new();
    let publication =
        world.rooms.publish(name("room"), name("alice"), Protocol::Rtmp, NtpTime::default()).unwrap();
    let sound = publication.publisher().track(FeedKey::new(Codec::Opus, Form::Frames)).unwrap();
    sound.set_params(CodecParams::Opus(OpusConfig { channels: 2 }));
    let viewer = Client::udp(world.server.local_addr()).await;
    let picture = |only_present| {
        let options = Options { only_present, ..Options::default() };
        let stream = world.stream("alice").unwrap();
        let sdp = world.server.play(stream, &viewer.offer("recvonly"), &options).unwrap().sdp;
        section(&sdp, 1).contains(&"a=sendonly")
    };
    assert_eq!([false, true].map(picture), [true, false]);
}

#[tokio::test]
async fn both_tracks_belong_to_one_stream_and_candidates_are_those_wanted() {
    let world = World::with_places(10);
    let _publisher = world.publisher().await;
    let stream = world.stream("alice").unwrap();
    let viewer = Client::udp(world.server.local_addr()).await;
    let play = |stream_id: Option<&str>, transport| {
        let options = Options { transport, stream_id: stream_id.map(Into::into), ..Options::default() };
        world.server.play(stream.clone(), &viewer.offer("recvonly"), &options).unwrap().sdp
    };
    let published = stream.name().stream.clone();
    let too_long = "x".repeat(65);
    for (given, expected) in [
        (Some("mine"), "mine"),
        (None, &*published),
        (Some("a b\r\na=x"), &published),
        (Some(&too_long), &published),
    ] {
        let sdp = play(given, Transport::Any);
        for (index, kind) in ["audio", "video"].into_iter().enumerate() {
            assert!(section(&sdp, index).contains(&&*format!("a=msid:{expected} {kind}")), "{sdp}");
        }
    }
    let kinds = |transport| {
        let sdp = play(None, transport);
        let candidates = sdp.lines().filter(|line| line.starts_with("a=candidate:"));
        let mut kinds: Vec<_> = candidates.map(|line| line.split(' ').nth(2).unwrap().to_owned()).collect();
        kinds.dedup();
        kinds
    };
    assert_eq!(kinds(Transport::Tcp), ["tcp"]);
    assert_eq!(kinds(Transport::Udp), ["udp"]);
    assert_eq!(kinds(Transport::Any), ["udp", "tcp"]);
}

#[tokio::test]
async fn who_is_told_of_tcp_alone_comes_by_it() {
    let world = World::new();
    let mut publisher = world.publisher().await;
    let mut viewer = Client::tcp(world.server.local_addr()).await;
    let options = Options { transport: Transport::Tcp, ..Options::default() };
    let stream = world.stream("alice").unwrap();
    let answer = world.server.play(stream, &viewer.offer("recvonly"), &options).unwrap();
    viewer.connect(&answer.sdp).await;
    publisher.send_rtp(header(OPUS, 101, false), None, SOUND).await;
    viewer.next_rtp(OPUS).await;
}
