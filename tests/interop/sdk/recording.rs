//! The Conference page with its box "Record" ticked: what it is told, and the file.

use super::package::{Example, Pages, Version};
use super::person::{Person, all_meet};
use crate::ffmpeg::{read, scratch};
use crate::gateway::Gateway;
use crate::people::together;
use crate::{http, patience};
use serde_json::Value;
use std::fs;
use std::time::Duration;

const PAGE: (Version, Example) = (Version::New, Example::Conference);

/// What became of what this page published, as it was told in the end.
fn final_status(person: &Person) -> Value {
    let heard = person
        .browser
        .evaluate("visitor.exchange.filter(({what}) => what === 'heard').map(({text}) => JSON.parse(text))");
    let mut statuses = heard.as_array().expect("a list").iter().map(|message| &message["data"][0]);
    let is_final = |status: &&Value| status["published"] == true && status["status"] == "UNPUBLISHED";
    statuses.find(is_final).unwrap_or_else(|| panic!("no final status: {heard:#}")).clone()
}

#[test]
fn a_conference_is_recorded_where_its_first_one_wishes_it() {
    let (pages, folder) = (Pages::serve(), scratch(&format!("sdk-recordings-{}", std::process::id())));
    let options = [
        format!("http.allowed_origins=[\"{}\"]", pages.origin()),
        format!("recording.dir=\"{}\"", folder.display()),
        "recording.policy=\"on-request\"".to_owned(),
        "recording.browse=true".to_owned(),
    ];
    let gateway = Gateway::start_with(&options.each_ref().map(String::as_str));
    let [alice, bob] = &Person::some(["alice", "bob"]);
    // Who is invited is not asked: the box is there without an invitation alone.
    alice.open(pages, PAGE, None);
    alice.click("recordCheckBox");
    alice.join(&gateway);
    let invitation = alice.text("inviteAddress");
    let (_, room) = invitation.split_once("?roomName=").expect("an invitation names the room");
    bob.visit(&gateway, pages, PAGE, room);
    all_meet([alice, bob]);
    patience::pass(Duration::from_secs(10));
    together([alice, bob], Person::stop);

    for (person, own) in [(alice, alice.camera()), (bob, bob.camera())] {
        let status = final_status(person);
        assert_eq!(status["record"], true, "{status}");
        let name = status["recordName"].as_str().unwrap_or_else(|| panic!("{status}"));
        // Where the pages of the SDK that link to recordings look for them.
        let link = format!("/client/records/{name}");
        let found = http::request(gateway.http, "HEAD", &link, "", "").expect("it answers");
        assert_eq!(found.status, 200, "{link}");
        person.is_content();
        own.is_recorded_in(&read(&folder.join(name)));
        let played = person.browser.evaluate(&PLAY.replace("LINK", &gateway.page(&link)));
        println!("{link}: {played}");
        assert!(played["error"].is_null() && played["ended"].as_f64() > Some(5.0), "{played}");
    }
    fs::remove_dir_all(&folder).expect("our own folder");
}

/// Plays what the link leads to in the page, as the SDK's own pages do.
const PLAY: &str = "(async () => {
    const video = document.createElement('video');
    Object.assign(video, { src: 'LINK', muted: true, playbackRate: 4 });
    document.body.append(video);
    await new Promise((done) => {
        video.onended = video.onerror = done;
        video.play().catch(done);
        setTimeout(done, 15000);
    });
    return { ended: video.ended && video.currentTime, error: video.error?.message };
})()";
