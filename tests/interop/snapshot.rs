//! Pictures taken of streams over HTTP, read by ffmpeg.

use crate::browser::Browser;
use crate::client::Client;
use crate::ffmpeg::{self, scratch};
use crate::gateway::Gateway;
use crate::patience;
use crate::signal::{FPS, HEIGHT, WIDTH};
use std::process::Command;
use std::time::Duration;

/// The number of the picture that the gateway says is the last of `studio/camera`.
fn take(gateway: &Gateway, kind: &str) -> usize {
    let file = scratch(&format!("snapshot.{kind}"));
    let address = gateway.page(&format!("/api/v1/rooms/studio/camera/snapshot.{kind}"));
    ffmpeg::run(Command::new("curl").args(["-sS", "--fail-with-body", "-o"]).arg(&file).arg(address));
    let shown = ffmpeg::read(&file).shown;
    assert_eq!(shown.len(), 1);
    usize::from(shown[0].number.expect("a legible picture"))
}

/// Takes a picture in each format and one two seconds later, which is to be two seconds older.
fn assert_follows(gateway: &Gateway) {
    let first = take(gateway, "png");
    let jpeg = take(gateway, "jpg");
    patience::pass(Duration::from_secs(2));
    let later = take(gateway, "png");
    println!("{first} {jpeg} {later}");
    assert!((first..first + FPS).contains(&jpeg), "{first} {jpeg}");
    assert!((3 * FPS / 2..3 * FPS).contains(&(later - jpeg)), "{jpeg} {later}");
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
