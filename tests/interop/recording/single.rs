//! One participant, one file.

use super::{PICTURE, Studio, Take};
use crate::analysis::OFFSET;
use crate::browser::Browser;
use crate::client::{Client, ended};
use crate::ffmpeg::{self, AAC, scratch};
use crate::obs::Obs;
use crate::patience;
use std::time::Duration;

/// H.264 as encoders make it unless they are told otherwise.
const B_FRAMES: [&str; 10] =
    ["-c:v", "libx264", "-profile:v", "high", "-preset", "veryfast", "-bf", "3", "-g", "60"];

/// Nothing is missing, nothing is out of place.
#[track_caller]
fn assert_whole(take: &Take, pictures: usize) {
    take.check();
    let report = take.analyse();
    let (picture, sound) = (report.picture(), report.sound());
    assert_eq!(
        (picture.illegible, picture.dropped, picture.repeated, picture.backwards),
        (0, 0, 0, 0),
        "{report:#?}"
    );
    assert!(picture.frames >= pictures && picture.longest_freeze < 2.0 * PICTURE, "{report:#?}");
    assert!(sound.gaps.is_empty() && sound.jumps.is_empty() && sound.snr > 30.0, "{report:#?}");
    assert!(report.offset().abs() <= OFFSET, "{report:#?}");
    assert!(take.gaps("audio").is_empty() && take.gaps("video").is_empty(), "{:#}", take.told);
}

#[test]
fn what_ffmpeg_sends_with_b_frames_is_kept_whole() {
    let studio = Studio::start("ffmpeg", &[]);
    let clip = ffmpeg::clip(8, &[&B_FRAMES[..], &AAC[..]].concat());
    Client::publish(&clip, &studio.gateway.url("studio", "camera")).finish(Duration::from_secs(15));
    let take = studio.finished("studio").take("camera");
    assert_whole(&take, 240);
    assert_eq!(take.number("start"), 0.0);
    take.plays_in(&Browser::start());
}

#[test]
fn what_obs_sends_is_kept_whole() {
    let studio = Studio::start("obs", &[]);
    let server = format!("rtmp://{}/studio", studio.gateway.rtmp);
    let mut obs = Obs::start(&ffmpeg::baseline_clip(40), &server, "obs");
    obs.press("StartStream");
    studio.gateway.wait_for("studio", "obs", &["h264", "aac"]);
    let played = scratch("recordings-obs.flv");
    Client::play(&studio.gateway.url("studio", "obs"), 9, &played).finish(Duration::from_secs(20));
    obs.press("StopStream");
    let take = studio.finished("studio").take("obs");
    drop(obs);
    take.check();
    let report = take.analyse();
    // It paints without a graphics card, and leaves out what it has no time for.
    let (picture, sound) = (report.picture(), report.sound());
    assert!(picture.frames > 200 && picture.backwards == 0 && picture.longest_freeze < 0.5, "{report:#?}");
    // No packet is missing; OBS may stumble itself while its sources begin, which is in there as well.
    assert_eq!(take.gaps("audio"), []);
    assert!(sound.gaps.iter().all(|(at, _)| *at < 1.5) && sound.snr > 30.0, "{report:#?}");
    // OBS itself shows its picture later than it plays its sound, by a good thirty milliseconds: a player has that as well.
    let played = ffmpeg::read(&played).analyse().offset();
    println!("{played:.1} ms at a player");
    assert!((report.offset() - played).abs() <= 12.0, "{played} ms at a player, {report:#?}");
}

#[test]
fn what_chromium_sends_is_kept_in_h264_and_in_vp8() {
    let studio = Studio::start("chromium", &[]);
    let mut browser = Browser::start();
    for (codec, room) in [("H264", "tall"), ("VP8", "small")] {
        browser.publish(&studio.gateway, room, "camera", codec);
        studio.gateway.wait_for(room, "camera", &[&codec.to_lowercase(), "opus"]);
        patience::pass(Duration::from_secs(10));
        browser.evaluate("rig.peer.close()");
        let take = studio.finished(room).take("camera");
        take.check();
        let report = take.analyse();
        let (picture, sound) = (report.picture(), report.sound());
        assert!(picture.fps > 20.0 && picture.backwards == 0 && picture.seconds() > 7.0, "{report:#?}");
        assert!(sound.snr >= 30.0 && sound.gaps.is_empty() && sound.largest_step < 0.005, "{report:#?}");
        assert!(report.offset().abs() <= OFFSET, "{report:#?}");
        take.plays_in(&browser);
    }
}

