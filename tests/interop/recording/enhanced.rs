//! HEVC, AV1 and VP9, which encoders send over enhanced RTMP.

use super::aligned::luma;
use super::{PICTURE, Studio, assert_clean, duration};
use crate::analysis::OFFSET;
use crate::browser::Browser;
use crate::client::Client;
use crate::ffmpeg::{self, AAC, scratch};
use crate::{ffmpeg_7, patience};
use std::path::PathBuf;
use std::time::Duration;

/// In a row, at most, in HEVC.
const B_FRAMES: usize = 3;
/// How each is encoded: the name of its room's participant, and arguments.
const CODECS: [(&str, &[&str]); 3] = [
    (
        "h265",
        &["-c:v", "libx265", "-preset", "veryfast", "-x265-params", "bframes=3:keyint=30:log-level=none"],
    ),
    ("av1", &["-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-g", "30", "-b:v", "800k"]),
    ("vp9", &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "30", "-b:v", "800k"]),
];

fn clips(seconds: usize) -> Vec<(&'static str, PathBuf)> {
    CODECS.iter().map(|(name, video)| (*name, ffmpeg::clip(seconds, &[video, &AAC[..]].concat()))).collect()
}

#[test]
fn what_enhanced_rtmp_carries_is_recorded_filled_and_played() {
    let clips = clips(7);
    let studio = Studio::start("enhanced", &["recording.align=\"full\""]);
    let url = |name: &str| studio.gateway.url("studio", name);
    let early = Client::publish_with(&ffmpeg::baseline_clip(20), &["-c", "copy", "-t", "12"], &url("early"));
    studio.gateway.wait_for("studio", "early", &["h264", "aac"]);
    patience::pass(Duration::from_secs(2));
    let publishers: Vec<_> = clips.iter().map(|(name, clip)| ffmpeg_7::publish(clip, &url(name))).collect();
    let players = clips.iter().map(|(name, _)| {
        studio.gateway.wait_for("studio", name, &[name, "aac"]);
        let file = scratch(&format!("enhanced-{name}.mkv"));
        (ffmpeg_7::play(&url(name), Some("hvc1,av01,vp09"), 30, &file), file)
    });
    let players: Vec<_> = players.collect();
    // Who does not say that it takes HEVC gets H.264.
    let converted = scratch("enhanced-converted.mkv");
    ffmpeg_7::play(&url("h265"), None, 2, &converted).finish(Duration::from_secs(15));
    assert_eq!(studio.metric("commonroom_stream_warnings_total", "transcoded"), 1.0);
    assert!(ffmpeg::probe(&converted, "stream=codec_name").contains("h264"));
    publishers.into_iter().chain([early]).for_each(|client| client.finish(Duration::from_secs(20)));
    for (player, file) in players {
        player.finish(Duration::from_secs(15));
        let report = ffmpeg::read(&file).analyse();
        let picture = report.picture();
        assert!(picture.frames > 60 && picture.dropped == 0 && picture.backwards == 0, "{report:#?}");
        assert!(report.offset().abs() <= OFFSET, "{report:#?}");
    }

    let session = studio.finished("studio");
    let length = duration(&session.take("early").path);
    let browser = Browser::start();
    for (name, _) in &clips {
        let take = session.take(name);
        take.check();
        assert_eq!(take.number("start"), 0.0);
        assert_eq!(take.told["video"]["codec"], *name);
        let string = take.told["video"]["codec_string"].as_str().expect("a string");
        assert!(
            ["hvc1.1.6.L", "av01.0.", "vp09.00."].iter().any(|start| string.starts_with(start)),
            "{string}"
        );
        let is = duration(&take.path);
        assert!((is - length).abs() <= PICTURE, "{is} s and {length} s");
        let gaps = take.gaps("video");
        let Some((0.0, began, _)) = gaps.first() else { panic!("{gaps:?}") };
        // Where the first picture is decoded.
        let began = *began;
        for at in [0.0, began / 2.0, began - 0.1, length - 1.0] {
            assert_eq!(luma(&take.path, at, "null"), (16, 16), "{name} at {at} s");
        }
        assert!(
            take.told["gaps"].as_array().is_some_and(|gaps| gaps.iter().all(|gap| gap["filled"] == true))
        );
        let report = take.analyse();
        let picture = report.picture();
        assert_eq!((picture.dropped, picture.repeated, picture.backwards), (0, 0, 0), "{report:#?}");
        let first = (0..5).find_map(|second| Some(picture.shown_at(f64::from(second))? - f64::from(second)));
        // The sender moves everything behind the time that its B-frames need: two pictures, as x265 says of them.
        let begins = began + if *name == "h265" { 2.0 * PICTURE } else { 0.0 };
        assert!((first.expect("pictures") - begins).abs() < 0.02, "{first:?}, not {begins}");
        assert!(report.offset().abs() <= OFFSET, "{report:#?}");
        // Chromium has no decoder for HEVC.
        if *name != "h265" {
            take.plays_in(&browser);
        }
    }
}

#[test]
fn what_enhanced_rtmp_carries_outlives_the_gateway() {
    let clips = clips(7);
    let mut studio = Studio::start("enhanced-killed", &["recording.align=\"lead-in\""]);
    let publishers: Vec<_> = clips
        .iter()
        .map(|(name, clip)| ffmpeg_7::publish(clip, &studio.gateway.url("studio", name)))
        .collect();
    for (name, _) in &clips {
        studio.gateway.wait_for("studio", name, &[name, "aac"]);
    }
    patience::pass(Duration::from_secs(3));
    studio.gateway.kill();
    drop(publishers);
    studio.gateway.start_again();
    let session = studio.finished("studio");
    for (name, _) in &clips {
        let take = session.take(name);
        assert_eq!(take.told["state"], "recovered", "{:#}", take.told);
        assert_clean(&take.path);
        let report = take.analyse();
        let picture = report.picture();
        assert!(picture.frames > 50 && picture.backwards == 0, "{report:#?}");
        // A picture that B-frames were to come before may be the last one that is there.
        let behind = if *name == "h265" { B_FRAMES } else { 0 };
        assert!(picture.dropped <= behind, "{report:#?}");
    }
}
