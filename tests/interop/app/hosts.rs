//! What hosts may do, and what those read who are refused.

use super::person::{Person, all_are_content, element, in_stage, tile_of};
use crate::client::{Client, ended};
use crate::ffmpeg;
use crate::gateway::Gateway;
use crate::people::{Source, together};
use std::time::Duration;

/// A button that could be pressed, and is not.
fn is_off(button: &str) -> String {
    format!("(({{disabled, ariaPressed}}) => !disabled && ariaPressed === 'false')({})", element(button))
}

#[test]
fn hosts_moderate() {
    let gateway = Gateway::start_with(&["rooms.max_participants=3"]);
    let [anna, bob, carl] = &mut Person::some(["anna", "bob", "carl"]);
    anna.enter(&gateway, "studio");
    together([&*bob, carl], |person| person.open(&gateway, "studio"));
    bob.ask_to_join();
    anna.meets(bob);
    anna.click("#open-people");
    assert_eq!(bob.get("document.querySelector('#host').hidden"), true, "bob is no host");

    // A host's mute holds until a host takes it back.
    anna.moderate("bob", "mute");
    bob.wait("the microphone is off", "document.querySelector('#microphone').ariaPressed === 'false'");
    anna.is_told_of_silence("bob", true);
    let seen = bob.camera().seen();
    anna.observes(&tile_of("bob", "camera"), "silent", |now| now.is_of(&seen) && now.is_silent());
    bob.click("#microphone");
    bob.reads("#toasts", "A host has turned off");
    anna.moderate("bob", "mute");
    bob.reads("#toasts", "lets you speak again");
    bob.click("#microphone");
    anna.is_told_of_silence("bob", false);
    anna.meets(bob);

    // A viewer publishes nothing, a speaker does again.
    anna.moderate("bob", "role");
    bob.wait(
        "is a viewer",
        "document.querySelector('#camera').disabled && document.querySelector('#screen').disabled",
    );
    anna.is_shown_a_picture("bob", false);
    anna.moderate("bob", "role");
    for button in ["#microphone", "#camera"] {
        bob.wait("may speak again, and does not by himself", &is_off(button));
        bob.click(button);
    }
    anna.meets(bob);

    // Whoever is hidden stays so in a stream that has begun since.
    anna.moderate("bob", "hide");
    anna.is_shown_a_picture("bob", false);
    bob.enter(&gateway, "studio");
    bob.reads("#toasts", "A host has turned off your camera");
    bob.wait("the camera is off", &is_off("#camera"));
    bob.click("#camera");
    anna.is_shown_a_picture("bob", false);
    anna.moderate("bob", "hide");
    bob.reads("#toasts", "lets you be seen again");
    assert_eq!(bob.get(&is_off("#camera")), true);
    bob.click("#camera");
    anna.meets(bob);

    // Another host has what hosts have, until it is taken back.
    anna.moderate("bob", "host");
    bob.wait("is a host", "!document.querySelector('#host').hidden");
    anna.moderate("bob", "host");
    bob.wait("is no host", "document.querySelector('#host').hidden");

    // A locked room lets nobody in, a full one neither; both say so.
    anna.click("#lock");
    bob.wait("sees that it is locked", "!document.querySelector('#locked').hidden");
    carl.ask_to_join();
    carl.reads("#fault", "locked");
    anna.click("#lock");
    bob.wait("sees that it is open", "document.querySelector('#locked').hidden");
    let mut encoder = Client::publish(&ffmpeg::baseline_clip(40), &gateway.url("studio", "obs"));
    anna.sees(&tile_of("obs", "camera"), &Source::clip());
    carl.ask_to_join();
    carl.reads("#fault", "full");
    encoder.signal("INT");
    ended(&mut encoder, Duration::from_secs(5));
    anna.has_tiles(&["anna camera", "bob camera"]);

    // Somebody's name cannot be taken, and another is offered.
    carl.name = "bob";
    carl.ask_to_join();
    carl.wait("is offered another name", "document.querySelector('#name').value === 'bob-2'");
    carl.name = "bob-2";
    carl.click("#join");
    carl.is_inside();
    anna.meets(carl);

    // Out, and not in again; then all.
    anna.moderate("bob-2", "kick");
    anna.click("#question-yes");
    carl.wait("is out", &in_stage("over"));
    assert!(carl.text("#over-title").contains("anna"), "{}", carl.text("#over-title"));
    anna.has_tiles(&["anna camera", "bob camera"]);
    anna.wait(
        "the keyboard stays in the list",
        "document.querySelector('#panel').contains(document.activeElement)",
    );
    all_are_content([&*anna, bob, carl]);
    anna.click("#end");
    anna.click("#question-yes");
    for person in [&*anna, bob] {
        person.wait("it is over", &in_stage("over"));
    }
}
