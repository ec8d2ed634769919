//! Every session ends, and says how.

use super::client::{Client, H264, Incoming, header};
use super::{PATIENCE, World, name, send_wanted_key_picture};
use crate::codec::Codec;
use crate::room::{Entry, Event, LeaveReason, Moderation, Protocol, Refusal, Role};
use crate::server::webrtc::mailbox::Mail;
use crate::server::webrtc::{Answer, End, Options, Progress};
use crate::stream::EndReason;
use crate::time::NtpTime;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Waits for the end.
async fn end(answer: &mut Answer) -> End {
    let ended = timeout(PATIENCE, answer.progress.wait_for(|progress| progress.end().is_some())).await;
    ended.expect("it ends").expect("and says so before it is dropped").end().unwrap()
}

/// With what came before the end.
async fn connected(world: &World, kind: &str) -> (Answer, Client) {
    let mut client = Client::udp(world.server.local_addr()).await;
    let mut answer = match kind {
        "publisher" => world.publish("alice", &client.offer("sendonly")).unwrap(),
        _ => world.play(&client.offer("recvonly")).unwrap(),
    };
    assert_eq!(*answer.progress.borrow(), Progress::Waiting);
    client.connect(&answer.sdp).await;
    let connected = Progress::Connected { audio: Some(Codec::Opus), video: Some(Codec::H264) };
    timeout(PATIENCE, answer.progress.wait_for(|progress| *progress == connected)).await.unwrap().unwrap();
    (answer, client)
}

#[tokio::test]
async fn who_says_goodbye_and_who_loses_what_it_watched() {
    let world = World::new();
    let (mut published, mut publisher) = connected(&world, "publisher").await;
    publisher.send_rtp(header(super::OPUS, 1, false), None, super::SOUND).await;
    publisher.send_rtp(header(H264, 100, true), None, super::KEY_PICTURE).await;
    world.tracks(2).await;
    let (mut closed, mut viewer) = connected(&world, "viewer").await;
    send_wanted_key_picture(&mut publisher, 101).await;
    viewer.next_rtp(H264).await;
    assert!(world.server.close(&closed.session));
    assert_eq!(end(&mut closed).await, End::Closed);
    let (mut watched, _viewer) = connected(&world, "viewer").await;
    publisher.close().await;
    assert_eq!(end(&mut published).await, End::Left);
    assert!(world.stream("alice").is_none(), "the name is free by then");
    assert_eq!(end(&mut watched).await, End::Stream(EndReason::Unpublished));
}

/// Also when it is not connected yet by then.
#[tokio::test]
async fn whose_publication_the_room_ends_is_told() {
    let world = World::new();
    let join = |login| Entry { login: name(login), protocol: Protocol::WebSocket, key: None, listens: true };
    let (host, _events) = world.rooms.join(name("room"), join("host")).unwrap();
    let (mut published, mut publisher) = connected(&world, "publisher").await;
    publisher.send_rtp(header(super::OPUS, 1, false), None, super::SOUND).await;
    publisher.send_rtp(header(H264, 100, true), None, super::KEY_PICTURE).await;
    world.tracks(2).await;
    let (mut watched, _viewer) = connected(&world, "viewer").await;
    host.moderate(Moderation::Kick(name("alice"))).unwrap();
    assert_eq!(end(&mut published).await, End::Stream(EndReason::Revoked));
    assert_eq!(end(&mut watched).await, End::Stream(EndReason::Revoked));

    let mut client = Client::udp(world.server.local_addr()).await;
    let mut late = world.publish("bob", &client.offer("sendonly")).unwrap();
    host.moderate(Moderation::Kick(name("bob"))).unwrap();
    client.connect(&late.sdp).await;
    assert_eq!(end(&mut late).await, End::Stream(EndReason::Revoked));
}

