//! The HTTP server over real sockets: signalling, the API, foreign origins, bounds, and the order in which all stops.

mod recordings;

use commonroom::bridge::Bridge;
use commonroom::codec::h264::AvcConfig;
use commonroom::config::{Config, Http, Span, Webrtc};
use commonroom::gateway::Gateway;
use commonroom::media::{Codec, CodecParams};
use commonroom::recording::Store;
use commonroom::room::{Entry, Limits, Moderation, Name, Protocol, Publication, RecordingPolicy, Rooms};
use commonroom::server::conference::{Conference, Services};
use commonroom::server::{http, rtmp, webrtc};
use commonroom::stream::{FeedKey, Form, Warning};
use commonroom::time::NtpTime;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

const WHIP: &str = include_str!("../data/sdp/chromium-whip-h264.sdp");
const WHEP: &str = include_str!("../data/sdp/chromium-whep.sdp");
const SDP: (&str, &str) = ("Content-Type", "application/sdp");
const FRAGMENT: (&str, &str) = ("Content-Type", "application/trickle-ice-sdpfrag");
/// x264's parameter sets of 1920x1080, High, level 4.0.
const SPS: &[u8] = b"\x67\x64\x00\x28\xac\xd9\x40\x78\x02\x27\xe5\xc0\x44\x00\x00\x03\x00\x04\x00\x00\x03\x00\xf0\x3c\x60\xc6\x58";

const fn any_port() -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0)
}

/// A server that runs, and what stands behind it.
struct Site {
    address: SocketAddr,
    rooms: Rooms,
    /// The whole program goes down.
    stop: CancellationToken,
    /// HTTP goes down.
    http_stop: CancellationToken,
    running: JoinHandle<()>,
    _webrtc: DropGuard,
}

impl Site {
    fn new() -> Self {
        Self::with(Http::default(), Webrtc::default())
    }

    fn with(http: Http, webrtc: Webrtc) -> Self {
        Self::of(http, webrtc, RecordingPolicy::Never, None)
    }

    fn of(http: Http, webrtc: Webrtc, recording: RecordingPolicy, recordings: Option<Store>) -> Self {
        let limits = Limits { rooms: 3, participants: 2, recording, ..Limits::default() };
        let rooms = Rooms::new(limits, NtpTime::default());
        let bridge = Bridge::default();
        let (stop, http_stop, media_stop) =
            (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
        let webrtc = Webrtc { listen: any_port(), shards: 1, ..webrtc };
        let webrtc = webrtc::Server::bind(webrtc, bridge.clone(), media_stop.clone())
            .expect("loopback has free ports");
        let services = Services {
            rooms: rooms.clone(),
            bridge: bridge.clone(),
            webrtc: webrtc.clone(),
            rtmp_port: 1935,
            stop: stop.clone(),
        };
        let parts = http::Parts {
            conference: Conference::new(services),
            rooms: rooms.clone(),
            bridge,
            webrtc,
            players: rtmp::Players::default(),
            rtmp_port: 1935,
            recordings,
            tls: None,
            stop: stop.clone(),
        };
        let server =
            http::Server::bind(Http { listen: any_port(), ..http }, parts).expect("loopback has free ports");
        let address = server.local_addr().expect("it is bound");
        let running = tokio::spawn({
            let http_stop = http_stop.clone();
            async move { server.run(http_stop).await }
        });
        Self { address, rooms, stop, http_stop, running, _webrtc: media_stop.drop_guard() }
    }

    /// One request on a connection of its own.
    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let mut connection = self.connect().await;
        connection.send(method, path, headers, body).await;
        connection.response().await
    }

    async fn get(&self, path: &str) -> Response {
        self.ask("GET", path, &[], "").await
    }

    async fn connect(&self) -> Connection {
        Connection(BufReader::new(TcpStream::connect(self.address).await.expect("it listens")))
    }

    fn publish(&self, room: &str, participant: &str) -> Publication {
        let name = |text: &str| text.parse::<Name>().expect("a valid name");
        let published = self.rooms.publish(name(room), name(participant), Protocol::Rtmp, NtpTime::default());
        published.unwrap_or_else(|refusal| panic!("{refusal}"))
    }
}

struct Connection(BufReader<TcpStream>);

