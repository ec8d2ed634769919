//! An encoder in a room with the SDK: what RTMP sends is played by pages, and what pages send is played over RTMP.

use super::package::{Example, Version};
use super::person::{Person, all_meet};
use super::stage;
use crate::analysis::{OFFSET, median};
use crate::client::{Client, ended};
use crate::ffmpeg::{self, scratch};
use crate::gateway::Gateway;
use crate::obs::Obs;
use crate::people::{Source, together};
use serde_json::Value;
use std::time::Duration;

const PAGE: (Version, Example) = (Version::New, Example::Conference);

#[test]
fn an_encoder_is_one_of_three() {
    let (gateway, pages) = stage();
    let [alice, bob] = &Person::some(["alice", "bob"]);
    alice.visit(&gateway, pages, PAGE, "studio");
    let clip = ffmpeg::baseline_clip(40);
    let url = gateway.url("studio", "obs");
    let mut encoder = Client::publish(&clip, &url);
    alice.reads("obs", "joined");
    // One was there before the encoder, one comes after it.
    bob.visit(&gateway, pages, PAGE, "studio");
    bob.reads("chat", "participants: alice,obs");
    let place = "visitor.display('obs')";
    together([alice, bob], |person| {
        person.sees(place, &Source::clip());
        // Nothing comes of it, and nothing breaks.
        person.say("hello, all");
    });
    all_meet([alice, bob]);

    encoder.signal("INT");
    ended(&mut encoder, Duration::from_secs(5));
    together([alice, bob], |person| {
        person.reads("obs", "left");
        assert_eq!(person.text("chat").matches("obs - left").count(), 1);
    });
    // It comes back, and ends without a word.
    let encoder = Client::publish(&clip, &url);
    together([alice, bob], |person| person.sees(place, &Source::clip()));
    encoder.signal("KILL");
    together([alice, bob], |person| {
        person.until(
            "left again",
            5,
            "document.getElementById('chat').innerText.split('obs - left').length === 3",
        );
        person.is_content();
    });
}

#[test]
fn rtmp_players_get_what_the_sdk_sends() {
    let (gateway, pages) = stage();
    let [alice] = &Person::some(["alice"]);
    alice.visit(&gateway, pages, PAGE, "studio");
    gateway.wait_for("studio", "alice", &["h264", "opus"]);
    let played = scratch("from-sdk.flv");
    let player = Client::play(&gateway.url("studio", "alice"), 8, &played);
    let delays = alice.browser.evaluate("visitor.delays(7000)");
    player.finish(Duration::from_secs(20));
    let report = ffmpeg::read(&played).analyse();
    println!("the SDK keeps the sound for {delays} ms, {report:#?}");
    let picture = report.picture();
    assert!(picture.fps > 10.0 && picture.backwards == 0 && picture.seconds() > 5.0, "{report:#?}");
    // The SDK's graph stumbles while its page starts.
    let sound = report.sound();
    assert!(sound.snr >= 30.0 && sound.longest_gap() < 0.015, "{report:#?}");
    let delays: Vec<f64> = delays.as_array().expect("a list").iter().filter_map(Value::as_f64).collect();
    assert!(delays.len() >= 3, "{delays:?}");
    assert!((report.offset() - median(&delays)).abs() <= OFFSET, "{delays:?} {report:#?}");
    alice.is_content();
}

/// OBS as it comes out of its package, in a room with a page of the SDK and our own.
#[test]
fn obs_is_one_of_three() {
    let (gateway, pages) = stage();
    let mut obs = Obs::start(&ffmpeg::baseline_clip(40), &format!("rtmp://{}/studio", gateway.rtmp), "obs");
    let [alice, bob] = &Person::some(["alice", "bob"]);
    alice.visit(&gateway, pages, PAGE, "studio");
    enter(bob, &gateway, "studio");
    obs.press("StartStream");
    alice.reads("obs", "joined");
    for (person, place) in [(alice, "visitor.display('obs')"), (bob, TILE)] {
        // OBS sends a key picture each 250 pictures, and cannot be asked for one.
        person.until("OBS is shown", 15, &format!("visitor.started({place})"));
        person.sees(place, &Source::clip());
    }

    obs.press("StopStream");
    alice.reads("obs", "left");
    bob.until("no place for OBS", 5, &format!("!({TILE})"));
    for person in [alice, bob] {
        let exchange = person.exchange();
        let told = ["JOINED", "LEFT"].map(|event| exchange.told_at(event, &Value::from("obs")));
        assert!(told.iter().all(Option::is_some), "{}: {told:?}", person.login);
    }
    alice.is_content();
}

#[test]
fn rtmp_players_get_what_our_page_sends() {
    let (gateway, _) = stage();
    let [bob] = &Person::some(["bob"]);
    enter(bob, &gateway, "studio");
    gateway.wait_for("studio", "bob", &["h264", "opus"]);
    let played = scratch("from-room.flv");
    Client::play(&gateway.url("studio", "bob"), 8, &played).finish(Duration::from_secs(20));
    let report = ffmpeg::read(&played).analyse();
    println!("{report:#?}");
    let picture = report.picture();
    assert!(picture.fps > 10.0 && picture.backwards == 0 && picture.seconds() > 5.0, "{report:#?}");
    assert!(report.sound().snr >= 30.0 && report.sound().longest_gap() < 0.015, "{report:#?}");
    assert_eq!(bob.browser.complaints(), Vec::<String>::new());
}

/// Where our page shows OBS.
const TILE: &str = "document.querySelector('[data-key=\"obs camera\"]')";

/// Enters a room by our own page, with camera and microphone.
fn enter(person: &Person, gateway: &Gateway, room: &str) {
    person.browser.go(&gateway.page(&format!("/r/{room}")));
    person.until("camera and microphone", 5, "document.getElementById('preview').srcObject");
    person.fill("name", person.login);
    person.click("join");
    person.until("in the room", 5, "document.body.dataset.stage === 'call'");
}
