//! Client and server session talk in memory, in one piece and in many; what makes other servers stumble is among it.

#[path = "../common/rtmp.rs"]
mod rtmp;
mod streams;
mod time;
mod values;

use bytes::{Bytes, BytesMut};
use commonroom::protocol::amf0::{Object, Value};
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

#[test]
fn a_long_refusal_arrives_whole() {
    let (mut client, mut server) = connected();
    let reason = "because ".repeat(8_000); // more than one chunk, as long as a string may be
    server.session.refuse(server.now, StreamId(1), Code::PublishRejected, &reason);
    server.drain();
    assert_eq!(talk(&mut client, &mut server), ["onStatus NetStream.Publish.Rejected"]);
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
