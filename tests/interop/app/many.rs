//! A session with more files than a browser has connections to a server.

use super::person::{Person, all_are_content};
use crate::ffmpeg::{run, scratch};
use crate::gateway::Gateway;
use serde_json::json;
use std::fs;
use std::process::Command;

/// Connections that a browser has to a server are six.
const FILES: usize = 10;
/// Seconds of each.
const LENGTH: u32 = 40;

#[test]
fn ten_files_play_side_by_side() {
    let dir = scratch(&format!("many-{}", std::process::id()));
    let folder = dir.join("studio/2026-11-21T21-31-57Z");
    fs::create_dir_all(&folder).expect("the scratch folder is writable");
    // Mostly filler: easy to decode, and far more than a player keeps.
    let first = folder.join("0.mp4");
    let picture = format!("testsrc=size=160x120:rate=10:duration={LENGTH}");
    run(Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", &picture, "-c:v", "libx264", "-preset", "ultrafast"])
        .args([
            "-pix_fmt", "yuv420p", "-g", "20", "-b:v", "4M", "-minrate", "4M", "-maxrate", "4M", "-bufsize",
            "4M",
        ])
        .args(["-x264-params", "nal-hrd=cbr", "-movflags", "+faststart"])
        .arg(&first));
    let size = fs::metadata(&first).expect("it is there").len();
    assert!(size > 15_000_000, "{size} bytes are too few to show anything");
    for number in 1..FILES {
        fs::hard_link(&first, folder.join(format!("{number}.mp4"))).expect("one folder");
    }
    let file = |number: usize| {
        json!({
            "name": format!("{number}.mp4"), "state": "finished", "participant": format!("person-{number}"),
            "kind": "camera", "streams": [], "start": 0.0, "end": LENGTH, "gaps": [], "size": size,
        })
    };
    let manifest = json!({
        "version": 1, "room": "studio", "session": "2026-11-21T21-31-57Z", "state": "finished", "align": "full",
        "start": "2026-11-21T21:31:57Z", "duration": LENGTH, "events": [],
        "files": (0..FILES).map(file).collect::<Vec<_>>(),
    });
    fs::write(folder.join("session.json"), manifest.to_string()).expect("the scratch folder is writable");

    let gateway =
        Gateway::start_with(&["recording.browse=true", &format!("recording.dir=\"{}\"", dir.display())]);
    let [anna] = &Person::some(["anna"]);
    anna.browser.go(&gateway.page("/recordings/studio/2026-11-21T21-31-57Z"));
    let all = |are: &str| {
        format!(
            "(all => all.length === {FILES} && all.every((video) => {are}))([...document.querySelectorAll('.player video')])"
        )
    };
    anna.wait("all have a picture", &all("video.readyState >= 2"));
    anna.click("#play");
    anna.wait("all play", &all("video.currentTime > 3"));
    anna.fill("#seek", "20");
    anna.wait("all play from there", &all("video.readyState >= 2 && video.currentTime > 22"));
    all_are_content([anna]);
    fs::remove_dir_all(&dir).expect("our own folder");
}
