//! Publishers whose times are wrong, seen by a player and by the recorder: the stamps go on smoothly, whatever came.

use crate::client::{AAC_CONFIG, Gateway, LIMITS, PATIENCE, Peer, picture};
use commonroom::config;
use commonroom::media::{Repair, Repairs};
use commonroom::protocol::rtmp::chunk::kind;
use commonroom::recording::manifest::Manifest;
use commonroom::recording::{Notices, Recorder, Store};
use commonroom::room::{Limits, RecordingPolicy};
use std::time::Duration;
use tokio::time::Instant;

/// What x264 says of a picture of 64x64.
const AVC_CONFIG: &[u8] = &[
    0x17, 0, 0, 0, 0, 1, 0x42, 0xc0, 0xa, 0xff, 0xe1, 0, 0x16, 0x67, 0x42, 0xc0, 0xa, 0xda, 0x10, 0x9b, 1,
    0x10, 0, 0, 3, 0, 0x10, 0, 0, 3, 3, 0x20, 0xf1, 0x22, 0x6a, 1, 0, 4, 0x68, 0xce, 0xf, 0xc8,
];
/// What a publisher writes for a true time.
type Stamp = fn(u32) -> u32;

/// Pictures in a case.
const PICTURES: u32 = 50;
const SOUND: u32 = 11;

/// Sends pictures every 40 ms, each with a packet of sound 11 ms later, both stamped as `stamp` says of the true time. What a player
/// gets of it, in milliseconds behind the first, and what was mended.
async fn played(stamp: impl Fn(u32) -> u32) -> (Vec<(u8, u32)>, Repairs) {
    let gateway = Gateway::start(|_| {});
    let mut publisher = gateway.publish("alice").await;
    publisher.client.set_chunk_size();
    publisher.client.send(kind::VIDEO, 1, stamp(0), AVC_CONFIG);
    publisher.client.send(kind::AUDIO, 1, stamp(0), AAC_CONFIG);
    send(&mut publisher, 0, &stamp);
    publisher.settle().await;
    let mut player = gateway.play("alice").await;
    while player.frames.len() < 2 {
        player.flush().await;
        player.read().await;
    }
    (1..PICTURES).for_each(|index| send(&mut publisher, index, &stamp));
    publisher.flush().await;
    while player.frames.len() < 2 * PICTURES as usize {
        player.read().await;
    }
    (player.frames, gateway.stream("alice").repairs())
}

fn send(publisher: &mut Peer, index: u32, stamp: impl Fn(u32) -> u32) {
    let at = index * 40;
    publisher.client.send(kind::VIDEO, 1, stamp(at), &picture(index == 0, &[index as u8]));
    publisher.client.send(kind::AUDIO, 1, stamp(at + SOUND), &[0xaf, 1, index as u8]);
}

/// Both tracks go on, with none of the distance that the publisher's stamps have leapt: an instant in which nothing came may be left.
fn assert_smooth(name: &str, frames: &[(u8, u32)]) {
    for of in [kind::VIDEO, kind::AUDIO] {
        let times: Vec<_> = frames.iter().filter(|(kind, _)| *kind == of).map(|(_, time)| *time).collect();
        for pair in times.windows(2) {
            assert!((1..2_000).contains(&(i64::from(pair[1]) - i64::from(pair[0]))), "{name}: {times:?}");
        }
    }
}

/// How far each packet of sound lies behind its picture.
fn offsets(frames: &[(u8, u32)]) -> Vec<i64> {
    let of = |of| frames.iter().filter(move |(kind, _)| *kind == of).map(|(_, time)| i64::from(*time));
    of(kind::VIDEO).zip(of(kind::AUDIO)).map(|(picture, sound)| sound - picture).collect()
}

