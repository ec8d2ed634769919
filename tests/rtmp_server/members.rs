//! Members of rooms over RTMP, as Flash programs are: remote calls, events, and media by the names of publications.

use crate::client::{AAC_CONFIG, AVC_CONFIG, Gateway, PATIENCE, Peer, line, picture};
use crate::rtmp::Client;
use commonroom::config::Span;
use commonroom::protocol::amf0::{Object, Value};
use commonroom::protocol::room_api::amf;
use commonroom::protocol::rtmp::chunk::kind;
use commonroom::room::{Entry, Event, Events, Membership, Moderation, Name, Protocol};
use serde_json::json;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

impl Client {
    /// `connect` as a client of the room API: with its login in an argument.
    fn connect_as(&mut self, app: &str, login: &str, additions: &serde_json::Value) {
        let properties = Object::from_iter([
            ("app", Value::text(app)),
            ("tcUrl", Value::String(format!("rtmp://host/{app}"))),
            ("objectEncoding", Value::Number(3.0)),
        ]);
        let additions = amf::from_json(additions);
        let who = [
            ("appKey", Value::text("flashRoomApp")),
            ("login", Value::text(login)),
            ("commonroom", additions),
        ];
        self.call_with(
            0,
            "connect",
            1.0,
            Value::Object(properties),
            &[Value::Object(Object::from_iter(who))],
        );
    }

    /// `sendData`: a command to a room.
    fn command(&mut self, operation: &str, command: &str, options: serde_json::Value) {
        let payload = serde_json::json!({"command": command, "options": options});
        let data = serde_json::json!({"operationId": operation, "payload": payload});
        self.call(0, "sendData", 0.0, &[amf::from_json(&data)]);
    }
}

impl Gateway {
    /// A member of another kind, at first host of the room.
    fn join(&self, login: &str) -> (Membership, Events) {
        let entry = Entry { login: name(login), protocol: Protocol::WebSocket, key: None, listens: true };
        self.rooms.join(name("r1"), entry).expect("there is room")
    }

    /// A client that is connected and in no room.
    async fn client(&self, login: &str) -> Peer {
        self.client_with(login, &json!(null)).await
    }

    /// The same, with a key that proves who it is.
    async fn keeper(&self, login: &str, key: &str) -> Peer {
        self.client_with(login, &json!({"version": 1, "key": key})).await
    }

    async fn client_with(&self, login: &str, additions: &serde_json::Value) -> Peer {
        let mut peer = Peer::open(TcpStream::connect(self.address).await.expect("the server listens")).await;
        peer.client.connect_as("", login, additions);
        peer.client.call(0, "createStream", 2.0, &[]);
        peer.until("_result 1").await;
        peer
    }

    /// A member, and the others as it has found them.
    async fn member(&self, login: &str) -> (Peer, String) {
        let mut peer = self.client(login).await;
        peer.client.command("join", "join", json!({"name": "r1"}));
        peer.until("DataStatusEvent join ACCEPTED").await;
        let state = peer.hears("in r1: STATE").await;
        (peer, state)
    }
}

impl Peer {
    /// Waits for what begins so; the whole of it.
    async fn hears(&mut self, start: &str) -> String {
        self.flush().await;
        loop {
            if let Some(at) = self.heard.iter().position(|heard| heard.starts_with(start)) {
                return self.heard.drain(..=at).next_back().expect("it is there");
            }
            assert!(self.read().await, "closed after {:?}", self.heard);
        }
    }

    /// What a command comes to.
    async fn asks(&mut self, command: &str, options: serde_json::Value) -> String {
        self.client.command("op", command, options);
        self.hears("DataStatusEvent op").await
    }

    /// Says a line to one.
    async fn says(&mut self, to: &str, text: &str) -> String {
        self.asks("sendMessage", json!({"roomConfig": {"name": "r1"}, "to": to, "text": text})).await
    }

    async fn publishes(&mut self, stream: u32, key: &str) {
        self.client.call(stream, "publish", 3.0, &[Value::text(key)]);
        self.hears(&on(stream, "onStatus NetStream.Publish.Start")).await;
    }

    /// Headers and a picture.
    fn sends_media(&mut self, stream: u32, slice: u8) {
        self.client.send(kind::VIDEO, stream, 0, AVC_CONFIG);
        self.client.send(kind::AUDIO, stream, 0, AAC_CONFIG);
        self.client.send(kind::VIDEO, stream, 0, &picture(true, &[slice]));
    }
}

/// What is heard on a stream.
fn on(stream: u32, what: &str) -> String {
    if stream > 1 { format!("{stream}: {what}") } else { what.to_owned() }
}

