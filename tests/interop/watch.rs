//! RTMP in, WebRTC out: what ffmpeg sends, Chromium shows and plays.

use crate::analysis::{OFFSET, Report};
use crate::browser::Browser;
use crate::client::{Client, ended};
use crate::ffmpeg;
use crate::gateway::Gateway;
use crate::patience;
use crate::relay::Relay;
use std::path::Path;
use std::time::Duration;

/// A browser on a busy machine misses a block of samples now and then, even when it hears itself; losses of ours are longer:
/// a packet of sound has 20 ms.
const GAP: f64 = 0.015;

/// Publishes a clip and has Chromium play it by WHEP for so many seconds. Gives what the API says at the end, too.
fn watched(clip: &Path, arguments: &[&str], codecs: &[&str], seconds: u64) -> (Report, String) {
    let gateway = Gateway::start();
    let _publisher = Client::publish_with(clip, arguments, &gateway.url("studio", "camera"));
    gateway.wait_for("studio", "camera", codecs);
    let mut browser = Browser::start();
    browser.play(&gateway, "studio", "camera", "H264");
    browser.settle(4);
    let report = browser.record(seconds).analyse();
    println!("{report:#?}");
    let room = gateway.room("studio").expect("the publisher is still there");
    (report, room.to_string())
}

#[test]
fn h264_and_stereo_aac_are_shown_and_heard() {
    let (report, _) = watched(&ffmpeg::baseline_clip(40), &["-c", "copy"], &["h264", "aac"], 10);
    let picture = report.picture();
    assert!(picture.fps > 24.0 && picture.backwards == 0 && picture.illegible == 0, "{report:#?}");
    assert!(report.sound().snr >= 30.0 && report.sound().longest_gap() < GAP, "{report:#?}");
    assert!(report.offset().abs() <= OFFSET, "{report:#?}");
}

#[test]
fn mono_aac_at_44100_is_resampled_cleanly() {
    let mono = ["-c:a", "aac", "-b:a", "96k", "-ac", "1", "-ar", "44100"];
    let clip = ffmpeg::clip(40, &[&ffmpeg::BASELINE[..], &mono[..]].concat());
    let (report, _) = watched(&clip, &["-c", "copy"], &["h264", "aac"], 10);
    assert!(report.sound().snr >= 30.0 && report.sound().longest_gap() < GAP, "{report:#?}");
    assert!(report.offset().abs() <= OFFSET, "{report:#?}");
}

#[test]
fn b_frames_never_go_backwards_and_are_explained() {
    let b_frames = ["-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "30", "-crf", "23"];
    let clip = ffmpeg::clip(40, &[&b_frames[..], &ffmpeg::AAC[..]].concat());
    let (report, room) = watched(&clip, &["-c", "copy"], &["h264", "aac"], 8);
    assert!(report.picture().fps > 24.0 && report.picture().backwards == 0, "{report:#?}");
    assert!(report.offset().abs() <= OFFSET && report.sound().snr >= 30.0, "{report:#?}");
    assert!(room.contains("b_frames_transcoded"), "{room}");
}

#[test]
fn sound_alone_is_heard() {
    let (report, _) = watched(&ffmpeg::baseline_clip(40), &["-vn", "-c", "copy"], &["aac"], 4);
    assert!(report.picture.is_none() && report.sound().snr >= 30.0, "{report:#?}");
}

#[test]
fn picture_alone_is_shown() {
    let (report, _) = watched(&ffmpeg::baseline_clip(40), &["-an", "-c", "copy"], &["h264"], 4);
    assert!(report.picture().fps > 24.0 && report.picture().backwards == 0, "{report:#?}");
}

#[test]
fn a_track_that_starts_later_is_heard() {
    let gateway = Gateway::start();
    let clip = ffmpeg::baseline_clip(40);
    // The sound begins with second 8, when the viewer has long been there.
    let path = clip.to_str().expect("an ordinary path");
    let arguments =
        ["-ss", "8", "-itsoffset", "8", "-re", "-i", path, "-map", "0:v", "-map", "1:a", "-c", "copy"];
    let arguments = [&arguments[..], &["-max_interleave_delta", "1"]].concat();
    let _publisher = Client::publish_with(&clip, &arguments, &gateway.url("studio", "camera"));
    gateway.wait_for("studio", "camera", &["h264"]);
    let mut browser = Browser::start();
    browser.play(&gateway, "studio", "camera", "H264");
    let report = browser.record(16).analyse();
    assert!(report.picture().backwards == 0 && report.sound().snr >= 30.0, "{report:#?}");
    assert!(report.offset().abs() <= OFFSET, "{report:#?}");
}

#[test]
fn losses_of_five_percent_are_mended() {
    let gateway = Gateway::start_with(&[&format!("webrtc.announce=[\"{}\"]", Relay::ANNOUNCED)]);
    let relay = Relay::before(gateway.webrtc);
    let _publisher = Client::publish(&ffmpeg::baseline_clip(40), &gateway.url("studio", "camera"));
    gateway.wait_for("studio", "camera", &["h264", "aac"]);
    let mut browser = Browser::start();
    browser.play(&gateway, "studio", "camera", "H264");
    relay.lose(50);
    browser.settle(4);
    let report = browser.record(14).analyse();
    let statistics = browser.statistics("inbound-rtp", "video");
    assert!(statistics["nackCount"].as_u64() > Some(0), "nothing was lost: {statistics:#}");
    assert!(
        report.picture().longest_freeze <= 0.5 && report.picture().backwards == 0,
        "{report:#?} {statistics:#}"
    );
}

#[test]
fn a_viewer_is_told_when_its_publisher_vanishes() {
    let gateway = Gateway::start();
    let publisher = Client::publish(&ffmpeg::baseline_clip(40), &gateway.url("studio", "camera"));
    gateway.wait_for("studio", "camera", &["h264", "aac"]);
    let mut browser = Browser::start();
    browser.play(&gateway, "studio", "camera", "H264");
    publisher.signal("KILL");
    browser.wait_for("the viewer is told", 5, "rig.ended()");
}

#[test]
fn viewers_are_told_of_a_shutdown() {
    let mut gateway = Gateway::start();
    let mut publisher = Client::publish(&ffmpeg::baseline_clip(40), &gateway.url("studio", "camera"));
    gateway.wait_for("studio", "camera", &["h264", "aac"]);
    let mut browser = Browser::start();
    browser.play(&gateway, "studio", "camera", "H264");
    patience::pass(Duration::from_secs(1));
    let (status, took) = gateway.terminate();
    assert!(status.success() && took < Duration::from_secs(5), "{status} after {took:?}: {}", gateway.log());
    browser.wait_for("the viewer is told", 5, "rig.ended()");
    ended(&mut publisher, Duration::from_secs(5));
}
