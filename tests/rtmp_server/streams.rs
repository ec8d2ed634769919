//! What publishers and players see of each other.

use crate::client::{AAC_CONFIG, AVC_CONFIG, Gateway, PATIENCE, line, picture};
use commonroom::codec::MediaKind;
use commonroom::config::Span;
use commonroom::protocol::amf0::{Object, Value};
use commonroom::protocol::rtmp::chunk::kind;
use std::time::Duration;

#[tokio::test]
async fn a_player_gets_metadata_headers_the_gop_and_the_end() {
    let gateway = Gateway::start(|_| {});
    let mut publisher = gateway.publish("alice").await;
    let metadata = Value::EcmaArray(Object::from_iter([("encoder", Value::text("test"))]));
    publisher.client.data(&[Value::text("@setDataFrame"), Value::text("onMetaData"), metadata]);
    publisher.client.send(kind::VIDEO, 1, 0, AVC_CONFIG);
    publisher.client.send(kind::AUDIO, 1, 0, AAC_CONFIG);
    publisher.client.send(kind::VIDEO, 1, 500, &picture(true, &[0]));
    publisher.client.send(kind::VIDEO, 1, 1_000, &picture(true, &[1]));
    publisher.client.send(kind::AUDIO, 1, 1_005, &[0xaf, 1, 5]);
    publisher.settle().await;

    let mut player = gateway.play("alice").await;
    let [first, sound] = [picture(true, &[1]), vec![0xaf, 1, 5]];
    let heard = player.until(&line("audio", &sound)).await;
    assert_eq!(
        heard,
        [
            "begin 1".into(),
            "onStatus NetStream.Play.Reset".into(),
            "onStatus NetStream.Play.Start".into(),
            "|RtmpSampleAccess".into(),
            "onMetaData".into(),
            line("video", AVC_CONFIG),
            line("audio", AAC_CONFIG),
            line("video", &first),
            line("audio", &sound),
        ]
    );

    // The same header again says nothing new; another one does.
    let mut other = AVC_CONFIG.to_vec();
    other[16] = 0x1f;
    publisher.client.send(kind::VIDEO, 1, 1_040, AVC_CONFIG);
    publisher.client.send(kind::VIDEO, 1, 1_040, &picture(false, &[2]));
    publisher.client.send(kind::VIDEO, 1, 1_080, &other);
    publisher.client.send(kind::VIDEO, 1, 1_080, &picture(true, &[3]));
    publisher.client.call(0, "deleteStream", 9.0, &[Value::Number(1.0)]);
    publisher.flush().await;
    let heard = player.rest().await;
    let level = other[16];
    assert_eq!(heard.len(), 5, "{heard:?}");
    assert_eq!(heard[0], line("video", &picture(false, &[2])));
    assert!(heard[1].starts_with("video [17, 00") && heard[1].contains(&format!("{level:02x}")));
    assert_eq!(heard[3..], ["onStatus NetStream.Play.UnpublishNotify", "eof 1"]);
}

#[tokio::test]
async fn without_metadata_a_player_hears_what_can_be_seen() {
    let gateway = Gateway::start(|_| {});
    let _publisher = gateway.publish_media("alice").await;
    let mut player = gateway.play("alice").await;
    let heard = player.until(&line("video", &picture(false, &[2]))).await;
    assert_eq!(heard[4..7], ["onMetaData".into(), line("video", AVC_CONFIG), line("audio", AAC_CONFIG)]);
}

