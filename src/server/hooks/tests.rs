//! Against a listener on a socket that answers as it is told.

use super::*;
use crate::recording::NoticeKind;
use crate::recording::manifest::{Cause, File, FileState, Gap, Kind, Track};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// One request.
#[derive(Debug)]
struct Got {
    head: String,
    body: Value,
    text: String,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }
}

/// Takes requests and gives them these answers, in order; closes the connection instead of status 0, and is silent instead of 1.
async fn listen(answers: Vec<u16>) -> (String, mpsc::Receiver<Got>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/events?of=rooms", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::channel(100);
    tokio::spawn(async move {
        for answer in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            let (head, body) = loop {
                socket.read_buf(&mut bytes).await.unwrap();
                let text = String::from_utf8(bytes.clone()).unwrap();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
                if body.len() == length.parse::<usize>().unwrap() {
                    break (head.to_owned(), body.to_owned());
                }
            };
            let got = Got { head, body: serde_json::from_str(&body).unwrap(), text: body };
            sender.send(got).await.unwrap();
            match answer {
                0 => {}
                1 => std::future::pending().await,
                status => {
                    let text =
                        format!("HTTP/1.1 {status} X\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n");
                    socket.write_all(text.as_bytes()).await.unwrap();
                }
            }
        }
    });
    (url, receiver)
}

fn hooks(url: &str) -> (Hooks, Notices) {
    let config = config::Hooks { url: url.to_owned(), secret: "sesame".into() };
    Hooks::new(config).unwrap().unwrap()
}

fn file(name: &str, state: FileState) -> File {
    File {
        name: name.to_owned(),
        state,
        error: None,
        participant: "alice".to_owned(),
        kind: Kind::Camera,
        streams: Vec::new(),
        start: 1.5,
        end: 4.0,
        audio: None,
        video: None,
        gaps: vec![Gap { track: Track::Audio, start: 2.0, end: 3.0, cause: Cause::Loss, filled: false }],
        size: 1_000,
        sha256: Some("ab".to_owned()),
    }
}

fn tell(notices: &Notices, name: &str, state: FileState) {
    let time = NtpTime::from(SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_296_717_500));
    notices.tell(time, ("room", "session"), &file(name, state));
}

async fn next(got: &mut mpsc::Receiver<Got>) -> Got {
    timeout(PATIENCE, got.recv()).await.expect("in time").expect("a request")
}

#[tokio::test]
async fn events_arrive_in_order_and_signed() {
    let (url, mut got) = listen(vec![204; 4]).await;
    let (hooks, notices) = hooks(&url);
    let running = tokio::spawn(hooks.run(CancellationToken::new()));
    let states = [FileState::Recording, FileState::Finished, FileState::Lost, FileState::Recovered];
    for state in states {
        tell(&notices, "alice-camera.mp4", state);
    }
    let names = ["started", "finished", "failed", "recovered"].map(|name| format!("recording.{name}"));
    for (state, name) in states.iter().zip(names) {
        assert_eq!(NoticeKind::from(*state).as_str(), name);
        let request = next(&mut got).await;
        assert!(request.head.starts_with("POST /events?of=rooms HTTP/1.1\r\n"), "{}", request.head);
        assert_eq!(request.header("content-type"), "application/json");
        assert_eq!(request.header("x-commonroom-event"), name);
        assert_eq!(request.header("x-commonroom-delivery"), request.body["id"]);
        assert_eq!((&request.body["type"], &request.body["time"]), (&json!(name), &json!(1_795_296_717.5)));
        assert_eq!((&request.body["room"], &request.body["duration"]), (&json!("room"), &json!(2.5)));
        assert_eq!(request.body["file"]["gaps"][0]["cause"], "loss");
        assert_eq!(request.body["file"]["sha256"], "ab");
        let signed = request.header("x-commonroom-signature");
        let moment = signed.strip_prefix("t=").unwrap().split_once(',').unwrap().0.parse().unwrap();
        assert_eq!(signed, sign::signature("sesame", moment, request.text.as_bytes()));
        assert!(unix_now().abs_diff(moment) < 60);
    }
    drop(notices);
    timeout(PATIENCE, running).await.expect("nothing more can come").unwrap();
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let (url, mut got) = listen(vec![404, 0, 200, 200]).await;
    let (hooks, notices) = hooks(&url);
    let running = tokio::spawn(hooks.run(CancellationToken::new()));
    tell(&notices, "a.mp4", FileState::Finished);
    tell(&notices, "b.mp4", FileState::Finished);
    let first = next(&mut got).await;
    for _ in 0..2 {
        let again = next(&mut got).await;
        assert_eq!((&again.body["id"], &again.text), (&first.body["id"], &first.text), "the same event");
    }
    let second = next(&mut got).await;
    assert_eq!(second.body["file"]["name"], "b.mp4");
    assert_ne!(second.body["id"], first.body["id"]);
    drop(notices);
    timeout(PATIENCE, running).await.expect("it ends").unwrap();
}

