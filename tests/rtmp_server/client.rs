//! A server of RTMP on a port of its own, and a client with a socket that speaks to it.

use crate::rtmp::{Client, show};
use bytes::BytesMut;
use commonroom::bridge::Bridge;
use commonroom::config;
use commonroom::protocol::amf0::Value;
use commonroom::protocol::rtmp::Command;
use commonroom::protocol::rtmp::chunk::{RawMessage, kind};
use commonroom::protocol::rtmp::message::Message;
use commonroom::room::{Limits, RecordingPolicy, Rooms};
use commonroom::server::conference::{Conference, Services};
use commonroom::server::rtmp::Server;
use commonroom::server::webrtc;
use commonroom::stream::Stream;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Nothing here takes longer than an eye's blink; whatever does has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
pub(crate) const LIMITS: Limits = Limits {
    rooms: 9,
    participants: 9,
    streams: 4,
    messages_per_second: 5,
    message_length: 4_000,
    history: 10,
    linger: Duration::from_secs(30),
    recording: RecordingPolicy::Never,
};
pub(crate) const AVC_CONFIG: &[u8] =
    &[0x17, 0, 0, 0, 0, 1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 4, 0x67, 0x42, 0xc0, 0x1e, 1, 0, 2, 0x68, 0xce];
pub(crate) const AAC_CONFIG: &[u8] = &[0xaf, 0, 0x11, 0x90];

pub(crate) struct Gateway {
    pub(crate) rooms: Rooms,
    pub(crate) bridge: Bridge,
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

impl Gateway {
    pub(crate) fn start(change: impl FnOnce(&mut config::Rtmp)) -> Self {
        Self::with(LIMITS, change)
    }

    pub(crate) fn with(limits: Limits, change: impl FnOnce(&mut config::Rtmp)) -> Self {
        let mut config = config::Rtmp { listen: (Ipv4Addr::LOCALHOST, 0).into(), ..config::Rtmp::default() };
        change(&mut config);
        let (rooms, stop) =
            (Rooms::new(limits, commonroom::time::NtpTime::default()), CancellationToken::new());
        let bridge = Bridge::default();
        let server =
            Server::bind(config, rooms.clone(), bridge.clone(), None, stop.clone()).expect("a free port");
        let address = server.local_addr().expect("it is bound");
        let media = config::Webrtc { listen: (Ipv4Addr::LOCALHOST, 0).into(), ..config::Webrtc::default() };
        let conference = Conference::new(Services {
            rooms: rooms.clone(),
            bridge: bridge.clone(),
            webrtc: webrtc::Server::bind(media, bridge.clone(), stop.clone()).expect("a free port"),
            rtmp_port: address.port(),
            stop: stop.clone(),
        });
        Self {
            rooms,
            bridge,
            address,
            stop,
            task: tokio::spawn(async move { server.run(&conference).await }),
        }
    }

    pub(crate) fn stream(&self, participant: &str) -> Stream {
        let name = |name: &str| name.parse().expect("a name");
        self.rooms.find(&name("room"), participant).expect("it is published")
    }

    pub(crate) async fn connect(&self, app: &str) -> Peer {
        Peer::connect(TcpStream::connect(self.address).await.expect("the server listens"), app).await
    }

    pub(crate) async fn publish(&self, key: &str) -> Peer {
        let mut peer = self.connect("room").await;
        peer.client.call(1, "publish", 3.0, &[Value::text(key), Value::text("live")]);
        peer.until("onStatus NetStream.Publish.Start").await;
        peer
    }

    /// A publisher that has sent its headers and one GOP.
    pub(crate) async fn publish_media(&self, key: &str) -> Peer {
        let mut peer = self.publish(key).await;
        peer.client.set_chunk_size();
        peer.client.send(kind::VIDEO, 1, 0, AVC_CONFIG);
        peer.client.send(kind::AUDIO, 1, 0, AAC_CONFIG);
        peer.client.send(kind::VIDEO, 1, 1_000, &picture(true, &[1]));
        peer.client.send(kind::AUDIO, 1, 1_005, &[0xaf, 1, 5]);
        peer.client.send(kind::VIDEO, 1, 1_040, &picture(false, &[2]));
        peer.settle().await;
        peer
    }

