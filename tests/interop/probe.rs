//! What the program says of files whose faults we have made, and of a live stream.

use crate::client::Client;
use crate::ffmpeg::{self, scratch};
use crate::gateway::Gateway;
use serde_json::Value;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

fn probe(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_commonroom"))
        .arg("probe")
        .args(arguments)
        .output()
        .expect("it was built")
}

fn json(arguments: &[&str]) -> Value {
    let output = probe(&[&["--json"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("it is JSON")
}

fn make(name: &str, arguments: &[&str]) -> String {
    let path = scratch(name);
    ffmpeg::run(Command::new("ffmpeg").args(["-v", "error", "-y"]).args(arguments).arg(&path));
    path.to_str().expect("an ordinary path").to_owned()
}

#[track_caller]
fn near(value: &Value, expected: f64, tolerance: f64) {
    let number = value.as_f64().unwrap_or(f64::NAN);
    assert!((number - expected).abs() <= tolerance, "{value} is not {expected}");
}

fn notes(report: &Value) -> Vec<&str> {
    report["notes"].as_array().expect("a list").iter().filter_map(Value::as_str).collect()
}

const VIDEO: [&str; 4] = ["-f", "lavfi", "-i", "testsrc2=s=320x240:r=30:d=20"];

#[test]
fn b_frames_long_gops_and_sound_that_lies_apart() {
    let x264 = "bframes=2:b-adapt=0:b-pyramid=none:scenecut=0:keyint=250:min-keyint=250";
    let sound = ["-itsoffset", "0.5", "-f", "lavfi", "-i", "sine=d=17.5:r=48000"];
    let codecs = ["-c:v", "libx264", "-profile:v", "high", "-x264-params", x264, "-c:a", "aac"];
    let file = make("probe-b-frames.mp4", &[&VIDEO[..], &sound, &codecs].concat());
    let report = json(&[&file]);
    let (video, audio) = (&report["streams"][0], &report["streams"][1]);
    assert_eq!(
        (&video["codec_name"], &video["profile"], &video["pix_fmt"]),
        (&"h264".into(), &"High".into(), &"yuv420p".into())
    );
    assert_eq!(
        (&video["width"], &video["height"], &video["r_frame_rate"]),
        (&320.into(), &240.into(), &"30/1".into())
    );
    assert_eq!(
        (&video["b_frames"], &video["packets"], &video["frame_rate_varies"]),
        (&2.into(), &600.into(), &false.into())
    );
    near(&video["frame_rate"], 30.0, 0.01);
    near(&video["gop"]["max"], 250.0 / 30.0, 0.001);
    assert_eq!(
        (&audio["codec_name"], &audio["sample_rate"], &audio["channels"]),
        (&"aac".into(), &48_000.into(), &1.into())
    );
    // The encoder begins a packet, of 21 ms, earlier.
    near(&report["av_offset"]["start"], 0.5 - 1024.0 / 48_000.0, 0.002);
    near(&report["av_offset"]["end"], -2.0, 0.045);
    near(&report["duration"], 20.0, 0.02);
    assert_eq!(
        (&report["index_at_front"], &report["fragments"], &report["live"]),
        (&false.into(), &0.into(), &false.into())
    );
    for expected in [
        "B-frames (up to 2 in a row)",
        "keyframes every 8.3 s",
        "sound begins 0.5 s after",
        "sound ends 2.0 s before",
    ] {
        assert!(
            notes(&report).iter().any(|note| note.contains(expected)),
            "{expected}: {:?}",
            notes(&report)
        );
    }
    assert!(
        video["gaps"].as_array().is_some_and(Vec::is_empty)
            && audio["gaps"].as_array().is_some_and(Vec::is_empty)
    );
    let table = String::from_utf8(probe(&[&file]).stdout).expect("text");
    for expected in ["h264, High, level ", "320x240", "up to 2 in a row", "A/V offset", "note"] {
        assert!(table.contains(expected), "{expected}: {table}");
    }
}

#[test]
fn gaps_are_found_in_picture_and_sound() {
    let clip = ffmpeg::baseline_clip(8);
    let clip = clip.to_str().expect("an ordinary path");
    // Packets of the encoded file are dropped, so that the others keep their times.
    let cut = |part: &str| format!("noise=drop='{part}'");
    let (picture, sound) = (cut("between(n,89,118)"), cut("between(n,200,246)"));
    let bsf = ["-i", clip, "-c", "copy", "-bsf:v", &picture, "-bsf:a", &sound];
    for name in ["probe-gaps.mp4", "probe-gaps.mkv", "probe-gaps.flv"] {
        let report = json(&[&make(name, &bsf)]);
        let (video, audio) = (&report["streams"][0]["gaps"], &report["streams"][1]["gaps"]);
        assert_eq!(
            (video.as_array().map(Vec::len), audio.as_array().map(Vec::len)),
            (Some(1), Some(1)),
            "{report:#}"
        );
        near(&video[0]["duration"], 1.0, 0.035);
        near(&video[0]["start"], 3.0, 0.07);
        near(&audio[0]["duration"], 47.0 * 1024.0 / 48_000.0, 0.023);
        near(&audio[0]["start"], 200.0 * 1024.0 / 48_000.0, 0.07);
        assert!(
            notes(&report).iter().any(|note| note.starts_with("no picture for 1.0")),
            "{:?}",
            notes(&report)
        );
    }
}

#[test]
fn where_the_index_is() {
    let video = [&VIDEO[..], &["-t", "4", "-c:v", "libx264", "-g", "30", "-bf", "0", "-movflags"]].concat();
    let fast = json(&[&make("probe-fast.mp4", &[&video[..], &["+faststart"]].concat())]);
    assert_eq!((&fast["index_at_front"], &fast["fragments"]), (&true.into(), &0.into()));
    assert_eq!(notes(&fast), ["there is no sound"]);
    let fragmented =
        json(&[&make("probe-fragments.mp4", &[&video[..], &["frag_keyframe+empty_moov"]].concat())]);
    assert_eq!((&fragmented["index_at_front"], &fragmented["fragments"]), (&true.into(), &4.into()));
    let webm = json(&[&make(
        "probe.webm",
        &[&VIDEO[..], &["-t", "2", "-c:v", "libvpx", "-deadline", "realtime"]].concat(),
    )]);
    assert_eq!((&webm["index_at_front"], &webm["streams"][0]["codec_name"]), (&Value::Null, &"vp8".into()));
}

#[test]
fn a_live_stream_is_looked_at_for_a_while() {
    let gateway = Gateway::start();
    let url = gateway.url("studio", "alice");
    let _publisher = Client::publish(&ffmpeg::baseline_clip(40), &url);
    gateway.wait_for("studio", "alice", &["h264", "aac"]);
    let report = json(&["--seconds", "5", &url]);
    assert_eq!(report["live"], true);
    near(&report["duration"], 5.0, 1.2);
    near(&report["streams"][0]["frame_rate"], 30.0, 0.5);
    near(&report["streams"][0]["gop"]["max"], 1.0, 0.07);
    near(&report["av_offset"]["start"], 0.0, 0.3);
    assert_eq!(report["av_offset"]["end"], Value::Null);
}

#[test]
fn what_cannot_be_looked_at_is_told() {
    let said = |arguments: &[&str], code: i32| {
        let output = probe(arguments);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    said(&["--", "-version"], 2);
    assert!(said(&["/nowhere/film.mp4"], 1).contains("/nowhere/film.mp4"));
    let text = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    said(&[text.to_str().expect("an ordinary path")], 1);
    assert!(said(&["--ffprobe", "/nowhere/ffprobe", "Cargo.toml"], 1).contains("apt install ffmpeg"));
    // A server that takes the request and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("http://{}/live.flv", silent.local_addr().expect("it is bound"));
    assert!(said(&[&url], 1).contains("nothing came for 20 s"));
}
