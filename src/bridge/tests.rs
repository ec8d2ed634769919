//! Renditions over a stream: started, shared, lingering, gone. Time is tokio's, paused.

use super::{Accepts, Bridge, Reason, Refusal, Subscription};
use crate::codec::aac::AudioSpecificConfig;
use crate::codec::h264::AvcConfig;
use crate::media::{AccessUnit, Codec, CodecParams, Frame, MediaKind, Payload};
use crate::stream::{
    EndReason, Event, FeedKey, FeedWriter, Form, Publisher, QueueLimits, Start, Stream, StreamName, Warning,
};
use crate::time::{ClockRate, NtpTime, Timestamp};
use bytes::Bytes;
use std::time::Duration;

const H264_FRAMES: FeedKey = FeedKey::new(Codec::H264, Form::Frames);
const H264_PACKETS: FeedKey = FeedKey::new(Codec::H264, Form::Packets);
const AAC_FRAMES: FeedKey = FeedKey::new(Codec::Aac, Form::Frames);
const OPUS_PACKETS: FeedKey = FeedKey::new(Codec::Opus, Form::Packets);
const VP8_PACKETS: FeedKey = FeedKey::new(Codec::Vp8, Form::Packets);

fn published() -> (Stream, Publisher) {
    let name = StreamName { room: "room".into(), participant: "alice".into(), stream: "s".into() };
    Stream::publish(name, NtpTime::default())
}

fn config(level: u8) -> CodecParams {
    let set = |bytes: &[u8]| vec![Bytes::copy_from_slice(bytes)];
    CodecParams::H264(AvcConfig::new(set(&[0x67, 0x42, 0xc0, level, 0x95]), set(&[0x68, 0xce])).unwrap())
}

fn picture(ms: i64, keyframe: bool) -> Frame {
    let unit = AccessUnit::from_nals([&[if keyframe { 0x65 } else { 0x41 }, 0x88, 1][..]]);
    let time = Timestamp::from_millis(ms);
    Frame { kind: MediaKind::Video, dts: time, pts: time, keyframe, payload: Payload::Nalus(unit) }
}

fn rtmp_video(publisher: &Publisher) -> FeedWriter {
    let video = publisher.track(H264_FRAMES).unwrap();
    video.set_params(config(30));
    video
}

/// A WebRTC viewer.
fn view(bridge: &Bridge, stream: &Stream) -> Subscription {
    let accepts = Accepts { audio: vec![OPUS_PACKETS], video: vec![VP8_PACKETS, H264_PACKETS] };
    bridge.subscribe(stream, accepts, Start::NextKeyframe, QueueLimits::default())
}

/// Everything that comes within some milliseconds, in short.
async fn read(subscription: &mut Subscription) -> Vec<String> {
    let mut events = Vec::new();
    let wait = Duration::from_millis(50);
    while tokio::time::timeout(wait, subscription.next_batch(&mut events)).await.is_ok() {}
    let show = |event: Event| match event {
        Event::Params(params) => params.codec().to_string(),
        Event::Packets(kind, packets) => format!("{kind} {}", packets[0].ticks),
        Event::Frame(frame) => format!("{} {:?}", frame.kind, frame.dts),
        Event::TrackEnded(key) => format!("{} ends", key.codec),
        other => format!("{other:?}"),
    };
    events.into_iter().map(show).collect()
}

