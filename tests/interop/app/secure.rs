//! The page over HTTPS with the server's own certificate, as on a LAN, where browsers give cameras to nothing less. People are
//! called as they are called.

use super::person::{Person, all_are_content, all_meet};
use crate::ffmpeg::scratch;
use crate::gateway::Gateway;
use serde_json::json;

#[test]
fn people_over_https_meet_those_over_http() {
    let state = scratch("secure-state");
    let gateway =
        Gateway::start_with(&["http.tls.self_signed=true", &format!("http.tls.state={}", state.display())]);
    let [alisa, zoe] = &Person::some(["Алиса", "Zoë"]);
    alisa.browser.go(&format!("https://{}/r/зал", gateway.https));
    alisa.is_ready();
    assert_eq!(alisa.get("[location.protocol, isSecureContext]"), json!(["https:", true]));
    alisa.ask_to_join();
    alisa.is_inside();
    zoe.enter(&gateway, "зал");
    all_meet([alisa, zoe]);
    all_are_content([alisa, zoe]);
    std::fs::remove_dir_all(state).expect("our own folder");
}
