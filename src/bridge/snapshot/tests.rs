//! Pictures out of a stream that is written by hand. Time is tokio's, paused.

use super::*;
use crate::media::{AccessUnit, Payload};
use crate::stream::{EndReason, FeedWriter, Publisher, StreamName};
use crate::time::{NtpTime, Timestamp};
use ffmpeg_next::codec::{Context, Id, decoder};
use ffmpeg_next::{Packet, frame};
use tokio::time::Instant;

/// A keyframe of VP8 by libvpx: 16 by 16 pixels, all red.
const RED: &[u8] = &[
    0xf0, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x10, 0x00, 0x10, 0x00, 0x00, 0x47, 0x08, 0x85, 0x85, 0x88, 0x85,
    0x84, 0x88, 0x02, 0x02, 0x02, 0x75, 0xaa, 0x03, 0xf8, 0x03, 0xfa, 0x02, 0x0d, 0x4d, 0x18, 0x00, 0xfe,
    0xfd, 0x6e, 0xf3, 0xff, 0xe3, 0x99, 0x37, 0x30, 0xc4, 0xff, 0x8e, 0x6d, 0xff, 0xf1, 0x61, 0x3c, 0x0e,
    0x28, 0xc8, 0xff, 0xf1, 0x51, 0x00,
];

fn published(codec: Codec) -> (Stream, Publisher, FeedWriter) {
    let name = StreamName { room: "room".into(), participant: "alice".into(), stream: "s".into() };
    let (stream, publisher) = Stream::publish(name, NtpTime::default());
    let video = publisher.track(FeedKey::new(codec, Form::Frames)).unwrap();
    (stream, publisher, video)
}

fn vp8(ms: i64, keyframe: bool, bytes: &'static [u8]) -> Frame {
    let (time, payload) = (Timestamp::from_millis(ms), Payload::Packet(Bytes::from_static(bytes)));
    Frame { kind: MediaKind::Video, dts: time, pts: time, keyframe, payload }
}

/// The size of an image, and its first pixel.
fn read(image: &[u8], id: Id) -> (u32, u32, Vec<u8>) {
    let found = decoder::find(id).unwrap();
    let mut decoder = Context::new_with_codec(found).decoder().open_as(found).unwrap().video().unwrap();
    decoder.send_packet(&Packet::copy(image)).unwrap();
    decoder.send_eof().unwrap();
    let mut picture = frame::Video::empty();
    decoder.receive_frame(&mut picture).unwrap();
    (picture.width(), picture.height(), picture.data(0)[..3].to_vec())
}

#[tokio::test(start_paused = true)]
async fn a_keyframe_becomes_an_image() {
    let ((stream, _publisher, video), bridge) = (published(Codec::Vp8), Bridge::default());
    video.set_params(CodecParams::Vp8);
    video.write(vp8(0, true, RED));
    let png = bridge.snapshot(&stream, ImageFormat::Png, None).await.unwrap();
    let (width, height, pixel) = read(&png, Id::PNG);
    assert_eq!((width, height), (16, 16));
    assert!(pixel[0] > 245 && pixel[1] < 10 && pixel[2] < 10, "{pixel:?}");
    let jpeg = bridge.snapshot(&stream, ImageFormat::Jpeg, None).await.unwrap();
    let (width, height, luma) = read(&jpeg, Id::MJPEG);
    assert_eq!((width, height), (16, 16));
    assert!(luma[0].abs_diff(76) < 6, "red in full range: {luma:?}");
}

#[tokio::test(start_paused = true)]
async fn rubbish_is_no_picture_and_does_no_harm() {
    let ((stream, _publisher, video), bridge) = (published(Codec::Vp8), Bridge::default());
    video.set_params(CodecParams::Vp8);
    // 16383 by 16383 pixels; the beginning of a frame; nothing.
    let huge: &[u8] = &[0xf0, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0xff, 0x3f, 0xff, 0x3f, 0, 0, 0x47, 8];
    for (time, bytes) in [(0, huge), (40, &RED[..12]), (80, &[])] {
        video.write(vp8(time, true, bytes));
        let taken = bridge.snapshot(&stream, ImageFormat::Png, None).await;
        assert_eq!(taken.unwrap_err(), SnapshotError::Undecodable);
    }
    video.write(vp8(120, true, RED));
    video.write(vp8(160, false, &[1, 2, 3]));
    assert!(
        bridge.snapshot(&stream, ImageFormat::Png, None).await.is_ok(),
        "the last one that could be decoded"
    );
}

#[tokio::test(start_paused = true)]
async fn a_picture_that_does_not_come_is_not_waited_for() {
    let ((stream, publisher, video), bridge) = (published(Codec::H264), Bridge::default());
    let began = Instant::now();
    let taken = bridge.snapshot(&stream, ImageFormat::Png, None).await;
    assert_eq!(taken.unwrap_err(), SnapshotError::NoKeyframe);
    assert_eq!(began.elapsed(), PATIENCE);

    let unit = Payload::Nalus(AccessUnit::from_nals([&[0x41, 0x88, 1][..]]));
    let time = Timestamp::from_millis(0);
    video.write(Frame { kind: MediaKind::Video, dts: time, pts: time, keyframe: false, payload: unit });
    let taken = bridge.snapshot(&stream, ImageFormat::Png, None).await;
    assert_eq!(taken.unwrap_err(), SnapshotError::NoKeyframe);

    let waiting = tokio::spawn({
        let (bridge, stream) = (bridge.clone(), stream.clone());
        async move { bridge.snapshot(&stream, ImageFormat::Png, None).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    publisher.end(EndReason::Unpublished);
    assert_eq!(waiting.await.unwrap().unwrap_err(), SnapshotError::Ended);
}

#[tokio::test(start_paused = true)]
async fn sound_alone_has_no_picture() {
    let name = StreamName { room: "room".into(), participant: "alice".into(), stream: "s".into() };
    let (stream, publisher) = Stream::publish(name, NtpTime::default());
    publisher.declare(&[MediaKind::Audio]);
    let _audio = publisher.track(FeedKey::new(Codec::Opus, Form::Frames)).unwrap();
    let taken = Bridge::default().snapshot(&stream, ImageFormat::Png, None).await;
    assert_eq!(taken.unwrap_err(), SnapshotError::NoVideo);
}

#[tokio::test]
async fn whoever_asks_and_goes_keeps_its_place_until_the_work_is_done() {
    let ((stream, _publisher, video), bridge) = (published(Codec::Vp8), Bridge::default());
    video.set_params(CodecParams::Vp8);
    video.write(vp8(0, true, RED));
    for frame in 1..2_000 {
        video.write(vp8(frame, false, RED));
    }
    let places = bridge.decoders().available_permits();
    let asked = tokio::spawn({
        let bridge = bridge.clone();
        async move { bridge.snapshot(&stream, ImageFormat::Png, None).await }
    });
    while bridge.decoders().available_permits() == places {
        tokio::task::yield_now().await;
    }
    asked.abort();
    assert!(asked.await.unwrap_err().is_cancelled());
    assert!(bridge.decoders().available_permits() < places, "the work goes on");
    let done = async {
        while bridge.decoders().available_permits() < places {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), done).await.expect("the place is free again");
}