#[tokio::test]
async fn what_is_refused_is_given_up() {
    let (url, mut got) = listen(vec![410, 410, 200]).await;
    let (hooks, notices) = hooks(&url);
    let running = tokio::spawn(hooks.run(CancellationToken::new()));
    for name in ["a.mp4", "b.mp4", "c.mp4"] {
        tell(&notices, name, FileState::Finished);
    }
    for name in ["a.mp4", "b.mp4", "c.mp4"] {
        assert_eq!(next(&mut got).await.body["file"]["name"], name);
    }
    drop(notices);
    timeout(PATIENCE, running).await.expect("it ends").unwrap();
}

#[test]
fn a_receiver_may_be_away_for_an_hour() {
    let status = |status: u16| Problem::Status(status.try_into().unwrap()).patience();
    for away in [302, 401, 403, 404, 405, 408, 429, 500, 502, 503] {
        assert_eq!(status(away), Some(GIVEN_UP), "{away}");
    }
    for refused in [400, 413, 415, 422] {
        assert_eq!(status(refused), Some(REFUSED), "{refused}");
    }
    assert_eq!(status(410), None);
    assert_eq!(Problem::Late.patience(), Some(GIVEN_UP));
}

#[tokio::test]
async fn a_listener_that_is_silent_holds_nobody() {
    let (url, mut got) = listen(vec![1]).await;
    let (hooks, notices) = hooks(&url);
    let stop = CancellationToken::new();
    let running = tokio::spawn(hooks.run(stop.clone()));
    // More than are kept: whoever tells does not wait.
    for _ in 0..3_000 {
        tell(&notices, "a.mp4", FileState::Finished);
    }
    next(&mut got).await;
    stop.cancel();
    timeout(Duration::from_secs(8), running).await.expect("it ends all the same").unwrap();
}

#[tokio::test]
async fn the_farewell_takes_what_waits_along() {
    let (url, mut got) = listen(vec![500, 200, 200]).await;
    let (hooks, notices) = hooks(&url);
    let stop = CancellationToken::new();
    let running = tokio::spawn(hooks.run(stop.clone()));
    tell(&notices, "a.mp4", FileState::Finished);
    next(&mut got).await;
    // It waits to try again.
    tell(&notices, "b.mp4", FileState::Finished);
    stop.cancel();
    assert_eq!(next(&mut got).await.body["file"]["name"], "a.mp4");
    assert_eq!(next(&mut got).await.body["file"]["name"], "b.mp4");
    timeout(PATIENCE, running).await.expect("it ends").unwrap();
}

#[test]
fn without_an_address_there_are_none() {
    assert!(Hooks::new(config::Hooks::default()).unwrap().is_none());
}

#[tokio::test]
async fn nothing_is_said_to_who_has_no_good_certificate() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    // It is for this address, by an authority that nobody knows.
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(server));
    let accepted = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        acceptor.accept(socket).await.map(drop)
    });
    let (hooks, notices) = hooks(&url);
    tell(&notices, "a.mp4", FileState::Finished);
    let Hooks { poster, mut notices } = hooks;
    let event = Event::of(&notices.recv().await.unwrap());
    let problem = poster.post(&event, 1).await.unwrap_err();
    assert!(
        matches!(problem, Problem::Connection(_)) && problem.to_string().contains("certificate"),
        "{problem}"
    );
    assert!(accepted.await.unwrap().is_err(), "the client hung up in the handshake");
}
