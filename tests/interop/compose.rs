//! Recorded sessions put together, and the films looked at and listened to.

use crate::ffmpeg::{self, scratch};
use crate::patience::wait;
use crate::signal;
use serde_json::{Value, json};
use std::f64::consts::TAU;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_commonroom");
const SIZE: (usize, usize) = (1280, 720);
/// A name that means something to a filter graph, to `drawtext`, to a shell and to `ffmetadata`.
const ODD: &str = "d'ä:%{n}[x],;=#\\ 😀$(x)";

/// Four recordings that are not aligned: two cameras, a screen without sound, a voice without picture.
fn session(name: &str) -> PathBuf {
    let folder = scratch(name);
    // What an earlier run has left.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the scratch folder is writable");
    let clip = ffmpeg::baseline_clip(12);
    let make = |arguments: &[&str], file: &str| {
        let mut command = Command::new("ffmpeg");
        ffmpeg::run(command.args(["-v", "error", "-y"]).args(arguments).arg(folder.join(file)));
    };
    let clip = clip.to_str().expect("an ordinary path");
    make(&["-i", clip, "-c", "copy"], "alice-camera.mp4");
    let vp8 =
        ["-map", "0:v", "-map", "1:a", "-t", "7", "-c:v", "libvpx", "-b:v", "2M", "-deadline", "realtime"];
    make(
        &[
            &["-i", clip, "-f", "lavfi", "-i", "sine=400:d=7:r=48000"][..],
            &vp8,
            &["-c:a", "libopus", "-ac", "2"],
        ]
        .concat(),
        "bob-camera.webm",
    );
    make(&["-f", "lavfi", "-i", "color=0x00c000:s=640x480:r=10:d=6", "-c:v", "libx264"], "alice-screen.mp4");
    make(&["-f", "lavfi", "-i", "sine=700:d=12", "-c:a", "aac", "-ac", "1"], "-d-camera.m4a");
    let file = |name: &str, participant: &str, kind: &str, start: f64, end: f64| {
        json!({
            "name": name, "state": "finished", "participant": participant, "kind": kind, "start": start, "end": end,
            "streams": [{"stream": "s", "start": start, "end": end, "clock": [[0.0, start]]}],
            "gaps": [], "size": 0,
        })
    };
    let joined =
        |time: f64, login: &str| json!({"time": time, "type": "joined", "login": login, "protocol": "rtmp"});
    let manifest = json!({
        "version": 1, "room": "зал", "session": name, "state": "finished", "align": "off",
        "start": "2026-11-21T21:31:57Z", "duration": 12.0,
        "files": [
            file("alice-camera.mp4", "Алиса", "camera", 0.0, 12.0),
            file("bob-camera.webm", "bob", "camera", 5.0, 12.0),
            file("alice-screen.mp4", "Алиса", "screen", 2.0, 8.0),
            file("-d-camera.m4a", ODD, "camera", 0.0, 12.0),
            file("gone.mp4", "eve", "camera", 0.0, 12.0),
            file("../alice-camera.mp4", "eve", "camera", 0.0, 12.0),
        ],
        "events": [
            joined(-3.0, "Алиса"), joined(0.0, ODD), joined(5.0, "bob"),
            {"time": 8.0, "type": "left", "login": "Алиса", "reason": "left"},
        ],
    });
    fs::write(folder.join("session.json"), manifest.to_string()).expect("the scratch folder is writable");
    folder
}

fn compose(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg("compose").arg(folder).args(arguments).stdin(Stdio::null());
    command.output().expect("it was built")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A film in memory: planes of luma, 30 a second, and its left channel.
struct Film {
    picture: Vec<u8>,
    sound: Vec<f32>,
}

impl Film {
    fn read(file: &Path) -> Self {
        let decode = |arguments: &[&str]| {
            ffmpeg::run(Command::new("ffmpeg").args(["-v", "error", "-i"]).arg(file).args(arguments)).stdout
        };
        let picture = decode(&["-map", "0:v", "-vf", "fps=30", "-pix_fmt", "gray", "-f", "rawvideo", "-"]);
        let sound = decode(&["-map", "0:a", "-af", "pan=mono|c0=c0", "-ar", "48000", "-f", "f32le", "-"]);
        let sound =
            sound.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]));
        Self { picture, sound: sound.collect() }
    }

    fn luma(&self, frame: usize, x: usize, y: usize) -> u8 {
        self.picture[(frame * SIZE.1 + y) * SIZE.0 + x]
    }

    /// The number in a picture of the signal that lies in a part of the film.
    fn number(&self, frame: usize, (x, y, width, height): (usize, usize, usize, usize)) -> Option<u16> {
        let mut plane = Vec::with_capacity(signal::WIDTH * signal::HEIGHT);
        for line in 0..signal::HEIGHT {
            for column in 0..signal::WIDTH {
                let (column, line) = (column * width / signal::WIDTH, line * height / signal::HEIGHT);
                plane.push(self.luma(frame, x + column, y + line));
            }
        }
        signal::read(&plane)
    }

    /// The largest luma in a part of a picture.
    fn brightest(&self, frame: usize, (x, y, width, height): (usize, usize, usize, usize)) -> u8 {
        let lines = (y..y + height).flat_map(|y| (x..x + width).map(move |x| (x, y)));
        lines.map(|(x, y)| self.luma(frame, x, y)).max().expect("not empty")
    }

    fn tone(&self, hertz: f64, from: f64, to: f64) -> f64 {
        tone(&self.sound, hertz, from, to)
    }
}

