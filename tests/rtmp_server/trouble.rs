//! Clients that do what they should not, or nothing: they harm themselves alone.

use crate::client::{Gateway, PATIENCE, picture};
use commonroom::config::Span;
use commonroom::protocol::amf0::Value;
use commonroom::protocol::rtmp::chunk::kind;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A room hears of each publication, so its members would hear of nothing else.
#[tokio::test]
async fn who_begins_and_ends_without_rest_is_closed() {
    let gateway = Gateway::start(|_| {});
    for request in ["publish", "play"] {
        let mut restless = gateway.connect("room").await;
        for _ in 0..64 {
            restless.client.call(1, "publish", 0.0, &[Value::text("alice")]);
            restless.client.call(1, "closeStream", 0.0, &[]);
        }
        restless.settle().await;
        for _ in 0..64 {
            restless.client.call(1, request, 0.0, &[Value::text("alice")]);
            restless.client.call(1, "closeStream", 0.0, &[]);
        }
        assert_eq!(
            restless.rest().await.last().map(String::as_str),
            Some("onStatus NetConnection.Connect.Closed")
        );
        assert_eq!(restless.told.last().map(String::as_str), Some("too many requests to publish or to play"));
    }
}

#[tokio::test]
async fn who_breaks_the_protocol_hears_how() {
    let gateway = Gateway::start(|config| config.setup_timeout = Span(Duration::from_millis(500)));
    let chunk_size_0: &[u8] = &[2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    let too_long: &[u8] = &[3, 0, 0, 0, 0xff, 0xff, 0xff, 9, 1, 0, 0, 0];
    let bad_amf: &[u8] = &[3, 0, 0, 0, 0, 0, 1, 20, 0, 0, 0, 0, 0x0e];
    for bytes in [chunk_size_0, too_long, bad_amf, &[]] {
        let mut peer = gateway.connect("room").await;
        peer.client.output.extend(bytes);
        assert_eq!(peer.rest().await, ["onStatus NetConnection.Connect.Closed"], "{bytes:02x?}");
    }
}

#[tokio::test]
async fn a_name_is_free_as_soon_as_its_connection_closes() {
    let gateway = Gateway::start(|_| {});
    let mut first = gateway.publish("alice").await;
    first.client.call(7, "publish", 4.0, &[Value::text("bob")]); // on a stream that it never made
    first.until("7: onStatus NetStream.Publish.Rejected").await;
    gateway.publish("alice").await; // while its socket is open
}

#[tokio::test]
async fn garbage_harms_its_sender_alone() {
    let gateway = Gateway::start(|_| {});
    let mut publisher = gateway.publish("alice").await;
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[3; 9_000]] {
        let mut socket = TcpStream::connect(gateway.address).await.unwrap();
        let _ = socket.write_all(bytes).await;
        let mut answer = vec![];
        let closed = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await;
        assert!(closed.is_ok(), "still open");
    }
    publisher.settle().await;
}

#[tokio::test]
async fn a_player_that_reads_nothing_is_closed_and_nobody_else_waits() {
    let gateway = Gateway::start(|config| config.write_timeout = Span(Duration::from_millis(500)));
    let mut publisher = gateway.publish_media("alice").await;
    let mut lazy = gateway.play("alice").await;
    lazy.flush().await;
    let slice = vec![9; 300_000];
    for index in 0..60 {
        publisher.client.send(kind::VIDEO, 1, 2_000 + index * 40, &picture(index % 10 == 0, &slice));
        publisher.settle().await;
    }
    // The server gives the player up while its socket's buffers are full: what was sent ends without a farewell.
    let stream = gateway.stream("alice");
    let gone = async {
        while stream.feeds().iter().any(|feed| feed.subscribers > 0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the player is given up");
    let heard = lazy.rest().await;
    assert!(!heard.iter().any(|heard| heard.starts_with("eof")), "an orderly end");
}

#[tokio::test]
async fn connections_are_limited_and_those_that_do_nothing_give_way() {
    let gateway = Gateway::start(|config| config.max_connections = 2);
    let mut first = gateway.publish("alice").await;
    let mut silent = TcpStream::connect(gateway.address).await.unwrap();
    let mut second = gateway.publish("bob").await;
    closed(&mut silent).await;
    let mut third = TcpStream::connect(gateway.address).await.unwrap();
    closed(&mut third).await;
    first.settle().await;
    second.settle().await;
}

/// Waits until the server has closed without a word.
async fn closed(socket: &mut TcpStream) {
    let mut answer = vec![];
    let read = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await.expect("closed");
    assert_eq!(read.unwrap_or(0), 0);
}
