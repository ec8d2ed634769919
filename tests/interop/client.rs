//! Processes of others: started, watched, and always ended.

use crate::ffmpeg::scratch;
use crate::patience;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A running process. It is killed when this value goes.
pub(crate) struct Client {
    process: Child,
    output: PathBuf,
}

impl Client {
    /// Starts a program; what it prints goes to a file.
    pub(crate) fn spawn(name: &str, command: &mut Command) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let output = scratch(&format!("{name}-{}-{number}.log", std::process::id()));
        let file = fs::File::create(&output).expect("the scratch folder is writable");
        let errors = file.try_clone().expect("a file can be shared");
        let process = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        Self { process, output }
    }

    /// ffmpeg publishes a clip in real time.
    pub(crate) fn publish(clip: &Path, url: &str) -> Self {
        Self::publish_with(clip, &["-c", "copy"], url)
    }

    /// The same with other arguments than to copy everything.
    pub(crate) fn publish_with(clip: &Path, arguments: &[&str], url: &str) -> Self {
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-v", "warning", "-re", "-i"]).arg(clip).args(arguments);
        Self::spawn("publisher", command.args(["-flvflags", "no_duration_filesize", "-f", "flv", url]))
    }

    /// ffmpeg publishes a clip in real time, again and again.
    pub(crate) fn publish_without_end(clip: &Path, url: &str) -> Self {
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-v", "warning", "-re", "-stream_loop", "-1", "-i"]).arg(clip);
        Self::spawn("publisher", command.args(["-c", "copy", "-f", "flv", url]))
    }

    /// ffmpeg plays for so many seconds into a file.
    pub(crate) fn play(url: &str, seconds: u32, into: &Path) -> Self {
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-v", "warning", "-y", "-rw_timeout", "15000000", "-i", url]);
        Self::spawn("player", command.args(["-t", &seconds.to_string(), "-c", "copy", "-copyts"]).arg(into))
    }

    /// rtmpdump plays until it is ended.
    pub(crate) fn dump(url: &str, into: &Path) -> Self {
        Self::spawn("rtmpdump", Command::new("rtmpdump").args(["-r", url, "--live", "-o"]).arg(into))
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.process.id().to_string()]).status();
        assert!(status.expect("kill is installed").success(), "there is a process to signal");
    }

    /// How it ended, if it has.
    pub(crate) fn try_wait(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().expect("a child can be waited for")
    }

    /// Waits until it ends by itself, and expects that to be a success.
    #[track_caller]
    pub(crate) fn finish(mut self, limit: Duration) {
        let (status, _) = ended(&mut self, limit);
        assert!(status.success(), "{status}: {}", self.output());
    }

    /// What it has printed.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        // Kept for whoever looks into a failure.
        if !std::thread::panicking() {
            drop(fs::remove_file(&self.output));
        }
    }
}

/// Waits for the end of a process, and gives how it ended and how long that took.
#[track_caller]
pub(crate) fn ended(client: &mut Client, limit: Duration) -> (ExitStatus, Duration) {
    let mut status = None;
    let took = patience::wait("the process ends", limit, || {
        status = client.try_wait();
        status.is_some()
    });
    (status.expect("it has ended"), took)
}
