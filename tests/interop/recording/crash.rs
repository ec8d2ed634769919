//! The gateway is killed while it records.

use super::{Studio, assert_clean, duration};
use crate::client::Client;
use crate::{boxes, ffmpeg, patience};
use std::fs;
use std::time::{Duration, Instant};

/// What a crash may take.
const LOST: f64 = 1.0;

#[test]
fn a_second_at_most_is_lost_when_the_gateway_is_killed() {
    kill(4);
}

/// The same more often, by hand.
#[test]
#[ignore = "takes minutes"]
fn a_second_at_most_is_lost_fifty_times() {
    kill(50);
}

/// Records two streams in two rooms, and kills the gateway at a moment that is another one each time.
fn kill(times: u64) {
    let mut studio = Studio::start("killed", &["recording.align=\"lead-in\""]);
    let b_frames = ["-c:v", "libx264", "-profile:v", "high", "-preset", "veryfast", "-bf", "3", "-g", "30"];
    let clips = [ffmpeg::clip(20, &[&b_frames[..], &ffmpeg::AAC[..]].concat()), ffmpeg::baseline_clip(20)];
    let mut most = 0.0_f64;
    for round in 0..times {
        let rooms = ["first", "second"].map(|name| format!("{name}-{round}"));
        let publishers: Vec<_> = rooms
            .iter()
            .zip(&clips)
            .map(|(room, clip)| Client::publish(clip, &studio.gateway.url(room, "camera")))
            .collect();
        for room in &rooms {
            studio.gateway.wait_for(room, "camera", &["h264", "aac"]);
        }
        let began = Instant::now();
        // Steps that share nothing with a second spread over all of its moments.
        patience::pass(Duration::from_millis(1_600 + round * 617 % 1_500));
        studio.gateway.kill();
        let lived = began.elapsed().as_secs_f64();
        drop(publishers);
        studio.gateway.start_again();
        for room in &rooms {
            let session = studio.finished(room);
            assert_eq!(session.manifest["state"], "recovered", "{:#}", session.manifest);
            let take = session.take("camera");
            assert_eq!(take.told["state"], "recovered", "{:#}", take.told);
            assert_clean(&take.path);
            boxes::assert_right(&take.path);
            assert!(take.told["size"].as_u64() == fs::metadata(&take.path).ok().map(|file| file.len()));
            let length = duration(&take.path);
            assert!((take.number("end") - length).abs() < 0.07, "{length}: {:#}", take.told);
            // It began a little before it was seen, which counts for it; the clip tells nothing that was not sent.
            let lost = lived - length;
            println!("{room}: killed after {lived:.2} s, {length:.2} s are there");
            most = most.max(lost);
            let report = take.analyse();
            assert_eq!((report.picture().dropped, report.picture().backwards), (0, 0), "{report:#?}");
        }
    }
    println!("{most:.2} s are missing at most");
    assert!(most <= LOST, "{most} s");
}

#[test]
fn what_is_not_complete_when_the_gateway_is_told_to_stop_is_completed() {
    let mut studio = Studio::start("stopped", &[]);
    let publisher = Client::publish(&ffmpeg::baseline_clip(20), &studio.gateway.url("studio", "camera"));
    studio.gateway.wait_for("studio", "camera", &["h264", "aac"]);
    patience::pass(Duration::from_secs(3));
    let (status, _) = studio.gateway.terminate();
    assert!(status.success(), "{status}");
    drop(publisher);
    let session = studio.look("studio").expect("it was recorded");
    assert_eq!(session.manifest["state"], "finished", "{:#}", session.manifest);
    let take = session.take("camera");
    take.check();
    assert!(take.number("end") > 2.5, "{:#}", take.told);
}
