//! The examples of the protocol as they stand on the wire, and what must hold for anything else.

use super::*;
use crate::protocol::amf0;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::Path;

fn read(message: Value) -> ClientMessage {
    ClientMessage::parse(&message.to_string()).unwrap().unwrap()
}

fn command(payload: Value) -> Command {
    let message = json!({"message": "sendData", "data": [{"operationId": "1", "payload": payload}]});
    let ClientMessage::SendData((data,)) = read(message) else { panic!("a command") };
    assert_eq!(data.operation_id.as_str(), "1");
    data.payload
}

fn label(text: &str) -> Label {
    Label::try_from(text).unwrap()
}

#[test]
fn a_session_of_the_sdk_begins() {
    let message = read(json!({"message": "connection", "data": [{
        "appKey": "roomApp",
        "mediaProviders": ["WebRTC", "MSE", "WSPlayer"],
        "clientVersion": "2.0",
        "clientOSVersion": "5.0 (X11; Linux x86_64) AppleWebKit/537.36",
        "clientBrowserVersion": "Mozilla/5.0 (X11; Linux x86_64)",
        "msePacketizationVersion": 2,
        "custom": {"login": "alice", "token": "optional JWT"},
        "clientInfo": {}
    }]}));
    let ClientMessage::Connection((connection,)) = message else { panic!("{message:?}") };
    assert_eq!(connection.custom.login.as_deref(), Some("alice"));
    assert_eq!(connection.custom.token.as_deref(), Some("optional JWT"));
    assert_eq!(connection.media_providers.len(), 3);
    assert_eq!(connection.commonroom, None);

    let reply = ServerMessage::GetUserData((UserData {
        auth_token: "/203.0.113.5:50066/198.51.100.7:8080".into(),
        status: "ESTABLISHED".into(),
        app_key: connection.app_key,
        media_providers: connection.media_providers,
        client_version: connection.client_version,
        custom: Custom { token: None, ..connection.custom },
        commonroom: None,
    },));
    let expected = json!({"message": "getUserData", "data": [{
        "authToken": "/203.0.113.5:50066/198.51.100.7:8080",
        "status": "ESTABLISHED",
        "appKey": "roomApp",
        "mediaProviders": ["WebRTC", "MSE", "WSPlayer"],
        "clientVersion": "2.0",
        "custom": {"login": "alice"}
    }]});
    assert_eq!(serde_json::to_value(&reply).unwrap(), expected);
}

#[test]
fn a_client_declares_itself() {
    let read = |commonroom: Value| {
        let message = json!({"message": "connection", "data": [{"commonroom": commonroom}]});
        match read(message) {
            ClientMessage::Connection((connection,)) => connection.commonroom,
            other => panic!("{other:?}"),
        }
    };
    let key = "0123456789abcdef0123456789abcdef";
    assert_eq!(
        read(json!({"version": 1, "key": key})),
        Some(Declaration { version: 1, key: Some(label(key)) })
    );
    assert_eq!(read(json!({"version": 1})), Some(Declaration { version: 1, key: None }));
    assert_eq!(read(json!("yes")), None, "and the session goes on without the additions");
}

#[test]
fn commands_to_the_room() {
    assert_eq!(
        command(json!({"command": "join", "options": {"name": "room-7f6474", "record": false}})),
        Command::Join(Join { name: "room-7f6474".into(), record: false })
    );
    assert_eq!(
        command(json!({"command": "join", "options": {"name": "r"}})),
        Command::Join(Join { name: "r".into(), record: false }),
        "before mid-2021"
    );
    assert_eq!(
        command(json!({"command": "leave", "options": {"name": "r"}})),
        Command::Leave(Leave { name: "r".into() })
    );
    let options = json!({"roomConfig": {"name": "r"}, "to": "bob", "text": "hello\n<b>\u{1f600}"});
    assert_eq!(
        command(json!({"command": "sendMessage", "options": options})),
        Command::SendMessage(SendMessage {
            room_config: RoomConfig { name: "r".into() },
            to: Some("bob".into()),
            text: "hello\n<b>\u{1f600}".into(),
        })
    );
    assert_eq!(command(json!({"command": "dance", "options": {}})), Command::Unknown("dance".into()));
    let Command::Malformed(what) = command(json!({"command": "join", "options": {"name": 5}})) else {
        panic!("5 is no name");
    };
    assert!(what.starts_with("join: "), "{what}");
}

