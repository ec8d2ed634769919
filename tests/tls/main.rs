//! TLS over real sockets: what is served, which certificate is shown, and what becomes of clients who do it wrong.

mod client;
#[path = "../common/rtmp.rs"]
mod rtmp;
mod rtmps;

use client::{DATA, PATIENCE, Site, connect, files, get, scratch, shown, try_connect};
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(Path::new(DATA).join(name)).expect("a certificate")
}

#[tokio::test]
async fn the_same_is_served_as_without_tls() {
    let site = Site::start(&files(Path::new(DATA), "ecdsa"));
    let mut secure = connect(site.https()).await;
    assert_eq!(secure.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]), "h2 was offered before it");
    assert_eq!(shown(&secure), certificate("ecdsa.pem"));
    let mut plain = TcpStream::connect(site.at.http).await.unwrap();
    for path in ["/", "/watch/a/b", "/api/v1/rooms", "/nowhere"] {
        let (over_tls, without) =
            (get(&mut secure, path).await.unwrap(), get(&mut plain, path).await.unwrap());
        let rest = |answer: &str| {
            let lines = answer.lines().filter(|line| !line.starts_with("date: "));
            lines.map(ToOwned::to_owned).collect::<Vec<_>>()
        };
        assert!(over_tls.starts_with("HTTP/1.1 "), "{over_tls}");
        assert_eq!(rest(&over_tls), rest(&without), "{path}");
    }
    // Pages must be able to tell where cameras are to be had.
    let told = format!("\"https_port\":{}", site.https().port());
    assert!(get(&mut plain, "/api/v1/server").await.unwrap().contains(&told));
    site.stop().await;
}

#[tokio::test]
async fn rooms_are_entered_over_secure_websockets() {
    let site = Site::start(&files(Path::new(DATA), "rsa"));
    let stream = connect(site.https()).await;
    let address = format!("wss://localhost:{}/", site.https().port());
    let (mut socket, _) = client_async(address, stream).await.expect("it is accepted");
    let introduction = r#"{"message": "connection", "data": [{"appKey": "roomApp", "mediaProviders": ["WebRTC"],
        "clientVersion": "2.0", "custom": {"login": "alice"}}]}"#;
    socket.send(Message::text(introduction)).await.expect("it reads");
    let answer =
        tokio::time::timeout(PATIENCE, socket.next()).await.expect("it answers").expect("it stays open");
    let answer = answer.expect("whole").into_text().expect("text");
    assert!(answer.contains("\"getUserData\"") && answer.contains("alice"), "{answer}");
    site.stop().await;
}

#[tokio::test]
async fn a_client_that_speaks_no_common_protocol_is_refused() {
    let site = Site::start(&files(Path::new(DATA), "rsa"));
    let error =
        try_connect(site.https(), "localhost", &["h2"]).await.expect_err("h2 is not served").to_string();
    assert!(error.contains("NoApplicationProtocol"), "{error}");
    let quiet = try_connect(site.https(), "localhost", &[]).await.expect("who names none speaks HTTP/1.1");
    assert_eq!(shown(&quiet), certificate("rsa.pem"));
    // No order runs, so no authority has anything to ask.
    assert!(try_connect(site.https(), "localhost", &["acme-tls/1"]).await.is_err());
    site.stop().await;
}

