//! What the room takes away: its publisher and its players are told, and the name is free.

use crate::client::{Gateway, line, picture};
use commonroom::protocol::amf0::Value;
use commonroom::protocol::rtmp::chunk::kind;
use commonroom::room::{Entry, Moderation, Name, Protocol, Role};

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

#[tokio::test]
async fn a_publisher_hears_why_its_publication_has_ended() {
    let gateway = Gateway::start(|_| {});
    let entry = Entry { login: name("host"), protocol: Protocol::WebSocket, key: None, listens: true };
    let (host, _events) = gateway.rooms.join(name("room"), entry).expect("there is room");
    for (key, action, why) in [
        ("alice", Moderation::Kick(name("alice")), "a host has removed you from the room"),
        (
            "bob",
            Moderation::SetRole(name("bob"), Role::Viewer),
            "a host has made you a viewer, and viewers may not publish",
        ),
        ("carol", Moderation::End, "a host has ended the room"),
    ] {
        let mut publisher = gateway.publish_media(key).await;
        let mut player = gateway.play(key).await;
        player.until(&line("video", &picture(false, &[2]))).await;
        host.moderate(action).expect("it is a host");
        assert_eq!(
            publisher.rest().await,
            ["onStatus NetStream.Publish.Rejected", "onStatus NetStream.Unpublish.Success"]
        );
        assert_eq!(publisher.told, [why]);
        assert_eq!(player.rest().await, ["onStatus NetStream.Play.UnpublishNotify", "eof 1"]);
    }
}

/// Programs that do more on their connection keep it.
#[tokio::test]
async fn a_program_of_several_streams_loses_the_one() {
    let gateway = Gateway::start(|_| {});
    let entry = Entry { login: name("host"), protocol: Protocol::WebSocket, key: None, listens: true };
    let (host, _events) = gateway.rooms.join(name("room"), entry).expect("there is room");
    let mut alice = gateway.publish_media("alice").await;
    let mut bob = gateway.publish("bob").await;
    bob.client.call(0, "createStream", 4.0, &[]);
    bob.client.call(2, "play", 5.0, &[Value::text("alice")]);
    bob.until(&format!("2: {}", line("video", &picture(false, &[2])))).await;
    host.moderate(Moderation::Kick(name("bob"))).expect("it is a host");
    bob.until("onStatus NetStream.Unpublish.Success").await;
    alice.client.send(kind::VIDEO, 1, 1_080, &picture(false, &[3]));
    alice.flush().await;
    bob.until(&format!("2: {}", line("video", &picture(false, &[3])))).await;
    bob.client.call(1, "publish", 6.0, &[Value::text("bob")]);
    bob.until("onStatus NetStream.Publish.Rejected").await;
    assert_eq!(bob.told.last().expect("a reason"), "a host has removed you from room room");
}

#[tokio::test]
async fn a_player_may_name_a_publication() {
    let gateway = Gateway::start(|_| {});
    let _publisher = gateway.publish_media("alice").await;
    let published = gateway.stream("alice").name().stream.clone();
    let mut player = gateway.play(&published).await;
    player.until(&line("video", &picture(false, &[2]))).await;
    let mut other = gateway.play(&"x".repeat(240)).await;
    assert_eq!(other.rest().await, ["onStatus NetStream.Play.StreamNotFound"]);
    let mut other = gateway.play(&"x".repeat(241)).await;
    assert_eq!(other.rest().await, ["onStatus NetStream.Play.Failed"]);
}
