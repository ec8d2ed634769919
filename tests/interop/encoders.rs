//! Encoders in a room: what its members hear of them, and what encoders hear of the room.

use crate::client::{Client, ended};
use crate::ffmpeg;
use crate::gateway::Gateway;
use crate::obs::Obs;
use crate::relay::Line;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// A member of the room `studio`, over WebSocket.
struct Page {
    runtime: Runtime,
    socket: WebSocketStream<TcpStream>,
}

impl Page {
    fn join(gateway: &Gateway) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let address = gateway.http;
        let socket = runtime.block_on(async {
            let stream = TcpStream::connect(address).await.expect("it listens");
            client_async(format!("ws://{address}/"), stream).await.expect("it speaks WebSocket").0
        });
        let mut page = Self { runtime, socket };
        page.say("connection", json!({"custom": {"login": "page"}, "commonroom": {"version": 1}}));
        page.command("join", json!({"name": "studio"}));
        page.hears("STATE", Duration::from_secs(5));
        page
    }

    fn say(&mut self, message: &str, argument: Value) {
        let text = json!({"message": message, "data": [argument]}).to_string();
        self.runtime.block_on(self.socket.send(Message::text(text))).expect("it is open");
    }

    fn command(&mut self, command: &str, options: Value) {
        let payload = json!({"command": command, "options": options});
        self.say("sendData", json!({"operationId": command, "payload": payload}));
    }

    /// The next event of the room, which is this one; what it says to those who know the additions.
    #[track_caller]
    fn hears(&mut self, name: &str, limit: Duration) -> Value {
        let until = Instant::now() + limit;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let next = self.runtime.block_on(async { tokio::time::timeout(left, self.socket.next()).await });
            let frame = next.unwrap_or_else(|_| panic!("{name}: not within {limit:?}"));
            let Some(Ok(Message::Text(text))) = frame else { panic!("{name}: {frame:?}") };
            let mut message: Value = serde_json::from_str(&text).expect("JSON");
            match message["message"].as_str() {
                Some("ping") => self.say("pong", Value::Null),
                Some("OnDataEvent") => {
                    let mut payload = message["data"][0]["payload"].take();
                    if payload["name"] == "QUALITY" {
                        continue;
                    }
                    assert_eq!(payload["name"], name, "{payload}");
                    return payload["commonroom"].take();
                }
                _ => {}
            }
        }
    }

    /// Somebody comes and publishes; the name of the stream.
    #[track_caller]
    fn hears_of_publication(&mut self, login: &str, has: (bool, bool), comes: bool) -> String {
        // OBS comes back when it thinks it should.
        let limit = Duration::from_secs(10);
        if comes {
            let joined = self.hears("JOINED", limit);
            assert_eq!((&joined["login"], &joined["protocol"]), (&json!(login), &json!("rtmp")));
        }
        let published = self.hears("PUBLISHED", limit);
        let stream = &published["stream"];
        assert_eq!((&published["login"], &stream["kind"]), (&json!(login), &json!("camera")));
        assert_eq!((&stream["audio"], &stream["video"]), (&json!(has.0), &json!(has.1)), "{stream}");
        stream["name"].as_str().expect("a name").to_owned()
    }

    /// The publication ends, and whoever had it leaves.
    #[track_caller]
    fn hears_of_end(&mut self, broken: bool, limit: Duration) -> Value {
        self.hears(if broken { "FAILED" } else { "UNPUBLISHED" }, limit);
        self.hears("LEFT", limit)["reason"].take()
    }
}

#[test]
fn an_encoder_comes_goes_breaks_and_comes_again() {
    let gateway = Gateway::start();
    let mut page = Page::join(&gateway);
    let url = gateway.url("studio", "camera");
    let clip = ffmpeg::baseline_clip(20);
    let soon = Duration::from_secs(2);

    // Stopped as one stops it.
    let mut encoder = Client::publish(&clip, &url);
    let first = page.hears_of_publication("camera", (true, true), true);
    assert!(first.starts_with("studio-camera-"), "{first}");
    encoder.signal("INT");
    assert_eq!(page.hears_of_end(false, soon), "left");
    ended(&mut encoder, Duration::from_secs(5));

    // At once again, now with the picture alone; killed, and at once again with the sound alone.
    let encoder = Client::publish_with(&clip, &["-c", "copy", "-an"], &url);
    let second = page.hears_of_publication("camera", (false, true), true);
    assert_ne!(first, second);
    drop(encoder);
    assert_eq!(page.hears_of_end(true, soon), "vanished");
    let encoder = Client::publish_with(&clip, &["-c", "copy", "-vn"], &url);
    page.hears_of_publication("camera", (true, false), true);
    drop(encoder);
    page.hears_of_end(true, soon);

    // One whose line is dead holds its name for 5 s at most.
    let silent = Client::publish(&clip, &url);
    page.hears_of_publication("camera", (true, true), true);
    silent.signal("STOP");
    let began = Instant::now();
    assert_eq!(page.hears_of_end(true, Duration::from_secs(8)), "vanished");
    assert!(began.elapsed() < Duration::from_millis(5_500), "{:?}", began.elapsed());
    let _encoder = Client::publish(&clip, &url);
    page.hears_of_publication("camera", (true, true), true);
}

#[test]
fn what_a_room_refuses_or_ends_stands_in_the_encoders_log() {
    let gateway = Gateway::start_with(&["rooms.max_participants=2"]);
    let mut page = Page::join(&gateway);
    let clip = ffmpeg::baseline_clip(20);
    let mut encoder = Client::publish(&clip, &gateway.url("studio", "camera"));
    page.hears_of_publication("camera", (true, true), true);
    let says = |login: &str, sentence: &str| {
        let mut refused = Client::publish(&clip, &gateway.url("studio", login));
        let (status, _) = ended(&mut refused, Duration::from_secs(8));
        assert!(!status.success(), "{login} goes on");
        assert!(refused.output().contains(sentence), "{}", refused.output());
    };
    says("second", "room studio has reached its limit of 2 participants");
    says("camera", "camera is already in studio");
    page.command("moderate", json!({"name": "studio", "action": "kick", "login": "camera"}));
    page.hears("UNPUBLISHED", Duration::from_secs(2));
    page.hears("LEFT", Duration::from_secs(2));
    let (status, _) = ended(&mut encoder, Duration::from_secs(8));
    assert!(!status.success(), "the encoder goes on");
    let log = encoder.output();
    assert!(log.contains("a host has removed you from the room"), "{log}");
    says("camera", "a host has removed you from room studio");
    page.command("moderate", json!({"name": "studio", "action": "lock"}));
    page.hears("LOCKED", Duration::from_secs(2));
    says("third", "room studio is locked");
}

#[test]
fn obs_comes_back_when_its_line_has_broken() {
    let gateway = Gateway::start();
    let line = Line::to(gateway.rtmp);
    let mut obs = Obs::start(&ffmpeg::baseline_clip(40), &format!("rtmp://{}/studio", line.address), "obs");
    let mut page = Page::join(&gateway);
    obs.press("StartStream");
    let first = page.hears_of_publication("obs", (true, true), true);
    line.cut();
    let began = Instant::now();
    // It tries again while its name is not free yet, and goes on trying.
    assert_eq!(page.hears_of_end(true, Duration::from_secs(8)), "vanished");
    println!("gone after {:?}", began.elapsed());
    let second = page.hears_of_publication("obs", (true, true), true);
    println!("back after {:?}", began.elapsed());
    assert_ne!(first, second);
    assert!(obs.log().contains("obs is already in studio"), "{}", obs.log());
}
