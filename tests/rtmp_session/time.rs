//! Patience, signs of life, and counted bytes.

use super::{Server, TIMEOUTS, connected, publishing, talk};
use commonroom::protocol::amf0::Value;
use commonroom::protocol::rtmp::SessionError;
use commonroom::protocol::rtmp::chunk::kind;

#[test]
fn acknowledgements_count_every_byte() {
    let (mut client, mut server) = publishing();
    client.send(kind::WINDOW_SIZE, 0, 0, &40_000u32.to_be_bytes());
    talk(&mut client, &mut server);
    let mut heard = vec![];
    for _ in 0..50 {
        client.send(kind::AUDIO, 1, 0, &[0; 1_000]);
        heard.extend(talk(&mut client, &mut server));
    }
    // 50 messages of 1,000 bytes with 8 chunk headers each, at half the window: twice.
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(heard.iter().all(|message| message.starts_with("Acknowledgement(")));
}

#[test]
fn a_window_is_answered_with_a_window() {
    let (mut client, mut server) = connected();
    client.send(kind::PEER_BANDWIDTH, 0, 0, &[0, 0, 0xff, 0xff, 2]);
    assert_eq!(talk(&mut client, &mut server), ["WindowSize(65535)"]);
}

#[test]
fn a_silent_publisher_is_asked_and_then_given_up() {
    let (mut client, mut server) = publishing();
    assert_eq!(server.session.poll_timeout(), server.now + TIMEOUTS.publisher / 2);
    server.wait(2.5).unwrap();
    assert_eq!(talk(&mut client, &mut server), ["ping"]);
    client.send(kind::USER_CONTROL, 0, 0, &[0, 7, 0, 0, 0, 0]);
    talk(&mut client, &mut server);
    server.wait(2.5).unwrap();
    assert_eq!(server.session.poll_timeout(), server.now + TIMEOUTS.publisher / 2);
    assert_eq!(server.wait(2.5), Err(SessionError::IdleTimeout));
}

#[test]
fn a_player_has_more_time() {
    let (mut client, mut server) = connected();
    client.call(1, "play", 4.0, &[Value::text("alice")]);
    talk(&mut client, &mut server);
    server.wait(15.0).unwrap();
    assert_eq!(talk(&mut client, &mut server), ["ping"]);
    server.wait(14.0).unwrap();
    assert_eq!(server.wait(1.0), Err(SessionError::IdleTimeout));
}

#[test]
fn a_player_that_takes_something_is_alive() {
    let (mut client, mut server) = connected();
    client.call(1, "play", 4.0, &[Value::text("alice")]);
    talk(&mut client, &mut server);
    for _ in 0..9 {
        server.wait(20.0).unwrap();
        server.session.handle_progress(server.now);
    }
    assert_eq!(server.session.poll_timeout(), server.now + TIMEOUTS.idle / 2);
    assert_eq!(server.wait(30.0), Err(SessionError::IdleTimeout));
}

#[test]
fn a_client_that_only_chats_is_given_up() {
    let (mut client, mut server) = connected();
    for _ in 0..9 {
        client.call(0, "hello", 0.0, &[]);
        talk(&mut client, &mut server);
        server.wait(1.0).unwrap();
    }
    assert_eq!(server.wait(1.0), Err(SessionError::SetupTimeout));
    let mut mute = Server::new();
    assert_eq!(mute.wait(10.0), Err(SessionError::SetupTimeout));
}

#[test]
fn pings_are_answered() {
    let (mut client, mut server) = connected();
    client.send(kind::USER_CONTROL, 0, 0, &[0, 6, 0, 0, 1, 2]);
    assert_eq!(talk(&mut client, &mut server), ["UserControl(PingResponse(258))"]);
}
