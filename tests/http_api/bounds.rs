//! What holds whoever is connected: bounds, timeouts, and the order in which all ends.

use crate::client::{Connection, gateway_config};
use crate::site::Site;
use commonroom::config::{Http, Span, Webrtc};
use commonroom::gateway::Gateway;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

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
