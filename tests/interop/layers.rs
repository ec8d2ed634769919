//! A picture in several sizes: what the room's page sends, and who gets which of it.

use crate::analysis::Report;
use crate::browser::Browser;
use crate::client::Client;
use crate::ffmpeg::{self, scratch};
use crate::gateway::Gateway;
use crate::relay::Relay;
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::time::Duration;

/// Lines of the picture, as Chromium sends one of 480 pixels.
const LARGE: u32 = 272;
const SMALL: u32 = 136;

/// A browser in the room `studio`, whose modules are those of the room's page.
struct Visitor {
    browser: Browser,
    login: &'static str,
    /// The address of the gateway by which its media goes.
    way: Ipv4Addr,
}

impl Visitor {
    fn new(gateway: &Gateway, login: &'static str, way: Ipv4Addr) -> Self {
        let browser = Browser::start();
        browser.precede(include_str!("layers.js"));
        browser.go(&gateway.page("/healthz"));
        Self { browser, login, way }
    }

    fn call(&self, function: &str, more: &[(&str, Value)]) -> Value {
        let mut what = json!({"room": "studio", "login": self.login, "way": self.way});
        more.iter().for_each(|(key, value)| what[key] = value.clone());
        self.browser.evaluate(&format!("layers.{function}({what})"))
    }

    /// Publishes the signal as a camera in the first of these codecs; gives the name of the stream.
    #[track_caller]
    fn publish(&self, codecs: &[&str]) -> String {
        let codecs: Vec<_> = codecs.iter().map(|codec| format!("video/{codec}")).collect();
        let name = self.call("publish", &[("codecs", json!(codecs))]);
        self.reaches(&[LARGE, SMALL], 10);
        name.as_str().expect("a name").to_owned()
    }

    #[track_caller]
    fn play(&self, name: &str) {
        self.call("play", &[("name", json!(name))]);
        self.reaches(&[LARGE], 10);
    }

    /// Says how large it shows what it plays.
    fn adapt(&self, max_height: u32) {
        self.browser.evaluate(&format!("rig.playback.adapt({{maxHeight: {max_height}}})"));
    }

    /// Waits until pictures of these heights alone flow.
    #[track_caller]
    fn reaches(&self, heights: &[u32], seconds: u64) {
        let took = self.browser.evaluate(&format!("layers.reach({heights:?}, {})", seconds * 1000));
        println!("{} has {heights:?} after {:.0} ms", self.login, took.as_f64().expect("milliseconds"));
    }

    /// What it showed and played since it began to play, and for so much longer.
    fn report(&mut self, seconds: u64) -> Report {
        let report = self.browser.record(seconds).analyse();
        println!("{}: {report:#?}", self.login);
        report
    }
}

#[test]
fn a_narrow_line_gets_the_smaller_picture_and_nobody_else_does() {
    let announce = format!("webrtc.announce=[\"127.0.0.1\", \"{}\"]", Relay::ANNOUNCED);
    let gateway = Gateway::start_with(&[&announce]);
    let relay = Relay::before(gateway.webrtc);
    let alice = Visitor::new(&gateway, "alice", Ipv4Addr::LOCALHOST);
    let name = alice.publish(&["VP8", "rtx"]);
    let mut bob = Visitor::new(&gateway, "bob", Relay::ANNOUNCED);
    let mut carol = Visitor::new(&gateway, "carol", Ipv4Addr::LOCALHOST);
    bob.play(&name);
    carol.play(&name);
    relay.narrow(300);
    bob.reaches(&[SMALL], 5);
    let narrow = bob.report(4);
    carol.reaches(&[LARGE], 0);
    assert_eq!(limits(&gateway), ["bandwidth", "none"]);
    relay.narrow(0);
    bob.reaches(&[LARGE], 20);
    let all = bob.report(2);
    // A short stillness, and sound throughout.
    assert!(narrow.sound().longest_gap() < 0.2, "{narrow:#?}");
    assert!(narrow.picture().fps > 15.0, "{narrow:#?}");
    assert!(all.picture().longest_freeze <= 1.0 && all.picture().backwards == 0, "{all:#?}");
    let other = carol.report(2);
    assert!(other.picture().longest_freeze <= 0.5 && other.picture().backwards == 0, "{other:#?}");
    assert!(other.sound().snr >= 30.0, "{other:#?}");
}

/// Why those who watch get less than there is.
fn limits(gateway: &Gateway) -> Vec<String> {
    let room = gateway.room("studio").expect("it is there");
    let viewers = room["participants"][0]["streams"][0]["viewers"].as_array().expect("a list").iter();
    let mut limits: Vec<_> =
        viewers.map(|viewer| viewer["limited_by"].as_str().expect("a word").to_owned()).collect();
    limits.sort();
    limits
}

#[test]
fn a_small_tile_gets_the_smaller_picture_and_rtmp_the_largest_there_is() {
    let gateway = Gateway::start();
    let alice = Visitor::new(&gateway, "alice", Ipv4Addr::LOCALHOST);
    let name = alice.publish(&["H264", "rtx"]);
    let mut bob = Visitor::new(&gateway, "bob", Ipv4Addr::LOCALHOST);
    bob.play(&name);
    let file = scratch("largest.flv");
    let player = Client::play(&gateway.url("studio", "alice"), 12, &file);
    for _ in 0..2 {
        bob.adapt(SMALL);
        bob.reaches(&[SMALL], 2);
        bob.adapt(LARGE);
        bob.reaches(&[LARGE], 2);
    }
    alice.browser.evaluate("layers.largest(false)");
    bob.reaches(&[SMALL], 3);
    alice.browser.evaluate("layers.largest(true)");
    bob.reaches(&[LARGE], 5);
    let shown = bob.report(2);
    player.finish(Duration::from_secs(25));
    assert_eq!(ffmpeg::heights(&file), [LARGE, SMALL, LARGE]);
    let played = ffmpeg::read(&file).analyse();
    println!("{played:#?}");
    for report in [shown, played] {
        assert!(report.picture().longest_freeze <= 1.0 && report.picture().backwards == 0, "{report:#?}");
        assert!(report.sound().snr >= 30.0 && report.sound().longest_gap() < 0.05, "{report:#?}");
    }
}
