//! The Conference page: up to three people.

use super::package::{Example, Pages, Version};
use super::person::{Person, all_meet};
use super::stage;
use crate::gateway::Gateway;
use crate::people::together;
use serde_json::{Value, json};
use std::time::SystemTime;

const PAGE: (Version, Example) = (Version::New, Example::Conference);

/// Two people who see and hear each other.
fn pair(gateway: &Gateway, pages: Pages, [alice, bob]: [&Person; 2]) {
    for person in [alice, bob] {
        person.visit(gateway, pages, PAGE, "studio");
    }
    all_meet([alice, bob]);
}

#[test]
fn three_people_meet_talk_and_come_back() {
    let (gateway, pages) = stage();
    let [alice, bob, carol] = &Person::some(["alice", "bob", "carol"]);

    // Whoever opens the page without a room makes one, and gets an address to invite others with.
    alice.open(pages, PAGE, None);
    alice.join(&gateway);
    alice.reads("chat", "room is empty");
    let invitation = alice.text("inviteAddress");
    let (_, room) = invitation.split_once("?roomName=").expect("an invitation names the room");
    bob.visit(&gateway, pages, PAGE, room);
    bob.reads("chat", "participants: alice");
    carol.visit(&gateway, pages, PAGE, room);
    carol.reads("chat", "participants: alice,bob");
    for newcomer in ["bob", "carol"] {
        alice.reads(newcomer, "joined");
    }
    let all = [alice, bob, carol];
    all_meet(all);

    for (person, line) in [(alice, "Привет, 世界 🙂"), (bob, "one\ntwo")] {
        person.say(line);
        together(all, |reader| {
            reads_once(reader, person, line);
        });
    }

    // Alice stops and publishes again: a new stream, which the others play.
    alice.stop();
    together([bob, carol], |person| {
        person.until("alice is not played", 5, &format!("{} === 'Play'", button("alice")))
    });
    alice.publish();
    all_meet(all);
    let exchange = alice.exchange();
    let published = exchange.said("publishStream");
    assert!(published.len() == 2 && published[0]["name"] != published[1]["name"], "{exchange}");

    // Bob stops the playing of her for himself, and her sound.
    let place = "visitor.display('alice').id.replace('Display', '')";
    for (element, text) in [("AudioBtn", "Muted"), ("AudioBtn", "Unmuted")] {
        bob.browser.evaluate(&format!("document.getElementById({place} + '{element}').click()"));
        let state = format!("document.getElementById({place} + 'AudioState').textContent === '{text}'");
        bob.until(text, 3, &state);
    }
    for text in ["Play", "Stop"] {
        bob.browser.evaluate(&format!("document.getElementById({place} + 'Btn').click()"));
        bob.until(text, 5, &format!("{} === '{text}'", button("alice")));
    }
    bob.meets(alice);

    // He leaves and comes back by the same connection.
    bob.leave();
    together([alice, carol], |person| person.reads("bob", "left"));
    bob.join_again();
    all_meet(all);
    assert_eq!(bob.browser.evaluate("visitor.sockets()"), json!(1));
    together(all, Person::is_content);
}

#[test]
fn mute_reaches_those_who_watch() {
    let (gateway, pages) = stage();
    let [alice, bob] = &Person::some(["alice", "bob"]);
    pair(&gateway, pages, [alice, bob]);
    bob.browser.evaluate(
        "(window.events = [], Flashphoner.getSessions()[0].getStreams().forEach((stream) =>
             stream.on(Flashphoner.constants.STREAM_EVENT, ({type}) => { events.push([stream.name(), type]); })))",
    );
    for button in ["localAudioToggle", "localVideoToggle"] {
        alice.click(button);
    }
    let told = |kinds: &[&str]| {
        let exchange = alice.exchange();
        let name = &exchange.said("publishStream")[0]["name"];
        let events: Vec<_> = kinds.iter().map(|kind| json!([name, kind])).collect();
        format!("JSON.stringify(events) === {}", Value::from(Value::Array(events).to_string()))
    };
    bob.until("he is told", 5, &told(&["audioMuted", "videoMuted"]));
    bob.sees_and_hears_nothing("visitor.display('alice')");
    for button in ["localAudioToggle", "localVideoToggle"] {
        alice.click(button);
    }
    bob.until("he is told", 5, &told(&["audioMuted", "videoMuted", "audioUnmuted", "videoUnmuted"]));
    bob.meets(alice);
    together([alice, bob], Person::is_content);
}

#[test]
fn whoever_cannot_stay_is_told_and_disturbs_nobody() {
    let (gateway, pages) = stage();
    let [alice, bob, dave] = &mut Person::some(["alice", "bob", "dave"]);
    pair(&gateway, pages, [alice, bob]);

    // A name that is taken.
    dave.login = "alice";
    dave.open(pages, PAGE, Some("studio"));
    dave.ask_to_join(&gateway);
    dave.until("he is refused", 5, "document.getElementById('status').textContent === 'DISCONNECTED'");
    println!("refused: {}", dave.text("failedInfo"));
    assert!(dave.text("failedInfo").contains("alice"), "{}", dave.exchange());
    dave.is_content();

    // A room with as many as the page takes: here two.
    dave.login = "dave";
    dave.open(pages, (Version::New, Example::Chat), Some("studio"));
    dave.ask_to_join(&gateway);
    dave.until(
        "he finds it full",
        5,
        "document.getElementById('failedInfo').textContent.includes('room is full')",
    );
    dave.until("he may try again", 5, "!document.getElementById('joinBtn').disabled");
    for person in [&*alice, bob] {
        person.reads("dave", "joined");
        person.reads("dave", "left");
        assert_eq!(person.count_in_chat("alice - "), 0, "nobody else was alice: {}", person.text("chat"));
    }
    all_meet([&*alice, bob]);
    together([&*alice, bob, dave], Person::is_content);
}

#[test]
fn whoever_vanishes_has_left_within_ten_seconds() {
    let (gateway, pages) = stage();
    let [alice, bob] = &Person::apart(["alice", "bob"]);
    pair(&gateway, pages, [alice, bob]);
    let frozen = now();
    bob.browser.freeze();
    alice.reads_within(11, "bob", "left");
    let took = alice.exchange().told_at("LEFT", &json!("bob")).expect("she was told") - frozen;
    println!("a frozen browser has left after {took:.1} s");
    assert!(took < 10.0, "{took}");
    alice.is_content();
}

#[test]
fn a_server_that_goes_down_says_so() {
    let (mut gateway, pages) = stage();
    let [alice, bob] = &Person::some(["alice", "bob"]);
    pair(&gateway, pages, [alice, bob]);
    let (status, _) = gateway.terminate();
    assert!(status.success(), "{status}: {}", gateway.log());
    for person in [alice, bob] {
        person.until("disconnected", 5, "document.getElementById('status').textContent === 'DISCONNECTED'");
        assert_eq!(person.browser.evaluate("visitor.troubles"), json!([]));
    }
}

/// What the button for the playing of somebody says.
fn button(login: &str) -> String {
    format!("document.getElementById(visitor.display('{login}').id.replace('Display', 'Btn')).textContent")
}

fn reads_once(reader: &Person, author: &Person, line: &str) {
    reader.reads(author.login, line);
    assert_eq!(reader.count_in_chat(line), 1, "{}", reader.text("chat"));
}

fn now() -> f64 {
    SystemTime::UNIX_EPOCH.elapsed().expect("it is later than 1970").as_secs_f64()
}
