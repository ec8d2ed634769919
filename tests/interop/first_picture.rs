//! A keyframe each eight seconds, as encoders send them by default: whoever joins sees a picture at once, and notices nothing when the
//! publisher's own follow.

use crate::analysis::{OFFSET, median};
use crate::browser::Browser;
use crate::client::Client;
use crate::ffmpeg::{self, scratch};
use crate::gateway::Gateway;
use crate::obs::Obs;
use crate::patience;
use std::time::Duration;

const JOINS: u32 = 4;
/// Of a GOP.
const GOP: Duration = Duration::from_secs(8);
const GOP_PICTURES: &str = "240";
/// Milliseconds; with what Chromium itself takes to connect and to decode, on a machine that has other work.
const SOON: f64 = 700.0;
const LATE: f64 = 1_500.0;

#[test]
fn comes_at_once_whatever_the_gop() {
    let plain = ["-c:v", "libx264", "-profile:v", "high", "-preset", "veryfast", "-bf", "0"];
    joined_and_watched(&plain, "first_picture");
}

#[test]
fn comes_at_once_of_b_frames() {
    let b_frames = ["-c:v", "libx264", "-profile:v", "high", "-preset", "veryfast", "-bf", "3"];
    joined_and_watched(&b_frames, "b_frames_transcoded");
}

/// Joins again and again, and then watches across a keyframe.
fn joined_and_watched(video: &[&str], reason: &str) {
    // Nothing is left of one viewer when the next one comes.
    let gateway = Gateway::start_with(&["bridge.linger=\"500ms\""]);
    let gop = ["-g", GOP_PICTURES, "-keyint_min", GOP_PICTURES, "-sc_threshold", "0", "-crf", "23"];
    let clip = ffmpeg::clip(40, &[video, &gop, &ffmpeg::AAC[..]].concat());
    let _publisher = Client::publish(&clip, &gateway.url("studio", "camera"));
    gateway.wait_for("studio", "camera", &["h264", "aac"]);
    let mut browser = Browser::start();
    browser.open(&gateway.page("/healthz"));
    let mut times = Vec::new();
    for round in 1..=JOINS {
        // At another place of the GOP each time.
        patience::pass(Duration::from_secs(2) + GOP * round / 16);
        let time = browser.evaluate(
            "(async () => {const at = performance.now(); await rig.join('/whep/studio/camera'); return performance.now() - at})()",
        );
        times.push(time.as_f64().expect("milliseconds"));
        let room = gateway.room("studio").expect("the publisher is there").to_string();
        if round == 1 {
            assert!(room.contains(reason), "{room}");
        }
    }
    println!("first pictures after {times:.0?} ms");
    assert!(median(&times) < SOON && times.iter().all(|time| *time < LATE), "{times:?}");

    browser.play(&gateway, "studio", "camera", "H264");
    let report = browser.record(9).analyse();
    println!("{report:#?}");
    let picture = report.picture();
    assert!(picture.backwards == 0 && picture.longest_freeze < 0.3 && picture.fps > 24.0, "{report:#?}");
    assert!(report.offset().abs() <= OFFSET && report.sound().snr >= 30.0, "{report:#?}");
}

/// OBS as it is installed: B-frames that refer to each other, and a keyframe each 8.3 s.
#[test]
#[ignore = "measures, on a quiet machine"]
fn of_stock_obs_in_chromium_for_a_minute() {
    let gateway = Gateway::start();
    let mut obs = Obs::start(&ffmpeg::baseline_clip(100), &format!("rtmp://{}/studio", gateway.rtmp), "obs");
    obs.press("StartStream");
    gateway.wait_for("studio", "obs", &["h264", "aac"]);
    let played = scratch("obs-itself.flv");
    let player = Client::play(&gateway.url("studio", "obs"), 20, &played);
    let mut browser = Browser::start();
    browser.open(&gateway.page("/healthz"));
    let mut times = Vec::new();
    for round in 0..20 {
        patience::pass(Duration::from_millis(400 + 37 * round));
        let time = browser.evaluate(
            "(async () => {const at = performance.now(); await rig.join('/whep/studio/obs'); return performance.now() - at})()",
        );
        times.push(time.as_f64().expect("milliseconds"));
    }
    player.finish(Duration::from_secs(30));
    let most = times.iter().copied().fold(0.0, f64::max);
    println!("first pictures: p50 {:.0} ms, max {most:.0} ms, of {times:.0?}", median(&times));
    browser.play(&gateway, "studio", "obs", "H264");
    browser.settle(3);
    let before = gateway.cpu();
    let report = browser.record(60).analyse();
    println!("CPU while watched: {:.0} mcore; {report:#?}", (gateway.cpu() - before) / 60.0 * 1_000.0);
    println!("OBS itself: {:#?}", ffmpeg::read(&played).analyse());
    browser.evaluate("fetch(rig.session, {method: 'DELETE'}).then(() => rig.peer.close())");
    // Conversions linger for five seconds.
    patience::pass(Duration::from_secs(6));
    let before = gateway.cpu();
    patience::pass(Duration::from_secs(5));
    println!("CPU when nobody watches: {:.0} mcore", (gateway.cpu() - before) / 5.0 * 1_000.0);
    obs.press("StopStream");
    assert!(report.picture().backwards == 0 && report.picture().fps >= 29.0, "{report:#?}");
}
