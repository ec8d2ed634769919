//! A server that goes away and comes back, a page that vanishes, a page without TLS.

use super::person::{Person, all_are_content, all_meet, element, tile_of};
use crate::ffmpeg::scratch;
use crate::gateway::Gateway;
use crate::people::together;
use serde_json::json;
use std::time::Duration;

#[test]
fn a_server_that_is_started_again_finds_everybody_back_and_who_vanishes_has_left() {
    let mut gateway = Gateway::start();
    let [anna, bob] = &Person::apart(["anna", "bob"]);
    together([anna, bob], |person| person.enter(&gateway, "studio"));
    all_meet([anna, bob]);
    anna.click("#microphone");
    bob.is_told_of_silence("anna", true);
    for (person, other) in [(anna, "bob"), (bob, "anna")] {
        person.get(&format!("(window.before = {}, null)", tile_of(other, "camera")));
    }
    anna.say("hello", None);
    bob.reads_lines(&["hello"]);
    let (status, _) = gateway.terminate();
    assert!(status.success(), "{status}");
    for person in [anna, bob] {
        person.wait("says that the line is broken", "!document.querySelector('#broken').hidden");
        person.has_tiles(&["anna camera", "bob camera"]);
    }
    gateway.start_again();
    for person in [anna, bob] {
        person.wait("is back", "document.querySelector('#broken').hidden");
    }
    // As they were: one with her microphone off, and each in the place where the other looks for them.
    anna.meets(bob);
    let seen = anna.camera().seen();
    bob.observes(&tile_of("anna", "camera"), "silent", |now| now.is_of(&seen) && now.is_silent());
    bob.is_told_of_silence("anna", true);
    for (person, other) in [(anna, "bob"), (bob, "anna")] {
        assert_eq!(person.get(&format!("window.before === {}", tile_of(other, "camera"))), true);
    }
    // The new room's first line is no copy of the old one's.
    anna.say("still here", None);
    for person in [anna, bob] {
        person.reads_lines(&["hello", "still here"]);
    }

    // A page that vanishes leaves soon; a drop looks the same, so the other's page waits for somebody who may come back.
    bob.browser.freeze();
    let took = gateway.wait_until_gone("studio", "bob", Duration::from_secs(10));
    println!("a frozen page has left after {took:.1?}");
    anna.wait(
        "bob is away",
        "document.querySelector('[data-key=\"bob camera\"]')?.classList.contains('absent') === true",
    );
}

#[test]
fn a_page_without_tls_says_where_there_is_some() {
    let state = scratch("app-tls");
    let gateway =
        Gateway::start_with(&["http.tls.self_signed=true", &format!("http.tls.state={}", json!(state))]);
    let [anna, bob] = &Person::some(["anna", "bob"]);
    bob.enter(&gateway, "studio");
    let elsewhere = |address: &str| address.replace("127.0.0.1", "commonroom.test");
    anna.browser.go(&elsewhere(&gateway.page("/r/studio")));
    anna.reads("#preview-note", "https://");
    anna.wait("there is a link", "document.querySelector('#secure-link').href.startsWith('https:')");
    let address = anna.text("#secure-link");
    assert_eq!(address, elsewhere(&format!("https://{}/r/studio", gateway.https)));

    // Without devices she may look on.
    anna.ask_to_join();
    anna.is_inside();
    anna.meets(bob);
    bob.is_shown_a_picture("anna", false);
    anna.click("#leave");

    // There she has a camera.
    anna.browser.go(&address);
    anna.is_ready();
    assert_eq!(anna.get(&format!("{}.hidden", element("#secure"))), true);
    anna.ask_to_join();
    all_meet([anna, bob]);
    all_are_content([anna, bob]);
}
