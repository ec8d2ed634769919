//! What comes by TCP to the RTMP port.

use super::pieces;
use bytes::{Bytes, BytesMut};
use commonroom::protocol::amf0::{self, Object, Value};
use commonroom::protocol::amf3;
use commonroom::protocol::flv::{AudioTag, Metadata, VideoTag};
use commonroom::protocol::rtmp::chunk::{Decoder, Encoder, RawMessage, kind};
use commonroom::protocol::rtmp::message::{Message, split_aggregate};
use commonroom::protocol::rtmp::{Code, Command, Event, Output, ServerSession, Timeouts};
use commonroom::time::RtmpTime;
use std::time::{Duration, Instant};

const TIMEOUTS: Timeouts = Timeouts {
    setup: Duration::from_secs(10),
    idle: Duration::from_secs(60),
    publisher: Duration::from_secs(30),
};

/// Chunks to messages, before `connect` and behind it, and what the messages say.
pub(crate) fn chunks(input: &[u8]) {
    let Some((&connected, input)) = input.split_first() else { return };
    let mut decoder = Decoder::new();
    if connected & 1 == 1 {
        decoder.set_connected();
    }
    let mut buffer = BytesMut::new();
    for piece in pieces(input) {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(message)) => {
                    let _ = Message::parse(&message);
                    let _ = split_aggregate(&message);
                }
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}

/// A whole connection, as far along as the input's first byte says.
pub(crate) fn session(input: &[u8]) {
    converse(input);
}

/// Has the conversation of an input, and says how often the session had an event to tell.
fn converse(input: &[u8]) -> usize {
    let Some((&stage, input)) = input.split_first() else { return 0 };
    let mut events = 0;
    let mut now = Instant::now();
    let mut session = ServerSession::new(now, TIMEOUTS);
    let mut buffer = BytesMut::new();
    for piece in prelude(stage % 5).iter().map(Vec::as_slice).chain(pieces(input)) {
        now += Duration::from_millis(u64::from(stage));
        buffer.extend_from_slice(piece);
        // An answer may free what was kept back, so that one input leads to several rounds; not to endless ones.
        for _ in 0..64 {
            if session.handle_input(now, &mut buffer).is_err() || session.handle_timeout(now).is_err() {
                return events;
            }
            let told = answer(&mut session, now, stage);
            events += told;
            if told == 0 {
                break;
            }
        }
    }
    session.shut_down("the test is over");
    while session.poll_output().is_some() {}
    events
}

/// Drains the session, answering its events as a server would; says how many there were.
fn answer(session: &mut ServerSession, now: Instant, stage: u8) -> usize {
    let mut events = 0;
    while let Some(output) = session.poll_output() {
        let Output::Event(event) = output else { continue };
        match event {
            Event::Connect { .. } if stage & 0x80 == 0 => session.accept_connect(),
            Event::Connect { .. } => session.shut_down("not today"),
            Event::Publish { stream, .. } if stage & 0x40 == 0 => session.accept_publish(stream),
            Event::Publish { stream, .. } => session.refuse(now, stream, Code::ConnectSuccess, "not today"),
            Event::Play { stream, .. } => {
                session.accept_play(stream);
                session.send_video(stream, RtmpTime(5), &[0x17, 1, 0, 0, 0], &Bytes::from_static(&[0; 300]));
                session.end_play(now, stream, "over");
            }
            Event::Audio { body, .. } => drop(AudioTag::parse(&body)),
            Event::Video { body, .. } => drop(VideoTag::parse(&body)),
            _ => {}
        }
        events += 1;
    }
    events
}

/// What a client says up to a stage: nothing, the handshake, `connect`, `publish`, or `play`.
fn prelude(stage: u8) -> Vec<Vec<u8>> {
    let mut said = vec![handshake()];
    said.truncate(stage.into());
    let mut encoder = Encoder::new();
    let mut say =
        |command: &Command, stream: u32| said.push(encoder.message(command.to_message(stream)).to_vec());
    if stage >= 2 {
        say(&connect(), 0);
    }
    if stage >= 3 {
        say(&call("createStream", 2.0, vec![]), 0);
        let what = if stage == 3 { "publish" } else { "play" };
        say(&call(what, 3.0, vec![Value::text("camera")]), 1);
    }
    said
}

