//! The RTMP server over real sockets, with a client of our own: what publishers and players see of each other.

mod logs;
mod members;
mod revoked;
#[path = "../common/rtmp.rs"]
mod rtmp;
mod slow;

use bytes::BytesMut;
use commonroom::bridge::{Accepts, Bridge};
use commonroom::codec::{Codec, MediaKind};
use commonroom::config;
use commonroom::config::Span;
use commonroom::protocol::amf0::{Object, Value};
use commonroom::protocol::rtmp::Command;
use commonroom::protocol::rtmp::chunk::{RawMessage, kind};
use commonroom::protocol::rtmp::message::Message;
use commonroom::recording::{Notices, Recorder};
use commonroom::room::{Limits, RecordingPolicy, Rooms};
use commonroom::server::conference::{Conference, Services};
use commonroom::server::rtmp::Server;
use commonroom::server::webrtc;
use commonroom::stream::{FeedKey, Form, QueueLimits, Start, Stream, Warning};
use rtmp::{Client, show};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Nothing here takes longer than an eye's blink; whatever does has failed.
const PATIENCE: Duration = Duration::from_secs(10);

const LIMITS: Limits = Limits {
    rooms: 9,
    participants: 9,
    streams: 4,
    messages_per_second: 5,
    message_length: 4_000,
    history: 10,
    linger: Duration::from_secs(30),
    recording: RecordingPolicy::Never,
};
const AVC_CONFIG: &[u8] =
    &[0x17, 0, 0, 0, 0, 1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 4, 0x67, 0x42, 0xc0, 0x1e, 1, 0, 2, 0x68, 0xce];
const AAC_CONFIG: &[u8] = &[0xaf, 0, 0x11, 0x90];
/// x264's parameters of 1920x1080, High, level 4.0: files have need of whole ones.
const SPS: &[u8] = b"\x67\x64\x00\x28\xac\xd9\x40\x78\x02\x27\xe5\xc0\x44\x00\x00\x03\x00\x04\x00\x00\x03\x00\xf0\x3c\x60\xc6\x58";
const WARNED: &str = "onStatus NetStream.Publish.Warning";