#[test]
fn what_hosts_do() {
    let moderate = |options: Value| match command(json!({"command": "moderate", "options": options})) {
        Command::Moderate(Moderate { name, action }) => {
            assert_eq!(name, "r");
            action
        }
        other => panic!("{other:?}"),
    };
    let login = || "bob".to_owned();
    assert_eq!(
        moderate(json!({"name": "r", "action": "mute", "login": "bob", "medium": "audio"})),
        Action::Mute(Mute { login: login(), stream: None, medium: Medium::Audio })
    );
    assert_eq!(
        moderate(json!({"name": "r", "action": "unmute", "login": "bob", "medium": "video", "stream": "s"})),
        Action::Unmute(Mute { login: login(), stream: Some(label("s")), medium: Medium::Video })
    );
    assert_eq!(
        moderate(json!({"name": "r", "action": "kick", "login": "bob"})),
        Action::Kick { login: login() }
    );
    assert_eq!(
        moderate(json!({"name": "r", "action": "role", "login": "bob", "role": "host"})),
        Action::Role { login: login(), role: Role::Host }
    );
    for (word, action) in [("lock", Action::Lock), ("unlock", Action::Unlock), ("end", Action::End)] {
        assert_eq!(moderate(json!({"name": "r", "action": word})), action);
    }
}

#[test]
fn streams_of_the_sdk() {
    let message = read(json!({"message": "publishStream", "data": [{
        "mediaSessionId": "eb8c9451-e54c-11f1-8b02-d15e1bea81bf",
        "name": "room-7f6474-alice-eb8c",
        "published": true,
        "hasVideo": true, "hasAudio": true,
        "status": "PENDING",
        "record": false,
        "mediaProvider": "WebRTC",
        "sdp": "v=0\r\no=- ...",
        "custom": {"name": "room-7f6474"},
        "bitrate": 0, "minBitrate": 0, "maxBitrate": 0,
        "constraints": {"audio": true, "video": true},
        "localMediaInfo": {"devices": {"video": [], "audio": []}, "tracks": {"video": [], "audio": []}}
    }]}));
    let ClientMessage::PublishStream((publish,)) = message else { panic!("{message:?}") };
    assert_eq!(publish.media_session_id.as_str(), "eb8c9451-e54c-11f1-8b02-d15e1bea81bf");
    assert_eq!(publish.custom.name.as_deref(), Some("room-7f6474"));
    assert_eq!(publish.sdp, "v=0\r\no=- ...");
    assert!(publish.has_audio && publish.has_video && !publish.record && !publish.is_screen());
    let screen = Publish { constraints: json!({"video": {"type": "screen"}}), ..(*publish).clone() };
    assert!(screen.is_screen());
    assert!(Publish { name: label("room-5aad46-gina-7c7e-screenShare"), ..*publish }.is_screen());

    let message = read(json!({"message": "playStream", "data": [{
        "mediaSessionId": "ee3a2820-e54c-11f1-b25e-9b6ac2d6a811",
        "name": "room-7f6474-alice-eb8c",
        "published": false,
        "hasVideo": true, "hasAudio": true,
        "status": "PENDING", "record": false,
        "width": "640", "height": 0, "quality": 0,
        "mediaProvider": "WebRTC",
        "sdp": "v=0\r\no=- ...",
        "custom": {"name": "room-7f6474"},
        "bitrate": 0, "minBitrate": 0, "maxBitrate": 0,
        "constraints": {"audio": {"deviceId": "default"}}
    }]}));
    let ClientMessage::PlayStream((play,)) = message else { panic!("{message:?}") };
    assert_eq!((play.width, play.height), (640, 0), "a page may take it from an input field");

    for (name, expected) in [
        ("unPublishStream", ClientMessage::UnPublishStream as fn((Stream,)) -> ClientMessage),
        ("stopStream", ClientMessage::StopStream),
        ("availableStream", ClientMessage::AvailableStream),
        ("snapshot", ClientMessage::Snapshot),
    ] {
        let message = read(json!({"message": name, "data": [{"mediaSessionId": "a1", "name": "n"}]}));
        let stream = Stream { media_session_id: label("a1"), name: Some(label("n")) };
        assert_eq!((message.name(), message), (name, expected((stream,))));
    }
    assert_eq!(
        read(json!({"message": "sendStreamEvent", "data": [{"mediaSessionId": "a1", "type": "audioMuted"}]})),
        ClientMessage::SendStreamEvent((StreamEvent {
            media_session_id: label("a1"),
            kind: "audioMuted".into(),
            payload: Value::Null
        },))
    );
    assert_eq!(
        read(json!({"message": "adaptStream", "data": [{"mediaSessionId": "a1", "maxHeight": 180}]})),
        ClientMessage::AdaptStream((Adapt {
            media_session_id: label("a1"),
            max_height: Some(180),
            paused: false
        },))
    );
}

