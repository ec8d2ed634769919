//! A client of the room API over RTMP, from its first chunk to what the room does: the connection's session, the calls, and the
//! conference's session behind them.

use super::pieces;
use super::rtmp::handshake;
use bytes::BytesMut;
use commonroom::bridge::Bridge;
use commonroom::config;
use commonroom::protocol::amf0::{Object, Value};
use commonroom::protocol::room_api::{ClientMessage, Connection, Custom, amf};
use commonroom::protocol::rtmp::chunk::Encoder;
use commonroom::protocol::rtmp::{Command, Event, Output, ServerSession, Timeouts};
use commonroom::room::{Entry, Limits, Protocol, PublishedName, Rooms};
use commonroom::server::conference::{self, Conference, Services, Session};
use commonroom::server::webrtc;
use commonroom::time::NtpTime;
use serde_json::{Value as Json, json};
use std::net::Ipv4Addr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

const TIMEOUTS: Timeouts = Timeouts {
    setup: Duration::from_secs(10),
    idle: Duration::from_secs(60),
    publisher: Duration::from_secs(30),
};

/// One member's calls, while another one listens.
pub(crate) fn calls(input: &[u8]) {
    converse(input);
}

/// Says how often the room had something to tell.
fn converse(input: &[u8]) -> usize {
    let (runtime, webrtc) = world();
    let _inside = runtime.enter();
    // Inputs know nothing of each other.
    let rooms = Rooms::new(Limits::default(), NtpTime::default());
    let conference = Conference::new(Services {
        rooms: rooms.clone(),
        bridge: Bridge::default(),
        webrtc: webrtc.clone(),
        rtmp_port: 1935,
        stop: CancellationToken::new(),
    });
    let name = |text: &str| text.parse().expect("a name");
    let entry = Entry { login: name("alice"), protocol: Protocol::WebSocket, key: None, listens: true };
    let other = rooms.join(name("r1"), entry).ok();
    let now = Instant::now();
    let mut rtmp = ServerSession::new(now, TIMEOUTS);
    let mut room = Session::new(conference, Protocol::Flash, (Ipv4Addr::LOCALHOST, 1).into());
    let mut buffer = BytesMut::new();
    let mut told = 0;
    for piece in [&handshake()[..], &connect()].into_iter().chain(pieces(input)) {
        buffer.extend_from_slice(piece);
        for _ in 0..8 {
            if rtmp.handle_input(now, &mut buffer).is_err() {
                return told;
            }
            let mut answered = false;
            while let Some(output) = rtmp.poll_output() {
                let Output::Event(event) = output else { continue };
                answered = true;
                handle(&mut rtmp, &mut room, now, event);
            }
            while let Some(output) = room.poll() {
                told += 1;
                match output {
                    conference::Output::Say(message) => {
                        let (name, arguments) = amf::write(&message);
                        rtmp.invoke(name, arguments);
                    }
                    conference::Output::Parted(_) => {}
                    conference::Output::Close(close) => {
                        rtmp.disconnect(&close.to_string());
                        return told;
                    }
                }
            }
            if !answered {
                break;
            }
        }
    }
    // What a room tells comes by itself; nothing waits here longer than it takes.
    if let Some((_alice, mut events)) = other {
        while events.try_next().is_some() {
            told += 1;
        }
    }
    told
}

fn handle(rtmp: &mut ServerSession, room: &mut Session, now: Instant, event: Event) {
    match event {
        Event::Connect { .. } => {
            rtmp.accept_connect();
            rtmp.attend(now);
            let custom = Custom { login: Some("bob".into()), token: None };
            room.introduced(Connection { custom, ..Connection::default() });
        }
        Event::Call { name, transaction, arguments, .. } => match amf::read(&name, &arguments) {
            Ok(ClientMessage::Unknown(_)) => rtmp.refuse_call(transaction, &name),
            message => room.handle(message),
        },
        Event::Publish { stream, key } => {
            let name = key.parse::<PublishedName>();
            match name.ok().and_then(|name| room.reserve(name, NtpTime::default()).ok()) {
                Some(publication) => {
                    publication.begin();
                    rtmp.accept_publish(stream);
                }
                None => rtmp.end_publish(now, stream, "not here"),
            }
        }
        Event::Play { stream, key } => {
            let found = key.parse::<PublishedName>().ok().and_then(|name| room.published(&name));
            if found.is_none() {
                rtmp.end_play(now, stream, "nobody publishes that");
            }
        }
        _ => {}
    }
}

/// Made once: what is measured is what an input does.
fn world() -> &'static (Runtime, webrtc::Server) {
    static WORLD: OnceLock<(Runtime, webrtc::Server)> = OnceLock::new();
    WORLD.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("threads");
        let inside = runtime.enter();
        let (stop, bridge) = (CancellationToken::new(), Bridge::default());
        let config = config::Webrtc { listen: (Ipv4Addr::LOCALHOST, 0).into(), ..config::Webrtc::default() };
        let server = webrtc::Server::bind(config, bridge, stop).expect("a free port");
        drop(inside);
        (runtime, server)
    })
}

fn connect() -> Vec<u8> {
    let object = Value::Object(Object::from_iter([("app", Value::text(""))]));
    let who = Value::Object(Object::from_iter([("login", Value::text("bob"))]));
    let connect = Command { name: "connect".into(), transaction: 1.0, object, arguments: vec![who] };
    Encoder::new().message(connect.to_message(0)).to_vec()
}

fn call(stream: u32, name: &str, arguments: Vec<Value>, encoder: &mut Encoder) -> Vec<u8> {
    let command = Command { name: name.into(), transaction: 2.0, object: Value::Null, arguments };
    encoder.message(command.to_message(stream)).to_vec()
}

/// A member's life: it comes, talks, publishes, plays, and goes.
fn life() -> Vec<u8> {
    let mut encoder = Encoder::new();
    let mut bytes = Vec::new();
    let mut send = |command: &str, options: Json| {
        let payload = json!({"command": command, "options": options});
        let data = json!({"operationId": command, "payload": payload});
        bytes.extend(call(0, "sendData", vec![amf::from_json(&data)], &mut encoder));
    };
    send("join", json!({"name": "r1"}));
    send("sendMessage", json!({"roomConfig": {"name": "r1"}, "to": "alice", "text": "hi"}));
    send("sendMessage", json!({"roomConfig": {"name": "r1"}, "text": "hi"}));
    send("moderate", json!({"name": "r1", "action": "kick", "login": "alice"}));
    send("dance", json!([1, null, {"a": [true]}]));
    bytes.extend(call(0, "pong", vec![], &mut encoder));
    bytes.extend(call(0, "createStream", vec![], &mut encoder));
    bytes.extend(call(1, "publish", vec![Value::text("r1-bob")], &mut encoder));
    bytes.extend(call(0, "createStream", vec![], &mut encoder));
    bytes.extend(call(2, "play", vec![Value::text("r1-alice")], &mut encoder));
    let payload = json!({"operationId": "l", "payload": {"command": "leave", "options": {"name": "r1"}}});
    bytes.extend(call(0, "sendData", vec![amf::from_json(&payload)], &mut encoder));
    bytes
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    world();
    [0u8, 1, 50].map(|cut| [&[cut][..], &life()].concat()).into()
}

#[test]
fn the_seeds_get_far() {
    // An answer to `connect`, six acknowledgements; and what alice hears: her state, that bob came and left, and two lines.
    assert!(converse(&seeds()[0]) >= 12);
}
