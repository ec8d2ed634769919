//! WebRTC in: what Chromium sends, ffmpeg and rtmpdump play over RTMP, and Chromium over WebRTC.

use crate::analysis::OFFSET;
use crate::browser::Browser;
use crate::client::{Client, ended};
use crate::ffmpeg::{self, scratch};
use crate::gateway::Gateway;
use std::time::Duration;

#[test]
fn rtmp_players_get_what_chromium_sends_in_h264() {
    let gateway = Gateway::start();
    let mut browser = Browser::start();
    browser.publish(&gateway, "studio", "camera", "H264");
    gateway.wait_for("studio", "camera", &["h264", "opus"]);
    let url = gateway.url("studio", "camera");
    let [played, dumped] = ["from-chromium.flv", "from-chromium-dumped.flv"].map(scratch);
    let mut dump = Client::dump(&url, &dumped);
    Client::play(&url, 10, &played).finish(Duration::from_secs(25));
    dump.signal("INT");
    ended(&mut dump, Duration::from_secs(5));
    for file in [&played, &dumped] {
        let report = ffmpeg::read(file).analyse();
        println!("{report:#?}");
        let picture = report.picture();
        assert!(picture.fps > 20.0 && picture.backwards == 0 && picture.seconds() > 7.0, "{report:#?}");
        let sound = report.sound();
        assert!(sound.snr >= 30.0 && sound.gaps.is_empty() && sound.largest_step < 0.005, "{report:#?}");
        assert!(report.offset().abs() <= OFFSET, "{report:#?}");
    }
}

#[test]
fn chromium_to_chromium_in_h264() {
    between_browsers("H264");
}

#[test]
fn chromium_to_chromium_in_vp8() {
    between_browsers("VP8");
}

fn between_browsers(codec: &str) {
    let gateway = Gateway::start();
    let (mut near, mut far) = (Browser::start(), Browser::start());
    near.publish(&gateway, "studio", "camera", codec);
    gateway.wait_for("studio", "camera", &[&codec.to_lowercase(), "opus"]);
    far.play(&gateway, "studio", "camera", codec);
    far.settle(6);
    let report = far.record(10).analyse();
    println!("{report:#?}");
    let codec_id = far.statistics("inbound-rtp", "video")["codecId"].clone();
    assert!(far.statistic(&codec_id)["mimeType"].as_str().is_some_and(|kind| kind.ends_with(codec)));
    assert!(report.picture().fps > 20.0 && report.picture().backwards == 0, "{report:#?}");
    assert!(report.sound().snr >= 30.0, "{report:#?}");
    assert!(report.offset().abs() <= OFFSET, "{report:#?}");
}

#[test]
fn a_browser_that_leaves_is_gone() {
    let gateway = Gateway::start();
    let mut browser = Browser::start();
    browser.publish(&gateway, "studio", "camera", "VP8");
    gateway.wait_for("studio", "camera", &["vp8", "opus"]);
    browser.evaluate("rig.peer.close()");
    gateway.wait_until_gone("studio", "camera", Duration::from_secs(5));
}

#[test]
fn a_browser_that_dies_is_gone_in_time() {
    let gateway = Gateway::start();
    let mut browser = Browser::start();
    browser.publish(&gateway, "studio", "camera", "VP8");
    gateway.wait_for("studio", "camera", &["vp8", "opus"]);
    browser.kill();
    gateway.wait_until_gone("studio", "camera", Duration::from_secs(5));
}
