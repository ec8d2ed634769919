//! What is said and what is shown, to those who are there and to those who come late.

use super::person::{Person, all_are_content, tile_of};
use crate::gateway::Gateway;
use crate::people::together;

const GREETING: &str = "hello <b>all</b> https://example.org/";

#[test]
fn who_comes_late_sees_camera_and_screen_and_reads_what_was_said() {
    let gateway = Gateway::start();
    let [anna, bob, carl] = &Person::some(["anna", "bob", "carl"]);
    together([anna, bob], |person| person.enter(&gateway, "studio"));
    anna.meets(bob);
    anna.click("#screen");
    bob.sees(&tile_of("anna", "screen"), &anna.screen());
    bob.has_layout("stage");
    bob.meets(anna);

    // To everybody, back, and to one alone.
    anna.say(GREETING, None);
    bob.wait("there is something to read", "document.querySelector('#unread').textContent === '1'");
    bob.click("#open-chat");
    bob.reads_lines(&[GREETING]);
    assert_eq!(bob.get("document.querySelectorAll('#messages .text b').length"), 0, "text stays text");
    assert_eq!(bob.text("#messages a"), "https://example.org/");
    bob.wait("all is read", "document.querySelector('#unread').hidden");
    bob.say("hello anna", None);
    anna.reads_lines(&[GREETING, "hello anna"]);
    bob.say("a secret", Some("anna"));
    anna.reads_lines(&[GREETING, "hello anna", "a secret"]);

    carl.enter(&gateway, "studio");
    carl.reads_lines(&[GREETING, "hello anna"]);
    carl.sees(&tile_of("anna", "screen"), &anna.screen());
    carl.meets(anna);
    carl.meets(bob);
    carl.has_layout("stage");
    anna.click("#unshare");
    carl.has_tiles(&["anna camera", "bob camera", "carl camera"]);
    carl.has_layout("grid");
    carl.meets(anna);

    // A line to one who has left goes to nobody, until somebody else is chosen.
    bob.choose("#to", "carl");
    carl.click("#leave");
    bob.wait(
        "carl is chosen and not here",
        "document.querySelector('#to').value === 'carl' && document.querySelector('#to').selectedOptions[0].disabled",
    );
    bob.fill("#line", "a secret, too");
    bob.browser.evaluate("document.querySelector('#compose').requestSubmit()");
    bob.reads("#chat-fault", "not here");
    bob.say("bye", None);
    anna.reads_lines(&[GREETING, "hello anna", "a secret", "bye"]);
    all_are_content([anna, bob, carl]);
}