/// The amplitude of a pitch.
fn tone(samples: &[f32], hertz: f64, from: f64, to: f64) -> f64 {
    let rate = signal::RATE as f64;
    let window = &samples[(from * rate) as usize..(to * rate) as usize];
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (index, sample) in window.iter().enumerate() {
        let angle = TAU * hertz * index as f64 / rate;
        real += f64::from(*sample) * angle.cos();
        imaginary += f64::from(*sample) * angle.sin();
    }
    2.0 * f64::hypot(real, imaginary) / window.len() as f64
}

#[test]
fn everybody_is_seen_and_heard_at_their_times() {
    let folder = session("composed");
    let output = compose(&folder, &[]);
    assert!(output.status.success(), "{}", said(&output));
    for left_out in ["gone.mp4 is left out", "../alice-camera.mp4 is left out"] {
        assert!(said(&output).contains(left_out), "{}", said(&output));
    }
    let path = folder.join("composed.mp4");
    let film = Film::read(&path);
    // A codec's delay makes pictures of a recording begin behind its zero.
    let late = |name: &str| {
        let times = ffmpeg::probe(&folder.join(name), "stream=start_time");
        let start: f64 = times.lines().next().and_then(|time| time.parse().ok()).expect("a time");
        assert!(start < 0.05, "{name}: {start}");
        (start * signal::FPS as f64).round() as u16
    };
    let (alice, bob) = (late("alice-camera.mp4"), 150 + late("bob-camera.webm"));
    assert_eq!(film.picture.len(), 360 * SIZE.0 * SIZE.1, "12 s at 30 pictures a second");
    assert!((film.sound.len() as f64 / 48_000.0 - 12.0).abs() < 0.03, "{} samples", film.sound.len());

    // 0 to 2 s: Alice beside a card. 480x272 fits into 636x720 as 636x360.
    for frame in [3, 30, 57] {
        assert_eq!(film.number(frame, (0, 180, 636, 360)), Some(frame as u16 - alice));
        assert!(film.brightest(frame, (644, 300, 636, 120)) > 200, "the name on the card");
        assert!(film.brightest(frame, (644, 0, 636, 300)) < 60, "and nothing else");
    }
    // 2 to 5 s: three; the screen, 640x480, in the middle of its tile and not stretched.
    for frame in [62, 100, 147] {
        assert_eq!(
            film.number(frame, (4, 0, 628, 356)),
            Some(frame as u16 - alice),
            "at once in its new place"
        );
        assert!(film.luma(frame, 962, 178) > 90, "the screen");
        assert!(film.luma(frame, 700, 178) < 60 && film.luma(frame, 1240, 178) < 60, "beside it nothing");
    }
    assert!(film.luma(59, 962, 100) < 60, "not before its time");
    // 5 to 8 s: four, and each picture of both cameras at its own time.
    for frame in 154..238 {
        assert_eq!(film.number(frame, (4, 0, 628, 356)), Some(frame as u16 - alice));
        assert_eq!(film.number(frame, (648, 0, 628, 356)), Some(frame as u16 - bob), "at {frame}");
    }
    assert!(film.luma(200, 318, 540) > 90 && film.brightest(200, (700, 500, 520, 100)) > 200);
    // 8 to 12 s: the screen has gone.
    for frame in [243, 300, 355] {
        assert_eq!(film.number(frame, (648, 0, 628, 356)), Some(frame as u16 - bob));
        assert!(film.luma(frame, 100, 540) < 30, "its place is empty");
    }

    let source = |name: &str| {
        let arguments = ["-af", "pan=mono|c0=c0", "-ar", "48000", "-f", "f32le", "-"];
        let file = folder.join(name);
        let mut command = Command::new("ffmpeg");
        let bytes =
            ffmpeg::run(command.args(["-v", "error", "-i"]).arg(file).args(["-map", "0:a"]).args(arguments));
        let four =
            bytes.stdout.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]));
        four.collect::<Vec<_>>()
    };
    for (name, hertz) in [("alice-camera.mp4", 1000.0), ("bob-camera.webm", 400.0), ("-d-camera.m4a", 700.0)]
    {
        let recorded = tone(&source(&format!("./{name}")), hertz, 2.2, 2.8);
        let heard = film.tone(hertz, 7.2, 7.8);
        assert!((heard / recorded - 1.0).abs() < 0.03, "{name}: {heard:.4} of {recorded:.4}");
    }
    assert!(film.tone(400.0, 4.2, 4.9) < 0.002, "bob is not heard before");
    assert!(film.tone(400.0, 4.94, 4.98) < 0.02 && film.tone(400.0, 5.02, 5.06) > 0.08, "and then at once");

    let chapters = ffmpeg::probe(&path, "chapter=start_time,end_time:chapter_tags=title");
    let expected = format!(
        "0.000000\n5.000000\nАлиса, {ODD} joined\n5.000000\n8.000000\nbob joined\n8.000000\n12.000000\nАлиса left\n"
    );
    assert_eq!(chapters, expected);
    assert!(ffmpeg::probe(&path, "format_tags=title,date").contains("зал"));
    let left: Vec<_> =
        fs::read_dir(&folder).expect("it is there").map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 6, "nothing but the film is new: {left:?}");

    let again = compose(&folder, &[]);
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).contains("--overwrite"), "{}", said(&again));
}

