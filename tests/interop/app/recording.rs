//! A host records the meeting by the button, and what is in the file is what was sent.

use super::person::{Person, all_are_content, all_meet};
use crate::ffmpeg::{read, scratch};
use crate::gateway::Gateway;
use crate::people::together;
use crate::{http, patience};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Whether everybody is shown that the room is recorded.
const SHOWN: &str = "!document.querySelector('#recording').hidden";

/// The players of a session's page. While one seeks it has nothing to show.
const PLAYERS: &str = "[...document.querySelectorAll('.player video')]";

/// Keys, as browsers are told of them.
const ENTER: &str = "\u{e007}";
const TAB: &str = "\u{e004}";
const ESCAPE: &str = "\u{e00c}";

/// The button for hosts, where it is offered and says this.
fn offers(text: &str) -> String {
    format!(
        "(({{hidden, textContent}}) => !hidden && textContent.trim() === '{text}')(document.querySelector('#record'))"
    )
}

/// Whether both players are so.
fn players(are: &str) -> String {
    format!("{PLAYERS}.length === 2 && {PLAYERS}.every((video) => {are})")
}

#[test]
fn a_host_records_the_meeting() {
    let dir = scratch(&format!("app-recordings-{}", std::process::id()));
    let folder = format!("recording.dir=\"{}\"", dir.display());
    let gateway = Gateway::start_with(&["recording.policy=on-request", "recording.browse=true", &folder]);
    let [anna, bob] = &Person::some(["anna", "bob"]);
    anna.enter(&gateway, "studio");
    bob.enter(&gateway, "studio");
    all_meet([anna, bob]);
    together([anna, bob], |person| person.click("#open-people"));
    assert_eq!(bob.get("document.querySelector('#host').hidden"), true, "bob is no host");
    anna.wait("may record", &offers("Record the meeting"));
    anna.click("#record");
    together([anna, bob], |person| person.wait("is shown that it is recorded", SHOWN));
    bob.reads("#toasts", "This meeting is being recorded");
    anna.wait("may stop it", &offers("Stop recording"));
    thread::sleep(Duration::from_secs(8));
    anna.click("#record");
    together([anna, bob], |person| person.wait("is shown that it has ended", &format!("!({SHOWN})")));
    anna.wait("may record again", &offers("Record the meeting"));

    let list = http::request(gateway.http, "GET", "/api/v1/recordings?room=studio", "", "").unwrap().json();
    let session = list["sessions"][0]["session"].as_str().expect("it is listed").to_owned();
    let at = format!("/api/v1/recordings/studio/{session}");
    let manifest = || http::request(gateway.http, "GET", &at, "", "").expect("it answers").json();
    patience::wait("the session is complete", Duration::from_secs(10), || manifest()["state"] == "finished");
    let manifest = manifest();
    let files = manifest["files"].as_array().expect("a list");
    assert_eq!(files.len(), 2, "{manifest}");
    for (person, own) in [(anna, anna.camera()), (bob, bob.camera())] {
        let file = files.iter().find(|file| file["participant"] == person.name).expect("each has one");
        let file = dir.join("studio").join(&session).join(file["name"].as_str().expect("it has a name"));
        own.is_recorded_in(&read(&file));
    }
    // The page plays both side by side.
    anna.browser.go(&gateway.page("/recordings"));
    anna.wait("the session is listed", "document.querySelectorAll('#sessions a').length === 1");
    anna.click("#sessions a");
    anna.wait("two players are ready", &players("video.readyState >= 2"));
    anna.click("#play");
    for from in [0.0, 4.0] {
        anna.fill("#seek", &from.to_string());
        let plays = format!("video.readyState >= 2 && !video.paused && video.currentTime > {from} + 2");
        anna.wait("both play", &players(&plays));
        let places = anna.get(&format!("{PLAYERS}.map((video) => video.currentTime)"));
        let place = |index: usize| {
            let start = files[index]["start"].as_f64().expect("a time");
            start + places[index].as_f64().expect("a time")
        };
        assert!((place(0) - place(1)).abs() < 0.1, "out of step: {places} of {manifest}");
    }
    anna.wait("it ends", "document.querySelector('#play').textContent === 'Play'");
    assert_eq!(
        anna.get("document.querySelectorAll('#lanes i').length >= 2"),
        true,
        "the bar shows what there is"
    );
    assert!(anna.text("#log").contains("bob has joined"), "{}", anna.text("#log"));
    delete_by_keyboard(anna, &gateway, &dir.join("studio").join(&session));
    all_are_content([anna, bob]);
    fs::remove_dir_all(&dir).expect("our own folder");
}

/// Deletes a file of the session whose page is open, and then the session from the list, by keys alone.
fn delete_by_keyboard(person: &Person, gateway: &Gateway, session: &Path) {
    let is_asked = "document.querySelector('#question').open";
    let buttons = "document.querySelectorAll('#files button').length";
    let count = || fs::read_dir(session).map_or(0, Iterator::count);
    let before = count();
    // The question is open on "Cancel", so a hasty Enter deletes nothing.
    person.get("document.querySelector('#files button').focus()");
    person.browser.press(ENTER);
    person.wait("it is asked", is_asked);
    assert!(person.text("#question").contains("cannot be undone"), "{}", person.text("#question"));
    person.browser.press(ENTER);
    person.wait("the question is closed", &format!("!{is_asked}"));
    assert_eq!((count(), person.get(buttons)), (before, 2.into()));
    person.browser.press(ENTER);
    person.wait("it is asked again", is_asked);
    person.browser.press(TAB);
    person.browser.press(ENTER);
    person.wait("one file is left", &format!("{buttons} === 1 && {PLAYERS}.length === 1"));
    assert_eq!(count(), before - 1);

    person.browser.go(&gateway.page("/recordings"));
    person.wait("the session is listed", "document.querySelectorAll('#sessions button').length === 1");
    person.get("document.querySelector('#sessions button').focus()");
    person.browser.press(ENTER);
    person.wait("it is asked", is_asked);
    // Escape is "no".
    person.browser.press(ESCAPE);
    person.wait("the question is closed", &format!("!{is_asked}"));
    assert!(session.exists());
    person.browser.press(ENTER);
    person.wait("it is asked again", is_asked);
    person.browser.press(TAB);
    person.browser.press(ENTER);
    person.wait("nothing is listed", "document.querySelectorAll('#sessions li').length === 0");
    assert!(!session.exists());
    assert!(person.text("#state").contains("Nothing has been recorded"), "{}", person.text("#state"));
}
