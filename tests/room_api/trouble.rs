//! What should not be: foreign pages, noise, floods, silence, one person twice, and the end of the server.

use crate::client::{Client, ROOM, join};
use crate::site::Site;
use commonroom::config::Http;
use commonroom::protocol::room_api::{Event, Left, LeftReason, MAX_MESSAGE_LEN, Word};
use serde_json::{Value, json};
use tokio::time::Instant;

/// The other hears that alice has gone, and why.
async fn left(other: &mut Client, reason: LeftReason) {
    let left = Left { login: "alice".into(), reason };
    assert_eq!(other.event().await, Event::Left { info: "alice".into(), commonroom: Some(left) });
}

#[tokio::test]
async fn only_pages_of_this_server_may_come() {
    let site = Site::new();
    let own = format!("http://{}", site.address);
    for headers in [&[][..], &[("Origin", own.as_str())]] {
        for path in ["/", "/ws", "/r/studio?x=1", "/anything/at/all"] {
            site.open(path, headers).await.expect("it may");
        }
    }
    for foreign in ["http://evil.example", "null", "http://127.0.0.1:1"] {
        let refused = site.open("/", &[("Origin", foreign)]).await.err().expect("it may not");
        assert_eq!(refused.status(), 403, "{foreign}");
    }
    site.end().await;

    let listed = toml_http(r#"allowed_origins = ["https://good.example"]"#);
    let site = Site::with(Default::default(), listed);
    site.open("/", &[("Origin", "https://good.example")]).await.expect("it is listed");
    assert!(site.open("/", &[("Origin", "https://evil.example")]).await.is_err());
    site.end().await;
}

#[tokio::test]
async fn what_a_client_says_is_not_said_back_at_length() {
    let site = Site::new();
    let mut client = site.stranger().await;
    let long = "x".repeat(30_000);
    let data =
        |payload: Value| json!({"message": "sendData", "data": [{"operationId": "1", "payload": payload}]});
    let to = json!({"roomConfig": {"name": ROOM}, "to": long, "text": "hi"});
    let messages = [
        json!({"message": "connection", "data": [{
            "appKey": long, "mediaProviders": [long, "WebRTC"], "clientVersion": long,
            "custom": {"login": "alice", "token": long},
        }]}),
        data(json!({"command": "join", "options": {"name": ROOM}})),
        data(json!({"command": "join", "options": {"name": long}})),
        data(json!({"command": long})),
        data(json!({"command": "leave", "options": long})),
        data(json!({"command": "sendMessage", "options": to})),
        data(json!({"command": "moderate", "options": {"name": ROOM, "action": long}})),
        data(json!({"command": "moderate", "options": {"name": ROOM, "action": "kick", "login": long}})),
        data(json!(long)),
        json!({"message": "publishStream", "data": [{"mediaSessionId": "1", "name": long, "sdp": long}]}),
        json!({"message": "playStream", "data": [{"mediaSessionId": "1", "name": "a", "sdp": {"a": long}}]}),
    ];
    for message in messages {
        client.send(message.to_string()).await;
        let mut answer = client.hear_json().await;
        if answer["message"] == "OnDataEvent" {
            answer = client.hear_json().await;
        }
        let answer = answer.to_string();
        assert!(answer.len() < 1_000, "{} bytes: {:.200}", answer.len(), answer);
    }
    site.end().await;
}

fn toml_http(text: &str) -> Http {
    toml::from_str(text).expect("a valid section")
}

#[tokio::test]
async fn noise_is_the_end_of_who_makes_it() {
    let site = Site::new();
    let mut bob = site.member("bob").await;
    let deep = format!(r#"{{"message":"x","data":[{}{}]}}"#, "[".repeat(1_000), "]".repeat(1_000));
    let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(MAX_MESSAGE_LEN));
    let noises = [("hello", 1007), ("{}", 1007), (r#"["message"]"#, 1007), (&deep, 1007), (&long, 1009)];
    for (noise, code) in noises {
        let mut alice = site.member("alice").await;
        bob.event().await;
        alice.send(noise).await;
        let (closed, reason) = alice.closed().await;
        assert_eq!(closed, code, "{reason}");
        assert!(!reason.is_empty());
        left(&mut bob, LeftReason::Vanished).await;
    }
    let mut alice = site.member("alice").await;
    bob.event().await;
    alice.send_bytes(b"binary").await;
    assert_eq!(alice.closed().await.0, 1003);
    left(&mut bob, LeftReason::Vanished).await;
    bob.hears_nothing().await;
    site.end().await;
}

#[tokio::test]
async fn a_flood_is_stopped() {
    let site = Site::new();
    let mut bob = site.member("bob").await;
    let mut alice = site.member("alice").await;
    bob.event().await;
    for _ in 0..1_000 {
        alice.send(r#"{"message":"ping","data":[null]}"#).await;
    }
    assert_eq!(alice.closed().await, (1008, "too many messages".to_owned()));
    left(&mut bob, LeftReason::Vanished).await;
    site.end().await;
}

#[tokio::test]
async fn who_is_silent_has_vanished() {
    let site = Site::new();
    let mut bob = site.member("bob").await;
    let mut alice = site.member("alice").await;
    bob.event().await;
    let began = Instant::now();
    // Its pongs do not come, though its connection stands.
    left(&mut bob, LeftReason::Vanished).await;
    let took = began.elapsed().as_secs_f64();
    assert!((5.0..10.0).contains(&took), "{took}");
    assert_eq!(alice.closed().await.0, 4005);
    bob.hears_nothing().await;
    site.end().await;
}

#[tokio::test]
async fn one_login_one_person() {
    let site = Site::new();
    let mut bob = site.member("bob").await;
    let mut first = site.declared("alice", Some("secret")).await;
    first.join(ROOM).await;
    bob.event().await;
    for key in [None, Some("guess")] {
        let (word, sentence) = site.declared("alice", key).await.refused(join(ROOM)).await;
        assert_eq!(word, Word::LoginInUse, "{sentence}");
    }
    let ack = site.sdk("alice").await.ask(join(ROOM)).await;
    assert!(ack.info.expect("a sentence").starts_with("alice is already in r1"));

    // The same tab, whose connection has broken without a word.
    let mut second = site.declared("alice", Some("secret")).await;
    second.join(ROOM).await;
    assert_eq!(first.closed().await.0, 4001);
    bob.hears_nothing().await;
    second.close().await;
    left(&mut bob, LeftReason::Left).await;
    site.end().await;
}

#[tokio::test]
async fn idle_sockets_give_way() {
    let site = Site::with(Default::default(), Http { max_connections: 2, ..Http::default() });
    let mut alice = site.member("alice").await;
    let mut idle = site.stranger().await;
    let mut bob = site.member("bob").await;
    assert_eq!(idle.closed().await.0, 1013);
    alice.event().await;
    alice.hears_nothing().await;
    bob.hears_nothing().await;
    site.end().await;
}

#[tokio::test]
async fn everybody_is_told_that_the_server_goes_down() {
    let site = Site::new();
    let (mut alice, mut stranger) = (site.member("alice").await, site.stranger().await);
    site.stop.cancel();
    for client in [&mut alice, &mut stranger] {
        assert_eq!(client.closed().await, (1001, "the server is shutting down".to_owned()));
    }
    site.end().await;
}