#[tokio::test]
async fn a_player_sees_none_of_what_is_wrong() {
    let cases: [(&str, Stamp, Option<Repair>); 6] = [
        ("nothing", |at| 5_000 + at, None),
        ("an hour forwards", |at| if at < 1_000 { at } else { at + 3_600_000 }, Some(Repair::JumpForward)),
        ("back to zero", |at| if at < 1_000 { at + 900_000 } else { at - 1_000 }, Some(Repair::JumpBack)),
        ("24 bits", |at| (0xff_fc00 + at) & 0xff_ffff, Some(Repair::Wrap24)),
        ("32 bits", |at| 0xffff_fc00u32.wrapping_add(at), Some(Repair::Wrap)),
        (
            "forwards and back",
            |at| if (800..1_200).contains(&at) { at + 60_000 } else { at },
            Some(Repair::JumpForward),
        ),
    ];
    for (name, stamp, mended) in cases {
        let (frames, repairs) = played(stamp).await;
        assert_smooth(name, &frames);
        assert!(offsets(&frames).iter().all(|offset| *offset == i64::from(SOUND)), "{name}: {frames:?}");
        assert_eq!(repairs, mended.map(|kind| (kind, 1)).into_iter().collect(), "{name}");
    }
}

#[tokio::test]
async fn times_that_do_not_grow_grow_for_a_player() {
    // Every fifth picture and packet is stamped like the one before, or a little earlier.
    let (frames, repairs) = played(|at| if at / 40 % 5 == 4 { at - 40 - at / 40 % 2 } else { at }).await;
    assert_smooth("not growing", &frames);
    assert!(offsets(&frames).iter().all(|offset| (0..=40).contains(offset)), "{frames:?}");
    assert_eq!(repairs, [(Repair::NonMonotonic, 20)].into_iter().collect());
}

#[tokio::test]
async fn a_recording_knows_nothing_of_a_jump() {
    let limits = Limits { recording: RecordingPolicy::Always, ..LIMITS };
    let gateway = Gateway::with(limits, |_| {});
    let root = tempfile::tempdir().expect("a folder");
    let config = config::Recording {
        dir: root.path().to_owned(),
        policy: config::Policy::Always,
        grace: config::Span(Duration::from_millis(100)),
        ..config::Recording::default()
    };
    let (rooms, bridge) = (gateway.rooms.clone(), gateway.bridge.clone());
    let (teller, _notices) = Notices::channel();
    let rules = config::RoomRules::default();
    let recorder = Recorder::open(config, rules, rooms, bridge, teller, None).expect("a recorder");
    let (stop, stopped) = (gateway.stop.clone(), gateway.stop.clone());
    let recording = tokio::spawn(async move { recorder.run(stop).await });

    let mut publisher = gateway.publish("alice").await;
    publisher.client.set_chunk_size();
    publisher.client.send(kind::VIDEO, 1, 0, AVC_CONFIG);
    publisher.client.send(kind::AUDIO, 1, 0, AAC_CONFIG);
    let begun = Instant::now();
    // An hour forwards, and then back to zero.
    let stamp = |at: u32| match at {
        0..700 => 50_000 + at,
        700..1_400 => 3_650_000 + at,
        _ => at - 1_400,
    };
    let (mut index, mut sounds) = (0, 0);
    while index < 52 {
        let at = index * 40;
        tokio::time::sleep_until(begun + Duration::from_millis(at.into())).await;
        publisher.client.send(kind::VIDEO, 1, stamp(at), &picture(index % 25 == 0, &[index as u8]));
        // 1,024 samples at 48 kHz.
        while sounds * 64 / 3 < at + 40 {
            publisher.client.send(kind::AUDIO, 1, stamp(sounds * 64 / 3), &[0xaf, 1, 0x21, 0x10]);
            sounds += 1;
        }
        publisher.flush().await;
        index += 1;
    }
    publisher.settle().await;
    let sent = begun.elapsed().as_secs_f64();
    assert_eq!(gateway.stream("alice").repairs().of(Repair::JumpForward), 1);
    stopped.cancel();
    tokio::time::timeout(PATIENCE, recording).await.expect("it ends").expect("without a panic");

    let manifest = only(&Store::open(root.path()).expect("a store"));
    let [file] = &manifest.files[..] else { panic!("{manifest:?}") };
    assert_eq!(file.gaps, [], "{file:?}");
    let length = file.end - file.start;
    assert!((sent - 0.3..sent + 0.3).contains(&length), "{length} s of {sent} s: {file:?}");
}

fn only(store: &Store) -> Manifest {
    let [(room, session)] = &store.sessions().expect("sessions")[..] else { panic!("one session") };
    let folder = store.session(room, session).expect("a folder");
    folder.read_manifest().expect("a manifest")
}
