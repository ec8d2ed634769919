//! Packages of npm.

use crate::client::{Client, ended};
use crate::ffmpeg::scratch;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The folder in which npm has installed what is wanted, as it is locked: the lock says which bytes each version is, and npm refuses
/// others. Below `target/` and kept.
pub(crate) fn installed(name: &str, wanted: &str, locked: &str) -> PathBuf {
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut hasher = DefaultHasher::new();
    (wanted, locked).hash(&mut hasher);
    let folder = scratch(&format!("{name}-{:016x}", hasher.finish()));
    if folder.exists() {
        return folder;
    }
    let half_done = folder.with_extension("part");
    fs::create_dir_all(&half_done).expect("the scratch folder is writable");
    fs::write(half_done.join("package.json"), wanted).expect("the disk has room");
    fs::write(half_done.join("package-lock.json"), locked).expect("the disk has room");
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&half_done);
    let mut npm = Client::spawn("npm", &mut npm);
    let (status, took) = ended(&mut npm, Duration::from_secs(600));
    assert!(status.success(), "npm, {status}: {}", npm.output());
    println!("{name} installed in {took:.1?}");
    fs::rename(&half_done, &folder).expect("rename within one folder");
    folder
}