fn running(bridge: &Bridge, stream: &Stream) -> Vec<(FeedKey, usize)> {
    bridge.renditions(stream).into_iter().map(|info| (info.feed, info.users)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_rendition_starts_is_shared_lingers_and_stops() {
    let ((stream, publisher), bridge) = (published(), Bridge::default());
    let video = rtmp_video(&publisher);
    assert_eq!(running(&bridge, &stream), []);
    let (mut first, mut second) = (view(&bridge, &stream), view(&bridge, &stream));
    assert_eq!(running(&bridge, &stream), [(H264_PACKETS, 2)]);
    video.write(picture(0, true));
    for viewer in [&mut first, &mut second] {
        assert_eq!(read(viewer).await, ["H264", "video 0"]);
    }
    drop((first, second));
    tokio::time::sleep(Duration::from_millis(4_900)).await;
    assert_eq!(running(&bridge, &stream), [(H264_PACKETS, 0)], "somebody may come back");
    let mut back = view(&bridge, &stream);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(running(&bridge, &stream), [(H264_PACKETS, 1)]);
    video.write(picture(40, true));
    assert_eq!(read(&mut back).await, ["H264", "video 3600"], "the same rendition");
    drop(back);
    tokio::time::sleep(Duration::from_millis(5_100)).await;
    assert_eq!(running(&bridge, &stream), []);
    assert_eq!(stream.feeds().len(), 1, "its feed is gone");
}

/// 1024 samples of nothing, in stereo.
const SILENT_AAC: [u8; 6] = [0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c];

#[tokio::test(start_paused = true)]
async fn one_rendition_goes_the_whole_way() {
    let ((stream, publisher), bridge) = (published(), Bridge::default());
    let audio = publisher.track(AAC_FRAMES).unwrap();
    audio.set_params(CodecParams::Aac(AudioSpecificConfig::aac_lc(48_000, 2).unwrap()));
    let mut viewer = view(&bridge, &stream);
    assert_eq!(running(&bridge, &stream), [(OPUS_PACKETS, 1)]);
    let info = &bridge.renditions(&stream)[0];
    assert_eq!((info.from, info.reason), (AAC_FRAMES, Reason::AacToOpus));
    for block in 0..4 {
        let silence = Bytes::from_static(&SILENT_AAC);
        audio.write(Frame::audio(Timestamp::from_ticks(1_024 * block, ClockRate::OPUS), silence));
    }
    assert_eq!(read(&mut viewer).await[..2], ["opus", "audio -120"], "less the encoder's delay");
    drop(viewer);
    tokio::time::sleep(Duration::from_millis(5_100)).await;
    assert_eq!(running(&bridge, &stream), []);
    assert_eq!(stream.feeds().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn tracks_that_come_later_and_parameters_that_change_are_followed() {
    let ((stream, publisher), bridge) = (published(), Bridge::default());
    let mut viewer = view(&bridge, &stream);
    assert_eq!(running(&bridge, &stream), []);
    let video = rtmp_video(&publisher);
    assert!(read(&mut viewer).await.contains(&"H264".to_owned()));
    video.write(picture(0, true));
    video.set_params(config(31));
    video.write(picture(40, true));
    assert_eq!(read(&mut viewer).await, ["video 0", "H264", "video 3600"]);
}

#[tokio::test(start_paused = true)]
async fn a_track_that_ends_takes_its_renditions_along_and_may_come_back() {
    let ((stream, publisher), bridge) = (published(), Bridge::default());
    let video = rtmp_video(&publisher);
    let mut viewer = view(&bridge, &stream);
    video.write(picture(0, true));
    read(&mut viewer).await;
    // What was sent right before the end is converted still.
    video.write(picture(40, false));
    drop(video);
    assert_eq!(read(&mut viewer).await, ["video 3600", "H264 ends"]);
    assert_eq!(running(&bridge, &stream), []);
    let video = rtmp_video(&publisher);
    read(&mut viewer).await;
    video.write(picture(80, true));
    assert_eq!(read(&mut viewer).await, ["video 7200"]);
    publisher.end(EndReason::Unpublished);
    assert!(read(&mut viewer).await.contains(&"Ended(Unpublished)".to_owned()));
    assert_eq!(running(&bridge, &stream), []);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_converted_is_refused_and_the_publisher_told() {
    let ((stream, publisher), bridge) = (published(), Bridge::default());
    let _video = publisher.track(VP8_PACKETS).unwrap();
    let hevc = FeedKey::new(Codec::Hevc, Form::Frames);
    let accepts = Accepts { audio: vec![AAC_FRAMES], video: vec![hevc] };
    let player = bridge.subscribe(&stream, accepts, Start::CachedGop, QueueLimits::default());
    let refusal = Refusal::NoConverter { from: Codec::Vp8 };
    assert_eq!(player.refused(MediaKind::Video), Some(refusal));
    assert_eq!(player.refused(MediaKind::Audio), None, "there is none");
    assert_eq!(stream.warnings(), [Warning::NoConverter { from: Codec::Vp8 }]);
    drop(player);
    assert_eq!(stream.warnings(), []);
}

#[tokio::test(start_paused = true)]
async fn b_frames_are_a_warning_while_somebody_watches() {
    let ((stream, publisher), bridge) = (published(), Bridge::default());
    let (video, mut told) = (rtmp_video(&publisher), stream.all_warnings());
    let viewer = view(&bridge, &stream);
    video.write(picture(0, true));
    video.write(picture(120, false));
    video.write(picture(40, false));
    assert_eq!(told.next().await, Warning::BFrames);
    assert_eq!(stream.warnings(), [Warning::BFrames]);
    assert_eq!(bridge.renditions(&stream)[0].reason, Reason::BFrames);
    drop(viewer);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(stream.warnings(), []);
}

#[tokio::test(start_paused = true)]
async fn a_name_published_again_is_another_stream() {
    let ((stream, publisher), bridge) = (published(), Bridge::default());
    let _video = rtmp_video(&publisher);
    let viewer = view(&bridge, &stream);
    publisher.end(EndReason::Vanished);
    let (again, publisher) = published();
    let _video = rtmp_video(&publisher);
    let next = view(&bridge, &again);
    assert_eq!(running(&bridge, &again), [(H264_PACKETS, 1)]);
    assert_eq!(running(&bridge, &stream), []);
    drop(viewer);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(running(&bridge, &again), [(H264_PACKETS, 1)]);
    drop(next);
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_all() {
    let ((stream, publisher), bridge) = (published(), Bridge::default());
    let _video = rtmp_video(&publisher);
    let mut viewer = view(&bridge, &stream);
    bridge.shutdown().await;
    assert_eq!(running(&bridge, &stream), []);
    assert!(read(&mut viewer).await.contains(&"H264 ends".to_owned()));
}
