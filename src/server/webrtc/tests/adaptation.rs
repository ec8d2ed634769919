//! What a viewer gets when it says how large it shows a stream, and the numbers by which its line is judged.

use super::client::{Client, H264, Incoming, OPUS, PATIENCE};
use super::{KEY_PICTURE, KEY_UNITS, SOUND, World, sequence};
use crate::codec::Codec;
use crate::codec::h264::AvcConfig;
use crate::codec::opus::OpusConfig;
use crate::media::{CodecParams, Extensions, Packet};
use crate::protocol::rtp::{Extension, ExtensionIds, PacketView};
use crate::server::webrtc::{Adaptation, Limit, Options, SessionId};
use crate::stream::{FeedKey, FeedWriter, Form, Layer, Layers, Publisher, Stream, StreamName};
use crate::time::{NtpTime, Timestamp};
use bytes::Bytes;
use tokio::time::timeout;

/// A publisher of sound and of a picture in two sizes.
struct Simulcast {
    stream: Stream,
    publisher: Publisher,
    sound: FeedWriter,
    sizes: [FeedWriter; 2],
}

fn low() -> Layer {
    Layer::below_best(1).unwrap()
}

impl Simulcast {
    fn new() -> Self {
        let name = StreamName { room: "room".into(), participant: "ann".into(), stream: "ann-1".into() };
        let (stream, publisher) = Stream::publish(name, NtpTime::default());
        let sound = publisher.track(FeedKey::new(Codec::Opus, Form::Packets)).unwrap();
        sound.set_params(CodecParams::Opus(OpusConfig { channels: 1 }));
        let key = FeedKey::new(Codec::H264, Form::Packets);
        let sizes = [(Layer::BEST, 720), (low(), 180)].map(|(layer, height)| {
            let writer = publisher.track(key.in_layer(layer)).unwrap();
            let [sps, pps, _] = KEY_UNITS.map(Bytes::from_static);
            writer.set_params(CodecParams::H264(AvcConfig::new(vec![sps], vec![pps]).unwrap()));
            writer.set_height(height);
            writer
        });
        Self { stream, publisher, sound, sizes }
    }

    /// A key picture of a layer.
    fn picture(&self, steps: usize, sequence: i64) {
        self.sizes[steps].write_packets(packet(sequence, 90 * 33, KEY_PICTURE).into());
    }

    fn sound(&self, sequence: i64) {
        self.sound.write_packets(packet(sequence, 960, SOUND).into());
    }
}

fn packet(sequence: i64, ticks: i64, payload: &'static [u8]) -> Packet {
    Packet {
        sequence,
        ticks: sequence * ticks,
        time: Timestamp::from_millis(sequence * 33),
        marker: true,
        keyframe: true,
        extensions: Extensions::default(),
        payload: Bytes::from_static(payload),
    }
}

#[tokio::test]
async fn a_viewer_says_how_large_a_stream_is_shown() {
    let (world, simulcast) = (World::new(), Simulcast::new());
    let mut requests = simulcast.publisher.keyframe_requests();
    let mut viewer = Client::udp(world.server.local_addr()).await;
    let offer = viewer.offer("recvonly");
    let mut answer = world.server.play(simulcast.stream.clone(), &offer, &Options::default()).unwrap();
    viewer.connect(&answer.sdp).await;
    let layers = timeout(PATIENCE, requests.next()).await.expect("a key picture is asked for");
    assert_eq!(layers, Layers::of([Layer::BEST]));
    simulcast.picture(0, 1);
    let first = sequence(&viewer.next_rtp(H264).await);
    timeout(PATIENCE, answer.picture.wait_for(|picture| picture.height == Some(720))).await.unwrap().unwrap();

    let adaptation = Adaptation { max_height: Some(200), paused: false };
    assert!(!world.server.adapt(&SessionId::from_client("nobody"), adaptation));
    assert!(world.server.adapt(&answer.session, adaptation));
    let asked = async { while !requests.next().await.contains(low()) {} };
    timeout(PATIENCE, asked).await.expect("one of the lower layer, too");
    let is_read = || simulcast.sizes[1].subscriber_count() > 0;
    while !is_read() {
        tokio::task::yield_now().await;
    }
    simulcast.picture(1, 500);
    assert_eq!(sequence(&viewer.next_rtp(H264).await), first.wrapping_add(1));
    let shown = timeout(PATIENCE, answer.picture.wait_for(|picture| picture.height == Some(180))).await;
    assert_eq!(shown.unwrap().unwrap().limit, Limit::Size);

    world.server.adapt(&answer.session, Adaptation { paused: true, ..adaptation });
    let shown = timeout(PATIENCE, answer.picture.wait_for(|picture| picture.audio_only)).await;
    assert_eq!(shown.unwrap().unwrap().limit, Limit::Paused);
    simulcast.picture(1, 501);
    simulcast.sound(1);
    let next = loop {
        if let Incoming::Rtp(packet) = viewer.next().await {
            break packet[1] & 0x7f;
        }
    };
    assert_eq!(next, OPUS, "and no picture");

    // However fast it changes its mind, one word waits at a time, and the last counts.
    for paused in (0..=1_000).map(|count| count % 2 == 1) {
        assert!(world.server.adapt(&answer.session, Adaptation { paused, ..adaptation }));
        let waiting: usize =
            world.server.inner.common.mailboxes.iter().map(|mailbox| mailbox.adapted()).sum();
        assert!(waiting <= 1, "{waiting}");
    }
    let shown = timeout(PATIENCE, answer.picture.wait_for(|picture| !picture.audio_only)).await;
    assert_eq!(shown.unwrap().unwrap().limit, Limit::Size);
}

#[tokio::test]
async fn all_packets_to_a_viewer_are_numbered_together() {
    let (world, simulcast) = (World::new(), Simulcast::new());
    let mut viewer = Client::udp(world.server.local_addr()).await;
    let offer = viewer.offer("recvonly");
    let answer = world.server.play(simulcast.stream.clone(), &offer, &Options::default()).unwrap();
    viewer.connect(&answer.sdp).await;
    let mut requests = simulcast.publisher.keyframe_requests();
    timeout(PATIENCE, requests.next()).await.expect("a key picture is asked for");
    let mut ids = ExtensionIds::default();
    ids.insert(Extension::TransportCc, 3);
    let mut numbers = Vec::new();
    for index in 1..4 {
        simulcast.sound(index);
        simulcast.picture(0, index);
        for payload_type in [OPUS, H264] {
            let packet = viewer.next_rtp(payload_type).await;
            numbers.extend(PacketView::parse(&packet).unwrap().values(&ids).transport_cc);
        }
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5]);
}