impl Connection {
    async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) {
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

    async fn response(&mut self) -> Response {
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
    async fn closed(&mut self) -> String {
        let mut rest = Vec::new();
        drop(self.0.read_to_end(&mut rest).await);
        String::from_utf8(rest).expect("text")
    }
}

#[derive(Debug)]
struct Response {
    status: u16,
    headers: HashMap<String, String>,
    body: String,
}

impl Response {
    #[track_caller]
    fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A refusal of this status and code, which also has words.
    #[track_caller]
    fn is_problem(&self, status: u16, error: &str) {
        let json = self.json();
        assert_eq!((self.status, json["error"].as_str()), (status, Some(error)), "{self:?}");
        assert!(json["message"].as_str().is_some_and(|message| message.len() > 10), "{self:?}");
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

#[tokio::test]
async fn a_publisher_gets_an_answer_and_a_session_of_its_own() {
    let site = Site::new();
    let created = site.ask("POST", "/whip/demo/alice", &[SDP], WHIP).await;
    assert_eq!((created.status, created.header("content-type")), (201, "application/sdp"), "{created:?}");
    assert!(created.body.starts_with("v=0\r\n") && created.body.contains("a=recvonly"), "{created:?}");
    assert!(created.header("etag").starts_with('"'), "{created:?}");
    assert_eq!(created.header("accept-patch"), "application/trickle-ice-sdpfrag");
    let session = created.header("location");
    assert!(session.starts_with("/session/") && session.len() > 30, "{session}");

    site.ask("POST", "/whip/demo/alice", &[SDP], WHIP).await.is_problem(409, "in_use");
    site.ask("POST", "/whep/demo/alice", &[SDP], WHEP).await.is_problem(404, "no_stream");
    let _bob = site.publish("demo", "bob");
    let watched = site.ask("POST", "/whep/demo/bob", &[SDP], WHEP).await;
    assert_eq!(watched.status, 201, "{watched:?}");
    assert_ne!(watched.header("location"), session);
    assert_eq!(site.ask("DELETE", watched.header("location"), &[], "").await.status, 200);

    let ended = site.ask("DELETE", session, &[], "").await;
    assert_eq!(ended.status, 200);
    assert!(
        !ended.json()["message"].as_str().unwrap().is_empty(),
        "an empty body is a failure to some clients"
    );
    site.ask("DELETE", session, &[], "").await.is_problem(404, "no_session");
    assert_eq!(
        site.ask("POST", "/whip/demo/alice", &[SDP], WHIP).await.status,
        201,
        "the name is free again"
    );
}

#[tokio::test]
async fn names_of_all_scripts_come_by_addresses() {
    let site = Site::new();
    // As a browser sends "зал" and "Zoë", the latter also with its dots apart.
    let created = site.ask("POST", "/whip/%D0%B7%D0%B0%D0%BB/Zo%C3%AB", &[SDP], WHIP).await;
    assert_eq!(created.status, 201, "{created:?}");
    assert!(created.header("location").is_ascii());
    let again = site.ask("POST", "/whip/%d0%b7%d0%b0%d0%bb/Zoe%CC%88", &[SDP], WHIP).await;
    again.is_problem(409, "in_use");
    let _obs = site.publish("зал", "Алиса");
    let room = site.get("/api/v1/rooms/%D0%B7%D0%B0%D0%BB").await.json();
    assert_eq!((&room["name"], &room["participants"][0]["name"]), (&"зал".into(), &"Алиса".into()));
    let watched = "/whep/%D0%B7%D0%B0%D0%BB/%D0%90%D0%BB%D0%B8%D1%81%D0%B0";
    assert_eq!(site.ask("POST", watched, &[SDP], WHEP).await.status, 201);
    assert_eq!(site.get("/r/%D0%B7%D0%B0%D0%BB").await.status, 200);
    for bad in ["%D0", "%E2%80%AEa", "a%2Fb", "a%20b", "a%00b", "%EF%BB%BFa"] {
        assert_eq!(site.ask("POST", &format!("/whip/demo/{bad}"), &[SDP], WHIP).await.status, 400, "{bad}");
        assert_eq!(site.get(&format!("/r/{bad}")).await.status, 400, "{bad}");
    }
    let metrics = site.get("/metrics").await.body;
    assert!(metrics.is_ascii() && !metrics.contains("demo"), "names are no labels");
}

#[tokio::test]
async fn what_is_wrong_with_an_offer_is_said() {
    let site = Site::new();
    let post = async |path: &str, kind: &str, body: &str| {
        site.ask("POST", path, &[("Content-Type", kind)], body).await
    };
    let sdp = "application/sdp";
    post("/whep/demo/nobody", sdp, WHEP).await.is_problem(404, "no_stream");
    post("/whip/demo/alice", "text/plain", WHIP).await.is_problem(415, "unsupported_media_type");
    site.ask("POST", "/whip/demo/alice", &[], WHIP).await.is_problem(415, "unsupported_media_type");
    post("/whip/demo/alice", sdp, "").await.is_problem(400, "bad_offer");
    post("/whip/demo/alice", sdp, "v=0\r\nnonsense").await.is_problem(400, "bad_offer");
    let foreign = WHIP.replace(" H264/", " H265/").replace(" opus/", " iLBC/");
    post("/whip/demo/alice", sdp, &foreign).await.is_problem(406, "no_common_codec");
    post("/whip/demo/alice", sdp, &"a".repeat(64 * 1024 + 1)).await.is_problem(413, "too_large");
    post("/whip/.demo/alice", sdp, WHIP).await.is_problem(400, "invalid_name");
    post("/whip/demo/a%20b", sdp, WHIP).await.is_problem(400, "invalid_name");
    assert!(site.rooms.list().is_empty(), "no refusal leaves anything behind");
    assert_eq!(post("/whip/demo/alice", "Application/SDP; charset=utf-8", WHIP).await.status, 201);
}

#[tokio::test]
async fn what_a_host_decides_holds_over_http_too() {
    let site = Site::new();
    let name = |text: &str| text.parse::<Name>().expect("a valid name");
    let entry = Entry { login: name("host"), protocol: Protocol::WebSocket, key: None, listens: true };
    let (host, _events) = site.rooms.join(name("demo"), entry).expect("nothing speaks against it");
    let bob = site.publish("demo", "bob");
    let own = bob.name().to_string();
    let refused = async |status, error| {
        for watched in ["bob", own.as_str()] {
            let whep = format!("/whep/demo/{watched}");
            site.ask("POST", &whep, &[SDP], WHEP).await.is_problem(status, error);
            for kind in ["jpg", "png"] {
                let path = format!("/api/v1/rooms/demo/{watched}/snapshot.{kind}");
                site.get(&path).await.is_problem(status, error);
            }
        }
    };
    host.moderate(Moderation::Lock(true)).unwrap();
    refused(403, "room_locked").await;
    site.ask("POST", "/whip/demo/carol", &[SDP], WHIP).await.is_problem(403, "room_locked");
    host.moderate(Moderation::Lock(false)).unwrap();
    assert_eq!(site.ask("POST", "/whep/demo/bob", &[SDP], WHEP).await.status, 201);

    host.moderate(Moderation::Kick(name("bob"))).unwrap();
    refused(404, "no_stream").await;
    site.ask("POST", "/whip/demo/bob", &[SDP], WHIP).await.is_problem(403, "kicked");
    let carol = site.ask("POST", "/whip/demo/carol", &[SDP], WHIP).await;
    assert_eq!(carol.status, 201, "{carol:?}");
    host.moderate(Moderation::Kick(name("carol"))).unwrap();
    site.ask("POST", "/whip/demo/carol", &[SDP], WHIP).await.is_problem(403, "kicked");
    drop(bob);
}

#[tokio::test]
async fn limits_and_the_end_refuse_for_now() {
    let site = Site::with(Http::default(), Webrtc { max_sessions: 1, ..Webrtc::default() });
    assert_eq!(site.ask("POST", "/whip/demo/alice", &[SDP], WHIP).await.status, 201);
    site.ask("POST", "/whip/demo/bob", &[SDP], WHIP).await.is_problem(503, "unavailable");
    site.rooms.close();
    site.ask("POST", "/whip/demo/bob", &[SDP], WHIP).await.is_problem(503, "unavailable");
    let unresolvable = vec!["no-such-host.invalid".parse().unwrap()];
    let site = Site::with(Http::default(), Webrtc { announce: unresolvable, ..Webrtc::default() });
    let refused = site.ask("POST", "/whip/demo/alice", &[SDP], WHIP).await;
    assert!(refused.body.contains("webrtc.announce"), "{refused:?}");
    refused.is_problem(503, "unavailable");
}

#[tokio::test]
async fn candidates_are_taken_for_the_session_they_are_for() {
    let site = Site::new();
    let created = site.ask("POST", "/whip/demo/alice", &[SDP], WHIP).await;
    let (session, etag) = (created.header("location"), created.header("etag"));
    let patch =
        async |path: &str, headers: &[(&str, &str)], body: &str| site.ask("PATCH", path, headers, body).await;
    let fragment = "a=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n";
    let taken = patch(session, &[FRAGMENT, ("If-Match", etag)], fragment).await;
    assert_eq!((taken.status, taken.body.as_str()), (204, ""), "{taken:?}");
    assert_eq!(patch(session, &[FRAGMENT], fragment).await.status, 204, "simple clients name no session");
    patch(session, &[FRAGMENT, ("If-Match", "\"other\"")], fragment).await.is_problem(412, "etag_mismatch");
    patch(session, &[FRAGMENT, ("If-Match", "*")], fragment).await.is_problem(422, "no_ice_restart");
    let ufrag = WHIP.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:")).unwrap();
    let of = |ufrag: &str| format!("a=ice-ufrag:{ufrag}\r\na=ice-pwd:{}\r\n{fragment}", "x".repeat(24));
    assert_eq!(patch(session, &[FRAGMENT, ("If-Match", etag)], &of(ufrag)).await.status, 204);
    let restart = patch(session, &[FRAGMENT, ("If-Match", etag)], &of("other")).await;
    restart.is_problem(422, "no_ice_restart");
    patch(session, &[FRAGMENT], "nonsense").await.is_problem(400, "bad_fragment");
    patch(session, &[SDP], fragment).await.is_problem(415, "unsupported_media_type");
    patch("/session/0123", &[FRAGMENT], fragment).await.is_problem(404, "no_session");
}

#[tokio::test]
async fn methods_and_addresses_that_are_not_there() {
    let site = Site::new();
    let wrong = site.ask("PUT", "/whip/demo/alice", &[], "").await;
    wrong.is_problem(405, "method_not_allowed");
    assert!(wrong.header("allow").contains("POST"), "{wrong:?}");
    site.ask("POST", "/api/v1/rooms", &[], "").await.is_problem(405, "method_not_allowed");
    for path in ["/nothing", "/api/v1/nothing", "/whip/demo", "/session/", "/ui/../Cargo.toml"] {
        site.get(path).await.is_problem(404, "not_found");
    }
    let options = site.ask("OPTIONS", "/whip/demo/alice", &[], "").await;
    assert_eq!((options.status, options.header("accept-post")), (204, "application/sdp"), "{options:?}");
}

const PREFLIGHT: [(&str, &str); 2] =
    [("Origin", "https://other.example"), ("Access-Control-Request-Method", "POST")];

#[tokio::test]
async fn foreign_pages_are_kept_out() {
    let site = Site::new();
    let preflight = site.ask("OPTIONS", "/whip/demo/alice", &PREFLIGHT, "").await;
    preflight.is_problem(403, "foreign_origin");
    let posted = site.ask("POST", "/whip/demo/alice", &[SDP, PREFLIGHT[0]], WHIP).await;
    posted.is_problem(403, "foreign_origin");
    assert!(site.rooms.list().is_empty());
    let read = site.ask("GET", "/api/v1/rooms", &[PREFLIGHT[0]], "").await;
    assert_eq!((read.status, read.header("vary")), (200, "Origin"));
    for response in [preflight, posted, read] {
        assert!(!response.headers.contains_key("access-control-allow-origin"), "{response:?}");
    }
    let own = [SDP, ("Host", "room.example:8080"), ("Origin", "https://room.example:8080")];
    assert_eq!(site.ask("POST", "/whip/demo/alice", &own, WHIP).await.status, 201);
}

#[tokio::test]
async fn listed_origins_are_let_in() {
    for (list, expected) in [("https://other.example", "https://other.example"), ("*", "*")] {
        let flag = format!("http.allowed_origins={list}");
        let http = Config::parse("", std::path::Path::new(""), &[flag]).unwrap().http;
        let site = Site::with(http, Webrtc::default());
        let preflight = site.ask("OPTIONS", "/whip/demo/alice", &PREFLIGHT, "").await;
        assert_eq!(preflight.status, 204, "{preflight:?}");
        assert_eq!(preflight.header("access-control-allow-origin"), expected);
        for method in ["POST", "PATCH", "DELETE"] {
            assert!(preflight.header("access-control-allow-methods").contains(method), "{preflight:?}");
        }
        let headers = preflight.header("access-control-allow-headers").to_ascii_lowercase();
        assert!(headers.contains("content-type") && headers.contains("if-match"), "{headers}");
        let created = site.ask("POST", "/whip/demo/alice", &[SDP, PREFLIGHT[0]], WHIP).await;
        assert_eq!((created.status, created.header("access-control-allow-origin")), (201, expected));
        assert!(created.header("access-control-expose-headers").contains("Location"), "{created:?}");
    }
}

#[tokio::test]
async fn the_api_shows_rooms_and_tracks() {
    let site = Site::new();
    assert_eq!(site.get("/api/v1/rooms").await.json(), serde_json::json!({ "rooms": [] }));
    site.get("/api/v1/rooms/demo").await.is_problem(404, "not_found");
    site.get("/api/v1/rooms/.demo").await.is_problem(400, "invalid_name");

    let publication = site.publish("demo", "alice");
    let video = publication.publisher().track(FeedKey::new(Codec::H264, Form::Frames)).unwrap();
    let config = AvcConfig::new(vec![SPS.into()], vec![b"\x68\xce".as_slice().into()]).unwrap();
    video.set_params(CodecParams::H264(config));
    let room = site.get("/api/v1/rooms/demo").await.json();
    assert_eq!(site.get("/api/v1/rooms").await.json()["rooms"], serde_json::json!([room]));
    let alice = &room["participants"][0];
    assert_eq!((&alice["name"], &alice["protocol"]), (&"alice".into(), &"rtmp".into()));
    let track = &alice["streams"][0]["tracks"][0];
    for (key, value) in [
        ("kind", Value::from("video")),
        ("codec", "H264".into()),
        ("form", "frames".into()),
        ("profile", "High".into()),
        ("level", "4.0".into()),
        ("width", 1920.into()),
        ("height", 1080.into()),
        ("subscribers", 0.into()),
    ] {
        assert_eq!(track[key], value, "{key} in {track:#}");
    }

    assert_eq!(alice["streams"][0]["warnings"], serde_json::json!([]));
    let metrics = commonroom::metrics::handle();
    let mark = publication.publisher().stream().warn(Warning::BFrames);
    let told =
        site.get("/api/v1/rooms/demo").await.json()["participants"][0]["streams"][0]["warnings"].take();
    let (reason, message) = (Warning::BFrames.as_str(), Warning::BFrames.to_string());
    assert_eq!(told, serde_json::json!([{ "reason": reason, "message": message }]));
    let counted = "commonroom_stream_warnings_total{reason=\"b_frames\"} 1";
    assert!(metrics.render().contains(counted), "{}", metrics.render());
    drop(mark);

    let watched = site.ask("POST", "/whep/demo/alice", &[SDP], WHEP).await;
    assert_eq!(watched.status, 201, "{watched:?}");
    let room = site.get("/api/v1/rooms/demo").await.json();
    let viewers = room["participants"][0]["streams"][0]["viewers"].as_array().unwrap();
    assert_eq!(viewers.len(), 1, "{room:#}");
    assert!(!room.to_string().contains(watched.header("location").trim_start_matches("/session/")));

    drop((video, publication));
    site.get("/api/v1/rooms/demo").await.is_problem(404, "not_found");
    let server = site.get("/api/v1/server").await.json();
    assert_eq!((&server["rtmp_port"], &server["version"]), (&1935.into(), &env!("CARGO_PKG_VERSION").into()));
}

#[tokio::test]
async fn operators_tools_are_served() {
    let site = Site::new();
    assert_eq!(site.get("/healthz").await.status, 200);
    assert_eq!(site.get("/readyz").await.status, 200);
    let text = site.get("/metrics").await.body;
    assert!(
        text.contains("commonroom_http_requests_total{route=\"/healthz\",method=\"GET\",status=\"2xx\"}"),
        "{text}"
    );
    site.stop.cancel();
    site.get("/readyz").await.is_problem(503, "shutting_down");
    assert_eq!(site.get("/healthz").await.status, 200, "it still answers");
}

/// What a page of metrics says: the type of each metric, and the values of its series.
#[derive(Default)]
struct Exposition<'a> {
    described: HashSet<&'a str>,
    kinds: HashMap<&'a str, &'a str>,
    series: HashMap<&'a str, f64>,
}

impl<'a> Exposition<'a> {
    /// Reads Prometheus' text format as strictly as a scraper does, and holds names to its conventions.
    fn read(text: &'a str) -> Self {
        let mut read = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, words) = help.split_once(' ').unwrap_or_else(|| panic!("{line}"));
                assert!(words.ends_with('.') && read.described.insert(name), "{line}");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap_or_else(|| panic!("{line}"));
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                assert!(kind != "histogram" || name.ends_with("_seconds"), "{line}");
                assert!(read.kinds.insert(name, kind).is_none(), "twice: {line}");
            } else {
                let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
                let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
                assert!(
                    name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
                    "{line}"
                );
                let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("{line}"));
                for label in labels.split("\",").filter(|label| !label.is_empty()) {
                    let (label, text) = label.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
                    assert!(label.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{line}");
                    assert!(!text.trim_end_matches('"').contains(['"', '\\']), "{line}");
                }
                let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
                assert!(read.series.insert(series, value).is_none(), "twice: {line}");
                let parts = ["_bucket", "_sum", "_count"];
                let part_of = parts.iter().find_map(|part| name.strip_suffix(part));
                let metric =
                    part_of.filter(|base| read.kinds.get(base) == Some(&"histogram")).unwrap_or(name);
                assert!(read.kinds.contains_key(metric), "no type: {line}");
                assert!(read.described.contains(metric), "no description: {line}");
            }
        }
        read
    }
}