/// What a member of another kind has heard, in words.
async fn next(events: &mut Events) -> String {
    let event = tokio::time::timeout(PATIENCE, events.next()).await.expect("something happens");
    match &*event.expect("it is in the room") {
        Event::State(_) => "state".into(),
        Event::Joined(who) => format!("joined {} {}", who.login, who.protocol.as_str()),
        Event::Left { login, reason } => format!("left {login} {}", reason.as_str()),
        Event::Published { login, stream } => {
            format!("published {login} {} {:?}", stream.name, (stream.media.audio, stream.media.video))
        }
        Event::Unpublished { login, failed, .. } => format!("unpublished {login} {failed}"),
        Event::Message(line) => format!("{}: {}", line.from, line.text),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn programs_and_pages_share_a_room() {
    let gateway = Gateway::start(|_| {});
    let (alice, mut page) = gateway.join("alice");
    let (mut bob, state) = gateway.member("bob").await;
    assert_eq!(state, r#"in r1: STATE ["alice"]"#);
    bob.publishes(1, "r1-bob").await;
    bob.sends_media(1, 1);
    bob.settle().await;
    for happened in ["state", "joined bob flash", "published bob r1-bob (true, true)"] {
        assert_eq!(next(&mut page).await, happened);
    }

    // One who comes later finds both, plays one by its name, and publishes besides.
    let (mut carol, state) = gateway.member("carol").await;
    assert_eq!(state, r#"in r1: STATE ["alice",{"login":"bob","name":"r1-bob"}]"#);
    bob.hears("in r1: JOINED carol").await;
    carol.client.call(1, "play", 3.0, &[Value::text("r1-bob")]);
    carol.hears(&line("video", &picture(true, &[1]))).await;
    carol.client.call(0, "createStream", 4.0, &[]);
    carol.until("_result 2").await;
    carol.publishes(2, "r1-carol").await;
    carol.sends_media(2, 2);
    carol.flush().await;
    assert_eq!(
        bob.hears("in r1: PUBLISHED").await,
        r#"in r1: PUBLISHED {"login":"carol","name":"r1-carol"}"#
    );
    bob.client.call(0, "createStream", 4.0, &[]);
    bob.client.call(2, "play", 5.0, &[Value::text("r1-carol")]);
    bob.hears(&on(2, &line("video", &picture(true, &[2])))).await;
    assert_eq!(next(&mut page).await, "joined carol flash");
    assert_eq!(next(&mut page).await, "published carol r1-carol (true, true)");

    // Chat, from and to pages.
    alice.say(None, false, "hello <b>").expect("it is in the room");
    for peer in [&mut bob, &mut carol] {
        assert_eq!(
            peer.hears("in r1: MESSAGE").await,
            r#"in r1: MESSAGE {"from":"alice","text":"hello <b>"}"#
        );
    }
    assert_eq!(bob.says("alice", "hi").await, "DataStatusEvent op ACCEPTED");
    assert_eq!(next(&mut page).await, "bob: hi");
    assert_eq!(bob.says("carol", "hi").await, "DataStatusEvent op ACCEPTED");
    assert_eq!(carol.hears("in r1: MESSAGE").await, r#"in r1: MESSAGE {"from":"bob","text":"hi"}"#);
    assert_eq!(bob.says("dave", "hi").await, "DataStatusEvent op FAILED dave is not in the room");

    // A publication that is stopped, the same name again, and a member that leaves and stays connected.
    bob.client.call(1, "closeStream", 0.0, &[]);
    bob.hears("onStatus NetStream.Unpublish.Success").await;
    assert_eq!(
        carol.hears("in r1: UNPUBLISHED").await,
        r#"in r1: UNPUBLISHED {"login":"bob","name":"r1-bob"}"#
    );
    bob.publishes(1, "r1-bob").await;
    bob.sends_media(1, 3);
    bob.flush().await;
    carol.hears("in r1: PUBLISHED").await;
    for happened in ["unpublished bob false", "published bob r1-bob (true, true)"] {
        assert_eq!(next(&mut page).await, happened);
    }
    assert_eq!(bob.asks("leave", json!({"name": "r1"})).await, "DataStatusEvent op ACCEPTED");
    for happened in ["in r1: UNPUBLISHED", "in r1: LEFT bob"] {
        carol.hears(happened).await;
    }
    for happened in ["unpublished bob false", "left bob left"] {
        assert_eq!(next(&mut page).await, happened);
    }
    bob.settle().await;
    carol.socket.shutdown().await.expect("it is open");
    for happened in ["unpublished carol false", "left carol left"] {
        assert_eq!(next(&mut page).await, happened, "a program that closes its connection has left");
    }
}

/// Flash's own language is AMF3.
#[tokio::test]
async fn commands_come_in_amf3_too() {
    let gateway = Gateway::start(|_| {});
    let mut bob = gateway.client("bob").await;
    let data = json!({"operationId": "a3", "payload": {"command": "join", "options": {"name": "r1"}}});
    let mut body = vec![0, 2, 0, 8];
    body.extend(b"sendData\0\0\0\0\0\0\0\0\0\x05\x11");
    body.extend(amf3(&data));
    bob.client.send(kind::COMMAND_AMF3, 0, 0, &body);
    bob.until("DataStatusEvent a3 ACCEPTED").await;
    assert_eq!(bob.hears("in r1: STATE").await, "in r1: STATE []");
}

/// Objects and texts.
fn amf3(value: &serde_json::Value) -> Vec<u8> {
    let text = |text: &str| [&[(text.len() << 1 | 1) as u8], text.as_bytes()].concat();
    match value {
        serde_json::Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| [text(key), amf3(value)].concat());
            [&[0x0a, 0x0b, 1][..], &fields.collect::<Vec<_>>().concat(), &[1]].concat()
        }
        value => [vec![6], text(value.as_str().expect("a text"))].concat(),
    }
}

#[tokio::test]
async fn what_cannot_be_done_is_said_and_the_connection_goes_on() {
    let gateway = Gateway::start(|_| {});
    let (_alice, _page) = gateway.join("alice");
    let mut bob = gateway.client("bob").await;
    bob.client.call(1, "publish", 3.0, &[Value::text("r1-bob")]);
    bob.hears("onStatus NetStream.Publish.Rejected").await;
    assert_eq!(bob.told, ["you are not in the room"]);
    for (command, options, answer) in [
        ("join", json!({"name": "a b"}), "FAILED room: a name consists"),
        ("join", json!({}), "FAILED join: missing field `name`"),
        ("join", json!({"name": "r1"}), "ACCEPTED"),
        ("join", json!({"name": "r1"}), "FAILED bob is already in r1"),
        ("leave", json!({"name": "r2"}), "FAILED you are not in the room"),
        ("dance", json!(null), "FAILED there is no command \"dance\""),
        ("moderate", json!({"name": "r1", "action": "kick", "login": "alice"}), "FAILED only a host"),
    ] {
        let heard = bob.asks(command, options).await;
        assert!(heard.starts_with(&format!("DataStatusEvent op {answer}")), "{heard}");
    }
    // Of another member's name, and twice at the same time: also by another program, wherever it is.
    let mut second = gateway.client("bob").await;
    let heard = second.asks("join", json!({"name": "r1"})).await;
    assert!(heard.starts_with("DataStatusEvent op FAILED bob is already in r1;"), "{heard}");
    bob.publishes(1, "r1-bob").await;
    assert_eq!(second.asks("join", json!({"name": "r2"})).await, "DataStatusEvent op ACCEPTED");
    second.client.call(1, "publish", 3.0, &[Value::text("r1-bob")]);
    second.hears("onStatus NetStream.Publish.BadName").await;
    assert_eq!(second.told, ["the name of a stream begins with r2-bob"]);
    second.client.call(1, "play", 3.0, &[Value::text("r1-nobody")]);
    second.hears("onStatus NetStream.Play.StreamNotFound").await;
    second.client.call(0, "publishStream", 7.0, &[Value::Null]);
    second.hears("_error NetConnection.Call.Failed").await;
    second.settle().await;
    bob.settle().await;
}

#[tokio::test]
async fn members_need_no_streams_and_those_that_are_silent_are_gone() {
    let gateway = Gateway::start(|config| config.setup_timeout = Span(Duration::from_millis(500)));
    let (alice, mut page) = gateway.join("alice");
    let (mut bob, _) = gateway.member("bob").await;
    for happened in ["state", "joined bob flash"] {
        assert_eq!(next(&mut page).await, happened);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    alice.say(None, false, "still here?").expect("it is in the room");
    bob.hears("in r1: MESSAGE").await;
    let silent = tokio::time::Instant::now();
    // It reads, but no longer answers.
    bob.hears("ping").await;
    bob.hears("fail FAILED").await;
    assert_eq!(bob.rest().await, ["onStatus NetConnection.Connect.Closed"]);
    assert_eq!(next(&mut page).await, "left bob vanished");
    assert!(silent.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn who_is_put_out_hears_it_before_the_connection_closes() {
    let gateway = Gateway::start(|_| {});
    let (alice, _page) = gateway.join("alice");
    let (mut bob, _) = gateway.member("bob").await;
    bob.publishes(1, "r1-bob").await;
    bob.sends_media(1, 1);
    bob.settle().await;
    alice.moderate(Moderation::Kick(name("bob"))).expect("it is a host");
    let heard = bob.rest().await.join("; ");
    assert!(heard.contains("fail FAILED a host has removed you from the room"), "{heard}");
    assert!(heard.ends_with("onStatus NetConnection.Connect.Closed"), "{heard}");
    let mut again = gateway.client("bob").await;
    let heard = again.asks("join", json!({"name": "r1"})).await;
    assert!(heard.starts_with("DataStatusEvent op FAILED a host has removed you"), "{heard}");
}

#[tokio::test]
async fn speex_of_a_flash_client_is_carried() {
    let gateway = Gateway::start(|_| {});
    let (_alice, mut page) = gateway.join("alice");
    let (mut bob, _) = gateway.member("bob").await;
    bob.publishes(1, "r1-bob").await;
    bob.client.send(kind::AUDIO, 1, 0, &[0xb6, 1, 2]);
    bob.client.send(kind::VIDEO, 1, 0, AVC_CONFIG);
    bob.client.send(kind::VIDEO, 1, 0, &picture(true, &[1]));
    bob.settle().await;
    for happened in ["state", "joined bob flash", "published bob r1-bob (true, true)"] {
        assert_eq!(next(&mut page).await, happened);
    }
    let mut player =
        Peer::connect(TcpStream::connect(gateway.address).await.expect("it listens"), "r1").await;
    player.client.call(1, "play", 3.0, &[Value::text("bob")]);
    player.until(&line("video", &picture(true, &[1]))).await;
}

#[tokio::test]
async fn hostile_calls_end_their_connection_alone() {
    let gateway = Gateway::start(|_| {});
    let (_alice, mut page) = gateway.join("alice");
    assert_eq!(next(&mut page).await, "state");
    let deep = [&b"\x02\0\x08sendData\0\0\0\0\0\0\0\0\0\x05"[..], &b"\x03\0\x01a".repeat(500)].concat();
    let endless = [&b"\x02\0\x08sendData\0\0\0\0\0\0\0\0\0\x05\x03\0\x01a"[..]].concat();
    for body in [deep, endless] {
        let (mut bob, _) = gateway.member("bob").await;
        bob.client.send(kind::COMMAND, 0, 0, &body);
        assert_eq!(bob.rest().await, ["onStatus NetConnection.Connect.Closed"]);
        assert_eq!(next(&mut page).await, "joined bob flash");
        assert_eq!(next(&mut page).await, "left bob vanished");
    }
    let (mut bob, _) = gateway.member("bob").await;
    bob.client.command("long", "sendMessage", json!({"text": "x".repeat(200_000)}));
    assert_eq!(bob.rest().await, ["onStatus NetConnection.Connect.Closed"]);
    assert_eq!(bob.told, ["a call is too long"]);

    // Lines are limited by their number; whoever goes on all the same is put out.
    let (mut bob, _) = gateway.member("bob").await;
    let mut answers = Vec::new();
    for _ in 0..20 {
        answers.push(bob.says("alice", "x").await);
    }
    assert!(
        answers[0].ends_with("ACCEPTED") && answers[19].contains("FAILED too many messages"),
        "{answers:?}"
    );
    for _ in 0..1_000 {
        bob.client.command(
            "op",
            "sendMessage",
            json!({"roomConfig": {"name": "r1"}, "to": "alice", "text": "x"}),
        );
    }
    let heard = bob.rest().await;
    assert_eq!(heard.last().map(String::as_str), Some("onStatus NetConnection.Connect.Closed"));
    assert!(heard.contains(&"fail FAILED too many messages".to_owned()));
}

/// As over WebSocket: neither does it go on watching, nor can it publish, until it comes again.
#[tokio::test]
async fn who_has_left_a_room_has_no_more_of_it() {
    let gateway = Gateway::start(|_| {});
    let (alice, mut page) = gateway.join("alice");
    let (mut bob, _) = gateway.member("bob").await;
    let (mut carol, _) = gateway.member("carol").await;
    carol.publishes(1, "r1-carol").await;
    carol.sends_media(1, 1);
    carol.flush().await;
    bob.hears("in r1: PUBLISHED").await;
    alice.moderate(Moderation::Lock(true)).expect("it is a host");
    bob.client.call(1, "play", 3.0, &[Value::text("r1-carol")]);
    bob.hears(&line("video", &picture(true, &[1]))).await;
    bob.client.call(0, "createStream", 4.0, &[]);
    bob.until("_result 2").await;
    bob.publishes(2, "r1-bob").await;
    bob.sends_media(2, 2);
    bob.client.command("op", "leave", json!({"name": "r1"}));
    for heard in ["onStatus NetStream.Play.UnpublishNotify", "DataStatusEvent op ACCEPTED"] {
        bob.hears(heard).await;
    }
    bob.hears(&on(2, "onStatus NetStream.Unpublish.Success")).await;
    assert_eq!(bob.told, [""; 0], "it is no error");
    carol.sends_media(1, 3);
    carol.settle().await;
    for (stream, call, key, answer) in [
        (1, "play", "r1-carol", "onStatus NetStream.Play.Failed"),
        (1, "play", "r1/carol", "onStatus NetStream.Play.Failed"),
        (2, "publish", "r1-bob", "onStatus NetStream.Publish.Rejected"),
    ] {
        bob.client.call(stream, call, 5.0, &[Value::text(key)]);
        bob.hears(&on(stream, answer)).await;
    }
    bob.settle().await;
    assert!(!bob.heard.iter().any(|heard| heard.contains("video")), "{:?}", bob.heard);
    let heard = bob.asks("join", json!({"name": "r1"})).await;
    assert_eq!(heard, "DataStatusEvent op FAILED room r1 is locked; ask a host to let you in");
    for happened in ["state", "joined bob flash", "joined carol flash"] {
        assert_eq!(next(&mut page).await, happened);
    }
}

/// The same key takes over at once; a stranger does not.
#[tokio::test]
async fn who_comes_again_by_its_key_takes_over() {
    let gateway = Gateway::start(|_| {});
    let (_alice, mut page) = gateway.join("alice");
    let mut bob = gateway.keeper("bob", "secret").await;
    assert_eq!(bob.asks("join", json!({"name": "r1"})).await, "DataStatusEvent op ACCEPTED");
    bob.publishes(1, "r1-bob").await;
    bob.sends_media(1, 1);
    bob.settle().await;
    for happened in ["state", "joined bob flash", "published bob r1-bob (true, true)"] {
        assert_eq!(next(&mut page).await, happened);
    }
    let mut stranger = gateway.keeper("bob", "guess").await;
    let heard = stranger.asks("join", json!({"name": "r1"})).await;
    assert!(heard.starts_with("DataStatusEvent op FAILED bob is already in r1"), "{heard}");
    let mut again = gateway.keeper("bob", "secret").await;
    assert_eq!(again.asks("join", json!({"name": "r1"})).await, "DataStatusEvent op ACCEPTED");
    let heard = bob.rest().await.join("; ");
    assert!(heard.contains("fail FAILED the same participant has come again"), "{heard}");
    again.publishes(1, "r1-bob").await;
    again.sends_media(1, 2);
    again.settle().await;
    for happened in ["unpublished bob true", "published bob r1-bob (true, true)"] {
        assert_eq!(next(&mut page).await, happened, "it was there all the time");
    }
}

/// What a client says behind the word that put it out is not done.
#[tokio::test]
async fn who_is_dismissed_is_not_heard_further() {
    let gateway = Gateway::start(|_| {});
    let (_alice, mut page) = gateway.join("alice");
    let (mut bob, _) = gateway.member("bob").await;
    bob.client.command("long", "sendMessage", json!({"text": "x".repeat(200_000)}));
    bob.client.command(
        "op",
        "sendMessage",
        json!({"roomConfig": {"name": "r1"}, "to": "alice", "text": "x"}),
    );
    assert_eq!(bob.rest().await, ["onStatus NetConnection.Connect.Closed"]);
    for happened in ["state", "joined bob flash", "left bob vanished"] {
        assert_eq!(next(&mut page).await, happened);
    }
}

/// A program that only streams also says a login, and publishes and plays by addresses.
#[tokio::test]
async fn who_joins_no_room_streams_by_addresses() {
    let gateway = Gateway::start(|_| {});
    let (_alice, mut page) = gateway.join("alice");
    let mut program = Peer::open(TcpStream::connect(gateway.address).await.expect("it listens")).await;
    program.client.connect_as("r1", "x7f3", &json!(null));
    program.client.call(0, "createStream", 2.0, &[]);
    program.until("_result 1").await;
    program.publishes(1, "camera").await;
    program.sends_media(1, 1);
    program.settle().await;
    for happened in ["state", "joined camera rtmp"] {
        assert_eq!(next(&mut page).await, happened);
    }
    program.client.call(0, "createStream", 3.0, &[]);
    program.client.call(2, "play", 4.0, &[Value::text("camera")]);
    program.hears(&on(2, &line("video", &picture(true, &[1])))).await;
}