#[tokio::test]
async fn a_changed_certificate_is_served_and_no_connection_ends() {
    let folder = scratch("reload");
    let put = |name: &str, extension: &str| {
        // As careful tools do it: what is in place is always whole.
        let new = folder.join(format!("new.{extension}"));
        fs::copy(Path::new(DATA).join(format!("{name}.{extension}")), &new).unwrap();
        fs::rename(new, folder.join(format!("live.{extension}"))).unwrap();
    };
    put("ecdsa", "pem");
    put("ecdsa", "key");
    let site = Site::start(&files(&folder, "live"));
    let mut old = connect(site.https()).await;
    let is_shown = async |name: &str| shown(&connect(site.https()).await) == certificate(name);
    let becomes = async |name: &str| {
        let until = tokio::time::Instant::now() + PATIENCE;
        while !is_shown(name).await {
            assert!(tokio::time::Instant::now() < until, "{name} is not shown");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    assert!(is_shown("ecdsa.pem").await);
    put("rsa", "pem");
    put("rsa", "key");
    becomes("rsa.pem").await;
    let metrics = get(&mut old, "/metrics").await.unwrap();
    assert!(metrics.contains("commonroom_tls_certificate_expiry_timestamp_seconds 4"), "{metrics}");
    assert!(metrics.contains("commonroom_tls_reloads_total{result=\"done\"} "), "{metrics}");

    // A key that belongs to another certificate.
    put("ecdsa", "key");
    let failed = "commonroom_tls_reloads_total{result=\"failed\"} 1\n";
    let until = tokio::time::Instant::now() + PATIENCE;
    while !get(&mut old, "/metrics").await.unwrap().contains(failed) {
        assert!(tokio::time::Instant::now() < until, "the bad pair goes unnoticed");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(is_shown("rsa.pem").await, "the old one stays");
    put("ecdsa", "pem");
    becomes("ecdsa.pem").await;
    assert!(get(&mut old, "/healthz").await.unwrap().ends_with("ok\n"), "the first connection still serves");
    site.stop().await;
    fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_self_signed_certificate_is_the_same_after_a_restart() {
    let folder = scratch("self-signed");
    let options = ["http.tls.self_signed=true".to_owned(), format!("http.tls.state={}", folder.display())];
    let mut seen = Vec::new();
    for _ in 0..2 {
        let site = Site::start(&options);
        let mut stream = connect(site.https()).await;
        assert!(get(&mut stream, "/readyz").await.unwrap().ends_with("ready\n"));
        seen.push(shown(&stream));
        drop(stream);
        site.stop().await;
    }
    assert_eq!(seen[0], seen[1]);
    fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn who_speaks_something_else_to_the_port_is_told_or_closed() {
    let site = Site::start(&files(Path::new(DATA), "ecdsa"));
    let mut person = TcpStream::connect(site.https()).await.unwrap();
    let answer = get(&mut person, "/r/demo?x=1").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 307 "), "{answer}");
    assert!(answer.contains("\r\nlocation: https://room.example:8443/r/demo?x=1\r\n"), "{answer}");
    for rubbish in [&b"\x03rtmp and so on"[..], b"\x16\x03\x01\xff\xff\xff", b"\x16\x00", b"\0"] {
        let mut socket = TcpStream::connect(site.https()).await.unwrap();
        socket.write_all(rubbish).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // A reset is a close, too.
        drop(tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await.expect("it closes"));
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400 ") || answer[0] == 0x15, "{answer:?}");
    }
    assert!(get(&mut connect(site.https()).await, "/healthz").await.unwrap().ends_with("ok\n"));
    site.stop().await;
}

#[tokio::test]
async fn a_handshake_that_dawdles_is_given_up_and_keeps_nobody_out() {
    let mut options = files(Path::new(DATA), "ecdsa").to_vec();
    options.push("http.max_connections=2".to_owned());
    let site = Site::start(&options);
    let mut slow = Vec::new();
    for _ in 0..3 {
        let mut socket = TcpStream::connect(site.https()).await.unwrap();
        // A record that announces 512 bytes of a handshake, and three of them.
        socket.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01").await.unwrap();
        slow.push(socket);
    }
    // The first of them had to give way to the third.
    let read = tokio::time::timeout(PATIENCE, slow[0].read(&mut [0; 16])).await.expect("it is closed");
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    assert!(get(&mut connect(site.https()).await, "/healthz").await.unwrap().ends_with("ok\n"));
    // The last one is left alone until its time is up.
    let before = tokio::time::Instant::now();
    let read = tokio::time::timeout(PATIENCE, slow[2].read(&mut [0; 16])).await.expect("it is given up");
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    let waited = before.elapsed();
    assert!((5..15).contains(&waited.as_secs()), "{waited:?}");
    site.stop().await;
}

#[tokio::test]
async fn a_stop_ends_secure_connections_in_order() {
    let site = Site::start(&files(Path::new(DATA), "ecdsa"));
    let mut idle = connect(site.https()).await;
    assert!(get(&mut idle, "/healthz").await.unwrap().ends_with("ok\n"));
    let half_greeted = TcpStream::connect(site.https()).await.unwrap();
    site.stop().await;
    // With the farewell of TLS: without one this is an error.
    assert_eq!(idle.read(&mut [0; 16]).await.unwrap(), 0);
    drop(half_greeted);
}
