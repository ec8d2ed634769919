//! One recording of a stream that really comes, into a folder that is really there, on a clock that is moved by hand.

use super::*;
use crate::codec::Codec;
use crate::codec::opus::OpusConfig;
use crate::codec::vp8;
use crate::container::webm;
use crate::media::Payload;
use crate::recording::manifest::{File, FileState, Kind, Track};
use crate::recording::store::Store;
use crate::stream::{FeedKey, FeedWriter, Form, Publisher, StreamName};
use crate::time::NtpTime;
use bytes::Bytes;
use std::io::Read;
use std::time::UNIX_EPOCH;
use tokio::task::JoinHandle;
use tokio::time::advance;

/// A packet of Opus that plays for 20 ms.
const TOC: u8 = 0xf8;

/// A stream that is recorded, of Opus and VP8.
struct World {
    root: tempfile::TempDir,
    stream: Stream,
    _publisher: Publisher,
    audio: FeedWriter,
    video: FeedWriter,
    clock: Arc<SessionClock>,
    orders: mpsc::Sender<Order>,
    told: watch::Receiver<File>,
    _news: mpsc::Receiver<(u64, News)>,
    task: Option<JoinHandle<Option<Indexed>>>,
    /// Milliseconds of the stream so far.
    now: i64,
    /// The disk does what it is told before time passes.
    is_quick: bool,
}

/// What is written into a payload, to be found in the file.
fn marked(head: &[u8], ms: i64) -> Bytes {
    [head, &ms.to_be_bytes()].concat().into()
}

const fn size() -> vp8::Size {
    match vp8::Size::new(320, 240) {
        Some(size) => size,
        None => unreachable!(),
    }
}

impl World {
    /// A stream whose session began so long before.
    fn new(align: Alignment, since: Duration) -> Self {
        let root = tempfile::tempdir().unwrap();
        let name = StreamName { room: "room".into(), participant: "alice".into(), stream: "alice-1".into() };
        let wall = NtpTime::from(UNIX_EPOCH + Duration::from_secs(1_795_296_717));
        let (stream, publisher) = Stream::publish(name, wall);
        publisher.declare(&[MediaKind::Audio, MediaKind::Video]);
        let track = |codec| publisher.track(FeedKey::new(codec, Form::Frames)).unwrap();
        let (audio, video) = (track(Codec::Opus), track(Codec::Vp8));
        audio.set_params(CodecParams::Opus(OpusConfig { channels: 2 }));
        video.set_params(CodecParams::Vp8);
        let clock = Arc::new(SessionClock::new(Instant::now(), wall));
        if !since.is_zero() {
            clock.zero_at(Timestamp::ZERO - crate::time::MediaDuration::from(since));
        }
        let (orders, for_file) = mpsc::channel(16);
        let (teller, told) = watch::channel(File::of("alice", Kind::Camera));
        let (news, heard) = mpsc::channel(64);
        let setting = Setting {
            bridge: Bridge::new(crate::config::Bridge::default()),
            clock: clock.clone(),
            folder: Store::open(root.path()).unwrap().create("room", "session").unwrap(),
            align,
            as_published: true,
            faststart: None,
            sync: None,
            name: "alice".to_owned(),
        };
        let start = Start::Beginning;
        let task = tokio::spawn(record(setting, stream.clone(), start, for_file, teller, (0, news)));
        Self {
            root,
            stream,
            _publisher: publisher,
            audio,
            video,
            clock,
            orders,
            told,
            _news: heard,
            task: Some(task),
            now: 0,
            is_quick: true,
        }
    }

    /// Sends sound and, while `has_picture`, pictures for so long, a key picture a second.
    async fn play(&mut self, ms: i64, has_picture: bool) {
        for _ in 0..ms / 20 {
            let at = Timestamp::from_millis(self.now);
            self.audio.write(Frame::audio(at, marked(&[TOC], self.now)));
            if has_picture && self.now % 40 == 0 {
                let keyframe = self.now % 1_000 == 0;
                let head = if keyframe { vp8::black(size()) } else { Bytes::from_static(&[0x31, 0, 0]) };
                let payload = Payload::Packet(marked(&head, self.now));
                self.video.write(Frame { kind: MediaKind::Video, dts: at, pts: at, keyframe, payload });
            }
            self.now += 20;
            self.step().await;
        }
    }

    /// Lets time pass without anything.
    async fn pause(&mut self, ms: i64) {
        for _ in 0..ms / 20 {
            self.now += 20;
            self.step().await;
        }
    }

    /// Everybody does what there is to do, and twenty milliseconds pass.
    async fn step(&self) {
        others().await;
        if self.is_quick {
            tokio::task::spawn_blocking(|| ()).await.unwrap();
            others().await;
        }
        advance(Duration::from_millis(20)).await;
    }

