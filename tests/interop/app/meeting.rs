//! Two people meet, fall silent, leave and come back.

use super::person::{Person, all_are_content, all_meet, in_stage, tile_of};
use crate::gateway::Gateway;
use serde_json::json;

#[test]
fn two_people_see_and_hear_each_other() {
    let gateway = Gateway::start();
    let [anna, bob] = &Person::some(["anna", "bob"]);

    // One makes a room on the first page, and sees herself before others do.
    anna.browser.go(&gateway.page("/"));
    anna.fill("#name", "anna");
    anna.fill("#room", "studio");
    anna.click("#entry [type=submit]");
    anna.is_ready();
    assert_eq!(
        anna.get("[location.pathname, document.querySelector('#name').value]"),
        json!(["/r/studio", "anna"])
    );
    anna.sees("document.querySelector('#preview')", &anna.camera().seen());
    anna.reads("#present", "Nobody");
    anna.click("#join");
    anna.is_inside();
    anna.wait("is told that she is alone", "!document.querySelector('#alone').hidden");

    // The other comes by the link.
    bob.open(&gateway, "studio");
    bob.reads("#present", "anna");
    bob.ask_to_join();
    bob.is_inside();
    all_meet([anna, bob]);
    for person in [anna, bob] {
        person.has_layout("duo");
    }
    assert_eq!(anna.get("document.querySelector('#alone').hidden"), true);
    bob.wait(
        "is shown who speaks",
        "document.querySelector('[data-key=\"anna camera\"]').classList.contains('speaks')",
    );

    // Sound off, and on again; then the picture.
    anna.click("#microphone");
    bob.is_told_of_silence("anna", true);
    let seen = anna.camera().seen();
    bob.observes(&tile_of("anna", "camera"), "silent", |now| now.is_of(&seen) && now.is_silent());
    anna.click("#microphone");
    bob.is_told_of_silence("anna", false);
    bob.meets(anna);
    anna.click("#camera");
    bob.is_shown_a_picture("anna", false);
    bob.observes(&tile_of("anna", "camera"), "dark", |now| now.is_dark() && !now.is_silent());
    anna.click("#camera");
    bob.is_shown_a_picture("anna", true);
    bob.meets(anna);

    // What is told in passing stands in nobody's way, neither in the call nor after it.
    bob.say("goodbye", None);
    anna.reads("#toasts", "goodbye");
    let beneath = "(() => {
        const {x, y} = document.querySelector('.toast span').getBoundingClientRect();
        return document.elementFromPoint(x + 2, y + 2).closest('.toast') === null;
    })()";
    assert_eq!(anna.get(beneath), true);

    // Who leaves is gone at once, and may come again.
    anna.click("#leave");
    anna.wait("has left", &in_stage("over"));
    assert_eq!(anna.text("#toasts"), "");
    bob.has_tiles(&["bob camera"]);
    anna.click("#rejoin");
    anna.is_ready();
    anna.click("#join");
    all_meet([anna, bob]);
    all_are_content([anna, bob]);

    // The first page remembers the room.
    anna.browser.go(&gateway.page("/"));
    anna.wait(
        "the room is among the recent",
        "document.querySelector('#recent-rooms a').pathname === '/r/studio'",
    );
    bob.has_tiles(&["bob camera"]);
}
