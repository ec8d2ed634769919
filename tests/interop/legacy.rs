//! Sound of the Flash era over RTMP, and of telephones over WebRTC: heard in Chromium, and by a player that gets AAC.

use crate::analysis::{OFFSET, Report};
use crate::browser::Browser;
use crate::client::Client;
use crate::ffmpeg::{self, scratch};
use crate::gateway::Gateway;
use std::time::Duration;

/// A browser on a busy machine misses a block of samples now and then.
const GAP: f64 = 0.015;

/// Publishes the signal with its sound in another codec; gives what both hear of it, in step with the picture.
fn heard(codec: &str, arguments: &[&str]) -> [Report; 2] {
    let gateway = Gateway::start();
    let arguments = [&["-c:v", "copy"], arguments].concat();
    let _publisher =
        Client::publish_with(&ffmpeg::baseline_clip(40), &arguments, &gateway.url("studio", "camera"));
    gateway.wait_for("studio", "camera", &["h264", codec]);
    let file = scratch(&format!("from-{codec}.flv"));
    let player = Client::play(&gateway.url("studio", "camera"), 8, &file);
    let mut browser = Browser::start();
    browser.play(&gateway, "studio", "camera", "H264");
    browser.settle(3);
    let in_browser = browser.record(6).analyse();
    player.finish(Duration::from_secs(15));
    let reports = [in_browser, ffmpeg::read(&file).analyse()];
    for report in &reports {
        println!("{report:#?}");
        assert!(report.sound().longest_gap() < GAP && report.sound().beeps.len() >= 5, "{report:#?}");
        assert!(report.offset().abs() <= OFFSET, "{report:#?}");
    }
    reports
}

#[test]
fn speex_is_heard_in_a_browser_and_by_an_aac_player() {
    // A model of a voice does not keep the phase of a tone, so this asks for the tone and its beeps, and not for their purity.
    for report in heard("speex", &["-c:a", "libspeex", "-ar", "16000", "-ac", "1", "-cbr_quality", "10"]) {
        assert!((0.07..0.14).contains(&report.sound().level), "{report:#?}");
    }
}

#[test]
fn nellymoser_is_heard_in_a_browser_and_by_an_aac_player() {
    for report in heard("nellymoser", &["-c:a", "nellymoser", "-ar", "22050", "-ac", "1"]) {
        assert!(report.sound().snr >= 12.0, "{report:#?}");
    }
}

/// What is left of the signal on a telephone: beeps above 4 kHz are not.
fn is_telephone(report: &Report) {
    println!("{report:#?}");
    let sound = report.sound();
    assert!(sound.snr >= 25.0 && sound.longest_gap() < GAP && sound.beeps.len() >= 3, "{report:#?}");
    assert!(report.offset().abs() <= OFFSET, "{report:#?}");
}

#[test]
fn a_browser_that_has_pcmu_alone_is_heard_by_an_aac_player() {
    let gateway = Gateway::start();
    let mut browser = Browser::start();
    browser.publish(&gateway, "studio", "camera", "H264/PCMU");
    gateway.wait_for("studio", "camera", &["h264", "pcmu"]);
    let file = scratch("from-pcmu.flv");
    Client::play(&gateway.url("studio", "camera"), 8, &file).finish(Duration::from_secs(15));
    is_telephone(&ffmpeg::read(&file).analyse());
}

#[test]
fn a_browser_that_has_pcma_alone_hears_aac() {
    let gateway = Gateway::start();
    let _publisher = Client::publish(&ffmpeg::baseline_clip(40), &gateway.url("studio", "camera"));
    gateway.wait_for("studio", "camera", &["h264", "aac"]);
    let mut browser = Browser::start();
    browser.play(&gateway, "studio", "camera", "H264/PCMA");
    browser.settle(3);
    is_telephone(&browser.record(6).analyse());
}
