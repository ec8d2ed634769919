//! Who gets what, from when on.

use super::*;
use crate::media::{Codec, CodecParams, Payload};
use crate::stream::Form;
use crate::time::Timestamp;
use bytes::Bytes;

const VIDEO: FeedKey = FeedKey::new(Codec::Vp8, Form::Frames);
const AUDIO: FeedKey = FeedKey::new(Codec::Opus, Form::Frames);

fn published() -> (Stream, Publisher) {
    let name = StreamName { room: "room".into(), participant: "alice".into(), stream: "a".into() };
    Stream::publish(name, NtpTime::default())
}

fn video(ms: i64, keyframe: bool) -> Frame {
    let time = Timestamp::from_millis(ms);
    Frame {
        kind: MediaKind::Video,
        dts: time,
        pts: time,
        keyframe,
        payload: Payload::Packet(Bytes::from_static(b"v")),
    }
}

fn audio(ms: i64) -> Frame {
    Frame::audio(Timestamp::from_millis(ms), Bytes::from_static(b"a"))
}

fn drain(subscriber: &Subscriber) -> Vec<String> {
    std::iter::from_fn(|| subscriber.try_next())
        .map(|event| match event {
            Event::Params(params) => params.codec().to_string(),
            Event::Frame(f) => format!(
                "{}{}",
                if f.kind == MediaKind::Video { "v" } else { "a" },
                (f.dts - Timestamp::ZERO).as_millis()
            ),
            Event::TrackEnded(key) => format!("ended {}", key.codec),
            Event::Ended(reason) => format!("{reason:?}"),
            other => format!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_joiner_gets_params_and_the_gop_of_both_tracks_in_order() {
    let (stream, publisher) = published();
    let (v, a) = (publisher.track(VIDEO).unwrap(), publisher.track(AUDIO).unwrap());
    v.set_params(CodecParams::Vp8);
    for ms in [0, 40, 80, 120] {
        a.write(audio(ms - 10));
        v.write(video(ms, ms == 0 || ms == 80));
    }
    let subscriber = stream.subscriber(QueueLimits::default());
    subscriber.attach(&[VIDEO, AUDIO], Start::CachedGop);
    v.write(video(160, false));
    assert_eq!(drain(&subscriber), ["VP8", "v80", "a110", "v120", "v160"]);
    publisher.end(EndReason::Unpublished);
    assert_eq!(drain(&subscriber), ["Unpublished"]);
    assert_eq!(drain(&stream.subscriber(QueueLimits::default())), ["Unpublished"], "so does who comes late");
}

#[test]
fn without_a_cached_gop_video_begins_at_a_keyframe() {
    let (stream, publisher) = published();
    let v = publisher.track(VIDEO).unwrap();
    let subscriber = stream.subscriber(QueueLimits::default());
    subscriber.attach(&[VIDEO], Start::CachedGop);
    assert!(stream.shared.keyframe_wanted.load(Ordering::Relaxed) != 0);
    for ms in [0, 40, 80] {
        v.write(video(ms, ms == 40));
    }
    assert_eq!(drain(&subscriber), ["v40", "v80"]);
}

#[test]
fn a_track_that_ends_is_told_and_can_come_again() {
    let (stream, publisher) = published();
    let subscriber = stream.subscriber(QueueLimits::default());
    let a = publisher.track(AUDIO).unwrap();
    assert!(publisher.track(AUDIO).is_none(), "one writer a feed");
    subscriber.attach(&[AUDIO], Start::Anywhere);
    drop(a);
    assert_eq!(drain(&subscriber), ["ended opus"]);
    let a = publisher.track(AUDIO).unwrap();
    subscriber.attach(&[AUDIO], Start::Anywhere);
    a.write(audio(5));
    assert_eq!(drain(&subscriber), ["a5"]);
    drop(subscriber);
    assert_eq!(a.subscriber_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn keyframe_requests_are_coalesced() {
    let (stream, publisher) = published();
    let mut requests = publisher.keyframe_requests();
    let began = Instant::now();
    stream.request_keyframe();
    stream.request_keyframe();
    requests.next().await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    let low = Layer::below_best(2).unwrap();
    stream.request_keyframe();
    stream.request_keyframe_of(low);
    assert_eq!(requests.next().await, Layers::of([Layer::BEST, low]));
    assert_eq!(began.elapsed(), KEYFRAME_INTERVAL);
    assert!(tokio::time::timeout(Duration::from_secs(9), requests.next()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_a_publisher_sends_is_declared_or_seen() {
    let (stream, publisher) = published();
    let sends = || [MediaKind::Audio, MediaKind::Video].map(|kind| stream.sends(kind));
    let began = Instant::now();
    assert_eq!(sends(), [None, None]);
    assert!(
        tokio::time::timeout(Duration::from_secs(9), stream.settled()).await.is_err(),
        "nothing has come"
    );
    let _audio = publisher.track(AUDIO).unwrap();
    stream.settled().await;
    assert_eq!(began.elapsed(), Duration::from_secs(9) + SETTLING, "the picture might have been on its way");
    assert_eq!(sends(), [Some(true), None]);
    let _video = publisher.track(VIDEO).unwrap();
    assert_eq!(sends(), [Some(true), Some(true)], "better late than never");

    let (stream, publisher) = published();
    publisher.declare(&[MediaKind::Video]);
    stream.settled().await;
    assert_eq!(
        [MediaKind::Audio, MediaKind::Video].map(|kind| stream.sends(kind)),
        [Some(false), Some(true)]
    );

    let (stream, publisher) = published();
    let _tracks = (publisher.track(AUDIO).unwrap(), publisher.track(VIDEO).unwrap());
    stream.settled().await;
    let (stream, publisher) = published();
    drop(publisher);
    stream.settled().await;
}

#[tokio::test(start_paused = true)]
async fn what_came_before_a_stream_was_announced_is_kept_for_who_wants_all() {
    let (stream, publisher) = published();
    let (sound, picture) = (publisher.track(AUDIO).unwrap(), publisher.track(VIDEO).unwrap());
    for ms in (0..=1_000).step_by(100) {
        sound.write(audio(ms));
        if ms % 500 == 0 {
            picture.write(video(ms, ms != 500));
        }
    }
    let read = |keys: &[FeedKey], start| {
        let subscriber = stream.subscriber(QueueLimits::default());
        subscriber.attach(keys, start);
        drain(&subscriber)
    };
    let all = read(&[AUDIO, VIDEO], Start::Beginning);
    assert_eq!((all.len(), &all[..2]), (14, &["a0".to_owned(), "v0".to_owned()][..]));
    assert_eq!(read(&[AUDIO], Start::Beginning).len(), 11);
    let pictures: Vec<_> =
        read(&[AUDIO, VIDEO], Start::CachedGop).into_iter().filter(|read| read.starts_with('v')).collect();
    assert_eq!(pictures, ["v1000"], "nobody else gets it");
    tokio::time::advance(Duration::from_secs(4)).await;
    picture.write(video(5_000, true));
    sound.write(audio(5_000));
    assert_eq!(read(&[AUDIO, VIDEO], Start::Beginning), ["a5000", "v5000"]);
}

#[tokio::test]
async fn lower_layers_are_feeds_that_nobody_meets_unasked() {
    let (stream, publisher) = published();
    let key = FeedKey::new(Codec::Vp8, Form::Packets);
    let low = key.in_layer(Layer::below_best(1).unwrap());
    let (_lower, best) = (publisher.track(low).unwrap(), publisher.track(key).unwrap());
    best.set_height(720);
    assert_eq!(stream.track(MediaKind::Video).map(|feed| (feed.key, feed.height)), Some((key, Some(720))));
    assert_eq!((key.to_string(), low.to_string()), ("VP8/packets".into(), "VP8/packets/1".into()));
}

#[test]
fn what_is_muted_goes_no_further_and_comes_back_with_a_keyframe() {
    let (stream, publisher) = published();
    let (v, a) = (publisher.track(VIDEO).unwrap(), publisher.track(AUDIO).unwrap());
    let subscriber = stream.subscriber(QueueLimits::default());
    subscriber.attach(&[VIDEO, AUDIO], Start::Anywhere);
    let wanted = || stream.shared.keyframe_wanted.swap(0, Ordering::Relaxed) != 0;
    v.write(video(0, true));
    stream.set_muted(MediaKind::Video, true);
    assert!(stream.is_muted(MediaKind::Video) && !stream.is_muted(MediaKind::Audio));
    for ms in [40, 80] {
        v.write(video(ms, ms == 80));
        a.write(audio(ms));
    }
    stream.request_keyframe();
    assert!(!wanted(), "nobody would see it");
    let late = stream.subscriber(QueueLimits::default());
    late.attach(&[VIDEO, AUDIO], Start::CachedGop);
    assert!(drain(&late).is_empty(), "nor what was sent before");
    stream.set_muted(MediaKind::Video, false);
    assert!(wanted());
    v.write(video(120, false));
    assert!(wanted(), "still");
    v.write(video(160, true));
    v.write(video(200, false));
    let skipped = format!("{:?}", Event::Skipped { kind: MediaKind::Video, frames: 3 });
    assert_eq!(drain(&subscriber), ["v0", "a40", "a80", &skipped, "v160", "v200"]);
    assert_eq!(drain(&late), [&skipped, "v160", "v200"]);

    stream.set_muted(MediaKind::Audio, true);
    drop(a);
    let a = publisher.track(AUDIO).unwrap();
    subscriber.attach(&[AUDIO], Start::Anywhere);
    a.write(audio(240));
    assert_eq!(drain(&subscriber), ["ended opus"], "a track that comes again is muted as well");
    stream.set_muted(MediaKind::Audio, false);
    a.write(audio(260));
    let skipped = format!("{:?}", Event::Skipped { kind: MediaKind::Audio, frames: 1 });
    assert_eq!(drain(&subscriber), [&skipped, "a260"]);
}

#[test]
fn what_nobody_reads_is_counted_and_need_not_be_made() {
    const PACKETS: FeedKey = FeedKey::new(Codec::Vp8, Form::Packets);
    let (stream, publisher) = published();
    let v = publisher.track(PACKETS).unwrap();
    assert!(v.passes_over(700));
    let shown = || stream.track(MediaKind::Video).map(|feed| (feed.bytes, feed.items));
    assert_eq!((shown(), stream.writes()), (Some((700, 1)), 1), "the publisher is there all the same");
    stream.set_muted(MediaKind::Video, true);
    assert!(!v.passes_over(700), "what is kept back is for the gate to count");
    stream.set_muted(MediaKind::Video, false);
    assert!(!v.passes_over(700), "a keyframe opens it");
    assert_eq!((shown(), stream.writes()), (Some((700, 1)), 1));
}

#[test]
fn what_somebody_reads_is_passed_over_by_nobody() {
    let (stream, publisher) = published();
    let v = publisher.track(VIDEO).unwrap();
    let subscriber = stream.subscriber(QueueLimits::default());
    subscriber.attach(&[VIDEO], Start::Anywhere);
    assert!(!v.passes_over(700));
    drop(subscriber);
    assert!(v.passes_over(700));
}
