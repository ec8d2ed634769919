//! What is there to be read: rooms, tracks, metrics, pages; and pages of others, which are kept out.

use crate::client::{Connection, SDP, WHEP, WHIP, gateway_config};
use crate::site::Site;
use commonroom::codec::h264::AvcConfig;
use commonroom::config::{Config, Webrtc};
use commonroom::gateway::Gateway;
use commonroom::media::{Codec, CodecParams};
use commonroom::stream::{FeedKey, Form, Warning};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// x264's parameter sets of 1920x1080, High, level 4.0.
const SPS: &[u8] = b"\x67\x64\x00\x28\xac\xd9\x40\x78\x02\x27\xe5\xc0\x44\x00\x00\x03\x00\x04\x00\x00\x03\x00\xf0\x3c\x60\xc6\x58";
const PREFLIGHT: [(&str, &str); 2] =
    [("Origin", "https://other.example"), ("Access-Control-Request-Method", "POST")];

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
