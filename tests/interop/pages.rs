//! Our own pages in Chromium, under the content policy they are served with.

use crate::analysis::{OFFSET, median};
use crate::browser::Browser;
use crate::client::Client;
use crate::ffmpeg::{self, scratch};
use crate::gateway::Gateway;
use std::time::Duration;

#[test]
fn what_one_page_publishes_another_shows() {
    let gateway = Gateway::start();
    let (mut near, mut far) = (Browser::start_strict(), Browser::start_strict());
    near.open(&gateway.page("/publish/studio/camera?source=pattern&size=640x360&codec=H264&autostart=1"));
    near.wait_for("the page publishes", 10, &in_state("publishing"));
    gateway.wait_for("studio", "camera", &["h264", "opus"]);
    far.open(&gateway.page("/watch/studio/camera"));
    far.wait_for("the page plays", 10, &in_state("playing"));
    let shown = "document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames > 60";
    far.wait_for("pictures are shown", 10, shown);
    for browser in [&near, &far] {
        assert_eq!(browser.complaints(), Vec::<String>::new());
    }
    // The watching page says what happens, and plays again by itself.
    near.evaluate("document.getElementById('start').click()");
    far.wait_for("the page says that it ended", 6, &in_state("ended"));
    near.evaluate("document.getElementById('start').click()");
    far.wait_for("the page plays again", 15, &in_state("playing"));
}

#[test]
fn the_test_pattern_can_be_measured() {
    let gateway = Gateway::start();
    let mut browser = Browser::start_strict();
    browser.open(&gateway.page("/publish/studio/camera?source=pattern&size=640x360&codec=H264&autostart=1"));
    browser.wait_for("the page publishes", 10, &in_state("publishing"));
    gateway.wait_for("studio", "camera", &["h264", "opus"]);
    let played = scratch("pattern.flv");
    Client::play(&gateway.url("studio", "camera"), 10, &played).finish(Duration::from_secs(25));
    let report = ffmpeg::read(&played).analyse();
    println!("{report:#?}");
    assert!(report.picture().fps > 20.0 && report.picture().backwards == 0, "{report:#?}");
    assert!(report.sound().snr >= 30.0 && report.sound().gaps.is_empty(), "{report:#?}");
    assert!(report.offset().abs() <= 40.0, "{report:#?}");
}

#[test]
fn the_first_page_leads_to_the_others() {
    let gateway = Gateway::start();
    let mut browser = Browser::start_strict();
    browser.open(&gateway.page("/"));
    for path in ["/watch/", "/publish/"] {
        let linked = format!("[...document.links].some(({{pathname}}) => pathname.startsWith('{path}'))");
        browser.wait_for(path, 5, &linked);
    }
    browser.wait_for("the address for OBS", 5, "/rtmp:\\/\\//.test(document.body.innerText + [...document.querySelectorAll('input, output')].map(({value}) => value))");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn the_watch_page_shows_every_picture() {
    let gateway = Gateway::start();
    let mut browser = Browser::start();
    // The page is there first: it waits, and plays when somebody publishes.
    browser.open(&gateway.page("/watch/studio/camera"));
    browser.wait_for("the page waits", 5, &in_state("waiting"));
    let _publisher = Client::publish(&ffmpeg::baseline_clip(40), &gateway.url("studio", "camera"));
    browser.wait_for("the page plays", 15, &in_state("playing"));
    // A picture is made at once for whoever comes; the sound of a publisher that has just begun may be a moment behind it.
    browser.wait_for("sound and picture have come", 5, BOTH);
    browser.evaluate("rig.tap(document.querySelector('video').srcObject, document.querySelector('video'))");
    browser.settle(4);
    let report = browser.record(8).analyse();
    assert!(report.picture().fps > 24.0 && report.picture().backwards == 0, "{report:#?}");
    assert!(report.sound().snr >= 30.0 && report.sound().longest_gap() < 0.015, "{report:#?}");
}

#[test]
fn the_watch_page_brings_picture_and_sound_into_step() {
    let gateway = Gateway::start();
    let _publisher = Client::publish(&ffmpeg::baseline_clip(40), &gateway.url("studio", "camera"));
    gateway.wait_for("studio", "camera", &["h264", "aac"]);
    let mut browser = Browser::start();
    browser.open(&gateway.page("/watch/studio/camera"));
    browser.wait_for("sound and picture have come", 15, BOTH);
    browser.evaluate("rig.tap(document.querySelector('video').srcObject)");
    browser.settle(4);
    let report = browser.record(6).analyse();
    println!("{report:#?}");
    assert!(report.sound().snr >= 30.0, "{report:#?}");
    // What is heard and seen, whatever the browser makes of it. By itself it is at 100 ms then.
    assert!(median(&report.offsets).abs() <= OFFSET, "{report:#?}");
}

/// Whether a page has both tracks.
const BOTH: &str = "document.querySelector('video').srcObject?.getTracks().length === 2";

fn in_state(state: &str) -> String {
    format!("document.querySelector('main').dataset.state === '{state}'")
}