/// As that of a page whose WebSocket is gone, while its media still comes.
#[tokio::test]
async fn who_has_no_place_in_the_room_sends_nothing_more() {
    let world = World::new();
    let join = |login| Entry { login: name(login), protocol: Protocol::WebSocket, key: None, listens: true };
    let (host, mut events) = world.rooms.join(name("room"), join("host")).unwrap();
    let (alice, _events) = world.rooms.join(name("room"), join("alice")).unwrap();
    let publication = alice.publish(None, NtpTime::default()).unwrap();
    let mut publisher = Client::udp(world.server.local_addr()).await;
    let offer = publisher.offer("sendonly");
    let mut published = world.server.publish(publication, &offer, &Options::default()).unwrap();
    publisher.connect(&published.sdp).await;
    publisher.send_rtp(header(super::OPUS, 1, false), None, super::SOUND).await;
    publisher.send_rtp(header(H264, 100, true), None, super::KEY_PICTURE).await;
    world.tracks(2).await;
    let (mut watched, mut viewer) = connected(&world, "viewer").await;
    send_wanted_key_picture(&mut publisher, 101).await;
    viewer.next_rtp(H264).await;
    drop(alice);
    assert!(world.stream("alice").is_none(), "at once");
    for sequence in 102..110 {
        publisher.send_rtp(header(H264, sequence, true), None, super::PICTURE).await;
    }
    for answer in [&mut published, &mut watched] {
        assert_eq!(end(answer).await, End::Stream(EndReason::Revoked));
    }
    let mut heard = Vec::new();
    while let Some(event) = events.try_next() {
        match &*event {
            Event::Published { .. } => heard.push("published"),
            Event::Unpublished { failed: true, .. } => heard.push("failed"),
            Event::Left { reason: LeaveReason::Vanished, .. } => heard.push("vanished"),
            _ => {}
        }
    }
    assert_eq!(heard, ["published", "failed", "vanished"]);

    // Who may not publish any more by the time its media comes.
    let (bob, _events) = world.rooms.join(name("room"), join("bob")).unwrap();
    let publication = bob.publish(None, NtpTime::default()).unwrap();
    let mut client = Client::udp(world.server.local_addr()).await;
    let offer = client.offer("sendonly");
    let mut late = world.server.publish(publication, &offer, &Options::default()).unwrap();
    host.moderate(Moderation::SetRole(name("bob"), Role::Viewer)).unwrap();
    client.connect(&late.sdp).await;
    assert_eq!(end(&mut late).await, End::Stream(EndReason::Revoked));
    assert!(world.stream("bob").is_none());
    let refused = bob.publish(None, NtpTime::default()).map(drop);
    assert_eq!(refused, Err(Refusal::NotSpeaker));
}

#[tokio::test]
async fn the_servers_end_is_everybodys() {
    let world = World::new();
    let (mut published, _publisher) = connected(&world, "publisher").await;
    let mut waiting = world.play(&_publisher.offer("recvonly")).unwrap();
    world.stop.cancel();
    assert_eq!([end(&mut published).await, end(&mut waiting).await], [End::Shutdown; 2]);
}

#[tokio::test]
async fn who_does_not_come_has_ten_seconds_from_the_offer() {
    let world = World::new();
    let began = Instant::now();
    let mut client = Client::udp(world.server.local_addr()).await;
    let mut lost = world.publish("alice", &client.offer("sendonly")).unwrap();
    let mut silent = world.publish("bob", &client.offer("sendonly")).unwrap();
    // Checks come late, and no handshake.
    tokio::time::sleep(Duration::from_secs(5)).await;
    client.take_answer(&silent.sdp);
    client.check(true).await;
    assert!(matches!(client.next().await, Incoming::Other));
    assert_eq!(end(&mut lost).await, End::NoCheck);
    assert_eq!(end(&mut silent).await, End::NotEstablished);
    let took = began.elapsed();
    assert!(Duration::from_secs(9) < took && took < Duration::from_secs(10), "{took:?}");
    assert!(world.rooms.list().is_empty(), "the names are free");
}

#[tokio::test]
async fn a_certificate_of_somebody_else_is_told_from_a_bad_handshake() {
    let world = World::new();
    let address = world.server.local_addr();
    let (mut client, other) = (Client::udp(address).await, Client::udp(address).await);
    let mut answer = world.publish("alice", &other.offer("sendonly")).unwrap();
    client.take_answer(&answer.sdp);
    client.check(true).await;
    assert!(matches!(client.next().await, Incoming::Other));
    client.begin_dtls().await;
    let shakes = async { while !matches!(client.next().await, Incoming::Closed) {} };
    let ended = tokio::select! {
        ended = end(&mut answer) => ended,
        () = shakes => end(&mut answer).await,
    };
    assert_eq!(ended, End::Fingerprint);

    let mut answer = world.publish("bob", &client.offer("sendonly")).unwrap();
    client.take_answer(&answer.sdp);
    client.check(true).await;
    assert!(matches!(client.next().await, Incoming::Other));
    for _ in 0..10 {
        client.send(&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]).await;
    }
    assert_eq!(end(&mut answer).await, End::Dtls);
}

#[tokio::test]
async fn sessions_end_with_the_thread_of_their_shard() {
    let world = World::new();
    let (mut published, publisher) = connected(&world, "publisher").await;
    let mut waiting = world.play(&publisher.offer("recvonly")).unwrap();
    for mailbox in &world.server.inner.common.mailboxes {
        mailbox.post(Mail::Panic);
    }
    assert_eq!(end(&mut published).await, End::Failed);
    assert!(world.stream("alice").is_none(), "its name is free");
    assert!(world.server.close(&waiting.session), "what no shard had is still there");
    assert_eq!(end(&mut waiting).await, End::Closed);
}
