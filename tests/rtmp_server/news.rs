//! What a publisher is told on its own connection: warnings, and that it is recorded.

use crate::client::{AAC_CONFIG, Gateway, LIMITS, line, picture};
use commonroom::bridge::Accepts;
use commonroom::codec::Codec;
use commonroom::config;
use commonroom::protocol::amf0::{Object, Value};
use commonroom::protocol::rtmp::chunk::kind;
use commonroom::recording::{Notices, Recorder};
use commonroom::room::{Limits, RecordingPolicy};
use commonroom::stream::{FeedKey, Form, QueueLimits, Start, Warning};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// x264's parameters of 1920x1080, High, level 4.0: files have need of whole ones.
const SPS: &[u8] = b"\x67\x64\x00\x28\xac\xd9\x40\x78\x02\x27\xe5\xc0\x44\x00\x00\x03\x00\x04\x00\x00\x03\x00\xf0\x3c\x60\xc6\x58";
pub(crate) const WARNED: &str = "onStatus NetStream.Publish.Warning";

#[tokio::test]
async fn a_publisher_hears_each_warning_once_wherever_it_comes_from() {
    let gateway = Gateway::start(|_| {});
    let mut publisher = gateway.publish_media("alice").await;
    // Found in what it sends: sound under a number that FLV reserves, and pictures that are shown before the one that came first.
    let at = |offset: u8, mut picture: Vec<u8>| {
        picture[4] = offset;
        picture
    };
    for time in [1_080, 1_200] {
        publisher.client.send(kind::AUDIO, 1, time, &[0xcf, 1, 2, 3]);
        publisher.client.send(kind::VIDEO, 1, time, &at(120, picture(false, &[3])));
        publisher.client.send(kind::VIDEO, 1, time + 40, &at(20, picture(false, &[4])));
    }
    publisher.until(WARNED).await;
    publisher.until(WARNED).await;
    // Found by the bridge: somebody takes AV1 alone.
    let stream = gateway.stream("alice");
    let av1 = FeedKey::new(Codec::Av1, Form::Packets);
    let subscribe = || {
        let accepts = Accepts { audio: vec![], video: vec![av1] };
        gateway.bridge.subscribe(&stream, accepts, Start::Anywhere, QueueLimits::default())
    };
    let all = [Warning::AudioCodec, Warning::BFrames, Warning::NoConverter { from: Codec::H264 }];
    let refused = subscribe();
    publisher.until(WARNED).await;
    assert_eq!(stream.warnings(), all);
    drop(refused);
    drop(subscribe());
    publisher.settle().await;
    assert_eq!(publisher.warned, all.map(|warning| warning.to_string()));
    assert_eq!(stream.warnings(), all[..2], "what the stream itself is like goes on");
    let other = gateway.publish("bob").await;
    assert!(other.warned.is_empty());
}

#[tokio::test]
async fn a_publisher_hears_that_it_is_recorded_and_no_longer() {
    let gateway = Gateway::start(|_| {});
    let (mut alice, mut bob) = (gateway.publish_media("alice").await, gateway.publish_media("bob").await);
    let stream = gateway.stream("alice");
    stream.begin_recording("room/2026-11-21T21-31-57Z/alice-camera.mp4");
    alice.until("onStatus NetStream.Record.Start").await;
    stream.end_recording("room/2026-11-21T21-31-57Z/alice-camera.mp4");
    alice.until("onStatus NetStream.Record.Stop").await;
    stream.begin_recording("room/2026-11-21T21-41-57Z/alice-camera.mp4");
    alice.until("onStatus NetStream.Record.Start").await;
    assert!(alice.warned.is_empty() && alice.told.is_empty(), "neither a warning nor an error");
    bob.settle().await;
    assert!(!bob.heard.iter().any(|heard| heard.contains("Record")), "{:?}", bob.heard);
}

#[tokio::test]
async fn the_recorder_tells_which_file_a_stream_goes_to() {
    let limits = Limits { recording: RecordingPolicy::OnRequest, ..LIMITS };
    let gateway = Gateway::with(limits, |_| {});
    let dir = tempfile::tempdir().expect("there is room for a folder");
    let config = config::Recording { dir: dir.path().to_owned(), ..config::Recording::default() };
    let (rules, rooms, bridge) =
        (config::RoomRules::default(), gateway.rooms.clone(), gateway.bridge.clone());
    let recorder = Recorder::open(config, rules, rooms, bridge, Notices::default(), None);
    let (recorder, stop) = (recorder.expect("the folder can be used"), CancellationToken::new());
    let store = recorder.store().clone();
    let recording = tokio::spawn({
        let stop = stop.clone();
        async move { recorder.run(stop).await }
    });
    let mut alice = gateway.publish("alice").await;
    alice.client.set_chunk_size();
    let sets =
        [&[1, 0x64, 0, 0x28, 0xff, 0xe1, 0, 27], SPS, &[1, 0, 6], b"\x68\xeb\xe3\xcb\x22\xc0"].concat();
    alice.client.send(kind::VIDEO, 1, 0, &[&[0x17, 0, 0, 0, 0], &sets[..]].concat());
    alice.client.send(kind::AUDIO, 1, 0, AAC_CONFIG);
    alice.settle().await;
    let room = "room".parse().expect("a name");
    gateway.rooms.record(&room, true).expect("it may be recorded");
    // What comes after the wish is recorded, from the next keyframe on.
    let stream = gateway.stream("alice");
    for time in (1_080..).step_by(40).take(200) {
        if stream.recorded().borrow().is_some() {
            break;
        }
        alice.client.send(kind::VIDEO, 1, time, &picture(true, &[3]));
        alice.client.send(kind::AUDIO, 1, time, b"\xaf\x01\x21\x00");
        alice.flush().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    alice.until("onStatus NetStream.Record.Start").await;
    let recorded = stream.recorded().borrow().clone().expect("it is told");
    let [(_, session)] = &store.sessions().expect("readable")[..] else { panic!("there is one session") };
    assert_eq!(*recorded.name, *format!("room/{session}/alice-camera.mp4"));
    assert!(store.session("room", session).and_then(|folder| folder.open("alice-camera.mp4")).is_ok());
    assert!(store.is_recorded("room", session), "nobody may delete it");
    gateway.rooms.record(&room, false).expect("it may be ended");
    alice.until("onStatus NetStream.Record.Stop").await;
    stop.cancel();
    recording.await.expect("it ends in order");
    assert!(!store.is_recorded("room", session));
}

#[tokio::test]
async fn metadata_that_cannot_be_kept_do_not_end_the_publication() {
    let gateway = Gateway::start(|_| {});
    let mut publisher = gateway.publish_media("alice").await;
    let (set, name) = (Value::text("@setDataFrame"), Value::text("onMetaData"));
    let pairs = [("title", Value::text("x".repeat(3_000_000))), ("width", Value::Number(640.0))];
    publisher.client.data(&[set, name, Value::EcmaArray(Object::from_iter(pairs))]);
    publisher.client.send(kind::DATA, 1, 0, &[2, 0, 0, 0xff]);
    publisher.settle().await;
    let warnings = [Warning::MetadataTooLarge, Warning::DataUnreadable];
    assert_eq!(gateway.stream("alice").warnings(), warnings);
    while publisher.warned.len() < 2 {
        publisher.read().await;
    }
    assert_eq!(publisher.warned, warnings.map(|warning| warning.to_string()));
    let mut player = gateway.play("alice").await;
    player.until("onMetaData").await;
    player.until(&line("video", &picture(false, &[2]))).await;
}
