//! The program itself, killed in the middle of an upload.

use super::store::Store;
use super::{ACCESS_KEY, BUCKET, SECRET_KEY, SESSION, key, left, until};
use commonroom::recording::Store as Recordings;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// A running program; the key is in its environment. It is killed when this value goes.
struct Program(Child);

impl Program {
    fn start(store: &Store, dir: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_commonroom"));
        for option in [
            "rtmp.listen=127.0.0.1:0".to_owned(),
            "http.listen=127.0.0.1:0".to_owned(),
            "webrtc.listen=127.0.0.1:0".to_owned(),
            format!("recording.dir={}", dir.display()),
            format!("recording.upload.endpoint=http://{}", store.address),
            format!("recording.upload.bucket={BUCKET}"),
            "recording.upload.parallelism=2".to_owned(),
        ] {
            command.args(["--set", &option]);
        }
        command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().expect("it was built"))
    }
}

impl Program {
    /// The most memory that it has had, in bytes.
    fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says so");
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kilobytes << 10
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test]
async fn an_upload_that_was_killed_is_made_good() {
    let store = Store::start().await;
    store.trouble.piece_ms.store(300, Relaxed);
    let (dir, bytes) = left(60_000_000);
    let program = Program::start(&store, dir.path());
    until("pieces come", || store.pieces() > 2).await;
    drop(program);
    assert!(store.keys().is_empty(), "it was killed before all was there");
    let state = std::fs::read_to_string(dir.path().join(key("upload.json"))).expect("it is written down");
    assert!(state.contains("\"uploading\"") && state.contains("\"begun\""), "{state}");
    let orphans = store.pieces();
    assert!(orphans > 0);

    store.trouble.piece_ms.store(0, Relaxed);
    let _program = Program::start(&store, dir.path());
    until("all is there", || store.object(&key("session.json")).is_some()).await;
    assert!(store.object(&key("a-camera.mp4")).expect("it comes before that") == bytes);
    until("the pieces of the first attempt are given up", || store.pieces() == 0).await;
    let uploaded = || {
        std::fs::read_to_string(dir.path().join(key("upload.json")))
            .is_ok_and(|state| state.contains("\"uploaded\""))
    };
    until("it is written down", uploaded).await;
    assert!(dir.path().join(key("a-camera.mp4")).exists(), "nobody has asked to delete it");
}

#[tokio::test]
async fn a_large_file_takes_little_memory() {
    // Further sizes are for measuring.
    let size = std::env::var("LARGE_MIB").map_or(256, |text| text.parse().expect("a number")) << 20;
    let (store, (dir, _)) = (Store::start().await, left(0));
    let idle = {
        let elsewhere = tempfile::tempdir().expect("there is room for a folder");
        let program = Program::start(&store, elsewhere.path());
        until("it has begun", || elsewhere.path().join(".lock").exists()).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        program.peak()
    };
    let folder = Recordings::open(dir.path()).and_then(|recordings| recordings.session("room", SESSION));
    let folder = folder.expect("it was made");
    folder.open_to_mend("a-camera.mp4").and_then(|file| file.set_len(size)).expect("there is room for it");
    let mut manifest = folder.read_manifest().expect("it was written");
    manifest.files.iter_mut().for_each(|file| file.sha256 = None);
    folder.write_manifest(&manifest).expect("it can be written");
    let program = Program::start(&store, dir.path());
    until("all is there", || store.object(&key("session.json")).is_some()).await;
    assert_eq!(store.size(&key("a-camera.mp4")), Some(size));
    let more = program.peak().saturating_sub(idle);
    println!(
        "{} MiB: {} MiB of memory more than the {} of one that is idle",
        size >> 20,
        more >> 20,
        idle >> 20
    );
    // Two pieces of 8 MiB are on their way, and each is held for as long as the system takes it.
    assert!(more < 64 << 20, "{} MiB", more >> 20);
}