#[tokio::test]
async fn the_metrics_are_what_prometheus_reads_and_fill_a_dashboard() {
    let gateway = Gateway::start(gateway_config()).unwrap();
    let address = gateway.addresses().http;
    let stop = CancellationToken::new();
    let running = tokio::spawn(gateway.run(stop.clone()));
    let ask = async |method: &str, path: &str, body: &str| {
        let mut connection = Connection(BufReader::new(TcpStream::connect(address).await.unwrap()));
        connection.send(method, path, &[SDP], body).await;
        connection.response().await
    };
    assert_eq!(ask("POST", "/whip/demo/alice", WHIP).await.status, 201);
    let page = ask("GET", "/metrics", "").await;
    assert_eq!(page.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let read = Exposition::read(&page.body);
    let per_kind = ["sessions", "sessions_started_total", "media_bytes_total", "media_packets_total"];
    let losses =
        ["lost_packets_total", "retransmitted_packets_total", "nacks_total", "keyframe_requests_total"];
    for name in per_kind.into_iter().chain(losses) {
        for kind in ["publisher", "viewer"] {
            let series = format!("commonroom_webrtc_{name}{{kind=\"{kind}\"}}");
            assert!(read.series.contains_key(&series[..]), "{series}");
        }
    }
    assert!(read.series["commonroom_webrtc_sessions{kind=\"publisher\"}"] >= 1.0);
    let whip = "commonroom_http_request_seconds_count{route=\"/whip/{room}/{participant}\"}";
    assert!(read.series[whip] >= 1.0, "{}", page.body);
    for name in ["resident_memory_bytes", "open_fds", "max_fds", "start_time_seconds"] {
        assert!(read.series[&format!("process_{name}")[..]] > 0.0, "{name}");
    }
    assert!(read.series.contains_key("process_cpu_seconds_total"));
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn pages_come_with_a_strict_policy() {
    let site = Site::new();
    for path in ["/", "/watch/demo/alice", "/publish/demo/alice"] {
        let page = site.get(path).await;
        assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"), "{path}");
        let policy = page.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(page.header("cache-control"), "no-cache", "{path}: not what other answers have");
    }
    assert_eq!(site.get("/healthz").await.header("cache-control"), "no-store");
}

#[tokio::test]
async fn connections_that_do_nothing_keep_nobody_out() {
    let site = Site::with(Http { max_connections: 3, ..Http::default() }, Webrtc::default());
    let (mut used, mut silent, mut slow) = (site.connect().await, site.connect().await, site.connect().await);
    slow.0
        .write_all(b"POST /whip/a/b HTTP/1.1\r\nHost: room.example\r\nContent-Length: 100\r\n\r\n")
        .await
        .unwrap();
    used.send("GET", "/healthz", &[], "").await;
    assert_eq!(used.response().await.status, 200);
    let mut newcomer = site.connect().await;
    newcomer.send("GET", "/healthz", &[], "").await;
    assert_eq!(newcomer.response().await.status, 200, "there is a place for who comes with a question");
    assert_eq!(silent.closed().await, "", "the one that had done nothing for longest has given way");
    // Places are given back: the next one gives way only to one more.
    drop(newcomer);
    assert_eq!(site.get("/healthz").await.status, 200);
    used.send("GET", "/healthz", &[], "").await;
    assert_eq!(used.response().await.status, 200);
}

#[tokio::test]
async fn a_head_has_bounds() {
    let site = Site::new();
    let many: Vec<_> = (0..100).map(|_| ("X-Header", "value")).collect();
    assert_eq!(site.ask("GET", "/healthz", &many, "").await.status, 431);
    let long = "x".repeat(100_000);
    assert_eq!(site.ask("GET", "/healthz", &[("X-Header", &long)], "").await.status, 431);
    let mut garbage = site.connect().await;
    garbage.0.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n").await.unwrap();
    assert!(garbage.closed().await.starts_with("HTTP/1.1 400"), "TLS, for one, is not spoken here");
    assert_eq!(site.get("/healthz").await.status, 200, "nobody else notices");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_go_on_is_given_up() {
    let http = Http { request_timeout: Span(Duration::from_secs(3)), ..Http::default() };
    let site = Site::with(http, Webrtc::default());
    let mut silent = site.connect().await;
    assert_eq!(silent.closed().await, "");
    let mut head = site.connect().await;
    head.0.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
    head.closed().await;
    let mut body = site.connect().await;
    let request =
        "POST /whip/a/b HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\nContent-Length: 9\r\n\r\nv";
    body.0.write_all(request.as_bytes()).await.unwrap();
    body.response().await.is_problem(408, "timeout");
}

#[tokio::test]
async fn http_goes_down_in_time_whoever_is_connected() {
    let site = Site::new();
    let mut idle = site.connect().await;
    idle.send("GET", "/healthz", &[], "").await;
    assert_eq!(idle.response().await.status, 200);
    let mut stuck = site.connect().await;
    stuck.0.write_all(b"POST /whip/a/b HTTP/1.1\r\nContent-Length: 9\r\n\r\n").await.unwrap();
    site.http_stop.cancel();
    tokio::time::timeout(Duration::from_secs(2), site.running).await.expect("within two seconds").unwrap();
    assert_eq!(idle.closed().await, "");
}

fn gateway_config() -> Config {
    let mut config = Config::default();
    config.rtmp.listen = any_port();
    config.http.listen = any_port();
    config.webrtc.listen = any_port();
    config
}

#[tokio::test]
async fn a_port_in_use_is_named_with_its_key() {
    let first = Gateway::start(gateway_config()).unwrap();
    let taken = first.addresses();
    let [mut rtmp, mut http, mut webrtc] = [gateway_config(), gateway_config(), gateway_config()];
    rtmp.rtmp.listen = taken.rtmp;
    http.http.listen = taken.http;
    webrtc.webrtc.listen = taken.webrtc;
    for (key, config) in [("rtmp.listen", rtmp), ("http.listen", http), ("webrtc.listen", webrtc)] {
        let error = Gateway::start(config).err().expect("the port is taken").to_string();
        assert!(error.contains(key) && error.contains("another port"), "{error}");
    }
}

#[tokio::test]
async fn the_gateway_serves_and_ends() {
    let gateway = Gateway::start(gateway_config()).unwrap();
    let addresses = gateway.addresses();
    let stop = CancellationToken::new();
    let running = tokio::spawn(gateway.run(stop.clone()));
    let mut connection = Connection(BufReader::new(TcpStream::connect(addresses.http).await.unwrap()));
    connection.send("GET", "/readyz", &[], "").await;
    assert_eq!(connection.response().await.status, 200);
    // Somebody on RTMP who never says a word must not hold up the end.
    let silent = TcpStream::connect(addresses.rtmp).await.unwrap();
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), running).await.expect("within five seconds").unwrap();
    assert!(TcpStream::connect(addresses.http).await.is_err());
    drop(silent);
}
