//! A keyframe each eight seconds, as encoders send them by default: whoever joins sees a picture at once, and notices nothing when the
//! publisher's own follow.

use crate::analysis::{OFFSET, median};
use crate::browser::Browser;
use crate::client::Client;
use crate::ffmpeg;
use crate::gateway::Gateway;
use crate::patience;
use std::time::Duration;

const JOINS: u32 = 4;
/// Of a GOP.
const GOP: Duration = Duration::from_secs(8);
const GOP_PICTURES: &str = "240";
/// Milliseconds; with what Chromium itself takes to connect and to decode, on a machine that has other work.
const SOON: f64 = 700.0;

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
    let gateway = Gateway::start();
    let gop = ["-g", GOP_PICTURES, "-keyint_min", GOP_PICTURES, "-sc_threshold", "0", "-crf", "23"];
    let clip = ffmpeg::clip(40, &[video, &gop, &ffmpeg::AAC[..]].concat());
    let _publisher = Client::publish(&clip, &gateway.url("studio", "camera"));
    gateway.wait_for("studio", "camera", &["h264", "aac"]);
    let mut browser = Browser::start();
    browser.open(&gateway.page("/healthz"));
    let mut times = Vec::new();
    for round in 1..=JOINS {
        // At another place of the GOP each time.
        patience::pass(GOP * (round % 3 + 1) / 8);
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
    assert!(median(&times) < SOON, "{times:?}");

    browser.play(&gateway, "studio", "camera", "H264");
    let report = browser.record(9).analyse();
    println!("{report:#?}");
    let picture = report.picture();
    assert!(picture.backwards == 0 && picture.longest_freeze < 0.3 && picture.fps > 24.0, "{report:#?}");
    assert!(report.offset().abs() <= OFFSET && report.sound().snr >= 30.0, "{report:#?}");
}