#[tokio::test]
async fn a_name_in_use_is_refused_and_its_owner_hears_nothing() {
    let gateway = Gateway::start(|_| {});
    let mut first = gateway.publish("alice").await;
    let mut second = gateway.connect("room").await;
    second.client.call(1, "publish", 3.0, &[Value::text("alice")]);
    assert_eq!(second.rest().await, ["onStatus NetStream.Publish.BadName"]);
    first.settle().await;
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_a_code() {
    let gateway = Gateway::start(|_| {});
    for (app, call, key, code) in [
        ("room", "play", "nobody", "NetStream.Play.StreamNotFound"),
        ("room", "play", "a b", "NetStream.Play.Failed"),
        ("..", "publish", "alice", "NetStream.Publish.BadName"),
        ("room/x/y", "publish", "alice", "NetStream.Publish.BadName"),
    ] {
        let mut peer = gateway.connect(app).await;
        peer.client.call(1, call, 3.0, &[Value::text(key)]);
        assert_eq!(peer.rest().await, [format!("onStatus {code}")], "{call} {app} {key}");
    }
    let mut publisher = gateway.publish("alice").await;
    publisher.client.send(kind::VIDEO, 1, 0, b"\x90vvc1\x01");
    assert_eq!(publisher.rest().await, ["onStatus NetStream.Publish.Rejected"], "VVC");
    gateway.publish("alice").await; // the name is free again
}

/// What Flash applications do: the own camera and the others' over one connection.
#[tokio::test]
async fn one_connection_publishes_and_plays_several() {
    let gateway = Gateway::start(|_| {});
    let mut alice = gateway.publish("alice").await;
    let mut bob = gateway.publish("bob").await;
    let mut carol = gateway.publish("carol").await;
    let sound = |who: u8| [0xaf, 1, who];
    for (stream, key) in [(2, "alice"), (3, "bob")] {
        carol.client.call(0, "createStream", 4.0, &[]);
        carol.client.call(stream, "play", 5.0, &[Value::text(key)]);
        carol.until(&format!("{stream}: onStatus NetStream.Play.Start")).await;
    }
    for (publisher, who) in [(&mut alice, 1), (&mut bob, 2), (&mut carol, 3)] {
        publisher.client.send(kind::AUDIO, 1, 0, AAC_CONFIG);
        publisher.client.send(kind::AUDIO, 1, 20, &sound(who));
        publisher.flush().await;
    }
    let mut listener = gateway.play("carol").await;
    listener.until(&line("audio", &sound(3))).await;
    for played in [(2, 1), (3, 2)].map(|(stream, who)| format!("{stream}: {}", line("audio", &sound(who)))) {
        while !carol.heard.contains(&played) {
            carol.read().await;
        }
    }

    // One ends, one cannot be: the others notice nothing.
    alice.client.call(0, "deleteStream", 9.0, &[Value::Number(1.0)]);
    alice.flush().await;
    carol.until("2: onStatus NetStream.Play.UnpublishNotify").await;
    carol.client.call(2, "play", 6.0, &[Value::text("alice")]);
    carol.until("2: onStatus NetStream.Play.StreamNotFound").await;
    carol.client.send(kind::AUDIO, 1, 40, &sound(4));
    carol.flush().await;
    bob.client.send(kind::AUDIO, 1, 40, &sound(5));
    bob.flush().await;
    carol.until(&format!("3: {}", line("audio", &sound(5)))).await;
    listener.until(&line("audio", &sound(4))).await;

    drop(carol);
    assert_eq!(listener.rest().await, ["onStatus NetStream.Play.UnpublishNotify", "eof 1"]);
}

#[tokio::test]
async fn what_is_muted_reaches_nobody() {
    let gateway = Gateway::start(|_| {});
    let mut publisher = gateway.publish_media("alice").await;
    let stream = gateway.stream("alice");
    let mut player = gateway.play("alice").await;
    player.until(&line("video", &picture(false, &[2]))).await;
    stream.set_muted(MediaKind::Video, true);
    publisher.client.send(kind::VIDEO, 1, 1_080, &picture(true, &[3]));
    publisher.client.send(kind::AUDIO, 1, 1_085, &[0xaf, 1, 6]);
    publisher.settle().await;
    assert_eq!(player.until(&line("audio", &[0xaf, 1, 6])).await.len(), 1, "the sound alone");
    // An RTMP publisher cannot be asked: the picture waits for its next keyframe.
    stream.set_muted(MediaKind::Video, false);
    stream.set_muted(MediaKind::Audio, true);
    publisher.client.send(kind::VIDEO, 1, 1_120, &picture(false, &[4]));
    publisher.client.send(kind::AUDIO, 1, 1_125, &[0xaf, 1, 7]);
    publisher.client.send(kind::VIDEO, 1, 1_160, &picture(true, &[5]));
    publisher.client.send(kind::VIDEO, 1, 1_200, &picture(false, &[6]));
    publisher.settle().await;
    let expected = [line("video", &picture(true, &[5])), line("video", &picture(false, &[6]))];
    assert_eq!(player.until(&expected[1]).await, expected);
}

#[tokio::test]
async fn viewers_hear_of_a_publisher_that_vanishes() {
    let gateway = Gateway::start(|config| config.publisher_timeout = Span(Duration::from_millis(400)));
    for silent in [false, true] {
        let publisher = gateway.publish_media("alice").await;
        let mut player = gateway.play("alice").await;
        player.until(&line("video", &picture(false, &[2]))).await;
        let kept = silent.then_some(publisher); // else it is dropped, and with it its socket
        assert_eq!(player.rest().await, ["onStatus NetStream.Play.UnpublishNotify", "eof 1"]);
        drop(kept);
    }
}

#[tokio::test]
async fn everybody_hears_of_a_shutdown() {
    let gateway = Gateway::start(|_| {});
    let mut publisher = gateway.publish_media("alice").await;
    let mut player = gateway.play("alice").await;
    player.until(&line("video", &picture(false, &[2]))).await;
    gateway.stop.cancel();
    assert_eq!(publisher.rest().await, ["onStatus NetConnection.Connect.AppShutdown"]);
    assert_eq!(player.rest().await, ["onStatus NetConnection.Connect.AppShutdown"]);
    drop((publisher, player));
    tokio::time::timeout(PATIENCE, gateway.task).await.expect("it returns").expect("without a panic");
}
