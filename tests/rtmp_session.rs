//! Client and server session talk in memory, in one piece and in many; what makes other servers stumble is among it.

#[path = "common/rtmp.rs"]
mod rtmp;

use bytes::{Bytes, BytesMut};
use commonroom::protocol::amf0::{Object, Value, encode_all};
use commonroom::protocol::rtmp::chunk::kind;
use commonroom::protocol::rtmp::{Code, Event, Output, ServerSession, SessionError, StreamId, Timeouts};
use commonroom::time::RtmpTime;
use proptest::prelude::*;
use rtmp::{Client, show};
use std::time::{Duration, Instant};

const TIMEOUTS: Timeouts = Timeouts {
    setup: Duration::from_secs(10),
    idle: Duration::from_secs(30),
    publisher: Duration::from_secs(5),
};

/// A server that lets everybody publish and play.
struct Server {
    session: ServerSession,
    now: Instant,
    input: BytesMut,
    events: Vec<Event>,
    sent: Vec<u8>,
}

impl Server {
    #[expect(clippy::disallowed_methods, reason = "the start of a clock that the test moves by hand")]
    fn new() -> Self {
        let now = Instant::now();
        Self {
            session: ServerSession::new(now, TIMEOUTS),
            now,
            input: BytesMut::new(),
            events: vec![],
            sent: vec![],
        }
    }

    fn handle(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        self.input.extend_from_slice(bytes);
        loop {
            let result = self.session.handle_input(self.now, &mut self.input);
            let connected = self.drain();
            result?;
            if !connected {
                return Ok(());
            }
        }
    }

    fn drain(&mut self) -> bool {
        let mut connected = false;
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Transmit(bytes) => self.sent.extend(bytes),
                Output::Event(event) => {
                    match &event {
                        Event::Connect { .. } => {
                            self.session.accept_connect();
                            connected = true;
                        }
                        Event::Publish { stream, .. } => self.session.accept_publish(*stream),
                        Event::Play { stream, .. } => self.session.accept_play(*stream),
                        _ => {}
                    }
                    self.events.push(event);
                }
            }
        }
        connected
    }

    fn wait(&mut self, seconds: f64) -> Result<(), SessionError> {
        self.now += Duration::from_secs_f64(seconds);
        let result = self.session.handle_timeout(self.now);
        self.drain();
        result
    }
}

/// Lets both talk until nothing is left to say; what the client heard.
fn talk(client: &mut Client, server: &mut Server) -> Vec<String> {
    let mut heard = vec![];
    loop {
        if !client.output.is_empty() {
            server.handle(&client.take_output()).expect("what a client says makes sense");
        }
        let bytes = std::mem::take(&mut server.sent);
        if bytes.is_empty() {
            return heard;
        }
        heard.extend(client.receive(&bytes).iter().map(show));
    }
}

fn connected() -> (Client, Server) {
    let (mut client, mut server) = (Client::new(), Server::new());
    client.connect("room");
    // The handshake's second half goes before what waits.
    let connect = client.output.split_off(1 + 1536);
    talk(&mut client, &mut server);
    client.output.extend(connect);
    client.call(0, "createStream", 2.0, &[]);
    talk(&mut client, &mut server);
    server.events.clear();
    (client, server)
}

fn publishing() -> (Client, Server) {
    let (mut client, mut server) = connected();
    client.call(1, "publish", 3.0, &[Value::text("alice"), Value::text("live")]);
    talk(&mut client, &mut server);
    server.events.clear();
    (client, server)
}

/// What the server makes of one call with these bytes behind its name, number and null.
fn call_with(kind: u8, format: &[u8], arguments: &[u8]) -> Result<Vec<String>, SessionError> {
    let (mut client, mut server) = publishing();
    let head = encode_all(&[Value::text("chat"), Value::Number(2.0), Value::Null]);
    client.send(kind, 0, 0, &[format, &head, arguments].concat());
    server.handle(&client.take_output())?;
    Ok(client.receive(&server.sent).iter().map(show).collect())
}