#[test]
fn opus_beside_h264_is_kept_where_that_is_wanted() {
    let studio = Studio::start("source", &["recording.audio=\"source\""]);
    let mut browser = Browser::start();
    browser.publish(&studio.gateway, "studio", "camera", "H264");
    studio.gateway.wait_for("studio", "camera", &["h264", "opus"]);
    patience::pass(Duration::from_secs(6));
    browser.evaluate("rig.peer.close()");
    let take = studio.finished("studio").take("camera");
    take.check();
    assert!(take.path.extension().is_some_and(|extension| extension == "mp4"), "{:#}", take.told);
    assert_eq!(take.told["audio"]["codec"], "opus", "{:#}", take.told);
    let report = take.analyse();
    assert!(report.sound().snr >= 30.0 && report.sound().gaps.is_empty(), "{report:#?}");
    assert!(report.picture().backwards == 0 && report.offset().abs() <= OFFSET, "{report:#?}");
    take.plays_in(&browser);
}

#[test]
fn sound_alone_picture_alone_and_a_second_of_both() {
    let studio = Studio::start("parts", &[]);
    let clip = ffmpeg::baseline_clip(8);
    let publish = |room: &str, arguments: &[&str]| {
        Client::publish_with(
            &clip,
            &[arguments, &["-c", "copy"]].concat(),
            &studio.gateway.url(room, "camera"),
        )
    };
    let clients = [
        publish("sound", &["-vn", "-t", "4"]),
        publish("picture", &["-an", "-t", "4"]),
        publish("second", &["-t", "1"]),
    ];
    clients.into_iter().for_each(|client| client.finish(Duration::from_secs(10)));
    let [sound, picture, second] =
        ["sound", "picture", "second"].map(|room| studio.finished(room).take("camera"));
    for take in [&sound, &picture, &second] {
        take.check();
    }
    let report = sound.analyse();
    assert!(report.picture.is_none() && sound.told["video"].is_null(), "{:#}", sound.told);
    // One that sends the one alone is announced when the other has not come for a second, and is recorded from then on.
    assert!(report.sound().seconds > 2.9 && report.sound().gaps.is_empty(), "{report:#?}");
    let report = picture.analyse();
    assert!(report.sound.is_none() && picture.told["audio"].is_null(), "{:#}", picture.told);
    assert!(report.picture().frames >= 90 && report.picture().dropped == 0, "{report:#?}");
    let report = second.analyse();
    assert_eq!((report.picture().frames, report.picture().dropped), (30, 0), "{report:#?}");
    assert!(report.sound().seconds > 0.95, "{report:#?}");
    let browser = Browser::start();
    for take in [&sound, &picture, &second] {
        take.plays_in(&browser);
    }
}

#[test]
fn a_picture_that_changes_its_size_plays_on() {
    let studio = Studio::start("sizes", &[]);
    let url = studio.gateway.url("studio", "camera");
    let small = ffmpeg::clip(20, &[&B_FRAMES[..], &AAC[..]].concat());
    let large = ffmpeg::clip(4, &[&["-vf", "scale=960:544"], &B_FRAMES[..], &AAC[..]].concat());
    let mut first = Client::publish(&small, &url);
    studio.gateway.wait_for("studio", "camera", &["h264", "aac"]);
    patience::pass(Duration::from_secs(4));
    // Its line breaks, and it comes again with another picture.
    first.signal("KILL");
    ended(&mut first, Duration::from_secs(5));
    studio.gateway.wait_until_gone("studio", "camera", Duration::from_secs(5));
    Client::publish(&large, &url).finish(Duration::from_secs(10));
    let take = studio.finished("studio").take("camera");
    take.check();
    assert_eq!(ffmpeg::heights(&take.path), [272, 544]);
    let sizes = take.told["video"]["sizes"].as_array().expect("a list");
    assert_eq!((sizes.len(), &sizes[1]["height"]), (2, &544.into()), "{:#}", take.told);
    assert_eq!(take.told["streams"].as_array().map(Vec::len), Some(2), "{:#}", take.told);
    assert!(take.gaps("video").iter().all(|gap| gap.2 == "reconnect"), "{:#}", take.told);
    take.plays_in(&Browser::start());
}
