//! The Two Way Video Chat page, and the SDK of five years ago.

use super::package::{Example, Version};
use super::person::{Person, all_meet};
use super::stage;
use crate::people::together;
use serde_json::json;

const NEW: (Version, Example) = (Version::New, Example::Chat);
const OLD: (Version, Example) = (Version::Old, Example::Chat);

#[test]
fn an_old_sdk_and_a_new_one_meet() {
    let (gateway, pages) = stage();
    let [alice, bob] = &Person::apart(["alice", "bob"]);
    alice.visit(&gateway, pages, NEW, "studio");
    bob.visit(&gateway, pages, OLD, "studio");
    bob.reads("chat", "participants: alice");
    alice.reads("bob", "joined");
    all_meet([alice, bob]);
    for (author, reader) in [(alice, bob), (bob, alice)] {
        author.say("hello");
        reader.reads(author.login, "hello");
    }

    // The old one stops, publishes again, leaves and comes back.
    bob.stop();
    alice.until("bob is not played", 5, "!visitor.playing(visitor.display('bob')).length");
    bob.publish();
    all_meet([alice, bob]);
    bob.leave();
    alice.reads("bob", "left");
    bob.join_again();
    all_meet([alice, bob]);
    assert_eq!(bob.browser.evaluate("visitor.sockets()"), json!(1));
    together([alice, bob], Person::is_content);

    // The page is closed, and later the whole browser ends at once.
    alice.browser.go("about:blank");
    bob.reads("alice", "left");
    alice.visit(&gateway, pages, NEW, "studio");
    all_meet([alice, bob]);
    bob.browser.kill();
    alice.reads("bob", "left");
    alice.is_content();
}
