//! FFmpeg as a child: fed with the metadata, watched by its progress, ended with us.

use super::plan::{Plan, Report};
use super::{Error, Note};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStderr, ChildStdin, Command};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// What is kept of what FFmpeg complains about, in bytes; the rest is read and forgotten.
const COMPLAINTS: u64 = 8 * 1024;
/// FFmpeg says twice a second how far it is, but nothing while it moves the index of a large film to the front.
const STALL: Duration = Duration::from_secs(600);

/// Composes into `output`, which has its name only once it is complete.
pub(super) async fn run(
    plan: &Plan,
    program: &Path,
    output: &Path,
    stop: &CancellationToken,
    mut note: impl FnMut(Note),
) -> Result<(), Error> {
    let partial = Partial::beside(output);
    let mut child = Command::new(program)
        .args(plan.arguments(&partial.0, true, Report::Progress))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Error::program(program, error))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let complaints = tokio::spawn(complaints(stderr));
    let following = async {
        feed(stdin, &plan.metadata).await?;
        let mut lines =
            BufReader::new(stdout.ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe))?).lines();
        loop {
            let Ok(line) = timeout(STALL, lines.next_line()).await else { return Err(Error::Stalled) };
            let Some(line) = line? else { break };
            if let Some(seconds) = progress(&line) {
                note(Note::Progress(seconds));
            }
        }
        Ok(timeout(STALL, child.wait()).await.map_err(|_| Error::Stalled)??)
    };
    let status = tokio::select! {
        ended = following => ended,
        () = stop.cancelled() => Err(Error::Stopped),
    };
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => {
            let complaints = complaints.await.unwrap_or_default();
            return Err(Error::Ffmpeg { status: status.to_string(), complaints });
        }
        Err(error) => {
            // It may be writing; what it writes is removed behind its end.
            let _ = child.kill().await;
            return Err(error);
        }
    }
    std::fs::rename(&partial.0, output).map_err(|error| Error::Output(output.into(), error))?;
    Ok(())
}

/// How far the picture is, in seconds, from a line of `-progress`.
fn progress(line: &str) -> Option<f64> {
    let microseconds: u64 = line.strip_prefix("out_time_us=")?.parse().ok()?;
    Some(Duration::from_micros(microseconds).as_secs_f64())
}

async fn feed(stdin: Option<ChildStdin>, metadata: &str) -> Result<(), Error> {
    let Some(mut stdin) = stdin else { return Ok(()) };
    match timeout(STALL, stdin.write_all(metadata.as_bytes())).await {
        Err(_) => Err(Error::Stalled),
        // It has ended for another reason, which it tells.
        Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Ok(fed) => Ok(fed?),
    }
}

async fn complaints(stderr: Option<ChildStderr>) -> String {
    let mut kept = Vec::new();
    if let Some(mut stderr) = stderr {
        // What cannot be read is no complaint.
        let _ = (&mut stderr).take(COMPLAINTS).read_to_end(&mut kept).await;
        let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
    }
    String::from_utf8_lossy(&kept).trim().to_owned()
}

/// The file while it is incomplete; removed unless it has got its name.
struct Partial(PathBuf);

impl Partial {
    fn beside(output: &Path) -> Self {
        let mut name = std::ffi::OsString::from(".");
        name.push(output.file_name().unwrap_or_default());
        name.push(format!(".{}.part", std::process::id()));
        Self(output.with_file_name(name))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Renamed or never begun: then there is nothing to remove.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_from_its_line_alone() {
        assert_eq!(progress("out_time_us=1500000"), Some(1.5));
        for other in
            ["out_time_us=N/A", "out_time_us=-9223372036854775808", "out_time_ms=1500000", "fps=25.0", ""]
        {
            assert_eq!(progress(other), None, "{other}");
        }
    }

    #[test]
    fn the_partial_file_is_hidden_beside_its_place_and_goes_with_its_value() {
        let folder = std::env::temp_dir();
        let partial = Partial::beside(&folder.join("film.mp4"));
        assert_eq!(partial.0.parent(), Some(folder.as_path()));
        let path = partial.0.clone();
        std::fs::write(&path, "half").unwrap();
        drop(partial);
        assert!(!path.exists());
    }
}
