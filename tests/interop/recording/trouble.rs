//! Disks that are full, and folders that cannot be written to.

use super::{Studio, assert_clean, duration, empty};
use crate::boxes;
use crate::client::Client;
use crate::ffmpeg;
use crate::gateway::Gateway;
use crate::patience;
use std::process::Command;
use std::time::Duration;

/// A file that may become no larger takes no more, as a disk that is full: 300 blocks of 512 bytes.
const NO_ROOM: &str = "trap '' XFSZ; ulimit -f 300";

#[test]
fn a_recording_that_finds_no_room_ends_and_the_stream_goes_on() {
    let folder = empty("full-disk");
    let options = Studio::options(&folder, &[]);
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    let studio = Studio { gateway: Gateway::start_after(NO_ROOM, &options), folder };
    let clip = ffmpeg::baseline_clip(20);
    let url = studio.gateway.url("studio", "camera");
    let publisher = Client::publish(&clip, &url);
    studio.gateway.wait_for("studio", "camera", &["h264", "aac"]);
    let mut failed = None;
    patience::wait("the recording fails", Duration::from_secs(15), || {
        failed = studio.look("studio").filter(|session| session.manifest["files"][0]["state"] == "failed");
        failed.is_some()
    });
    let take = failed.expect("just seen").takes("camera").remove(0);
    println!("{:#}", take.told);
    assert!(take.told["error"].as_str().is_some_and(|error| error.contains("too large")), "{:#}", take.told);
    assert!(studio.gateway.log().contains("the recording ends early"), "{}", studio.gateway.log());
    assert!(studio.metric("commonroom_recordings_total", "failed") > 0.0);

    // The room has noticed nothing but that.
    let played = ffmpeg::scratch("recordings-full-disk.flv");
    Client::play(&url, 4, &played).finish(Duration::from_secs(15));
    let report = ffmpeg::read(&played).analyse();
    assert!(report.picture().dropped == 0 && report.sound().gaps.is_empty(), "{report:#?}");
    drop(publisher);
    // What fails is begun anew, and what there is of each is whole.
    let takes = studio.finished("studio").takes("camera");
    assert!(takes.len() > 1, "it is tried again");
    assert_eq!(takes[0].told["state"], "failed", "{:#}", takes[0].told);
    for take in &takes {
        assert_clean(&take.path);
        boxes::assert_right(&take.path);
        assert_eq!(take.told["size"].as_u64(), std::fs::metadata(&take.path).ok().map(|file| file.len()));
        let (length, told) = (duration(&take.path), take.number("end") - take.number("start"));
        assert!(length > 0.5 && (length - told).abs() < 0.1, "{length}: {:#}", take.told);
        assert_eq!(take.analyse().picture().dropped, 0);
    }
}

#[test]
fn a_folder_that_cannot_be_written_to_is_told_at_the_start() {
    let config = ffmpeg::scratch("recordings-unwritable.toml");
    std::fs::write(&config, "").expect("the scratch folder is writable");
    let mut command = Command::new(env!("CARGO_BIN_EXE_commonroom"));
    command.arg("serve").arg("--config").arg(&config);
    // Not even root makes folders there.
    for setting in ["recording.policy=\"always\"", "recording.dir=\"/proc/recordings\""] {
        command.arg("--set").arg(setting);
    }
    for section in ["rtmp", "http", "webrtc"] {
        command.arg("--set").arg(format!("{section}.listen=\"127.0.0.1:0\""));
    }
    let output = command.output().expect("it was built");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("recordings cannot be written to /proc/recordings (recording.dir)"), "{said}");
}