    pub(crate) async fn play(&self, key: &str) -> Peer {
        let mut peer = self.connect("room").await;
        peer.client.call(1, "play", 3.0, &[Value::text(key)]);
        peer
    }
}

/// A client and its socket.
pub(crate) struct Peer {
    pub(crate) socket: TcpStream,
    pub(crate) client: Client,
    pub(crate) heard: Vec<String>,
    /// Kinds and times of the frames that came.
    pub(crate) frames: Vec<(u8, u32)>,
    /// The words of the reports of level "warning".
    pub(crate) warned: Vec<String>,
    /// The same of level "error".
    pub(crate) told: Vec<String>,
}

impl Peer {
    pub(crate) async fn connect(socket: TcpStream, app: &str) -> Self {
        let mut peer = Self::open(socket).await;
        peer.client.connect(app);
        peer.client.call(0, "createStream", 2.0, &[]);
        peer.until("_result 1").await;
        peer
    }

    /// With no more than the handshake done.
    pub(crate) async fn open(socket: TcpStream) -> Self {
        let (heard, frames, warned, told) = Default::default();
        let mut peer = Self { socket, client: Client::new(), heard, frames, warned, told };
        while !peer.client.is_open() {
            peer.flush().await;
            peer.read().await;
        }
        peer
    }

    pub(crate) async fn flush(&mut self) {
        let bytes = self.client.take_output();
        tokio::time::timeout(PATIENCE, self.socket.write_all(&bytes)).await.expect("it reads").expect("sent");
    }

    /// Reads once. `false` when the server has closed.
    pub(crate) async fn read(&mut self) -> bool {
        let mut input = BytesMut::with_capacity(1 << 16);
        let read = tokio::time::timeout(PATIENCE, self.socket.read_buf(&mut input)).await;
        let read = read.unwrap_or_else(|_| panic!("heard only {:?}", self.heard)).unwrap_or(0);
        let messages = self.client.receive(&input);
        self.heard.extend(messages.iter().map(show));
        let is_media = |raw: &&RawMessage| matches!(raw.kind, kind::AUDIO | kind::VIDEO);
        let is_frame = |raw: &&RawMessage| is_media(raw) && raw.body.get(1) == Some(&1);
        self.frames.extend(messages.iter().filter(is_frame).map(|raw| (raw.kind, raw.time.0)));
        self.warned.extend(messages.iter().filter_map(|raw| report(raw, "warning")));
        self.told.extend(messages.iter().filter_map(|raw| report(raw, "error")));
        read > 0
    }

    /// Sends what waits and reads until the server says `last`; all that it said.
    pub(crate) async fn until(&mut self, last: &str) -> Vec<String> {
        self.flush().await;
        loop {
            if let Some(at) = self.heard.iter().position(|heard| heard == last) {
                return self.heard.drain(..=at).collect();
            }
            assert!(self.read().await, "closed after {:?}", self.heard);
        }
    }

    /// Waits until the server has handled what was sent.
    pub(crate) async fn settle(&mut self) {
        self.client.send(kind::USER_CONTROL, 0, 0, &[0, 6, 0, 0, 0, 1]);
        self.until("UserControl(PingResponse(1))").await;
    }

    /// All that the server still says until it closes.
    pub(crate) async fn rest(&mut self) -> Vec<String> {
        self.flush().await;
        while self.read().await {}
        std::mem::take(&mut self.heard)
    }
}

/// The words of a report of a level.
fn report(raw: &RawMessage, level: &str) -> Option<String> {
    let Ok(Message::Command(Command { arguments, .. })) = Message::parse(raw) else { return None };
    let info = arguments.iter().find_map(Value::as_object)?;
    (info.text("level") == Some(level)).then(|| info.text("description").unwrap_or_default().to_owned())
}

pub(crate) fn picture(keyframe: bool, slice: &[u8]) -> Vec<u8> {
    let (head, nal) = if keyframe { (0x17, 0x65) } else { (0x27, 0x41) };
    let length = (slice.len() as u32 + 1).to_be_bytes();
    [&[head, 1, 0, 0, 0][..], &length, &[nal], slice].concat()
}

pub(crate) fn line(what: &str, body: &[u8]) -> String {
    format!("{what} {body:02x?}")
}
