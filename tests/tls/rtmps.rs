//! RTMP behind TLS on the port of plain RTMP.

use crate::client::{DATA, PATIENCE, Site, files, try_connect};
use crate::rtmp::{Client, show};
use commonroom::protocol::amf0::{Object, Value};
use commonroom::protocol::rtmp::chunk::kind;
use std::path::Path;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

const AVC_CONFIG: &[u8] =
    &[0x17, 0, 0, 0, 0, 1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 4, 0x67, 0x42, 0xc0, 0x1e, 1, 0, 2, 0x68, 0xce];

struct Peer<S> {
    stream: S,
    client: Client,
    heard: Vec<String>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    async fn connect(stream: S) -> Self {
        let mut peer = Self { stream, client: Client::new(), heard: Vec::new() };
        while !peer.client.is_open() {
            peer.flush().await;
            assert!(peer.read().await, "closed within the handshake");
        }
        peer.client.set_chunk_size();
        peer.client.connect("room");
        peer.client.call(0, "createStream", 2.0, &[]);
        peer.until("_result 1").await;
        peer
    }

    async fn publish(&mut self, name: &str) {
        self.client.call(1, "publish", 3.0, &[Value::text(name), Value::text("live")]);
        self.until("onStatus NetStream.Publish.Start").await;
        self.client.data(&[Value::text("onMetaData"), Value::Object(Object::default())]);
        self.client.send(kind::VIDEO, 1, 0, AVC_CONFIG);
    }

    async fn flush(&mut self) {
        let bytes = self.client.take_output();
        self.stream.write_all(&bytes).await.expect("it reads");
        self.stream.flush().await.expect("it reads");
    }

    async fn read(&mut self) -> bool {
        let mut input = vec![0; 1 << 16];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut input)).await;
        let read = read.unwrap_or_else(|_| panic!("heard only {:?}", self.heard)).unwrap_or(0);
        self.heard.extend(self.client.receive(&input[..read]).iter().map(show));
        read > 0
    }

    async fn until(&mut self, wanted: &str) {
        self.flush().await;
        while !self.heard.iter().any(|heard| heard.starts_with(wanted)) {
            assert!(self.read().await, "closed after {:?}", self.heard);
        }
    }
}

/// A keyframe of so many bytes.
fn picture(size: usize) -> Vec<u8> {
    let mut body = vec![0x17, 1, 0, 0, 0];
    body.extend(u32::try_from(size).expect("small").to_be_bytes());
    body.push(0x65);
    body.resize(body.len() + size - 1, 0xaa);
    body
}

#[tokio::test]
async fn both_kinds_of_rtmp_share_a_port_and_see_each_other() {
    let site = Site::start(&files(Path::new(DATA), "rsa"));
    let secure = async || try_connect(site.at.rtmp, "localhost", &[]).await.expect("it greets");
    let mut publisher = Peer::connect(secure().await).await;
    publisher.publish("alice").await;
    // More than TLS and the socket hold between them, in one piece.
    publisher.client.send(kind::VIDEO, 1, 40, &picture(3 << 20));
    publisher.flush().await;
    let mut plain = Peer::connect(TcpStream::connect(site.at.rtmp).await.unwrap()).await;
    let mut player = Peer::connect(secure().await).await;
    plain.client.call(1, "play", 3.0, &[Value::text("alice")]);
    player.client.call(1, "play", 3.0, &[Value::text("alice")]);
    plain.until("video [17, 01").await;
    player.until("video [17, 01").await;
    publisher.client.send(kind::VIDEO, 1, 80, &[0x27, 1, 0, 0, 0, 0, 0, 0, 2, 0x41, 7]);
    publisher.flush().await;
    plain.until("video [27, 01, 00, 00, 00, 00, 00, 00, 02, 41, 07]").await;
    // The last bytes of what waits are handed on although nothing follows them.
    player.until("video [27, 01, 00, 00, 00, 00, 00, 00, 02, 41, 07]").await;
    site.stop().await;
}

#[tokio::test]
async fn a_client_that_says_nothing_has_the_time_that_rtmp_gives() {
    let mut options = files(Path::new(DATA), "ecdsa").to_vec();
    options.push("rtmp.setup_timeout=100ms".to_owned());
    let site = Site::start(&options);
    let mut silent = TcpStream::connect(site.at.rtmp).await.unwrap();
    let read = tokio::time::timeout(PATIENCE, silent.read(&mut [0])).await.expect("it is closed");
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    site.stop().await;
}
