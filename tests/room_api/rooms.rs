//! Entering, leaving, chat, moderation: what each member hears, in the SDK's words and in ours.

use crate::client::{ROOM, join, leave, line};
use crate::site::Site;
use commonroom::protocol::room_api::{
    Ack, Action, By, Command, Event, Left, LeftReason, Line, Locked, Medium, Moderate, Mute, Muted, Present,
    Protocol, Role, RoomState, ServerMessage, Status, StreamOf, TakenOver, Word,
};
use commonroom::room::Limits;
use serde_json::{Value, json};

fn moderate(action: Action) -> Command {
    Command::Moderate(Moderate { name: ROOM.into(), action })
}

fn state(event: Event) -> RoomState {
    match event {
        Event::State { commonroom: Some(state), .. } => *state,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_sdk_gets_its_protocol_and_nothing_else() {
    let site = Site::new();
    let (mut alice, mut bob) = (site.sdk("alice").await, site.sdk("bob").await);
    assert_eq!(alice.join(ROOM).await, Event::State { info: vec![], commonroom: None }, "of an empty room");
    assert_eq!(
        bob.join(ROOM).await,
        Event::State { info: vec![Present::Silent("alice".into())], commonroom: None }
    );
    assert_eq!(alice.event().await, Event::Joined { info: "bob".into(), commonroom: None });

    let text = "hello\n<b>Привет \u{1f600}</b>";
    assert_eq!(alice.accepted(line(Some("bob"), text)).await, None);
    let said = Line { from: "alice".into(), text: text.into() };
    assert_eq!(bob.event().await, Event::Message { info: said, commonroom: None });
    alice.hears_nothing().await;

    let encoder = site.encoder(ROOM, "obs");
    let name = encoder.name().as_str().to_owned();
    assert!(name.starts_with("r1-obs-"), "the SDK stops what has the room's name: {name}");
    for client in [&mut alice, &mut bob] {
        assert_eq!(client.event().await, Event::Joined { info: "obs".into(), commonroom: None });
        let info = StreamOf::new("obs", name.as_str());
        assert_eq!(client.event().await, Event::Published { info, commonroom: None });
    }
    // What the SDK does not know it is not sent.
    bob.accepted(line(Some("obs"), "can you hear me?")).await;
    encoder.end(commonroom::stream::EndReason::Unpublished);
    for client in [&mut alice, &mut bob] {
        let info = StreamOf::new("obs", name.as_str());
        assert_eq!(client.event().await, Event::Unpublished { info, commonroom: None });
        assert_eq!(client.event().await, Event::Left { info: "obs".into(), commonroom: None });
    }

    assert_eq!(bob.accepted(leave(ROOM)).await, None);
    assert_eq!(alice.event().await, Event::Left { info: "bob".into(), commonroom: None });
    bob.join(ROOM).await;
    assert_eq!(alice.event().await, Event::Joined { info: "bob".into(), commonroom: None });
    bob.close().await;
    assert_eq!(alice.event().await, Event::Left { info: "bob".into(), commonroom: None });
    site.end().await;
}

#[tokio::test]
async fn who_declares_itself_hears_more() {
    let site = Site::new();
    let mut alice = site.stranger().await;
    let declaration = serde_json::from_value(json!({"version": 1})).unwrap();
    let server = alice.introduce("alice", Some(declaration)).await.commonroom.expect("a declaration, too");
    assert_eq!((server.version, server.rtmp_port), (1, 1935));
    let found = state(alice.join(ROOM).await);
    assert_eq!((found.you.login.as_str(), found.you.role), ("alice", Role::Host), "the first is the host");
    assert_eq!((found.participants.len(), found.locked, found.recording), (0, false, false));
    assert_eq!((found.limits.participants, found.limits.text_length), (100, 4000));

    let mut bob = site.member("bob").await;
    let Event::Joined { commonroom: Some(newcomer), .. } = alice.event().await else { panic!("bob came") };
    assert_eq!((newcomer.role, newcomer.protocol), (Role::Speaker, Protocol::WebSocket));

    // To everybody, and to one.
    let Some(Ack::Said { id, time }) = alice.accepted(line(None, "all")).await else { panic!("a number") };
    let Event::Message { info, commonroom: Some(all) } = bob.event().await else { panic!("a line") };
    assert_eq!((info.text.as_str(), all.id, all.time, all.to), ("all", id, time, None));
    let Some(Ack::Said { id: next, .. }) = bob.accepted(line(Some("alice"), "you")).await else {
        panic!("a number")
    };
    assert!(next > id);
    let Event::Message { commonroom: Some(private), .. } = alice.event().await else { panic!("a line") };
    assert_eq!(private.to.as_deref(), Some("alice"));

    let carol = state(site.declared("carol", None).await.join(ROOM).await);
    let lines: Vec<_> = carol.messages.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(lines, ["all"], "what was said to one is not for those who come later");
    let logins: Vec<_> = carol.participants.iter().map(|who| who.login.as_str()).collect();
    assert_eq!(logins, ["alice", "bob"]);
    site.end().await;
}

#[tokio::test]
async fn who_says_a_line_to_each_has_said_it_to_all() {
    let site = Site::new();
    let (mut alice, mut bob) = (site.member("alice").await, site.member("bob").await);
    let mut sdk = site.sdk("sdk").await;
    sdk.join(ROOM).await;
    for _ in 0..2 {
        alice.event().await;
    }
    bob.event().await;
    for login in ["alice", "bob"] {
        sdk.accepted(line(Some(login), "hi")).await;
    }
    let mut ids = Vec::new();
    for client in [&mut alice, &mut bob] {
        let Event::Message { commonroom: Some(line), .. } = client.event().await else { panic!("a line") };
        assert_eq!(line.to, None);
        ids.push(line.id);
    }
    assert_eq!(ids[0], ids[1]);
    let mut late = site.declared("late", None).await;
    assert_eq!(state(late.join(ROOM).await).messages.len(), 1);
    site.end().await;
}

#[tokio::test]
async fn names_are_those_of_people_however_they_are_typed() {
    let site = Site::new();
    let (mut alice, mut zoe) = (site.sdk("Алиса").await, site.sdk("Zoe\u{308}").await);
    alice.join(ROOM).await;
    let found = zoe.join(ROOM).await;
    assert_eq!(found, Event::State { info: vec![Present::Silent("Алиса".into())], commonroom: None });
    assert_eq!(alice.event().await, Event::Joined { info: "Zoë".into(), commonroom: None });
    for name in ["Zoë", "Zoe\u{308}"] {
        alice.accepted(line(Some(name), "hi")).await;
        assert!(matches!(zoe.event().await, Event::Message { .. }), "{name}");
    }
    let mut again = site.declared("Zoë", None).await;
    assert_eq!(again.refused(join(ROOM)).await.0, Word::LoginInUse);
    // The SDK makes the name of its stream of what was typed.
    zoe.offer("a1", "r1-Zoe\u{308}-eb8c").await;
    zoe.answer("a1").await;
    zoe.offer("a2", "r1-Zoë-eb8c").await;
    zoe.finished("a2", Status::Failed, "Stream name is already in use").await;
    site.end().await;
}

#[tokio::test]
async fn who_is_put_out_of_one_of_its_rooms_knows_of_it() {
    let site = Site::new();
    let mut host = site.declared("host", None).await;
    host.join("r2").await;
    let mut sdk = site.sdk("sdk").await;
    let mut alice = site.declared("alice", Some("key")).await;
    for client in [&mut sdk, &mut alice] {
        client.join(ROOM).await;
        client.join("r2").await;
    }
    let mut again = site.declared("alice", Some("key")).await;
    again.join(ROOM).await;
    let event = loop {
        let ServerMessage::OnData((data,)) = alice.hear().await else { panic!("an event") };
        if data.payload.room_name == ROOM {
            break data.payload.event;
        }
    };
    let you = TakenOver { login: "alice".into() };
    assert_eq!(event, Event::TakenOver { info: you.clone(), commonroom: you });
    assert_eq!(alice.refused(line(None, "hi")).await.0, Word::NotJoined);
    assert_eq!(alice.refused(join("r2")).await.0, Word::AlreadyJoined, "the other room goes on");
    again.join("r2").await;
    assert_eq!(alice.closed().await.0, 4001, "out of its last room");

    // The SDK has no word for it, and would show the room as it was.
    let kick = Moderate { name: "r2".into(), action: Action::Kick { login: "sdk".into() } };
    host.command(Command::Moderate(kick)).await;
    assert_eq!(sdk.closed().await.0, 4003);
    site.end().await;
}

#[tokio::test]
async fn commands_are_refused_with_a_word_and_a_sentence() {
    let limits = Limits { rooms: 2, participants: 2, message_length: 10, ..Limits::default() };
    let site = Site::with(limits, Default::default());
    let mut stranger = site.stranger().await;
    let ack = stranger.ask(join(ROOM)).await;
    assert!(ack.info.is_some() && ack.commonroom.is_none(), "nobody has declared itself: {ack:?}");
    let mut nameless = site.declared("Alice Smith", None).await;
    let (word, sentence) = nameless.refused(join(ROOM)).await;
    assert_eq!(word, Word::InvalidName);
    assert!(sentence.starts_with("login: "), "{sentence}");

    let mut alice = site.member("alice").await;
    assert_eq!(alice.refused(join(ROOM)).await.0, Word::AlreadyJoined);
    let (word, sentence) = alice.refused(join("no/name")).await;
    assert_eq!(word, Word::InvalidName);
    assert!(sentence.starts_with("room: "), "{sentence}");
    assert_eq!(alice.refused(leave("elsewhere")).await.0, Word::NotJoined);
    assert_eq!(alice.refused(line(Some("bob"), "hi")).await.0, Word::UnknownRecipient);
    assert_eq!(alice.refused(line(Some("<b>"), "hi")).await.0, Word::UnknownRecipient);
    assert_eq!(alice.refused(line(None, "12345678901")).await.0, Word::TextTooLong);

    let mut bob = site.member("bob").await;
    alice.event().await;
    assert_eq!(bob.refused(moderate(Action::Lock)).await.0, Word::NotHost);
    assert_eq!(
        alice.refused(moderate(Action::Kick { login: "carol".into() })).await.0,
        Word::UnknownRecipient
    );
    assert_eq!(site.declared("carol", None).await.refused(join(ROOM)).await.0, Word::RoomFull);
    assert_eq!(site.declared("bob", None).await.refused(join(ROOM)).await.0, Word::LoginInUse);
    alice.join("r2").await;
    assert_eq!(alice.refused(join("r3")).await.0, Word::TooManyRooms);

    let mut words = Vec::new();
    for _ in 0..40 {
        let ack = bob.ask(line(None, "hi")).await;
        if let Some(Ack::Refused { error }) = ack.commonroom {
            words.push(error);
        }
    }
    assert!(!words.is_empty() && words.iter().all(|word| *word == Word::RateLimited), "{words:?}");
    site.rooms.close();
    assert_eq!(site.declared("dave", None).await.refused(join(ROOM)).await.0, Word::ShuttingDown);
    site.end().await;
}

#[tokio::test]
async fn what_is_no_command_is_refused_too() {
    let site = Site::new();
    let mut alice = site.declared("alice", None).await;
    for (payload, word) in [
        (json!({"command": "dance", "options": {}}), "unknown_command"),
        (json!({"command": "join", "options": {"name": 7}}), "malformed"),
        (json!({"command": "join"}), "malformed"),
        (json!({"command": "moderate", "options": {"name": "r1", "action": "dance"}}), "malformed"),
        (json!("join"), "malformed"),
        (Value::Null, "malformed"),
    ] {
        let message = json!({"message": "sendData", "data": [{"operationId": "x", "payload": payload}]});
        alice.send(message.to_string()).await;
        let ack = alice.hear_json().await;
        assert_eq!(ack["data"][0]["operationId"], "x");
        assert_eq!(
            (&ack["data"][0]["status"], &ack["data"][0]["commonroom"]["error"]),
            (&json!("FAILED"), &json!(word))
        );
    }
    // Nobody waits for an answer to these.
    for message in [
        json!({"message": "sendData", "data": [{"payload": {}}]}),
        json!({"message": "sendData", "data": []}),
        json!({"message": "hangup", "data": [{"callId": "1"}]}),
        json!({"message": "pushLogs", "data": [{"logs": "x"}]}),
        json!({"message": "", "data": [null]}),
        json!({"message": "pong"}),
    ] {
        alice.send(message.to_string()).await;
    }
    alice.hears_nothing().await;
    site.end().await;
}

#[tokio::test]
async fn hosts_moderate() {
    let site = Site::new();
    let (mut alice, mut bob) = (site.member("alice").await, site.member("bob").await);
    let mut sdk = site.sdk("sdk").await;
    sdk.join(ROOM).await;
    for _ in 0..2 {
        alice.event().await;
    }
    bob.event().await;

    alice.accepted(moderate(Action::Lock)).await;
    let locked = Locked { locked: true, by: "alice".into() };
    assert_eq!(bob.event().await, Event::Locked { info: locked.clone(), commonroom: locked });
    alice.event().await;
    assert_eq!(site.declared("carol", None).await.refused(join(ROOM)).await.0, Word::RoomLocked);

    alice.accepted(moderate(Action::Role { login: "bob".into(), role: Role::Viewer })).await;
    assert!(matches!(bob.event().await, Event::Role { info, .. } if info.role == Role::Viewer));
    alice.event().await;
    bob.offer("b1", "r1-bob-0001").await;
    let status = bob.status().await;
    assert!(status.info.expect("why").as_str().contains("viewers"), "viewers do not publish");

    alice.accepted(moderate(Action::Kick { login: "bob".into() })).await;
    let by = By { by: "alice".into() };
    assert_eq!(bob.event().await, Event::Kicked { info: by.clone(), commonroom: by });
    let left = Left { login: "bob".into(), reason: LeftReason::Kicked };
    assert_eq!(alice.event().await, Event::Left { info: "bob".into(), commonroom: Some(left) });
    assert_eq!(bob.refused(line(None, "but")).await.0, Word::NotJoined);
    assert_eq!(bob.refused(join(ROOM)).await.0, Word::Kicked);
    bob.hears_nothing().await;

    // The SDK has no word for it.
    assert_eq!(sdk.event().await, Event::Left { info: "bob".into(), commonroom: None });
    alice.accepted(moderate(Action::End)).await;
    let by = By { by: "alice".into() };
    assert_eq!(alice.event().await, Event::Ended { info: by.clone(), commonroom: by });
    assert_eq!(sdk.closed().await.0, 4004);
    assert!(site.rooms.list().is_empty());
    alice.join(ROOM).await;
    site.end().await;
}

#[tokio::test]
async fn whoever_comes_again_is_told_what_a_host_lets_not_pass() {
    let site = Site::new();
    let (mut alice, mut bob) = (site.member("alice").await, site.declared("bob", Some("k")).await);
    assert_eq!(state(bob.join(ROOM).await).you.host_muted, []);
    alice.event().await;
    let (login, medium) = (String::from("bob"), Medium::Audio);
    alice.accepted(moderate(Action::Mute(Mute { login, stream: None, medium }))).await;
    let told = Muted { login: "bob".into(), name: None, medium, muted: true, by: Some("alice".into()) };
    assert_eq!(bob.event().await, Event::Muted { info: told.clone(), commonroom: told });
    bob.accepted(leave(ROOM)).await;
    assert_eq!(state(bob.join(ROOM).await).you.host_muted, [Medium::Audio]);
    site.end().await;
}

#[tokio::test]
async fn one_session_is_in_several_rooms() {
    let site = Site::new();
    let mut alice = site.declared("alice", None).await;
    for room in ["r1", "r2"] {
        alice.join(room).await;
    }
    let mut bob = site.declared("bob", None).await;
    bob.join("r2").await;
    let joined = alice.hear_json().await;
    assert_eq!(joined["data"][0]["payload"]["roomName"], "r2");
    alice.accepted(leave("r1")).await;
    alice.hears_nothing().await;
    assert!(site.rooms.room(&"r1".parse().unwrap()).is_none());
    site.end().await;
}
