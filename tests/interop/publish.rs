//! WebRTC in: what Chromium sends, ffmpeg and rtmpdump play over RTMP, and Chromium over WebRTC.

use crate::analysis::OFFSET;
use crate::browser::Browser;
use crate::client::{Client, ended};
use crate::ffmpeg::{self, scratch};
use crate::gateway::Gateway;
use crate::patience;
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

/// A phone's camera: where nobody takes word of how it is held, its browser turns the pictures, and they get another shape.
const PHONE: &str = "HTMLCanvasElement.prototype.captureStream = function () {
    const track = new MediaStreamTrackGenerator({kind: 'video'}), writer = track.writable.getWriter();
    const turned = new OffscreenCanvas(this.height, this.width), g = turned.getContext('2d');
    g.translate(turned.width, 0);
    g.rotate(Math.PI / 2);
    track.requestFrame = () => {
        g.drawImage(this, 0, 0);
        writer.write(new VideoFrame(window.upright ? turned : this, {timestamp: performance.now() * 1000}));
    };
    return new MediaStream([track]);
};";

#[test]
fn a_phone_that_is_turned_is_shown_upright() {
    let gateway = Gateway::start();
    let (mut near, mut far) = (Browser::start(), Browser::start());
    near.precede(PHONE);
    near.publish(&gateway, "studio", "camera", "H264");
    gateway.wait_for("studio", "camera", &["h264", "opus"]);
    far.play(&gateway, "studio", "camera", "H264");
    let file = scratch("turned.flv");
    let player = Client::play(&gateway.url("studio", "camera"), 8, &file);
    let shows = |more: &str, less: &str| {
        let is_shown = format!("(entry) => entry.{more} > entry.{less}");
        format!("rig.peer.getStats().then((all) => [...all.values()].some({is_shown}))")
    };
    far.wait_for("the picture lies", 5, &shows("frameWidth", "frameHeight"));
    patience::pass(Duration::from_secs(3)); // so that the player has seen it as well
    near.evaluate("window.upright = true");
    far.wait_for("the picture stands", 5, &shows("frameHeight", "frameWidth"));
    player.finish(Duration::from_secs(15));
    let heights = ffmpeg::heights(&file);
    assert!(heights.len() > 1 && heights.is_sorted(), "{heights:?}");
    let sdp = near.evaluate("rig.peer.remoteDescription.sdp");
    assert!(sdp.as_str().is_some_and(|sdp| !sdp.contains("video-orientation")), "{sdp}");
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
