//! How long it takes from "Join" to the first picture of somebody else. Measured, and judged by nobody: it says as much about the
//! machine and the browser as about the server.

use super::person::Person;
use crate::analysis::median;
use crate::client::Client;
use crate::ffmpeg;
use crate::gateway::Gateway;
use crate::patience;
use std::time::Duration;

const JOINS: u32 = 20;

#[test]
#[ignore = "measures, on a quiet machine"]
fn of_a_page() {
    let gateway = Gateway::start();
    let [anna, bob] = &Person::some(["anna", "bob"]);
    bob.enter(&gateway, "studio");
    join_again_and_again(anna, &gateway, "a page");
}

#[test]
#[ignore = "measures, on a quiet machine"]
fn of_an_encoder() {
    let gateway = Gateway::start();
    let [anna] = &Person::some(["anna"]);
    let _encoder = Client::publish_without_end(&ffmpeg::baseline_clip(40), &gateway.url("studio", "obs"));
    gateway.wait_for("studio", "obs", &["h264", "aac"]);
    join_again_and_again(anna, &gateway, "an encoder with a keyframe a second");
}

fn join_again_and_again(anna: &Person, gateway: &Gateway, whose: &str) {
    anna.browser.precede(STOPWATCH);
    let mut times = Vec::new();
    for round in 0..JOINS {
        anna.open(gateway, "studio");
        // The picture before this one came with a keyframe: without this all would wait equally long for the next.
        patience::pass(Duration::from_secs(1) * round / JOINS);
        anna.ask_to_join();
        anna.wait("a picture has come", "stopwatch.first !== null");
        times.push(anna.get("stopwatch.first - stopwatch.clicked").as_f64().expect("milliseconds"));
        anna.click("#leave");
    }
    let most = times.iter().copied().fold(0.0, f64::max);
    println!(
        "the first picture of {whose}, ms after the click on Join: p50 {:.0}, max {most:.0}, of {times:.0?}",
        median(&times)
    );
}

/// Notes when "Join" was clicked, and when the first picture of anybody else came onto the screen.
const STOPWATCH: &str = "window.stopwatch = {clicked: null, first: null};
addEventListener('click', ({target}) => {
    if (target.closest('#join')) stopwatch.clicked = performance.now();
}, true);
new MutationObserver(() => {
    for (const video of document.querySelectorAll('.tile:not([data-key^=\"anna \"]) video:not([data-watched])')) {
        video.dataset.watched = '';
        video.requestVideoFrameCallback(() => stopwatch.first ??= performance.now());
    }
}).observe(document, {childList: true, subtree: true});";
