//! Pictures taken of streams over HTTP, read by ffmpeg.

use crate::browser::Browser;
use crate::client::Client;
use crate::ffmpeg::{self, scratch};
use crate::gateway::Gateway;
use crate::patience;
use crate::signal::{FPS, HEIGHT, WIDTH};
use std::process::Command;
use std::time::{Duration, Instant};

/// The number of the picture that the gateway says is the last of `studio/camera`, and when it was asked.
fn take(gateway: &Gateway, kind: &str) -> (usize, Instant) {
    let asked = Instant::now();
    let file = scratch(&format!("snapshot.{kind}"));
    let address = gateway.page(&format!("/api/v1/rooms/studio/camera/snapshot.{kind}"));
    ffmpeg::run(Command::new("curl").args(["-sS", "--fail-with-body", "-o"]).arg(&file).arg(address));
    let shown = ffmpeg::read(&file).shown;
    assert_eq!(shown.len(), 1);
    (usize::from(shown[0].number.expect("a legible picture")), asked)
}

/// Takes a picture in each format and one two seconds later, which is to be two seconds older.
fn assert_follows(gateway: &Gateway) {
    let (first, at_first) = take(gateway, "png");
    let (jpeg, _) = take(gateway, "jpg");
    patience::pass(Duration::from_secs(2));
    let (later, at_later) = take(gateway, "png");
    println!("{first} {jpeg} {later}");
    assert!(first <= jpeg && jpeg <= later, "{first} {jpeg} {later}");
    let passed = (at_later - at_first).as_secs_f64();
    let seen = (later - first) as f64 / FPS as f64;
    assert!((seen - passed).abs() < 0.7, "{seen} s later after {passed} s");
}

#[test]
fn of_an_encoder_with_rare_keyframes_and_b_frames() {
    let gateway = Gateway::start();
    let rare = ["-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "300", "-sc_threshold", "0"];
    let clip = ffmpeg::clip(20, &[&rare[..], &ffmpeg::AAC[..]].concat());
    let _publisher = Client::publish(&clip, &gateway.url("studio", "camera"));
    gateway.wait_for("studio", "camera", &["h264", "aac"]);
    patience::pass(Duration::from_secs(2));
    assert_follows(&gateway);
    let size = ffmpeg::probe(&scratch("snapshot.png"), "stream=codec_name,width,height");
    for wanted in ["png", &WIDTH.to_string(), &HEIGHT.to_string()] {
        assert!(size.contains(wanted), "{size}");
    }
}

#[test]
fn of_a_browser_that_sends_vp8() {
    let gateway = Gateway::start();
    let mut browser = Browser::start();
    browser.publish(&gateway, "studio", "camera", "VP8");
    gateway.wait_for("studio", "camera", &["vp8", "opus"]);
    patience::pass(Duration::from_secs(3));
    assert_follows(&gateway);
}
