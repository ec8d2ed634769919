//! The Two Way Video Chat & Screen page.

use super::package::{Example, Version};
use super::person::Person;
use super::stage;
use crate::people::together;

const PAGE: (Version, Example) = (Version::New, Example::ChatAndScreen);
const SHARED: &str = "document.getElementById('sharedDisplay')";

#[test]
fn a_late_joiner_sees_camera_and_screen() {
    let (gateway, pages) = stage();
    let [alice, bob] = &Person::some(["alice", "bob"]);
    alice.visit(&gateway, pages, PAGE, "studio");
    alice.click("shareBtn");
    alice.until("she shares", 10, "document.getElementById('shareBtn').textContent === 'Unshare'");
    bob.visit(&gateway, pages, PAGE, "studio");
    bob.meets(alice);
    bob.sees(SHARED, &alice.screen());
    alice.meets(bob);

    // The screen goes without the camera, and comes back to somebody who is there.
    let cleared = || bob.until("the area is cleared", 5, &format!("!visitor.playing({SHARED}).length"));
    alice.click("shareBtn");
    cleared();
    bob.meets(alice);
    alice.until("she may share again", 5, "document.getElementById('shareBtn').textContent === 'Share'");
    alice.click("shareBtn");
    bob.sees(SHARED, &alice.screen());

    // The browser's own button ends the capture.
    alice.browser.evaluate(
        "visitor.playing(document.getElementById('preview'))[0].srcObject.getVideoTracks()[0]
             .dispatchEvent(new Event('ended'))",
    );
    cleared();

    // She leaves with everything while she shares.
    alice.until("she may share again", 5, "document.getElementById('shareBtn').textContent === 'Share'");
    alice.click("shareBtn");
    bob.sees(SHARED, &alice.screen());
    alice.click("joinBtn");
    bob.reads("alice", "left");
    cleared();
    bob.until("nobody is shown", 5, "document.getElementById('participant1Name').textContent === 'NONE'");
    together([alice, bob], Person::is_content);
}