#[test]
fn a_shell_runs_what_a_dry_run_prints() {
    let folder = session("composed dry");
    let film = folder.join("it's a film.mp4");
    let output = film.to_str().expect("an ordinary path");
    let dry = compose(&folder, &["--dry-run", "--layout", "stage", "--size", "640x360", "--output", output]);
    assert!(dry.status.success() && !film.exists(), "{}", said(&dry));
    let command = String::from_utf8(dry.stdout).expect("text");
    ffmpeg::run(Command::new("sh").args(["-c", &command]));
    assert_eq!(
        ffmpeg::probe(&film, "stream=codec_name,width,height"),
        "h264\n640\n360\naac\nbin_data\n",
        "the last is chapters"
    );
    let duration: f64 = ffmpeg::probe(&film, "format=duration").trim().parse().expect("a number");
    assert!((duration - 12.0).abs() < 0.04, "{duration}");
    assert!(ffmpeg::probe(&film, "chapter_tags=title").contains("bob joined"));
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    let folder = session("composed-stopped");
    let mut command = Command::new(PROGRAM);
    command.arg("compose").arg(&folder).args(["--size", "3840x2160", "--fps", "60"]).stderr(Stdio::null());
    let mut running = command.spawn().expect("it was built");
    let files = || fs::read_dir(&folder).expect("it is there").count();
    let before = files();
    wait("the film is begun", Duration::from_secs(30), || files() > before);
    let kill = format!("kill -s INT {}", running.id());
    ffmpeg::run(Command::new("sh").args(["-c", &kill]));
    let mut status = None;
    wait("it ends", Duration::from_secs(10), || {
        status = running.try_wait().expect("a child can be awaited");
        status.is_some()
    });
    assert_eq!(status.and_then(|status| status.code()), Some(130));
    assert_eq!(files(), before);
}

#[test]
fn what_is_wrong_is_said() {
    let folder = session("composed-wrong");
    let missing = compose(&folder, &["--ffmpeg", "/nowhere/ffmpeg"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(said(&missing).contains("apt install ffmpeg"), "{}", said(&missing));
    assert_eq!(compose(&folder, &["--size", "1x1"]).status.code(), Some(2));
    assert_eq!(compose(&folder, &["--output", "film.webm"]).status.code(), Some(2));
    assert_eq!(compose(&folder.join("none"), &[]).status.code(), Some(2));
    let broken = fs::read_to_string(folder.join("session.json")).expect("it is there");
    let mut manifest: Value = serde_json::from_str(&broken).expect("it is JSON");
    manifest["files"].as_array_mut().expect("a list").drain(..4);
    fs::write(folder.join("session.json"), manifest.to_string()).expect("the scratch folder is writable");
    let nothing = compose(&folder, &[]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(said(&nothing).contains("none of the session's recordings"), "{}", said(&nothing));
}
