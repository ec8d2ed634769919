//! Who sends one codec and who takes another: the picture is decoded and encoded between them.

use crate::analysis::OFFSET;
use crate::browser::Browser;
use crate::client::Client;
use crate::ffmpeg::{self, scratch};
use crate::ffmpeg_7;
use crate::gateway::Gateway;
use std::time::Duration;

/// Long GOPs as encoders send them by default, and B-frames that refer to each other.
const OBS_LIKE: [&str; 12] =
    ["-c:v", "libx264", "-profile:v", "high", "-preset", "veryfast", "-bf", "3", "-g", "250", "-crf", "23"];

#[test]
fn vp8_of_chromium_is_h264_for_rtmp_players() {
    let gateway = Gateway::start();
    let mut browser = Browser::start();
    browser.publish(&gateway, "studio", "camera", "VP8");
    gateway.wait_for("studio", "camera", &["vp8", "opus"]);
    let played = scratch("from-vp8.flv");
    Client::play(&gateway.url("studio", "camera"), 8, &played).finish(Duration::from_secs(25));
    let room = gateway.room("studio").expect("the browser is there").to_string();
    assert!(room.contains("vp8_to_h264"), "{room}");
    assert!(ffmpeg::probe(&played, "stream=codec_name").contains("h264"));
    let report = ffmpeg::read(&played).analyse();
    println!("{report:#?}");
    assert!(report.picture().fps > 24.0 && report.picture().backwards == 0, "{report:#?}");
    assert!(report.sound().snr >= 30.0 && report.offset().abs() <= OFFSET, "{report:#?}");
}

#[test]
fn h264_with_b_frames_is_vp8_for_whoever_takes_that_alone() {
    let gateway = Gateway::start();
    let clip = ffmpeg::clip(30, &[&OBS_LIKE[..], &ffmpeg::AAC[..]].concat());
    let _publisher = Client::publish(&clip, &gateway.url("studio", "camera"));
    gateway.wait_for("studio", "camera", &["h264", "aac"]);
    let mut browser = Browser::start();
    browser.play(&gateway, "studio", "camera", "VP8");
    browser.settle(3);
    let report = browser.record(7).analyse();
    println!("{report:#?}");
    assert!(report.picture().fps > 24.0 && report.picture().backwards == 0, "{report:#?}");
    assert!(report.sound().snr >= 30.0 && report.offset().abs() <= OFFSET, "{report:#?}");
    let room = gateway.room("studio").expect("the publisher is there").to_string();
    assert!(room.contains("h264_to_vp8"), "{room}");
}

#[test]
fn av1_over_enhanced_rtmp_is_h264_for_chromium() {
    let gateway = Gateway::start();
    let av1 = ["-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-g", "120", "-b:v", "800k"];
    let clip = ffmpeg::clip(20, &[&av1[..], &ffmpeg::AAC[..]].concat());
    let _publisher = ffmpeg_7::publish(&clip, &gateway.url("studio", "camera"));
    gateway.wait_for("studio", "camera", &["av1", "aac"]);
    let mut browser = Browser::start();
    browser.play(&gateway, "studio", "camera", "H264");
    browser.settle(3);
    let report = browser.record(6).analyse();
    println!("{report:#?}");
    assert!(report.picture().fps > 24.0 && report.picture().backwards == 0, "{report:#?}");
    assert!(report.sound().snr >= 30.0 && report.offset().abs() <= OFFSET, "{report:#?}");
}

#[test]
fn sorenson_as_flash_sent_it_is_h264_for_chromium() {
    let gateway = Gateway::start();
    let clip =
        ffmpeg::clip(20, &[&["-c:v", "flv", "-g", "60", "-b:v", "1500k"][..], &ffmpeg::AAC[..]].concat());
    let _publisher = Client::publish(&clip, &gateway.url("studio", "camera"));
    gateway.wait_for("studio", "camera", &["sorenson", "aac"]);
    let mut browser = Browser::start();
    browser.play(&gateway, "studio", "camera", "H264");
    browser.settle(3);
    let report = browser.record(5).analyse();
    println!("{report:#?}");
    assert!(report.picture().fps > 24.0 && report.picture().backwards == 0, "{report:#?}");
    assert!(report.sound().snr >= 30.0 && report.offset().abs() <= OFFSET, "{report:#?}");
}
