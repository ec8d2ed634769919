//! The browser's own devices, chosen before the call and in it.

use super::person::{Person, all_are_content, element, tile_of};
use crate::gateway::Gateway;
use serde_json::Value;

#[test]
fn devices_are_chosen_before_the_call_and_in_it() {
    let gateway = Gateway::start();
    let [bob] = &Person::some(["bob"]);
    let anna = &bob.beside("anna");
    anna.open(&gateway, "studio");
    anna.wait("hears herself", "document.querySelector('#green-level .lit') !== null");
    let before = "#green-devices select[data-kind=camera]";
    let list = anna.get(&format!("[...{}.options].map(({{value}}) => value)", element(before)));
    let cameras: Vec<&str> = list.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    let shown = |video: &str, id: &str| {
        format!("{video}.srcObject.getVideoTracks()[0].getSettings().deviceId === '{id}'")
    };
    // Pictures of the one between them, of depths, cannot be sent.
    let [.., first, _, second] = cameras[..] else { panic!("three cameras: {cameras:?}") };
    anna.choose(before, second);
    anna.wait("the other camera is shown", &shown("document.querySelector('#preview')", second));
    anna.click("#green-microphone");
    anna.wait("no level is shown", "document.querySelector('#green-level').hidden");
    anna.ask_to_join();
    anna.is_inside();
    anna.wait("the microphone is off", "document.querySelector('#microphone').ariaPressed === 'false'");

    bob.enter(&gateway, "studio");
    bob.is_told_of_silence("anna", true);
    let video = tile_of("anna", "camera");
    bob.observes(&video, "silent", |seen| seen.is_silent());
    // She changes it while he looks: his connection stays, and goes on.
    bob.get(&format!("(window.stream = {video}.srcObject, null)"));
    anna.click("#more");
    anna.choose("#call-devices select[data-kind=camera]", first);
    anna.wait("the other camera is shown", &shown(&tile_of("anna", "camera"), first));
    let frames = bob.get(&format!("{video}.getVideoPlaybackQuality().totalVideoFrames"));
    bob.wait(
        "her picture goes on",
        &format!("{video}.getVideoPlaybackQuality().totalVideoFrames > {frames} + 10"),
    );
    assert_eq!(bob.get(&format!("window.stream === {video}.srcObject")), true);
    anna.get("document.querySelector('#settings').close()");
    anna.click("#microphone");
    bob.is_told_of_silence("anna", false);
    bob.observes(&video, "audible", |seen| !seen.is_silent());
    all_are_content([anna, bob]);

    // Both choices are kept for the next time.
    anna.open(&gateway, "studio");
    anna.wait("the camera is the one of the last time", &shown("document.querySelector('#preview')", first));
}