struct Gateway {
    rooms: Rooms,
    bridge: Bridge,
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Gateway {
    fn start(change: impl FnOnce(&mut config::Rtmp)) -> Self {
        Self::with(LIMITS, change)
    }

    fn with(limits: Limits, change: impl FnOnce(&mut config::Rtmp)) -> Self {
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

    fn stream(&self, participant: &str) -> Stream {
        let name = |name: &str| name.parse().expect("a name");
        self.rooms.find(&name("room"), participant).expect("it is published")
    }

    async fn connect(&self, app: &str) -> Peer {
        Peer::connect(TcpStream::connect(self.address).await.expect("the server listens"), app).await
    }

    async fn publish(&self, key: &str) -> Peer {
        let mut peer = self.connect("room").await;
        peer.client.call(1, "publish", 3.0, &[Value::text(key), Value::text("live")]);
        peer.until("onStatus NetStream.Publish.Start").await;
        peer
    }

    /// A publisher that has sent its headers and one GOP.
    async fn publish_media(&self, key: &str) -> Peer {
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

    async fn play(&self, key: &str) -> Peer {
        let mut peer = self.connect("room").await;
        peer.client.call(1, "play", 3.0, &[Value::text(key)]);
        peer
    }
}

/// A client and its socket.
struct Peer {
    socket: TcpStream,
    client: Client,
    heard: Vec<String>,
    /// The words of the reports of level "warning".
    warned: Vec<String>,
    /// The same of level "error".
    told: Vec<String>,
}

impl Peer {
    async fn connect(socket: TcpStream, app: &str) -> Self {
        let mut peer = Self::open(socket).await;
        peer.client.connect(app);
        peer.client.call(0, "createStream", 2.0, &[]);
        peer.until("_result 1").await;
        peer
    }

    /// With no more than the handshake done.
    async fn open(socket: TcpStream) -> Self {
        let mut peer = Self { socket, client: Client::new(), heard: vec![], warned: vec![], told: vec![] };
        while !peer.client.is_open() {
            peer.flush().await;
            peer.read().await;
        }
        peer
    }

    async fn flush(&mut self) {
        let bytes = self.client.take_output();
        tokio::time::timeout(PATIENCE, self.socket.write_all(&bytes)).await.expect("it reads").expect("sent");
    }

    /// Reads once. `false` when the server has closed.
    async fn read(&mut self) -> bool {
        let mut input = BytesMut::with_capacity(1 << 16);
        let read = tokio::time::timeout(PATIENCE, self.socket.read_buf(&mut input)).await;
        let read = read.unwrap_or_else(|_| panic!("heard only {:?}", self.heard)).unwrap_or(0);
        let messages = self.client.receive(&input);
        self.heard.extend(messages.iter().map(show));
        self.warned.extend(messages.iter().filter_map(|raw| report(raw, "warning")));
        self.told.extend(messages.iter().filter_map(|raw| report(raw, "error")));
        read > 0
    }

    /// Sends what waits and reads until the server says `last`; all that it said.
    async fn until(&mut self, last: &str) -> Vec<String> {
        self.flush().await;
        loop {
            if let Some(at) = self.heard.iter().position(|heard| heard == last) {
                return self.heard.drain(..=at).collect();
            }
            assert!(self.read().await, "closed after {:?}", self.heard);
        }
    }

    /// Waits until the server has handled what was sent.
    async fn settle(&mut self) {
        self.client.send(kind::USER_CONTROL, 0, 0, &[0, 6, 0, 0, 0, 1]);
        self.until("UserControl(PingResponse(1))").await;
    }

    /// All that the server still says until it closes.
    async fn rest(&mut self) -> Vec<String> {
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

fn picture(keyframe: bool, slice: &[u8]) -> Vec<u8> {
    let (head, nal) = if keyframe { (0x17, 0x65) } else { (0x27, 0x41) };
    let length = (slice.len() as u32 + 1).to_be_bytes();
    [&[head, 1, 0, 0, 0][..], &length, &[nal], slice].concat()
}

fn line(what: &str, body: &[u8]) -> String {
    format!("{what} {body:02x?}")
}

#[tokio::test]
async fn a_player_gets_metadata_headers_the_gop_and_the_end() {
    let gateway = Gateway::start(|_| {});
    let mut publisher = gateway.publish("alice").await;
    let metadata = Value::EcmaArray(Object::from_iter([("encoder", Value::text("test"))]));
    publisher.client.data(&[Value::text("@setDataFrame"), Value::text("onMetaData"), metadata]);
    publisher.client.send(kind::VIDEO, 1, 0, AVC_CONFIG);
    publisher.client.send(kind::AUDIO, 1, 0, AAC_CONFIG);
    publisher.client.send(kind::VIDEO, 1, 500, &picture(true, &[0]));
    publisher.client.send(kind::VIDEO, 1, 1_000, &picture(true, &[1]));
    publisher.client.send(kind::AUDIO, 1, 1_005, &[0xaf, 1, 5]);
    publisher.settle().await;

    let mut player = gateway.play("alice").await;
    let [first, sound] = [picture(true, &[1]), vec![0xaf, 1, 5]];
    let heard = player.until(&line("audio", &sound)).await;
    assert_eq!(
        heard,
        [
            "begin 1".into(),
            "onStatus NetStream.Play.Reset".into(),
            "onStatus NetStream.Play.Start".into(),
            "|RtmpSampleAccess".into(),
            "onMetaData".into(),
            line("video", AVC_CONFIG),
            line("audio", AAC_CONFIG),
            line("video", &first),
            line("audio", &sound),
        ]
    );

    // The same header again says nothing new; another one does.
    let mut other = AVC_CONFIG.to_vec();
    other[16] = 0x1f;
    publisher.client.send(kind::VIDEO, 1, 1_040, AVC_CONFIG);
    publisher.client.send(kind::VIDEO, 1, 1_040, &picture(false, &[2]));
    publisher.client.send(kind::VIDEO, 1, 1_080, &other);
    publisher.client.send(kind::VIDEO, 1, 1_080, &picture(true, &[3]));
    publisher.client.call(0, "deleteStream", 9.0, &[Value::Number(1.0)]);
    publisher.flush().await;
    let heard = player.rest().await;
    let level = other[16];
    assert_eq!(heard.len(), 5, "{heard:?}");
    assert_eq!(heard[0], line("video", &picture(false, &[2])));
    assert!(heard[1].starts_with("video [17, 00") && heard[1].contains(&format!("{level:02x}")));
    assert_eq!(heard[3..], ["onStatus NetStream.Play.UnpublishNotify", "eof 1"]);
}

#[tokio::test]
async fn without_metadata_a_player_hears_what_can_be_seen() {
    let gateway = Gateway::start(|_| {});
    let _publisher = gateway.publish_media("alice").await;
    let mut player = gateway.play("alice").await;
    let heard = player.until(&line("video", &picture(false, &[2]))).await;
    assert_eq!(heard[4..7], ["onMetaData".into(), line("video", AVC_CONFIG), line("audio", AAC_CONFIG)]);
}

#[tokio::test]
async fn a_name_in_use_is_refused_and_its_owner_hears_nothing() {
    let gateway = Gateway::start(|_| {});
    let mut first = gateway.publish("alice").await;
    let mut second = gateway.connect("room").await;
    second.client.call(1, "publish", 3.0, &[Value::text("alice")]);
    assert_eq!(second.rest().await, ["onStatus NetStream.Publish.BadName"]);
    first.settle().await;
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_a_code() {
    let gateway = Gateway::start(|_| {});
    for (app, call, key, code) in [
        ("room", "play", "nobody", "NetStream.Play.StreamNotFound"),
        ("room", "play", "a b", "NetStream.Play.Failed"),
        ("..", "publish", "alice", "NetStream.Publish.BadName"),
        ("room/x/y", "publish", "alice", "NetStream.Publish.BadName"),
    ] {
        let mut peer = gateway.connect(app).await;
        peer.client.call(1, call, 3.0, &[Value::text(key)]);
        assert_eq!(peer.rest().await, [format!("onStatus {code}")], "{call} {app} {key}");
    }
    let mut publisher = gateway.publish("alice").await;
    publisher.client.send(kind::VIDEO, 1, 0, b"\x90hvc1\x01");
    assert_eq!(publisher.rest().await, ["onStatus NetStream.Publish.Rejected"], "HEVC");
    gateway.publish("alice").await; // the name is free again
}

/// What Flash applications do: the own camera and the others' over one connection.
#[tokio::test]
async fn one_connection_publishes_and_plays_several() {
    let gateway = Gateway::start(|_| {});
    let mut alice = gateway.publish("alice").await;
    let mut bob = gateway.publish("bob").await;
    let mut carol = gateway.publish("carol").await;
    let sound = |who: u8| [0xaf, 1, who];
    for (stream, key) in [(2, "alice"), (3, "bob")] {
        carol.client.call(0, "createStream", 4.0, &[]);
        carol.client.call(stream, "play", 5.0, &[Value::text(key)]);
        carol.until(&format!("{stream}: onStatus NetStream.Play.Start")).await;
    }
    for (publisher, who) in [(&mut alice, 1), (&mut bob, 2), (&mut carol, 3)] {
        publisher.client.send(kind::AUDIO, 1, 0, AAC_CONFIG);
        publisher.client.send(kind::AUDIO, 1, 20, &sound(who));
        publisher.flush().await;
    }
    let mut listener = gateway.play("carol").await;
    listener.until(&line("audio", &sound(3))).await;
    for played in [(2, 1), (3, 2)].map(|(stream, who)| format!("{stream}: {}", line("audio", &sound(who)))) {
        while !carol.heard.contains(&played) {
            carol.read().await;
        }
    }

    // One ends, one cannot be: the others notice nothing.
    alice.client.call(0, "deleteStream", 9.0, &[Value::Number(1.0)]);
    alice.flush().await;
    carol.until("2: onStatus NetStream.Play.UnpublishNotify").await;
    carol.client.call(2, "play", 6.0, &[Value::text("alice")]);
    carol.until("2: onStatus NetStream.Play.StreamNotFound").await;
    carol.client.send(kind::AUDIO, 1, 40, &sound(4));
    carol.flush().await;
    bob.client.send(kind::AUDIO, 1, 40, &sound(5));
    bob.flush().await;
    carol.until(&format!("3: {}", line("audio", &sound(5)))).await;
    listener.until(&line("audio", &sound(4))).await;

    drop(carol);
    assert_eq!(listener.rest().await, ["onStatus NetStream.Play.UnpublishNotify", "eof 1"]);
}

#[tokio::test]
async fn what_is_muted_reaches_nobody() {
    let gateway = Gateway::start(|_| {});
    let mut publisher = gateway.publish_media("alice").await;
    let stream = gateway.stream("alice");
    let mut player = gateway.play("alice").await;
    player.until(&line("video", &picture(false, &[2]))).await;
    stream.set_muted(MediaKind::Video, true);
    publisher.client.send(kind::VIDEO, 1, 1_080, &picture(true, &[3]));
    publisher.client.send(kind::AUDIO, 1, 1_085, &[0xaf, 1, 6]);
    publisher.settle().await;
    assert_eq!(player.until(&line("audio", &[0xaf, 1, 6])).await.len(), 1, "the sound alone");
    // An RTMP publisher cannot be asked: the picture waits for its next keyframe.
    stream.set_muted(MediaKind::Video, false);
    stream.set_muted(MediaKind::Audio, true);
    publisher.client.send(kind::VIDEO, 1, 1_120, &picture(false, &[4]));
    publisher.client.send(kind::AUDIO, 1, 1_125, &[0xaf, 1, 7]);
    publisher.client.send(kind::VIDEO, 1, 1_160, &picture(true, &[5]));
    publisher.client.send(kind::VIDEO, 1, 1_200, &picture(false, &[6]));
    publisher.settle().await;
    let expected = [line("video", &picture(true, &[5])), line("video", &picture(false, &[6]))];
    assert_eq!(player.until(&expected[1]).await, expected);
}

#[tokio::test]
async fn viewers_hear_of_a_publisher_that_vanishes() {
    let gateway = Gateway::start(|config| config.publisher_timeout = Span(Duration::from_millis(400)));
    for silent in [false, true] {
        let publisher = gateway.publish_media("alice").await;
        let mut player = gateway.play("alice").await;
        player.until(&line("video", &picture(false, &[2]))).await;
        let kept = silent.then_some(publisher); // else it is dropped, and with it its socket
        assert_eq!(player.rest().await, ["onStatus NetStream.Play.UnpublishNotify", "eof 1"]);
        drop(kept);
    }
}

#[tokio::test]
async fn everybody_hears_of_a_shutdown() {
    let gateway = Gateway::start(|_| {});
    let mut publisher = gateway.publish_media("alice").await;
    let mut player = gateway.play("alice").await;
    player.until(&line("video", &picture(false, &[2]))).await;
    gateway.stop.cancel();
    assert_eq!(publisher.rest().await, ["onStatus NetConnection.Connect.AppShutdown"]);
    assert_eq!(player.rest().await, ["onStatus NetConnection.Connect.AppShutdown"]);
    drop((publisher, player));
    tokio::time::timeout(PATIENCE, gateway.task).await.expect("it returns").expect("without a panic");
}

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
async fn a_publisher_hears_each_warning_once_wherever_it_comes_from() {
    let gateway = Gateway::start(|_| {});
    let mut publisher = gateway.publish_media("alice").await;
    // Found in what it sends: MP3, and pictures that are shown before the one that came first.
    let at = |offset: u8, mut picture: Vec<u8>| {
        picture[4] = offset;
        picture
    };
    for time in [1_080, 1_200] {
        publisher.client.send(kind::AUDIO, 1, time, &[0x2f, 1, 2, 3]);
        publisher.client.send(kind::VIDEO, 1, time, &at(120, picture(false, &[3])));
        publisher.client.send(kind::VIDEO, 1, time + 40, &at(20, picture(false, &[4])));
    }
    publisher.until(WARNED).await;
    publisher.until(WARNED).await;
    // Found by the bridge: somebody takes VP8 alone.
    let stream = gateway.stream("alice");
    let vp8 = FeedKey::new(Codec::Vp8, Form::Packets);
    let subscribe = || {
        let accepts = Accepts { audio: vec![], video: vec![vp8] };
        gateway.bridge.subscribe(&stream, accepts, Start::Anywhere, QueueLimits::default())
    };
    let all = [Warning::AudioCodec, Warning::BFrames, Warning::NoConverter { from: Codec::H264 }];
    let refused = subscribe();
    publisher.until(WARNED).await;
    assert_eq!(stream.warnings(), all);
    drop(refused);
    drop(subscribe());
    publisher.settle().await;
    assert_eq!(publisher.warned, all.map(|warning| warning.to_string()));
    assert_eq!(stream.warnings(), all[..2], "what the stream itself is like goes on");
    let other = gateway.publish("bob").await;
    assert!(other.warned.is_empty());
}

#[tokio::test]
async fn a_publisher_hears_that_it_is_recorded_and_no_longer() {
    let gateway = Gateway::start(|_| {});
    let (mut alice, mut bob) = (gateway.publish_media("alice").await, gateway.publish_media("bob").await);
    let stream = gateway.stream("alice");
    stream.begin_recording("room/2026-11-21T21-31-57Z/alice-camera.mp4");
    alice.until("onStatus NetStream.Record.Start").await;
    stream.end_recording();
    alice.until("onStatus NetStream.Record.Stop").await;
    stream.begin_recording("room/2026-11-21T21-41-57Z/alice-camera.mp4");
    alice.until("onStatus NetStream.Record.Start").await;
    assert!(alice.warned.is_empty() && alice.told.is_empty(), "neither a warning nor an error");
    bob.settle().await;
    assert!(!bob.heard.iter().any(|heard| heard.contains("Record")), "{:?}", bob.heard);
}

#[tokio::test]
async fn the_recorder_tells_which_file_a_stream_goes_to() {
    let limits = Limits { recording: RecordingPolicy::OnRequest, ..LIMITS };
    let gateway = Gateway::with(limits, |_| {});
    let dir = tempfile::tempdir().expect("there is room for a folder");
    let config = config::Recording { dir: dir.path().to_owned(), ..config::Recording::default() };
    let (rules, rooms, bridge) =
        (config::RoomRules::default(), gateway.rooms.clone(), gateway.bridge.clone());
    let recorder = Recorder::open(config, rules, rooms, bridge, Notices::default());
    let (recorder, stop) = (recorder.expect("the folder can be used"), CancellationToken::new());
    let store = recorder.store().clone();
    let recording = tokio::spawn({
        let stop = stop.clone();
        async move { recorder.run(stop).await }
    });
    let mut alice = gateway.publish("alice").await;
    alice.client.set_chunk_size();
    let sets =
        [&[1, 0x64, 0, 0x28, 0xff, 0xe1, 0, 27], SPS, &[1, 0, 6], b"\x68\xeb\xe3\xcb\x22\xc0"].concat();
    alice.client.send(kind::VIDEO, 1, 0, &[&[0x17, 0, 0, 0, 0], &sets[..]].concat());
    alice.client.send(kind::AUDIO, 1, 0, AAC_CONFIG);
    alice.settle().await;
    let room = "room".parse().expect("a name");
    gateway.rooms.record(&room, true).expect("it may be recorded");
    // What comes after the wish is recorded, from the next keyframe on.
    let stream = gateway.stream("alice");
    for time in (1_080..).step_by(40).take(200) {
        if stream.recorded().borrow().is_some() {
            break;
        }
        alice.client.send(kind::VIDEO, 1, time, &picture(true, &[3]));
        alice.client.send(kind::AUDIO, 1, time, b"\xaf\x01\x21\x00");
        alice.flush().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    alice.until("onStatus NetStream.Record.Start").await;
    let recorded = stream.recorded().borrow().clone().expect("it is told");
    let [(_, session)] = &store.sessions().expect("readable")[..] else { panic!("there is one session") };
    assert_eq!(*recorded.name, *format!("room/{session}/alice-camera.mp4"));
    assert!(store.session("room", session).and_then(|folder| folder.open("alice-camera.mp4")).is_ok());
    assert!(store.is_recorded("room", session), "nobody may delete it");
    gateway.rooms.record(&room, false).expect("it may be ended");
    alice.until("onStatus NetStream.Record.Stop").await;
    stop.cancel();
    recording.await.expect("it ends in order");
    assert!(!store.is_recorded("room", session));
}

#[tokio::test]
async fn metadata_that_cannot_be_kept_do_not_end_the_publication() {
    let gateway = Gateway::start(|_| {});
    let mut publisher = gateway.publish_media("alice").await;
    let (set, name) = (Value::text("@setDataFrame"), Value::text("onMetaData"));
    let pairs = [("title", Value::text("x".repeat(3_000_000))), ("width", Value::Number(640.0))];
    publisher.client.data(&[set, name, Value::EcmaArray(Object::from_iter(pairs))]);
    publisher.client.send(kind::DATA, 1, 0, &[2, 0, 0, 0xff]);
    publisher.settle().await;
    let warnings = [Warning::MetadataTooLarge, Warning::DataUnreadable];
    assert_eq!(gateway.stream("alice").warnings(), warnings);
    while publisher.warned.len() < 2 {
        publisher.read().await;
    }
    assert_eq!(publisher.warned, warnings.map(|warning| warning.to_string()));
    let mut player = gateway.play("alice").await;
    player.until("onMetaData").await;
    player.until(&line("video", &picture(false, &[2]))).await;
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