#[test]
fn what_is_not_known_is_a_value() {
    assert_eq!(read(json!({"message": "ping", "data": [null]})), ClientMessage::Ping([None]));
    assert_eq!(read(json!({"message": "pong", "data": [null]})), ClientMessage::Pong([None]));
    for name in ["pushLogs", "call", "sessionDebug", ""] {
        assert_eq!(read(json!({"message": name, "data": [{"a": [1]}]})), ClientMessage::Unknown(name.into()));
    }
    let long = "x\n".repeat(1_000);
    assert_eq!(read(json!({"message": long})), ClientMessage::Unknown("x".repeat(64)));
}

#[test]
fn what_cannot_be_read_says_who_waits() {
    let malformed = |name: &str, argument: Value| {
        let text = json!({"message": name, "data": [argument]}).to_string();
        ClientMessage::parse(&text).unwrap().unwrap_err()
    };
    let error = malformed("publishStream", json!({"mediaSessionId": "a1", "name": "n"}));
    assert_eq!((error.message, error.stream), ("publishStream", Some(label("a1"))));
    assert!(error.what.contains("sdp"), "{}", error.what);
    let error = malformed("sendData", json!({"operationId": "7"}));
    assert_eq!((error.operation, error.stream), (Some(label("7")), None));
    assert_eq!(malformed("sendData", Value::Null).operation, None);
    assert_eq!(malformed("stopStream", json!({"mediaSessionId": ""})).stream, None);
    assert_eq!(malformed("connection", json!("me")).message, "connection");
}

fn said(message: &ServerMessage) -> Value {
    let json: Value = serde_json::from_str(&message.to_json()).unwrap();
    assert_eq!(json["message"], message.name());
    json
}

fn event(event: Event) -> Value {
    let payload = RoomEvent { room_name: "r".into(), event };
    said(&ServerMessage::OnData((OnData { payload },)))["data"][0]["payload"].take()
}