#[test]
fn a_publication_from_connect_to_delete_stream() {
    let (mut client, mut server) = (Client::new(), Server::new());
    let heard = talk(&mut client, &mut server);
    assert!(heard.is_empty() && client.is_open());
    client.set_chunk_size(); // as OBS: before connect
    client.connect("room");
    assert_eq!(
        talk(&mut client, &mut server),
        ["WindowSize(2500000)", "PeerBandwidth(2500000)", "_result NetConnection.Connect.Success"]
    );
    client.call(0, "releaseStream", 2.0, &[Value::text("alice")]);
    client.call(0, "FCPublish", 3.0, &[Value::text("alice")]);
    client.call(0, "createStream", 4.0, &[]);
    assert_eq!(
        talk(&mut client, &mut server),
        ["_result", "_result", "onFCPublish NetStream.Publish.Start", "_result 1"]
    );
    client.call(1, "publish", 5.0, &[Value::text("alice?token=x"), Value::text("live")]);
    assert_eq!(talk(&mut client, &mut server), ["begin 1", "onStatus NetStream.Publish.Start"]);
    client.send(kind::VIDEO, 1, 40, &[0x17, 0]);
    client.send(kind::AUDIO, 1, 41, &[0xaf, 0]);
    client.send(kind::AUDIO, 7, 42, &[0xaf, 0]); // on a stream that is not there
    client.call(0, "FCUnpublish", 6.0, &[Value::text("alice")]);
    client.call(0, "deleteStream", 7.0, &[Value::Number(1.0)]);
    talk(&mut client, &mut server);

    let stream = StreamId(1);
    let Event::Connect { app, tc_url, properties, .. } = server.events.remove(0) else { panic!() };
    assert_eq!((&*app, &*tc_url), ("room", "rtmp://host/room"));
    assert!(properties.text("flashVer").is_some());
    assert_eq!(
        server.events,
        [
            Event::Publish { stream, key: "alice?token=x".into() },
            Event::Video { stream, time: RtmpTime(40), body: Bytes::from_static(&[0x17, 0]) },
            Event::Audio { stream, time: RtmpTime(41), body: Bytes::from_static(&[0xaf, 0]) },
            Event::Closed { stream },
        ]
    );
}

#[test]
fn a_player_is_told_all_it_waits_for() {
    let (mut client, mut server) = connected();
    client.call(0, "getStreamLength", 3.0, &[Value::text("alice")]);
    client.call(1, "play", 4.0, &[Value::text("alice"), Value::Number(-2_000.0)]);
    assert_eq!(
        talk(&mut client, &mut server),
        [
            "_result 0",
            "begin 1",
            "onStatus NetStream.Play.Reset",
            "onStatus NetStream.Play.Start",
            "|RtmpSampleAccess"
        ]
    );
    assert_eq!(server.events, [Event::Play { stream: StreamId(1), key: "alice".into() }]);
    let stream = StreamId(1);
    server.session.send_video(stream, RtmpTime(7), &[0x27, 1], &Bytes::from_static(&[9]));
    server.session.send_audio(stream, RtmpTime(u32::MAX), &[0xaf, 1], &Bytes::from_static(&[8]));
    server.session.end_play(server.now, stream, "over");
    server.drain();
    assert_eq!(
        talk(&mut client, &mut server),
        ["video [27, 01, 09]", "audio [af, 01, 08]", "onStatus NetStream.Play.UnpublishNotify", "eof 1"]
    );
    assert!(server.session.is_closing());
}

#[test]
fn players_pause_and_cannot_seek() {
    let (mut client, mut server) = connected();
    client.call(1, "play", 4.0, &[Value::text("alice")]);
    talk(&mut client, &mut server);
    server.events.clear();
    client.call(1, "pause", 0.0, &[Value::Boolean(true), Value::Number(0.0)]);
    client.call(1, "pause", 0.0, &[Value::Boolean(false), Value::Number(0.0)]);
    client.call(1, "seek", 0.0, &[Value::Number(9.0)]);
    client.call(1, "play2", 0.0, &[]);
    client.call(1, "closeStream", 0.0, &[]);
    assert_eq!(
        talk(&mut client, &mut server),
        [
            "onStatus NetStream.Pause.Notify",
            "onStatus NetStream.Unpause.Notify",
            "onStatus NetStream.Seek.Failed",
            "onStatus NetStream.Play.Failed"
        ]
    );
    let stream = StreamId(1);
    assert_eq!(
        server.events,
        [
            Event::Pause { stream, paused: true },
            Event::Pause { stream, paused: false },
            Event::Closed { stream }
        ]
    );
}

