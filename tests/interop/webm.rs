//! WebM files of ours in the hands of others: a black lead-in, what libvpx encoded, and a still end; finished, and as
//! they are while they grow.

use crate::browser::Browser;
use crate::ffmpeg::{self, scratch};
use crate::signal::{FPS, HEIGHT, WIDTH};
use bytes::Bytes;
use commonroom::codec::MediaKind;
use commonroom::codec::opus::{OpusConfig, silence};
use commonroom::codec::vp8::{self, Size};
use commonroom::container::Sample;
use commonroom::container::webm::{self, AudioEntry, VideoEntry, Writer};
use commonroom::time::{ClockRate, MediaDuration, Timestamp};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

const STEREO: OpusConfig = OpusConfig { channels: 2 };
/// Seconds of black, of the signal, and of its last picture.
const PARTS: [usize; 3] = [2, 6, 2];

fn pictures() -> Vec<(bool, Bytes)> {
    let vp8 = ["-an", "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-g", "60", "-b:v", "1M"];
    let clip = ffmpeg::clip(PARTS[1], &vp8);
    let ivf = scratch("webm.ivf");
    ffmpeg::run(
        Command::new("ffmpeg").args(["-v", "error", "-y", "-i"]).arg(&clip).args(["-c", "copy"]).arg(&ivf),
    );
    let bytes = Bytes::from(fs::read(&ivf).expect("ffmpeg wrote it"));
    let mut coded = Vec::new();
    let mut at = 32;
    while at < bytes.len() {
        let length = u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize;
        coded.push(bytes.slice(at + 12..at + 12 + length));
        at += 12 + length;
    }
    assert_eq!(coded.len(), PARTS[1] * FPS);
    let size = Size::of_keyframe(&coded[0]).expect("a key frame is first");
    assert_eq!((usize::from(size.width()), usize::from(size.height())), (WIDTH, HEIGHT));

    let black = (0..PARTS[0] * FPS).map(|at| if at == 0 { vp8::black(size) } else { vp8::repeat(size) });
    let still = (0..PARTS[2] * FPS).map(|_| vp8::repeat(size));
    black.chain(coded).chain(still).map(|payload| (vp8::is_keyframe(&payload), payload)).collect()
}

/// The file as it is before it is finished, and finished.
fn files() -> (PathBuf, PathBuf) {
    let pictures = pictures();
    let size = Size::of_keyframe(&pictures[0].1).expect("black is a key frame");
    let (video, audio) = (VideoEntry::Vp8(size), AudioEntry::Opus(STEREO));
    let (mut writer, head) = Writer::new(Some(&video), Some(&audio), SystemTime::now()).expect("two tracks");
    let mut file = head.to_vec();
    let sample = |kind, number: usize, rate, keyframe, payload| {
        let time =
            |number: usize| Timestamp::from_ticks(number as i64, ClockRate::new(rate).expect("a rate"));
        let duration: MediaDuration = time(number + 1) - time(number);
        let (dts, pts) = (time(number), time(number));
        Sample { kind, dts, pts, duration, keyframe, prefix: Bytes::new(), payload }
    };
    for (second, pictures) in pictures.chunks(FPS).enumerate() {
        let picture = |(at, (keyframe, payload)): (usize, &(bool, Bytes))| {
            sample(MediaKind::Video, second * FPS + at, FPS as u32, *keyframe, payload.clone())
        };
        let packet =
            |at| sample(MediaKind::Audio, second * 50 + at, 50, true, Bytes::from_static(silence(STEREO)));
        let samples: Vec<Sample> =
            pictures.iter().enumerate().map(picture).chain((0..50).map(packet)).collect();
        file.extend(writer.clusters(&samples).expect("in order").concat());
    }
    let (open, finished) = (scratch("open.webm"), scratch("finished.webm"));
    fs::write(&open, &file).expect("the scratch folder is writable");
    fs::write(&finished, &file).expect("the scratch folder is writable");
    let mut handle = File::options().read(true).write(true).open(&finished).expect("it is there");
    let summary = webm::finalise(&mut handle).expect("it is our own");
    assert_eq!(summary.pictures as usize, pictures.len());
    (open, finished)
}

