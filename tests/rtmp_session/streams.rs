//! Several message streams on one connection.

use super::{Server, connected, publishing, talk};
use crate::rtmp::Client;
use bytes::Bytes;
use commonroom::protocol::amf0::Value;
use commonroom::protocol::rtmp::chunk::kind;
use commonroom::protocol::rtmp::{Code, Event, SessionError, StreamId};
use commonroom::time::RtmpTime;

/// A client with a second stream, which plays.
fn publishing_and_playing() -> (Client, Server) {
    let (mut client, mut server) = publishing();
    client.call(0, "createStream", 4.0, &[]);
    client.call(2, "play", 5.0, &[Value::text("bob")]);
    talk(&mut client, &mut server);
    server.events.clear();
    (client, server)
}

#[test]
fn one_of_several_streams_ends_alone() {
    let (mut client, mut server) = publishing_and_playing();
    server.session.end_play(server.now, StreamId(2), "over");
    server.drain();
    client.call(2, "play", 6.0, &[Value::text("nobody")]);
    client.send(kind::AUDIO, 1, 40, &[0xaf]);
    assert_eq!(
        talk(&mut client, &mut server),
        [
            "2: onStatus NetStream.Play.UnpublishNotify",
            "eof 2",
            "begin 2",
            "2: onStatus NetStream.Play.Reset",
            "2: onStatus NetStream.Play.Start",
            "2: |RtmpSampleAccess"
        ]
    );
    assert!(!server.session.is_closing());
    let (mine, other) = (StreamId(1), StreamId(2));
    assert_eq!(
        server.events,
        [
            Event::Play { stream: other, key: "nobody".into() },
            Event::Audio { stream: mine, time: RtmpTime(40), body: Bytes::from_static(&[0xaf]) },
        ]
    );

    // What is refused is over; its media is passed over, and the player goes on.
    server.session.refuse(server.now, mine, Code::PublishRejected, "HEVC");
    client.send(kind::AUDIO, 1, 41, &[0xaf]);
    server.drain();
    server.events.clear();
    assert_eq!(talk(&mut client, &mut server), ["onStatus NetStream.Publish.Rejected"]);
    assert!(server.events.is_empty() && !server.session.is_closing());
    server.wait(20.0).unwrap();
    assert_eq!(talk(&mut client, &mut server), ["ping"], "a player's patience, not a publisher's");
}

#[test]
fn a_client_of_several_streams_that_uses_none_is_given_up() {
    let (mut client, mut server) = publishing_and_playing();
    client.call(1, "closeStream", 0.0, &[]);
    talk(&mut client, &mut server);
    server.wait(9.0).unwrap();
    server.session.end_play(server.now, StreamId(2), "over");
    server.drain();
    client.send(kind::USER_CONTROL, 0, 0, &[0, 7, 0, 0, 0, 0]);
    talk(&mut client, &mut server);
    server.wait(9.0).unwrap();
    assert_eq!(server.wait(1.0), Err(SessionError::SetupTimeout), "counted from the end of its last stream");
}

#[test]
fn streams_are_limited() {
    let (mut client, mut server) = connected();
    for _ in 0..16 {
        client.call(0, "createStream", 3.0, &[]);
    }
    let heard = talk(&mut client, &mut server);
    assert_eq!(heard[14..], ["_result 16", "_error NetConnection.Call.Failed"]);
}

/// A member of a room: its owner hears what it calls, and it needs no streams.
#[test]
fn who_attends_may_do_without_streams_and_calls_its_owner() {
    let (mut client, mut server) = connected();
    server.session.attend(server.now);
    server.session.refuse(server.now, StreamId(1), Code::PublishBadName, "in use");
    server.session.invoke("OnDataEvent", vec![Value::Null]);
    server.drain();
    assert!(!server.session.is_closing());
    client.call(0, "sendData", 0.0, &[Value::text("a")]);
    assert_eq!(talk(&mut client, &mut server), ["onStatus NetStream.Publish.BadName", "in:"]);
    let length = 25; // 11 of the name, 9 of a number, 1 of nothing, 4 of a text
    let arguments = vec![Value::text("a")];
    let call = Event::Call { name: "sendData".into(), transaction: 0.0, arguments, length };
    assert_eq!(server.events, [call]);
    server.session.refuse_call(0.0, "sendData");
    server.session.refuse_call(7.0, "sendData");
    server.drain();
    assert_eq!(
        talk(&mut client, &mut server),
        ["_error NetConnection.Call.Failed"],
        "where one is waited for"
    );
    server.wait(11.0).unwrap();
    server.session.disconnect("enough");
    server.drain();
    assert_eq!(talk(&mut client, &mut server), ["onStatus NetConnection.Connect.Closed"]);
    assert!(server.session.is_closing());
}