#[test]
fn a_refusal_is_the_last_word() {
    let (mut client, mut server) = connected();
    server.session.refuse(server.now, StreamId(1), Code::PublishBadName, "in use");
    server.drain();
    client.call(0, "createStream", 9.0, &[]);
    assert_eq!(talk(&mut client, &mut server), ["onStatus NetStream.Publish.BadName"]);
    assert!(server.session.is_closing());
    let (mut client, mut server) = connected();
    client.call(5, "publish", 9.0, &[Value::text("x")]);
    assert_eq!(talk(&mut client, &mut server), ["5: onStatus NetStream.Publish.Rejected"], "no such stream");
}

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
    for _ in 0..8 {
        client.call(0, "createStream", 3.0, &[]);
    }
    let heard = talk(&mut client, &mut server);
    assert_eq!(heard[6..], ["_result 8", "_error NetConnection.Call.Failed"]);
}

#[test]
fn a_long_refusal_of_connect_arrives_whole() {
    let mut client = Client::new();
    let mut server = Server::new();
    talk(&mut client, &mut server);
    client.connect("room");
    server.input.extend_from_slice(&client.take_output());
    server.session.handle_input(server.now, &mut server.input).unwrap();
    while let Some(output) = server.session.poll_output() {
        assert!(matches!(output, Output::Event(Event::Connect { .. })));
    }
    server.session.refuse_connect(&"because ".repeat(40)); // several chunks of 128 bytes
    server.drain();
    assert_eq!(talk(&mut client, &mut server), ["_error NetConnection.Connect.Rejected"]);
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

#[test]
fn another_protocol_is_refused_at_its_first_byte() {
    assert!(matches!(Server::new().handle(b"GET / HTTP/1.1\r\n\r\n"), Err(SessionError::Handshake(_))));
}

#[test]
fn a_client_may_not_wait_for_answers() {
    let (mut client, mut server) = (Client::new(), Server::new());
    talk(&mut client, &mut server);
    client.connect("room");
    client.call(0, "createStream", 2.0, &[]);
    client.call(1, "publish", 3.0, &[Value::text("alice")]);
    client.send(kind::AUDIO, 1, 0, &[0xaf]);
    talk(&mut client, &mut server);
    assert!(matches!(server.events.last(), Some(Event::Audio { .. })), "{:?}", server.events);
}

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

#[test]
fn warnings_reach_publishers_only() {
    let (mut client, mut server) = publishing();
    server.session.warn(StreamId(1), "B-frames");
    server.session.warn(StreamId(2), "nobody");
    server.drain();
    assert_eq!(talk(&mut client, &mut server), ["onStatus NetStream.Publish.Warning"]);
    server.session.shut_down("bye");
    server.drain();
    assert_eq!(talk(&mut client, &mut server), ["onStatus NetConnection.Connect.AppShutdown"]);
}

/// All that a publisher sends, without waiting: the plain handshake takes any C2.
fn monologue() -> Vec<u8> {
    let mut client = Client::new();
    client.output.extend([0; 1536]);
    client.connect("room");
    client.call(0, "createStream", 2.0, &[]);
    client.call(1, "publish", 3.0, &[Value::text("alice")]);
    client.data(&[Value::text("onMetaData"), Value::Object(Object::default())]);
    for index in 0..20u32 {
        if index == 10 {
            client.set_chunk_size();
        }
        client.send(kind::VIDEO, 1, 0x00ff_fff8 + index, &vec![index as u8; 37 * index as usize]);
        client.send(kind::AUDIO, 1, u32::MAX - 10 + index % 10, &[index as u8; 200]);
    }
    client.call(0, "deleteStream", 4.0, &[Value::Number(1.0)]);
    client.take_output()
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events(cuts in prop::collection::vec(1..900usize, 1..60)) {
        let bytes = monologue();
        let (mut whole, mut split) = (Server::new(), Server::new());
        whole.handle(&bytes).unwrap();
        let (mut rest, mut cuts) = (&bytes[..], cuts.iter().cycle());
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
            split.handle(now).unwrap();
            rest = later;
        }
        prop_assert_eq!(whole.events.len(), 44);
        prop_assert_eq!(split.events, whole.events);
        prop_assert_eq!(split.sent.len(), whole.sent.len());
    }
}