#[test]
fn keep_alive_and_acknowledgements() {
    assert_eq!(ServerMessage::Ping([]).to_json(), r#"{"message":"ping","data":[]}"#);
    assert_eq!(ServerMessage::Pong([]).to_json(), r#"{"message":"pong","data":[]}"#);
    let ack = |status, info: Option<&str>, commonroom| {
        let info = info.map(Into::into);
        said(&ServerMessage::DataStatus((DataStatus { operation_id: label("7"), status, info, commonroom },)))
    };
    assert_eq!(
        ack(AckStatus::Accepted, None, None),
        json!({"message": "DataStatusEvent", "data": [{"operationId": "7", "status": "ACCEPTED"}]})
    );
    let refused = Some(Ack::Refused { error: Word::LoginInUse });
    assert_eq!(
        ack(AckStatus::Failed, Some("alice is already in room-7f6474"), refused)["data"][0],
        json!({
            "operationId": "7", "status": "FAILED", "info": "alice is already in room-7f6474",
            "commonroom": {"error": "login_in_use"}
        })
    );
    let said = ack(AckStatus::Accepted, None, Some(Ack::Said { id: 4, time: 5 }));
    assert_eq!(said["data"][0]["commonroom"], json!({"id": 4, "time": 5}));
}

#[test]
fn events_of_a_room() {
    let alice = || StreamOf::new("alice", "r-alice-eb8c");
    let info = vec![
        Present::Silent("bob".into()),
        Present::Publishing(alice()),
        Present::Publishing(StreamOf::new("alice", "r-alice-91d0-screenShare")),
    ];
    assert_eq!(
        event(Event::State { info, commonroom: None }),
        json!({"roomName": "r", "name": "STATE", "info": [
            "bob",
            {"login": "alice", "name": "r-alice-eb8c"},
            {"login": "alice", "name": "r-alice-91d0-screenShare"}
        ]})
    );
    assert_eq!(
        event(Event::Joined { info: "bob".into(), commonroom: None }),
        json!({"roomName": "r", "name": "JOINED", "info": "bob"}),
        "an object would be shown as [object Object]"
    );
    let left = Some(Left { login: "bob".into(), reason: LeftReason::Vanished });
    assert_eq!(
        event(Event::Left { info: "bob".into(), commonroom: left }),
        json!({"roomName": "r", "name": "LEFT", "info": "bob",
            "commonroom": {"login": "bob", "reason": "vanished"}})
    );
    for (name, told) in [
        ("PUBLISHED", Event::Published { info: alice(), commonroom: None }),
        ("UNPUBLISHED", Event::Unpublished { info: alice(), commonroom: None }),
        ("FAILED", Event::Failed { info: alice(), commonroom: None }),
    ] {
        let info = json!({"login": "alice", "name": "r-alice-eb8c"});
        assert_eq!(event(told), json!({"roomName": "r", "name": name, "info": info}));
    }
    let (line, id) = (Line { from: "alice".into(), text: "hi".into() }, 3);
    let message = Message { id, from: "alice".into(), to: None, text: "hi".into(), time: 1_700_000_000_000 };
    assert_eq!(
        event(Event::Message { info: line, commonroom: Some(message) }),
        json!({"roomName": "r", "name": "MESSAGE", "info": {"from": "alice", "text": "hi"},
            "commonroom": {"id": 3, "from": "alice", "text": "hi", "time": 1_700_000_000_000_u64}})
    );
    let muted = Muted {
        login: "bob".into(),
        name: Some("r-bob-1".into()),
        medium: Medium::Audio,
        muted: true,
        by: None,
    };
    let shown = json!({"login": "bob", "name": "r-bob-1", "medium": "audio", "muted": true});
    assert_eq!(
        event(Event::Muted { info: muted.clone(), commonroom: muted }),
        json!({"roomName": "r", "name": "MUTED", "info": shown, "commonroom": shown})
    );
}

#[test]
fn streams_as_their_clients_are_told() {
    let sdp = ServerMessage::SetRemoteSdp(label("a1"), "v=0\r\n".into(), true);
    assert_eq!(sdp.to_json(), r#"{"message":"setRemoteSDP","data":["a1","v=0\r\n",true]}"#);
    let status = StreamStatus {
        media_session_id: label("a1"),
        name: Some(label("r-alice-eb8c")),
        published: true,
        has_audio: true,
        has_video: true,
        status: Status::Publishing,
        info: None,
        audio_codec: Some("opus".into()),
        video_codec: Some("H264".into()),
        media_provider: "WebRTC".into(),
        record: false,
        record_name: None,
        audio_state: None,
        video_state: None,
    };
    assert_eq!(
        said(&ServerMessage::NotifyStreamStatusEvent((Box::new(status.clone()),))),
        json!({"message": "notifyStreamStatusEvent", "data": [{
            "mediaSessionId": "a1", "name": "r-alice-eb8c",
            "published": true, "hasVideo": true, "hasAudio": true,
            "status": "PUBLISHING",
            "audioCodec": "opus", "videoCodec": "H264",
            "mediaProvider": "WebRTC", "record": false
        }]})
    );
    let stopped = StreamStatus {
        status: Status::Stopped,
        info: Some(Info::StoppedByPublisherStop),
        published: false,
        ..status
    };
    let stopped = said(&ServerMessage::NotifyStreamStatusEvent((Box::new(stopped),)));
    assert_eq!(stopped["data"][0]["status"], "STOPPED");
    assert_eq!(stopped["data"][0]["info"], "Stopped by publisher stop");
    let notice = |notice| {
        said(&ServerMessage::NotifyStreamEvent((StreamNotice { media_session_id: label("b1"), notice },)))
    };
    assert_eq!(
        notice(Notice::AudioMuted {}),
        json!({"message": "notifyStreamEvent",
            "data": [{"mediaSessionId": "b1", "type": "audioMuted", "payload": {}}]})
    );
    assert_eq!(
        notice(Notice::Layer(Layer { height: 180, limited_by: LayerLimit::Bandwidth, audio_only: false }))["data"]
            [0]["payload"],
        json!({"height": 180, "limitedBy": "bandwidth", "audioOnly": false})
    );
    assert_eq!(
        notice(Notice::Resize { width: 640, height: 480 })["data"][0]["payload"],
        json!({"streamerVideoWidth": 640, "streamerVideoHeight": 480})
    );
    let fail = Fail {
        api_method: "StreamStatusEvent".into(),
        id: Some(label("a1")),
        status: Status::Failed,
        info: Info::RestrictedAccess,
    };
    assert_eq!(
        said(&ServerMessage::Fail((fail,))),
        json!({"message": "fail", "data": [{"apiMethod": "StreamStatusEvent", "id": "a1",
            "status": "FAILED", "info": "Restricted access"}]})
    );
    let missing = Available { id: label("a1"), status: "false".into(), info: Some(Info::StreamNotFound) };
    assert_eq!(
        said(&ServerMessage::AvailableStream((missing,))),
        json!({"message": "availableStream",
            "data": [{"id": "a1", "status": "false", "info": "Stream not found"}]})
    );
}

#[test]
fn the_same_over_rtmp() {
    let options = amf0::Object::from_iter([("name", amf0::Value::text("r1"))]);
    let payload = amf0::Object::from_iter([
        ("command", amf0::Value::text("join")),
        ("options", amf0::Value::EcmaArray(options)),
    ]);
    let argument = amf0::Value::Object(amf0::Object::from_iter([
        ("operationId", amf0::Value::text("1")),
        ("payload", amf0::Value::Object(payload)),
    ]));
    let read = amf::read("sendData", &[argument]).unwrap();
    let payload = Command::Join(Join { name: "r1".into(), record: false });
    assert_eq!(read, ClientMessage::SendData((SendData { operation_id: label("1"), payload },)));
    assert_eq!(amf::read("pong", &[]).unwrap(), ClientMessage::Pong([None]));

    assert_eq!(amf::write(&ServerMessage::Ping([])), ("ping", vec![]));
    let payload = RoomEvent {
        room_name: "r1".into(),
        event: Event::Published { info: StreamOf::new("bob", "r1-bob"), commonroom: None },
    };
    let (name, arguments) = amf::write(&ServerMessage::OnData((OnData { payload },)));
    assert_eq!(name, "OnDataEvent");
    let payload = arguments[0].as_object().unwrap().get("payload").unwrap().as_object().unwrap();
    assert_eq!((payload.text("roomName"), payload.text("name")), (Some("r1"), Some("PUBLISHED")));
    assert_eq!(payload.get("info").unwrap().as_object().unwrap().text("name"), Some("r1-bob"));
}

#[test]
fn what_only_amf_can_say() {
    let json = |value: amf0::Value| amf::to_json(&value);
    assert_eq!(json(amf0::Value::Number(3.0)), json!(3));
    assert_eq!(json(amf0::Value::Number(-0.5)), json!(-0.5));
    assert_eq!(json(amf0::Value::Number(1e300)), json!(1e300));
    assert_eq!(json(amf0::Value::Number(f64::NAN)), Value::Null);
    assert_eq!(json(amf0::Value::Date(1e12)), json!(1_000_000_000_000_u64));
    assert_eq!(json(amf0::Value::Undefined), Value::Null);
    let twice = vec![("a".to_owned(), amf0::Value::Boolean(true)), ("a".to_owned(), amf0::Value::Null)];
    assert_eq!(json(amf0::Value::Object(amf0::Object(twice))), json!({"a": true}));
    let deep = (0..100).fold(amf0::Value::Null, |inner, _| amf0::Value::StrictArray(vec![inner]));
    assert!(json(deep).to_string().len() < 60);
}

/// The schema of the reference is that of these types.
#[test]
fn the_schema_is_true() {
    #[derive(schemars::JsonSchema)]
    #[expect(dead_code, reason = "only its schema is of use")]
    struct RoomApi {
        /// What a client says.
        client: ClientMessage,
        /// What the server says.
        server: ServerMessage,
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/protocol/room_api/schema.json");
    let schema = serde_json::to_string_pretty(&schemars::schema_for!(RoomApi)).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&file, &schema).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(written == schema, "run this test with UPDATE_SCHEMA=1 and look at what it changes");
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        // Exact in decimal, too.
        (-8_000i32..8_000).prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
        ".{0,12}".prop_map(Value::from),
        prop::sample::select(vec!["join", "leave", "sendMessage", "moderate", "mute", "host", "r"])
            .prop_map(Value::from),
    ];
    let key = prop_oneof![
        prop::sample::select(vec![
            "operationId",
            "payload",
            "command",
            "options",
            "name",
            "login",
            "custom",
            "mediaSessionId",
            "sdp",
            "type",
            "text",
            "to",
            "roomConfig",
            "commonroom",
            "version",
            "key",
            "constraints",
            "video",
            "action",
            "medium",
            "role",
            "maxHeight",
            "paused",
            "width",
        ])
        .prop_map(str::to_owned),
        ".{0,6}",
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn server_messages() -> impl Strategy<Value = ServerMessage> {
    let label = || "[a-zA-Z0-9-]{1,40}".prop_map(|text| label(&text));
    let text = || ".{0,20}";
    let info = || {
        prop::option::of(prop_oneof![
            prop::sample::select(Info::KNOWN),
            text().prop_map(|sentence| Info::from(std::borrow::Cow::Owned(sentence))),
        ])
    };
    let status = prop::sample::select(vec![
        Status::Publishing,
        Status::Playing,
        Status::Unpublished,
        Status::Stopped,
        Status::Failed,
    ]);
    let of = || (text(), text()).prop_map(|(login, name)| StreamOf { login, name });
    let event = prop_oneof![
        prop::collection::vec(
            prop_oneof![text().prop_map(Present::Silent), of().prop_map(Present::Publishing)],
            0..5
        )
        .prop_map(|info| Event::State { info, commonroom: None }),
        (text(), text()).prop_map(|(info, login)| Event::Left {
            info,
            commonroom: Some(Left { login, reason: LeftReason::Kicked })
        }),
        of().prop_map(|info| Event::Published { info, commonroom: None }),
        (text(), text(), any::<u32>(), prop::option::of(text())).prop_map(|(from, text, id, to)| {
            let commonroom = Message { id: id.into(), from: from.clone(), to, text: text.clone(), time: 1 };
            Event::Message { info: Line { from, text }, commonroom: Some(commonroom) }
        }),
        text().prop_map(|by| Event::Locked {
            info: Locked { locked: true, by: by.clone() },
            commonroom: Locked { locked: true, by }
        }),
    ];
    prop_oneof![
        Just(ServerMessage::Ping([])),
        (label(), text(), any::<bool>()).prop_map(|(id, sdp, is)| ServerMessage::SetRemoteSdp(id, sdp, is)),
        (label(), prop::option::of(text())).prop_map(|(operation_id, info)| {
            let status = AckStatus::Failed;
            let commonroom = Some(Ack::Refused { error: Word::NotJoined });
            ServerMessage::DataStatus((DataStatus { operation_id, status, info, commonroom },))
        }),
        (text(), event).prop_map(|(room_name, event)| {
            ServerMessage::OnData((OnData { payload: RoomEvent { room_name, event } },))
        }),
        (label(), prop::option::of(label()), any::<bool>(), status, info()).prop_map(
            |(media_session_id, name, published, status, info)| {
                ServerMessage::NotifyStreamStatusEvent((Box::new(StreamStatus {
                    media_session_id,
                    name,
                    published,
                    has_audio: published,
                    has_video: true,
                    status,
                    info,
                    audio_codec: None,
                    video_codec: Some("VP8".into()),
                    media_provider: "WebRTC".into(),
                    record: false,
                    record_name: None,
                    audio_state: Some(MuteState { muted: published }),
                    video_state: None,
                }),))
            }
        ),
        (label(), values()).prop_map(|(media_session_id, value)| {
            let notice = Notice::Data(value);
            ServerMessage::NotifyStreamEvent((StreamNotice { media_session_id, notice },))
        }),
        (label(), info()).prop_map(|(id, info)| ServerMessage::AvailableStream((Available {
            id,
            status: "true".into(),
            info
        },))),
    ]
}

const NAMES: [&str; 14] = [
    "connection",
    "ping",
    "pong",
    "sendData",
    "publishStream",
    "playStream",
    "unPublishStream",
    "stopStream",
    "sendStreamEvent",
    "availableStream",
    "snapshot",
    "adaptStream",
    "call",
    "",
];

proptest! {
    #[test]
    fn any_argument_is_read_or_refused(name in prop::sample::select(&NAMES[..]), argument in values()) {
        let text = json!({"message": name, "data": [argument]}).to_string();
        match ClientMessage::parse(&text) {
            Ok(Ok(read)) => prop_assert!(read.name() == name || read == ClientMessage::Unknown(name.into())),
            Ok(Err(malformed)) => prop_assert_eq!(malformed.message, name),
            Err(unreadable) => prop_assert!(matches!(unreadable, Unreadable::TooDeep), "{}", unreadable),
        }
    }

    #[test]
    fn what_a_client_writes_is_what_the_server_reads(name in prop::sample::select(&NAMES[..]), argument in values()) {
        if let Ok(read) = ClientMessage::read(name, argument)
            && let Ok(text) = serde_json::to_string(&read)
        {
            prop_assert_eq!(ClientMessage::parse(&text).unwrap().unwrap(), read);
        }
    }

    #[test]
    fn what_the_server_says_is_what_a_client_reads(message in server_messages()) {
        let read: ServerMessage = serde_json::from_str(&message.to_json()).unwrap();
        prop_assert_eq!(&read, &message);
        // By way of AMF, where all numbers are floating-point ones.
        let (name, arguments) = amf::write(&message);
        let data: Vec<Value> = arguments.iter().map(amf::to_json).collect();
        let expected: Envelope = serde_json::from_str(&message.to_json()).unwrap();
        prop_assert_eq!(name, expected.message);
        prop_assert_eq!(data.len(), expected.data.len());
        for (got, expected) in data.iter().zip(&expected.data) {
            prop_assert!(same(got, expected), "{} {}", got, expected);
        }
    }
}

/// Whether two values are the same where a whole number may be written as a floating-point one.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}
