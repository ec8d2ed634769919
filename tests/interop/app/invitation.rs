//! Inviting people and encoders.

use super::person::{Person, all_are_content, tile_of};
use crate::client::{Client, ended};
use crate::ffmpeg;
use crate::gateway::Gateway;
use crate::people::Source;
use serde_json::json;
use std::time::Duration;

#[test]
fn an_invited_encoder_is_seen_to_come() {
    let gateway = Gateway::start();
    let [anna] = &Person::some(["anna"]);
    anna.enter(&gateway, "studio");
    anna.click("#invite");

    // What is copied is what a person would send to others.
    anna.browser.permit("clipboard-read");
    for (copied, expected) in [
        ("link", gateway.page("/r/studio")),
        ("encoder-server", format!("rtmp://{}/studio", gateway.rtmp)),
        ("encoder-key", "obs".to_owned()),
    ] {
        let button = format!("[data-copy={copied}]");
        anna.click(&button);
        anna.reads(&button, "Copied");
        assert_eq!(anna.get("navigator.clipboard.readText()"), json!(expected));
    }

    // Until the encoder comes it is waited for, and then it is there.
    anna.fill("#encoder", "camera-2");
    let state = |state| format!("document.querySelector('#encoder-state').dataset.state === '{state}'");
    anna.wait("the encoder is waited for", &state("waiting"));
    let (server, key) = (anna.text("#encoder-server"), anna.text("#encoder-key"));
    let mut encoder = Client::publish(&ffmpeg::baseline_clip(40), &format!("{server}/{key}"));
    anna.wait("the encoder has come", &state("connected"));
    anna.get("document.querySelector('#invitation').close()");
    anna.sees(&tile_of("camera-2", "camera"), &Source::clip());
    anna.click("#open-people");
    anna.reads("[data-login=\"camera-2\"] .way", "RTMP");
    encoder.signal("INT");
    ended(&mut encoder, Duration::from_secs(5));
    anna.has_tiles(&["anna camera"]);
    anna.click("#invite");
    anna.wait("it is waited for again", &state("waiting"));
    all_are_content([anna]);
}
