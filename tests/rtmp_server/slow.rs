//! Players that take less than they are sent, and what becomes of them and of others.

use crate::client::{AAC_CONFIG, AVC_CONFIG, Gateway, PATIENCE, Peer, line, picture};
use commonroom::config::Span;
use commonroom::protocol::amf0::Value;
use commonroom::protocol::rtmp::chunk::kind;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpSocket;

/// What a client's system takes that nobody reads: little, so that all that is not read stays with the server.
const RECEIVE_BUFFER: u32 = 32 << 10;
const INTERVAL: Duration = Duration::from_millis(5);
const GOP: u32 = 20;
/// Sent while the player is slow: 12 MB.
const PICTURES: u32 = 600;

/// A picture of 20 KB that says which it is.
fn numbered(index: u32) -> Vec<u8> {
    picture(index.is_multiple_of(GOP), &[&index.to_be_bytes()[..], &[9; 20_000]].concat())
}

impl Gateway {
    async fn connect_with_little_room(&self) -> Peer {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(RECEIVE_BUFFER).expect("a small buffer");
        let socket = socket.connect(self.address).await.expect("the server listens");
        Peer::connect(socket, "room").await
    }

    /// A publisher that has sent the configuration of its picture.
    async fn publish_picture(&self, key: &str) -> Peer {
        let mut publisher = self.publish(key).await;
        publisher.client.set_chunk_size();
        publisher.client.send(kind::VIDEO, 1, 0, AVC_CONFIG);
        publisher.settle().await;
        publisher
    }
}

impl Peer {
    async fn publish_numbered(&mut self, index: u32) {
        self.client.send(kind::VIDEO, 1, index * 5, &numbered(index));
        self.flush().await;
    }

    /// Reads once, so many bytes at most: the numbers of the pictures that are complete with them, and whether each is a
    /// keyframe.
    async fn sip(&mut self, most: usize) -> Vec<(u32, bool)> {
        let mut input = vec![0; most];
        let read = tokio::time::timeout(PATIENCE, self.socket.read(&mut input)).await;
        let read = read.expect("there is something").expect("the connection stands");
        assert_ne!(read, 0, "closed");
        let messages = self.client.receive(&input[..read]);
        let pictures = messages.iter().filter(|message| message.kind == kind::VIDEO && message.body[1] == 1);
        pictures
            .map(|picture| {
                let number = picture.body[10..14].try_into().expect("4 bytes");
                (u32::from_be_bytes(number), picture.body[0] == 0x17)
            })
            .collect()
    }
}

/// It says nothing either: what it takes is its only sign of life.
#[tokio::test]
async fn a_slow_player_stays_and_loses_whole_gops() {
    let gateway = Gateway::start(|config| {
        config.idle_timeout = Span(Duration::from_millis(2_500));
        config.player_delay = Span(Duration::from_millis(300));
    });
    let mut publisher = gateway.publish_picture("alice").await;
    let mut player = gateway.connect_with_little_room().await;
    player.client.call(1, "play", 3.0, &[Value::text("alice")]);
    player.until("onStatus NetStream.Play.Start").await;

    let mut seen = vec![];
    for index in 0..PICTURES {
        publisher.publish_numbered(index).await;
        tokio::time::sleep(INTERVAL).await;
        if index % 10 == 0 {
            seen.extend(player.sip(20_000).await); // a tenth of what is sent
        }
    }
    let slowly = seen.len();
    // Now it takes all that it can get.
    let newest = PICTURES + 2 * GOP;
    for index in PICTURES..=newest {
        publisher.publish_numbered(index).await;
        let reading = async {
            loop {
                seen.extend(player.sip(1 << 16).await);
            }
        };
        let _: Result<(), _> = tokio::time::timeout(INTERVAL, reading).await;
    }
    while seen.last().is_some_and(|(index, _)| *index < newest) {
        seen.extend(player.sip(1 << 16).await);
    }

    assert_eq!(seen[0], (0, true));
    let losses: Vec<_> = seen.windows(2).filter(|pair| pair[1].0 != pair[0].0 + 1).collect();
    assert!(!losses.is_empty(), "it cannot have had all");
    assert!(losses.iter().all(|pair| pair[1].1 && pair[0].0 < pair[1].0), "{losses:?}");
    let waited = seen[slowly..].iter().filter(|(index, _)| *index < PICTURES).count();
    assert!(waited < 300, "{waited} pictures waited for a player that had {slowly}");
}

/// As Flash applications do it, over one connection.
#[tokio::test]
async fn who_plays_slowly_publishes_as_ever() {
    let gateway = Gateway::start(|_| {});
    let mut alice = gateway.publish_picture("alice").await;
    let mut bob = gateway.connect_with_little_room().await;
    bob.client.call(1, "publish", 3.0, &[Value::text("bob"), Value::text("live")]);
    bob.client.send(kind::AUDIO, 1, 0, AAC_CONFIG);
    bob.client.call(0, "createStream", 4.0, &[]);
    bob.client.call(2, "play", 5.0, &[Value::text("alice")]);
    bob.until("2: onStatus NetStream.Play.Start").await;
    let mut listener = gateway.play("bob").await;
    listener.until("onStatus NetStream.Play.Start").await;

    for index in 0..100 {
        alice.publish_numbered(index).await; // more than any socket takes, and bob reads nothing
    }
    alice.settle().await;
    let sound = [0xaf, 1, 7];
    bob.client.send(kind::AUDIO, 1, 20, &sound);
    bob.flush().await;
    listener.until(&line("audio", &sound)).await;
}
