//! What messages say, in all their shapes, and what nobody should send.

use super::{Server, connected, publishing, talk};
use crate::rtmp::{Client, show};
use bytes::Bytes;
use commonroom::protocol::amf0::{Object, Value, encode_all};
use commonroom::protocol::rtmp::chunk::kind;
use commonroom::protocol::rtmp::{Event, SessionError, StreamId};
use commonroom::time::RtmpTime;

/// What the server makes of one call with these bytes behind its name, number and null.
fn call_with(kind: u8, format: &[u8], arguments: &[u8]) -> Result<Vec<String>, SessionError> {
    let (mut client, mut server) = publishing();
    let head = encode_all(&[Value::text("chat"), Value::Number(2.0), Value::Null]);
    client.send(kind, 0, 0, &[format, &head, arguments].concat());
    server.handle(&client.take_output())?;
    Ok(client.receive(&server.sent).iter().map(show).collect())
}

#[test]
fn commands_of_any_length() {
    for values in 0..3 {
        let body = encode_all(&[Value::text("hi"), Value::Number(0.0)][..values]);
        let (mut client, mut server) = connected();
        client.send(kind::COMMAND, 0, 0, &body);
        assert_eq!(server.handle(&client.take_output()).is_ok(), values > 0, "{values} values");

        let (mut client, mut server) = (Client::new(), Server::new());
        talk(&mut client, &mut server);
        client.send(kind::COMMAND, 0, 0, &body);
        assert!(server.handle(&client.take_output()).is_err(), "before connect");
    }
}

#[test]
fn metadata_in_every_shape() {
    let width = Object::from_iter([("width", Value::Number(640.0))]);
    let (set, name) = (Value::text("@setDataFrame"), Value::text("onMetaData"));
    for (values, expected) in [
        (vec![set.clone()], Some(Object::default())),
        (vec![set.clone(), name.clone()], Some(Object::default())),
        (vec![set.clone(), name.clone(), Value::EcmaArray(width.clone())], Some(width.clone())),
        (vec![set, Value::Object(width.clone())], Some(width.clone())),
        (vec![name, Value::Object(width.clone())], Some(width)),
        (vec![Value::text("@clearDataFrame"), Value::text("onMetaData")], Some(Object::default())),
        (vec![Value::text("onTextData"), Value::text("hi")], None),
        (vec![], None),
    ] {
        for (kind, format) in [(kind::DATA, &[][..]), (kind::DATA_AMF3, &[0])] {
            let (mut client, mut server) = publishing();
            client.send(kind, 1, 0, &[format, &encode_all(&values)].concat());
            talk(&mut client, &mut server);
            let seen = server.events.iter().find_map(|event| match event {
                Event::Metadata { metadata, .. } => Some(metadata.0.clone()),
                _ => None,
            });
            assert_eq!(seen, expected, "{values:?}");
        }
    }
}

#[test]
fn calls_with_every_type_are_answered() {
    for arguments in [
        &[0x0b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..],
        &[0x0c, 0, 0, 0, 1, b'a'],
        &[0x0d],
        &[0x0f, 0, 0, 0, 1, b'a'],
        &[0x10, 0, 1, b'A', 0, 0, 9],
        &[0x11, 0x06, 0x03, b'a'],
        &[0x11, 0x0a, 0x0b, 0x01, 0x03, b'a', 0x06, 0x03, b'b', 0x01],
        &[2, 0, 1, 0xff],
    ] {
        for (kind, format) in [(kind::COMMAND, &[][..]), (kind::COMMAND_AMF3, &[0])] {
            let heard = call_with(kind, format, arguments).unwrap();
            assert_eq!(heard, ["_error NetConnection.Call.Failed"], "{arguments:?}");
        }
    }
}

#[test]
fn hostile_values_end_the_session() {
    let nested = [10, 0, 0, 0, 1].repeat(10_000);
    assert!(matches!(call_with(kind::COMMAND, &[], &nested), Err(SessionError::Message(_))));
    assert!(matches!(call_with(kind::COMMAND, &[], &[7, 0, 0]), Err(SessionError::Message(_))));
    assert!(matches!(call_with(kind::COMMAND, &[], &[4]), Err(SessionError::Message(_))));
}

#[test]
fn data_that_cannot_be_read_are_left_out() {
    let head = encode_all(&[Value::text("@setDataFrame"), Value::text("onMetaData")]);
    let many = Object((0..100_000).map(|index| (index.to_string(), Value::Number(0.0))).collect());
    let title = encode_all(&[Value::Object(Object::from_iter([("title", Value::text("a"))]))]);
    let (junk, cut) = ([&title[..], &[0xff, 0xff]].concat(), &title[..title.len() - 5]);
    for body in [&junk[..], cut, &encode_all(&[Value::Object(many)])] {
        for kind in [kind::DATA, kind::DATA_AMF3] {
            let (mut client, mut server) = publishing();
            client.send(kind, 1, 0, &[&head, body].concat());
            client.send(kind::AUDIO, 1, 0, &[0xaf, 1]);
            client.send(kind, 0, 0, &[&head, body].concat()); // where nobody publishes it is nothing
            talk(&mut client, &mut server);
            assert!(matches!(server.events[..], [Event::BadData { .. }, Event::Audio { .. }]), "{body:02x?}");
        }
    }
}

#[test]
fn what_asks_nothing_is_passed_over() {
    let (mut client, mut server) = publishing();
    client.send(kind::USER_CONTROL, 0, 0, &[0, 0x1b, 0, 0, 0, 0]);
    client.send(kind::USER_CONTROL, 0, 0, &[0, 3, 0, 0, 0, 1, 0, 0, 11, 184]);
    client.send(kind::SHARED_OBJECT, 0, 0, &[0, 0]);
    client.send(kind::ACKNOWLEDGEMENT, 0, 0, &[0, 0, 0, 9]);
    client.call(1, "closeStream", 0.0, &[]);
    client.call(1, "publish", 0.0, &[Value::text("again")]);
    client.call(0, "nobodyKnowsThis", 0.0, &[]);
    assert_eq!(
        talk(&mut client, &mut server),
        ["onStatus NetStream.Unpublish.Success", "begin 1", "onStatus NetStream.Publish.Start"]
    );
}

#[test]
fn aggregates_are_media() {
    let tag = |kind: u8, time: u8, body: &[u8]| {
        [&[kind, 0, 0, body.len() as u8, 0, 0, time, 0, 0, 0, 0], body, &[0, 0, 0, 12]].concat()
    };
    let (mut client, mut server) = publishing();
    client.send(kind::AGGREGATE, 1, 1_000, &[tag(9, 5, &[0x57, 1]), tag(8, 8, &[0xaf, 1])].concat());
    talk(&mut client, &mut server);
    let stream = StreamId(1);
    assert_eq!(
        server.events,
        [
            Event::Video { stream, time: RtmpTime(1_000), body: Bytes::from_static(&[0x57, 1]) },
            Event::Audio { stream, time: RtmpTime(1_003), body: Bytes::from_static(&[0xaf, 1]) },
        ]
    );
}

#[test]
fn nothing_large_is_taken_before_connect() {
    let (mut client, mut server) = (Client::new(), Server::new());
    talk(&mut client, &mut server);
    client.set_chunk_size();
    client.send(kind::VIDEO, 0, 0, &[0; 70_000]);
    assert!(matches!(server.handle(&client.take_output()), Err(SessionError::Chunk(_))));
    let (mut client, mut server) = publishing();
    client.send(kind::VIDEO, 1, 0, &[0; 70_000]);
    assert!(server.handle(&client.take_output()).is_ok());
}
