//! A client of HTTP that shows each byte it sends, and what it may ask of a server.

use crate::site::{Site, any_port};
use commonroom::config::{Config, Http, Webrtc};
use commonroom::recording::Store;
use commonroom::room::{Limits, Name, Protocol, Publication, RecordingPolicy};
use commonroom::time::NtpTime;
use serde_json::Value;
use std::collections::HashMap;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

pub(crate) const WHIP: &str = include_str!("../data/sdp/chromium-whip-h264.sdp");
pub(crate) const WHEP: &str = include_str!("../data/sdp/chromium-whep.sdp");
pub(crate) const SDP: (&str, &str) = ("Content-Type", "application/sdp");

impl Site {
    pub(crate) fn new() -> Self {
        Self::with(Http::default(), Webrtc::default())
    }

    pub(crate) fn with(http: Http, webrtc: Webrtc) -> Self {
        Self::of(http, webrtc, RecordingPolicy::Never, None)
    }

    pub(crate) fn of(
        http: Http,
        webrtc: Webrtc,
        recording: RecordingPolicy,
        recordings: Option<Store>,
    ) -> Self {
        let limits = Limits { rooms: 3, participants: 2, recording, ..Limits::default() };
        Self::start(limits, http, webrtc, recordings)
    }

    /// One that is told over HTTP what to record.
    pub(crate) fn told(recording: RecordingPolicy) -> Self {
        let limits = Limits { recording, ..Limits::default() };
        Self::start_with(limits, Http::default(), Webrtc::default(), None, true)
    }

    /// One request on a connection of its own.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let mut connection = self.connect().await;
        connection.send(method, path, headers, body).await;
        connection.response().await
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.ask("GET", path, &[], "").await
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection(BufReader::new(TcpStream::connect(self.address).await.expect("it listens")))
    }

    pub(crate) fn publish(&self, room: &str, participant: &str) -> Publication {
        let name = |text: &str| text.parse::<Name>().expect("a valid name");
        let published = self.rooms.publish(name(room), name(participant), Protocol::Rtmp, NtpTime::default());
        published.unwrap_or_else(|refusal| panic!("{refusal}"))
    }
}

pub(crate) struct Connection(pub(crate) BufReader<TcpStream>);

impl Connection {
    pub(crate) async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) {
        let mut text = format!("{method} {path} HTTP/1.1\r\nContent-Length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "Host") {
            text += "Host: room.example\r\n";
        }
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        // A server that has answered already may have closed.
        drop(self.0.write_all(format!("{text}\r\n{body}").as_bytes()).await);
    }

    pub(crate) async fn response(&mut self) -> Response {
        let mut line = String::new();
        self.0.read_line(&mut line).await.expect("the server answers");
        let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("{line:?}"));
        let status = status.parse().expect("a status is a number");
        let mut headers = HashMap::new();
        loop {
            line.clear();
            self.0.read_line(&mut line).await.expect("the server answers");
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let length = headers.get("content-length").map_or(0, |length| length.parse().expect("a length"));
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.expect("the whole body");
        Response { status, headers, body: String::from_utf8(body).expect("text") }
    }

    /// Waits until the server closes; gives what it still sent.
    pub(crate) async fn closed(&mut self) -> String {
        let mut rest = Vec::new();
        drop(self.0.read_to_end(&mut rest).await);
        String::from_utf8(rest).expect("text")
    }
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Response {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A refusal of this status and code, which also has words.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, error: &str) {
        let json = self.json();
        assert_eq!((self.status, json["error"].as_str()), (status, Some(error)), "{self:?}");
        assert!(json["message"].as_str().is_some_and(|message| message.len() > 10), "{self:?}");
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// Of a whole program.
pub(crate) fn gateway_config() -> Config {
    let mut config = Config::default();
    config.rtmp.listen = any_port();
    config.http.listen = any_port();
    config.webrtc.listen = any_port();
    config
}
