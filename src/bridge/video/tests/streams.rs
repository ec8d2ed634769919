//! Whole renditions of a stream that is written in real time: the thread, the places, and what those get who come in the middle.

use super::*;
use crate::bridge::{Accepts, Bridge, Refusal, StartingPicture, Subscription};
use crate::config;
use crate::media::PacketGroup;
use crate::stream::{FeedKey, FeedWriter, Form, Publisher, QueueLimits, Start, Stream, StreamName};
use crate::time::NtpTime;
use tokio::time::timeout;

const PACKETS: FeedKey = FeedKey::new(Codec::H264, Form::Packets);

fn bridge(places: usize) -> Bridge {
    let linger = config::Bridge::default().linger;
    Bridge::new(config::Bridge {
        linger: "0s".parse().unwrap_or(linger),
        max_video_transcodes: places,
        ..config::Bridge::default()
    })
}

/// A stream, with what was sent so far.
fn published(params: &CodecParams, frames: &[Frame]) -> (Stream, Publisher, FeedWriter) {
    let name = StreamName { room: "room".into(), participant: "obs".into(), stream: "s".into() };
    let (stream, publisher) = Stream::publish(name, NtpTime::default());
    let video = publisher.track(FeedKey::new(params.codec(), Form::Frames)).unwrap();
    video.set_params(params.clone());
    frames.iter().for_each(|frame| video.write(frame.clone()));
    (stream, publisher, video)
}

fn view(bridge: &Bridge, stream: &Stream, accepted: FeedKey) -> Subscription {
    let accepts = Accepts { audio: Vec::new(), video: vec![accepted] };
    bridge.subscribe(stream, accepts, Start::NextKeyframe, QueueLimits::default())
}

/// The first packets that come.
async fn first_of(subscription: &mut Subscription) -> PacketGroup {
    let mut events = Vec::new();
    loop {
        timeout(Duration::from_secs(5), subscription.next_batch(&mut events)).await.expect("in time");
        for event in events.drain(..) {
            if let Event::Packets(_, packets) = event {
                return packets;
            }
        }
    }
}

async fn first_of_start(start: &StartingPicture) -> PacketGroup {
    loop {
        let event = timeout(Duration::from_secs(5), start.subscriber().next()).await.expect("in time");
        if let Event::Packets(_, packets) = event {
            return packets;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b_frames_are_flattened_on_a_thread_of_their_own_as_long_as_somebody_watches() {
    let ((params, frames), bridge) = (with_b_frames(0, 50), bridge(1));
    let (stream, _publisher, video) = published(&params, &frames[..20]);
    let mut viewer = view(&bridge, &stream, PACKETS);
    let first = first_of(&mut viewer).await;
    assert!(first.keyframe(), "made at once, of what was there before");
    assert!(first[0].time > Timestamp::from_millis(15 * STEP), "as it is now: {:?}", first[0].time);
    assert_eq!(bridge.renditions(&stream)[0].reason, Reason::BFramesTranscoded);
    video.write(frames[20].clone());
    assert!(!first_of(&mut viewer).await.keyframe());
    viewer.request_keyframe();
    tokio::time::sleep(Duration::from_millis(300)).await;
    frames[21..24].iter().for_each(|frame| video.write(frame.clone()));
    while !first_of(&mut viewer).await.keyframe() {}
    drop(viewer);
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if bridge.renditions(&stream).is_empty() {
            return;
        }
    }
    panic!("it goes on: {:?}", bridge.renditions(&stream));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_finds_no_place_is_told_and_gets_one_that_becomes_free() {
    let (vp8, frames) = source("libvpx", (64, 64), 0, 20, &[("deadline", "realtime"), ("g", "100")]);
    let bridge = bridge(1);
    let (first, _first_publisher, _first_video) = published(&vp8, &frames);
    let (second, _second_publisher, _second_video) = published(&vp8, &frames);
    let mut lucky = view(&bridge, &first, PACKETS);
    let mut waiting = view(&bridge, &second, PACKETS);
    assert_eq!(waiting.refused(MediaKind::Video), Some(Refusal::TranscodersBusy));
    assert!(first_of(&mut lucky).await.keyframe());
    drop(lucky);
    assert!(first_of(&mut waiting).await.keyframe());
    assert_eq!(waiting.refused(MediaKind::Video), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_in_the_middle_of_a_gop_gets_a_picture_made() {
    let (params, frames) = plain((160, 96), 0, 24);
    let bridge = bridge(1);
    let (stream, _publisher, video) = published(&params, &frames[..10]);
    let viewer = view(&bridge, &stream, PACKETS);
    let start = viewer.starting_picture(QueueLimits::default()).expect("the next keyframe is far away");
    let first = first_of_start(&start).await;
    assert!(first.keyframe() && first[0].time >= Timestamp::from_millis(8 * STEP), "{:?}", first[0].time);
    video.write(frames[10].clone());
    while first_of_start(&start).await[0].time < Timestamp::from_millis(10 * STEP) {}
    // Nothing comes, and somebody else does.
    let other = view(&bridge, &stream, PACKETS);
    let second = other.starting_picture(QueueLimits::default()).expect("the same");
    let still = first_of_start(&second).await;
    assert!(still.keyframe() && still[0].time > Timestamp::from_millis(10 * STEP), "the last picture again");
    let made: Vec<_> = bridge.renditions(&stream).into_iter().map(|info| (info.reason, info.users)).collect();
    assert_eq!(made, [(Reason::Packetised, 2), (Reason::FirstPicture, 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_picture_is_made_where_nobody_can_use_it() {
    let (params, frames) = plain((160, 96), 0, 20);
    let bridge = bridge(1);
    let (stream, _publisher, video) = published(&params, &frames[..10]);
    let vp8 = view(&bridge, &stream, FeedKey::new(Codec::Vp8, Form::Packets));
    assert!(
        vp8.starting_picture(QueueLimits::default()).is_none(),
        "it has one made already, and takes no H.264"
    );
    let viewer = view(&bridge, &stream, PACKETS);
    stream.set_muted(MediaKind::Video, true);
    assert!(viewer.starting_picture(QueueLimits::default()).is_none(), "there is nothing to be seen");
    stream.set_muted(MediaKind::Video, false);
    video.write(frames[11].clone());
    assert!(viewer.starting_picture(QueueLimits::default()).is_none(), "nothing to begin with");
}