    /// Ends it. What is told of the file, and the file.
    async fn close(mut self, end: Option<Timestamp>) -> (File, Vec<u8>) {
        self.orders.send(Order::Close(end)).await.unwrap();
        self.task.take().unwrap().await.unwrap();
        let told = self.told.borrow().clone();
        let mut bytes = Vec::new();
        let path = self.root.path().join("room/session").join(&told.name);
        std::fs::File::open(path).unwrap().read_to_end(&mut bytes).unwrap();
        (told, bytes)
    }
}

/// One thread may wait for the disk, so that who waits for it behind others has waited for them.
fn run(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().start_paused(true).max_blocking_threads(1).build().unwrap().block_on(test);
}

async fn others() {
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
}

/// Blocks of a WebM file: track, time in milliseconds, payload.
fn blocks(bytes: &[u8]) -> Vec<(u8, i64, Vec<u8>)> {
    fn number(bytes: &[u8], keep: bool) -> (u64, usize) {
        let len = bytes[0].leading_zeros() as usize + 1;
        let first = if keep { u64::from(bytes[0]) } else { u64::from(bytes[0]) & ((1 << (8 - len)) - 1) };
        (bytes[1..len].iter().fold(first, |sum, byte| sum << 8 | u64::from(*byte)), len)
    }
    fn walk(mut bytes: &[u8], start: &mut i64, found: &mut Vec<(u8, i64, Vec<u8>)>) {
        while !bytes.is_empty() {
            let (id, id_len) = number(bytes, true);
            let (size, size_len) = number(&bytes[id_len..], false);
            let (data, rest) = bytes[id_len + size_len..].split_at(size as usize);
            match id {
                0x1853_8067 | 0x1f43_b675 | 0xa0 => walk(data, start, found),
                0xe7 => *start = data.iter().fold(0, |sum, byte| sum << 8 | i64::from(*byte)),
                0xa3 | 0xa1 => {
                    let time = *start + i64::from(i16::from_be_bytes([data[1], data[2]]));
                    found.push((data[0] & 0x7f, time, data[4..].to_vec()));
                }
                _ => {}
            }
            bytes = rest;
        }
    }
    let (mut found, mut start) = (Vec::new(), 0);
    walk(bytes, &mut start, &mut found);
    found
}

/// How far each marked payload is from where it should be, `shift` ms behind the stream's zero: the least and the most, and how many there are.
fn places(bytes: &[u8], track: u8, shift: i64) -> (i64, i64, usize) {
    let blocks = blocks(bytes);
    let marked = blocks.iter().filter(|(of, _, payload)| *of == track && payload.len() > 8).filter_map(
        |(_, time, payload)| {
            let (head, mark) = payload.split_last_chunk::<8>()?;
            let black = vp8::black(size());
            let is_ours = head == [TOC] || head == [0x31, 0, 0] || head == black;
            is_ours.then(|| time - shift - i64::from_be_bytes(*mark))
        },
    );
    let away: Vec<_> = marked.collect();
    (away.iter().copied().min().unwrap_or(0), away.iter().copied().max().unwrap_or(0), away.len())
}

fn gaps(told: &File) -> Vec<(Track, i64, i64, Cause)> {
    let ms = |seconds: f64| (seconds * 1e3).round() as i64;
    told.gaps.iter().map(|gap| (gap.track, ms(gap.start), ms(gap.end), gap.cause)).collect()
}

#[test]
fn who_comes_late_is_recorded_at_once() {
    run(async {
        // More of them take as much longer, and no more memory.
        let late = Duration::from_mins(20);
        let mut world = World::new(Alignment::LeadIn, late);
        world.play(3_000, true).await;
        let (told, bytes) = world.close(None).await;
        assert_eq!((told.state, told.error), (FileState::Finished, None));
        let shift = late.as_millis() as i64;
        assert_eq!(places(&bytes, 2, shift), (0, 0, 150));
        let (least, most, count) = places(&bytes, 1, shift);
        assert!(
            (-1..=1).contains(&least) && (-1..=1).contains(&most) && count == 75,
            "{least} {most} {count}"
        );
        let scan = webm::scan(&mut std::io::Cursor::new(&bytes)).unwrap();
        assert_eq!(scan.pictures, 20 * 60 * 25 + 75);
        assert_eq!(scan.packets, 20 * 60 * 50 + 150);
        // What is before the stream is in step, too: nobody has to look for the sound of a picture elsewhere.
        let mut latest = 0;
        for (_, time, _) in blocks(&bytes) {
            assert!(time >= latest - 100, "{time} behind {latest}");
            latest = latest.max(time);
        }
    });
}