/// C0, C1 and C2 of the plain handshake; the digests and echoes may be anything.
pub(crate) fn handshake() -> Vec<u8> {
    let mut bytes = vec![3];
    bytes.resize(1 + 2 * 1536, 0);
    bytes
}

fn connect() -> Command {
    let properties = Object::from_iter([
        ("app", Value::text("room")),
        ("flashVer", Value::text("FMLE/3.0")),
        ("tcUrl", Value::text("rtmp://127.0.0.1/room")),
        ("capabilities", Value::Number(239.0)),
    ]);
    Command { object: Value::Object(properties), ..call("connect", 1.0, vec![]) }
}

fn call(name: &str, transaction: f64, arguments: Vec<Value>) -> Command {
    Command { name: name.into(), transaction, object: Value::Null, arguments }
}

fn message(kind: u8, stream: u32, time: u32, body: &[u8]) -> RawMessage {
    RawMessage { kind, stream, time: RtmpTime(time), body: Bytes::copy_from_slice(body) }
}

/// What a publisher says once its way is free, as chunks.
fn conversation() -> Vec<u8> {
    let mut encoder = Encoder::new();
    let mut bytes = encoder.set_chunk_size().to_vec();
    let metadata = Object::from_iter([("width", Value::Number(640.0)), ("encoder", Value::text("test"))]);
    let data = [Value::text("@setDataFrame"), Value::text("onMetaData"), Value::Object(metadata)];
    let mut tag = vec![9, 0, 0, 12, 0, 0, 40, 0, 0, 0, 0];
    tag.extend([0x17, 1, 0, 0, 0, 0, 0, 0, 3, 0x65, 1, 2, 0, 0, 0, 23]);
    for message in [
        connect().to_message(0),
        call("releaseStream", 2.0, vec![Value::text("camera")]).to_message(0),
        call("FCPublish", 3.0, vec![Value::text("camera")]).to_message(0),
        call("createStream", 4.0, vec![]).to_message(0),
        call("publish", 5.0, vec![Value::text("camera"), Value::text("live")]).to_message(1),
        message(kind::DATA, 1, 0, &amf0::encode_all(&data)),
        message(kind::VIDEO, 1, 0, &AVC_HEADER),
        message(kind::AUDIO, 1, 0, &[0xaf, 0, 0x11, 0x90]),
        message(kind::VIDEO, 1, 0x00ff_fffe, &[&[0x17, 1, 0, 0, 0][..], &[0; 400][..]].concat()),
        message(kind::VIDEO, 1, 0x0100_0020, &[0x27, 1, 0, 0, 66, 0, 0, 0, 2, 0x41, 0x9a]),
        message(kind::AUDIO, 1, 0x0100_0021, &[0xaf, 1, 0x21, 0x10, 0x04]),
        message(kind::AGGREGATE, 1, 50, &tag),
        message(kind::USER_CONTROL, 0, 0, &[0, 6, 0, 0, 0, 1]),
        message(kind::ACKNOWLEDGEMENT, 0, 0, &[0, 0, 16, 0]),
        message(kind::WINDOW_SIZE, 0, 0, &[0, 38, 37, 160]),
        message(kind::ABORT, 0, 0, &[0, 0, 0, 3]),
        call("deleteStream", 6.0, vec![Value::Number(1.0)]).to_message(0),
    ] {
        bytes.extend_from_slice(&encoder.message(message));
    }
    bytes
}

pub(crate) fn chunk_seeds() -> Vec<Vec<u8>> {
    [[0, 0], [1, 0], [1, 1], [1, 61]].map(|head| [&head[..], &conversation()].concat()).into()
}

pub(crate) fn session_seeds() -> Vec<Vec<u8>> {
    let from_the_start = [handshake(), conversation()].concat();
    let mut seeds = vec![[&[0, 0][..], &from_the_start].concat(), [&[0, 255][..], &from_the_start].concat()];
    // All five stages, with each answer that a server may give.
    for stage in [1, 2, 3, 4, 0x81, 0x43, 0x82] {
        seeds.push([&[stage, 0][..], &conversation()].concat());
    }
    seeds.push([&[3, 7][..], &conversation()].concat());
    seeds
}

/// AMF0 as command and as metadata.
pub(crate) fn amf0(input: &[u8]) {
    if let Ok(values) = amf0::decode_all(input) {
        let _ = amf0::encode_all(&values);
        let _ = Metadata::from_values(&values).map(|metadata| metadata.to_message());
    }
}

