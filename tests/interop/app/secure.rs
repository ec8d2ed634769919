//! The page over HTTPS with the server's own certificate, as on a LAN, where browsers give cameras to nothing less.

use super::person::{Person, all_are_content, all_meet};
use crate::ffmpeg::scratch;
use crate::gateway::Gateway;
use serde_json::json;

#[test]
fn people_over_https_meet_those_over_http() {
    let state = scratch("secure-state");
    let gateway =
        Gateway::start_with(&["http.tls.self_signed=true", &format!("http.tls.state={}", state.display())]);
    let [anna, bob] = &Person::some(["anna", "bob"]);
    anna.browser.go(&format!("https://{}/r/studio", gateway.https));
    anna.is_ready();
    assert_eq!(anna.get("[location.protocol, isSecureContext]"), json!(["https:", true]));
    anna.ask_to_join();
    anna.is_inside();
    bob.enter(&gateway, "studio");
    all_meet([anna, bob]);
    all_are_content([anna, bob]);
    std::fs::remove_dir_all(state).expect("our own folder");
}