#[test]
fn a_picture_that_never_comes_holds_up_no_sound() {
    run(async {
        let mut world = World::new(Alignment::LeadIn, Duration::from_secs(20));
        let mut requests = world._publisher.keyframe_requests();
        let asked = tokio::spawn(async move {
            let mut count = 0;
            loop {
                requests.next().await;
                count += 1;
                if count == 5 {
                    return;
                }
            }
        });
        world.play(10_000, false).await;
        assert!(asked.is_finished(), "it is asked for again and again");
        assert_eq!(world.told.borrow().state, FileState::Recording);
        // There it is.
        world.play(5_000, true).await;
        let (told, bytes) = world.close(None).await;
        assert_eq!((told.state, told.error.as_deref()), (FileState::Finished, None));
        assert_eq!(places(&bytes, 2, 20_000), (0, 0, 750));
        assert_eq!(places(&bytes, 1, 20_000), (0, 0, 125));
        assert_eq!(gaps(&told).last(), Some(&(Track::Video, 0, 30_000, Cause::LeadIn)));
        let sizes: Vec<_> = told.video.iter().flat_map(|video| &video.sizes).map(|size| size.width).collect();
        assert_eq!(sizes, [320]);
        let scan = webm::scan(&mut std::io::Cursor::new(&bytes)).unwrap();
        assert_eq!(scan.video, Some(webm::VideoEntry::Vp8(size())), "the head tells the true size");
    });
}

#[test]
fn a_stream_that_sends_nothing_is_no_file() {
    run(async {
        let mut world = World::new(Alignment::Full, Duration::from_secs(20));
        world.pause(10_000).await;
        world.orders.send(Order::Close(Some(world.clock.now()))).await.unwrap();
        world.task.take().unwrap().await.unwrap();
        let told = world.told.borrow().clone();
        assert_eq!(told.state, FileState::Lost);
        assert_eq!(told.error.as_deref(), Some("the stream has nothing that can be recorded"));
        assert_eq!(std::fs::read_dir(world.root.path().join("room/session")).unwrap().count(), 0);
        assert!(world.stream.ended().is_none());
    });
}

#[test]
fn a_camera_that_is_off_without_a_word_is_a_gap() {
    run(async {
        for (align, filled) in [(Alignment::Off, false), (Alignment::LeadIn, false), (Alignment::Full, true)]
        {
            let mut world = World::new(align, Duration::from_millis(1));
            world.play(5_000, true).await;
            world.orders.send(Order::Muted(MediaKind::Video, true)).await.unwrap();
            world.play(20_000, false).await;
            world.orders.send(Order::Muted(MediaKind::Video, false)).await.unwrap();
            world.play(5_000, true).await;
            let (told, bytes) = world.close(None).await;
            let gap = told.gaps.iter().find(|gap| gap.end - gap.start > 1.0).unwrap();
            assert_eq!((gap.track, gap.cause, gap.filled), (Track::Video, Cause::Mute, filled), "{align:?}");
            assert!((gap.end - gap.start - 20.0).abs() < 0.05, "{gap:?}");
            let shift = if align == Alignment::Off { 0 } else { 1 };
            assert_eq!((places(&bytes, 2, shift).2, places(&bytes, 1, shift).2), (1_500, 250));
            for track in [1, 2] {
                let (least, most, _) = places(&bytes, track, shift);
                assert!(least >= -1 && most <= 1, "{align:?}: {least} {most}");
            }
        }
    });
}

#[test]
fn a_disk_that_stands_still_takes_whole_groups_of_pictures() {
    run(async {
        let mut world = World::new(Alignment::Off, Duration::ZERO);
        world.play(5_000, true).await;
        // The thread that may wait for the disk waits for something else.
        world.is_quick = false;
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let stuck = tokio::task::spawn_blocking(move || gone.recv());
        world.play(30_000, true).await;
        drop(go);
        stuck.await.unwrap().unwrap_err();
        world.is_quick = true;
        world.play(5_000, true).await;
        let (told, bytes) = world.close(None).await;
        assert_eq!((told.state, told.error.as_deref()), (FileState::Finished, None));
        let found: Vec<_> = gaps(&told).into_iter().filter(|gap| gap.2 - gap.1 > 100).collect();
        let [(Track::Audio, a, b, Cause::SlowDisk), (Track::Video, c, d, Cause::SlowDisk)] = found[..] else {
            panic!("{found:?}")
        };
        // Ten seconds wait; then nothing more does until the disk goes on, and pictures go on with a key picture.
        assert!((14_000..19_000).contains(&a) && (35_000..36_500).contains(&b), "{found:?}");
        assert!(
            (14_000..19_000).contains(&c) && d % 1_000 == 0 && (35_000..37_000).contains(&d),
            "{found:?}"
        );
        for track in [1, 2] {
            let (least, most, _) = places(&bytes, track, 0);
            assert!(least >= -1 && most <= 1, "what comes behind it is where it belongs: {least} {most}");
        }
        assert!((told.end - 40.0).abs() < 0.05, "{}", told.end);
    });
}