pub(crate) fn amf0_seeds() -> Vec<Vec<u8>> {
    let command = connect().to_message(0).body.to_vec();
    // Markers from number to typed object, by hand: our encoder writes only those that we send.
    let shapes: [&[u8]; 9] = [
        &[0, 64, 9, 33, 251, 84, 68, 45, 24],
        &[1, 1],
        &[3, 0, 1, b'a', 5, 0, 1, b'b', 3, 0, 0, 9, 0, 0, 9],
        &[8, 0, 0, 0, 1, 0, 1, b'a', 2, 0, 1, b'x', 0, 0, 9],
        &[10, 0, 0, 0, 3, 5, 6, 1, 0],
        &[11, 66, 118, 18, 0, 0, 0, 0, 0, 0, 0],
        &[12, 0, 0, 0, 2, b'h', b'i'],
        &[16, 0, 1, b'T', 0, 1, b'a', 7, 0, 0, 0, 0, 9],
        &[3, 0, 1, b'a', 17, 10, 11, 1, 3, b'k', 4, 5, 1, 0, 0, 9],
    ];
    [command].into_iter().chain(shapes.iter().map(|shape| shape.to_vec())).chain([shapes.concat()]).collect()
}

/// AMF3 by itself.
pub(crate) fn amf3(input: &[u8]) {
    let _ = amf3::decode_all(input);
}

pub(crate) fn amf3_seeds() -> Vec<Vec<u8>> {
    let shapes: [&[u8]; 9] = [
        &[0, 1, 2, 3],
        &[4, 0x81, 0x80, 0x80, 0],
        &[5, 63, 240, 0, 0, 0, 0, 0, 0],
        &[6, 7, b'a', b'b', b'c', 6, 0],
        &[8, 1, 66, 118, 18, 0, 0, 0, 0, 0],
        &[9, 5, 3, b'k', 4, 1, 1, 4, 1, 4, 2],
        &[10, 0x0b, 3, b'T', 3, b'a', 4, 1, 1],
        &[10, 0x13, 3, b'T', 3, b'a', 4, 5, 10, 1, 4, 6],
        &[12, 5, 1, 2],
    ];
    shapes.iter().map(|shape| shape.to_vec()).chain([shapes.concat()]).collect()
}

/// The body of an audio tag.
pub(crate) fn flv_audio(input: &[u8]) {
    let _ = AudioTag::parse(&Bytes::copy_from_slice(input));
}

/// The body of a video tag.
pub(crate) fn flv_video(input: &[u8]) {
    let _ = VideoTag::parse(&Bytes::copy_from_slice(input));
}

/// An AVC sequence header of constrained baseline at 480x272.
const AVC_HEADER: [u8; 40] = [
    0x17, 0, 0, 0, 0, 1, 0x42, 0xc0, 0x15, 0xff, 0xe1, 0, 18, 0x67, 0x42, 0xc0, 0x15, 0xda, 0x07, 0x81, 0x27,
    0xe5, 0xc0, 0x44, 0, 0, 3, 0, 4, 0, 0, 1, 0, 4, 0x68, 0xce, 0x3c, 0x80, 0, 0,
];

pub(crate) fn flv_seeds() -> Vec<Vec<u8>> {
    let shapes: [&[u8]; 9] = [
        &AVC_HEADER,
        &[0x17, 1, 0, 0, 66, 0, 0, 0, 3, 0x65, 0x88, 0x80, 0, 0, 0, 2, 0x06, 5],
        &[0x27, 2, 0, 0, 0],
        &[0x90, b'a', b'v', b'c', b'1', 1, 0x42, 0xc0, 0x15, 0xff, 0xe0, 0],
        &[0x91, b'h', b'v', b'c', b'1', 0, 0, 0, 0, 0, 0, 2, 0x26, 1],
        &[0xaf, 0, 0x12, 0x10, 0x56, 0xe5, 0],
        &[0xaf, 1, 0x21, 0x10, 4, 0x60, 0x8c, 0x1c],
        &[0x2f, 0xff, 0xfb, 0x90, 0x64],
        &[0x7e, 0xd5, 0xd5],
    ];
    shapes.iter().map(|shape| shape.to_vec()).collect()
}

#[test]
fn the_seeds_get_far() {
    // connect, publish, metadata, six audio and video messages, and the end.
    let whole = session_seeds().swap_remove(0);
    assert_eq!(converse(&whole), 10);
}