/// What ffmpeg decodes of the picture: a hash of each.
fn decoded(file: &Path) -> Vec<String> {
    let strict = ["-v", "error", "-xerror", "-i"];
    let output = ffmpeg::run(
        Command::new("ffmpeg")
            .args(strict)
            .arg(file)
            .args(["-map", "0:v", "-fps_mode", "passthrough"])
            .args(["-f", "framemd5", "-"]),
    );
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("a list");
    let hash = |line: &str| line.rsplit(',').next().map(|hash| hash.trim().to_owned());
    text.lines().filter(|line| !line.starts_with('#')).filter_map(hash).collect()
}

#[test]
fn is_decoded_and_found_valid_by_others() {
    let (open, finished) = files();
    let seconds: usize = PARTS.iter().sum();
    for file in [&open, &finished] {
        let pictures = decoded(file);
        assert_eq!(pictures.len(), seconds * FPS);
        let lead_in = &pictures[..PARTS[0] * FPS];
        assert!(lead_in.iter().all(|picture| *picture == lead_in[0]), "black");
        let still = &pictures[(PARTS[0] + PARTS[1]) * FPS - 1..];
        assert!(still.iter().all(|picture| *picture == still[0]), "the last picture, again and again");
        assert_ne!(lead_in[0], still[0]);

        let all = ["-v", "error", "-xerror", "-i"];
        let null = ["-f", "null", "-"];
        let output = ffmpeg::run(Command::new("ffmpeg").args(all).arg(file).args(null));
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));

        let identified = ffmpeg::run(Command::new("mkvmerge").arg("--identify").arg(file));
        let identified = String::from_utf8_lossy(&identified.stdout).into_owned();
        assert!(identified.contains("VP8") && identified.contains("Opus"), "{identified}");
        assert!(!identified.contains("Warning") && !identified.contains("Error"), "{identified}");
    }
    let duration: f64 = ffmpeg::probe(&finished, "format=duration").trim().parse().expect("a number");
    assert!((duration - seconds as f64).abs() < 0.000_5, "{duration}");
    let times = ffmpeg::probe(&finished, "packet=pts");
    let last = times.lines().filter_map(|line| line.parse::<usize>().ok()).max();
    assert_eq!(last, Some(seconds * 1_000 - 20), "the last packet of sound");

    let info = ffmpeg::run(Command::new("webm_info").arg("-cues").arg("-i").arg(&finished));
    let info = String::from_utf8_lossy(&info.stdout).into_owned();
    assert!(info.contains("Cue Point:4 type:V track:1 secs:6"), "a key picture every two seconds: {info}");
    let tree = ffmpeg::run(Command::new("mkvinfo").arg("--all").arg(&finished));
    let tree = String::from_utf8_lossy(&tree.stdout).into_owned();
    assert!(tree.contains("Cue") && !tree.contains("nknown"), "{tree}");
}

#[test]
fn plays_in_a_browser_while_it_grows_and_seeks_when_finished() {
    let (open, finished) = files();
    let browser = Browser::start();
    let seconds: usize = PARTS.iter().sum();
    for file in [&open, &finished] {
        browser.go(&format!("file://{}", file.display()));
        browser.wait_for("the first picture", 20, "document.querySelector('video').readyState >= 2");
        let played = browser.evaluate(
            "(async () => {
                const video = document.querySelector('video');
                Object.assign(video, { muted: true, playbackRate: 4, currentTime: 0 });
                const ended = new Promise((done) => { video.onended = video.onerror = done; });
                await video.play();
                await ended;
                return { time: video.currentTime, error: video.error?.message, width: video.videoWidth };
            })()",
        );
        println!("{}: {played}", file.display());
        assert!(played["error"].is_null(), "{played}");
        assert_eq!(played["width"].as_u64(), Some(WIDTH as u64));
        let time = played["time"].as_f64().expect("a number");
        assert!((time - seconds as f64).abs() < 0.1, "played to {time} s");
    }
    let sought = browser.evaluate(
        "(async () => {
            const video = document.querySelector('video');
            const sought = new Promise((done) => { video.onseeked = done; });
            video.currentTime = 5.5;
            await sought;
            return { time: video.currentTime, duration: video.duration, end: video.seekable.end(0) };
        })()",
    );
    let number = |name: &str| sought[name].as_f64().expect("a number");
    assert!((number("time") - 5.5).abs() < 0.001, "{sought}");
    assert!((number("duration") - seconds as f64).abs() < 0.001, "{sought}");
    assert!((number("end") - seconds as f64).abs() < 0.001, "{sought}");
}
