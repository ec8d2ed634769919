//! Recordings of real clients: decoded, looked at, listened to, and held against what the manifest says of them.

mod aligned;
mod crash;
mod enhanced;
mod single;
mod trouble;

use crate::analysis::Report;
use crate::boxes;
use crate::browser::Browser;
use crate::ffmpeg::{self, scratch};
use crate::gateway::Gateway;
use crate::patience;
use crate::signal::FPS;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A picture of the signal, in seconds.
const PICTURE: f64 = 1.0 / FPS as f64;
/// How long a file takes to be complete, when its room is empty.
const COMPLETION: Duration = Duration::from_secs(20);

/// A gateway that records all rooms.
struct Studio {
    gateway: Gateway,
    folder: PathBuf,
}

/// A session that was recorded.
struct Session {
    folder: PathBuf,
    manifest: Value,
}

/// One of its files.
struct Take {
    path: PathBuf,
    told: Value,
}

impl Studio {
    /// Starts one with recordings of its own, and these options.
    fn start(name: &str, options: &[&str]) -> Self {
        let folder = empty(name);
        let options = Self::options(&folder, options);
        let options: Vec<_> = options.iter().map(String::as_str).collect();
        Self { gateway: Gateway::start_with(&options), folder }
    }

    fn options(folder: &Path, options: &[&str]) -> Vec<String> {
        let own = ["recording.policy=\"always\"".to_owned(), format!("recording.dir={:?}", folder.display())];
        let quick = ["rooms.linger=\"1s\"".to_owned(), "recording.grace=\"4s\"".to_owned()];
        own.into_iter().chain(quick).chain(options.iter().map(|&option| option.to_owned())).collect()
    }

    /// The session of a room, as its manifest has it at present.
    fn look(&self, room: &str) -> Option<Session> {
        let folder = fs::read_dir(self.folder.join(room)).ok()?.next()?.ok()?.path();
        let text = fs::read_to_string(folder.join("session.json")).ok()?;
        Some(Session { folder, manifest: serde_json::from_str(&text).expect("JSON") })
    }

    /// The session of a room, once it is over.
    #[track_caller]
    fn finished(&self, room: &str) -> Session {
        let mut session = None;
        patience::wait("the session is complete", COMPLETION, || {
            session = self.look(room).filter(|session| session.manifest["state"] != "recording");
            session.is_some()
        });
        session.expect("just seen")
    }

    /// A number from the gateway's metrics, summed over its labels that contain this text.
    fn metric(&self, name: &str, label: &str) -> f64 {
        let text =
            crate::http::request(self.gateway.http, "GET", "/metrics", "", "").expect("it answers").body;
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

/// A folder with nothing in it.
fn empty(name: &str) -> PathBuf {
    let folder = scratch(&format!("recordings-{name}"));
    // What an earlier run has left.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the scratch folder is writable");
    folder
}

impl Session {
    /// The only file of a participant.
    #[track_caller]
    fn take(&self, login: &str) -> Take {
        let mut takes = self.takes(login);
        assert_eq!(takes.len(), 1, "one file of {login}: {:#}", self.manifest);
        takes.remove(0)
    }

    /// All files of a participant, the first one first.
    #[track_caller]
    fn takes(&self, login: &str) -> Vec<Take> {
        let files = self.manifest["files"].as_array().expect("a list").iter();
        let take = |told: &Value| {
            let path = self.folder.join(told["name"].as_str().expect("a name"));
            Take { path, told: told.clone() }
        };
        files.filter(|file| file["participant"] == login).map(take).collect()
    }
}

impl Take {
    fn number(&self, key: &str) -> f64 {
        self.told[key].as_f64().expect("a number")
    }

    /// Its gaps in a track, as pairs of times and what caused them.
    fn gaps(&self, track: &str) -> Vec<(f64, f64, String)> {
        let gaps = self.told["gaps"].as_array().expect("a list").iter().filter(|gap| gap["track"] == track);
        let time = |gap: &Value, key: &str| gap[key].as_f64().expect("a time");
        gaps.map(|gap| {
            (time(gap, "start"), time(gap, "end"), gap["cause"].as_str().expect("a cause").to_owned())
        })
        .collect()
    }

    /// A strict decoder has nothing to say of it, nor a reader of boxes, and it lasts as long as the manifest says.
    #[track_caller]
    fn check(&self) {
        println!("{}: {:#}", self.path.display(), self.told);
        assert!(self.told["state"] == "finished" && self.told["sha256"].is_string(), "{:#}", self.told);
        assert_eq!(self.told["size"].as_u64(), fs::metadata(&self.path).ok().map(|file| file.len()));
        assert_clean(&self.path);
        if self.path.extension().is_some_and(|extension| extension != "webm") {
            boxes::assert_right(&self.path);
        }
        let (said, is) = (self.number("end") - self.number("start"), duration(&self.path));
        assert!((said - is).abs() < 2.0 * PICTURE, "{is} s, where the manifest says {said}");
    }

    /// What it shows and plays.
    fn analyse(&self) -> Report {
        let report = ffmpeg::read(&self.path).analyse();
        println!("{report:#?}");
        report
    }

    /// Plays in a browser to its end.
    #[track_caller]
    fn plays_in(&self, browser: &Browser) {
        browser.go(&format!("file://{}", self.path.display()));
        let played = browser.evaluate(PLAY);
        println!("{}: {played}", self.path.display());
        let ended = played["ended"].as_f64().expect("a time");
        let length = self.number("end") - self.number("start");
        assert!(played["error"].is_null() && (ended - length).abs() < 0.15, "{length} s: {played}");
    }
}

/// Decodes all of a file; any complaint fails.
#[track_caller]
fn assert_clean(file: &Path) {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-xerror", "-i"]).arg(file).args([
        "-fps_mode",
        "passthrough",
        "-enc_time_base:v",
        "1:90000",
        "-f",
        "null",
        "-",
    ]);
    let output = ffmpeg::run(&mut command);
    assert!(output.stderr.is_empty(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
}

/// How long a file is, in seconds.
fn duration(file: &Path) -> f64 {
    ffmpeg::probe(file, "format=duration").trim().parse().expect("a number")
}

/// Plays the file that is opened, four times as fast.
const PLAY: &str = "(async () => {
    const video = document.querySelector('video');
    Object.assign(video, { muted: true, playbackRate: 4, currentTime: 0 });
    await new Promise((done) => {
        video.onended = video.onerror = done;
        video.play().catch(done);
        setTimeout(done, 20000);
    });
    return { ended: video.currentTime, error: video.error?.message, pictures: video.getVideoPlaybackQuality().totalVideoFrames };
})()";
