//! ffprobe as a child: what it is asked, what it answers, and how long one waits for it.

use super::Error;
use super::packet::{self, Packet};
use super::report::Stream;
use serde::Deserialize;
use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout, timeout_at};

/// What ffprobe says of the whole.
#[derive(Deserialize, Debug, Default)]
pub(crate) struct Description {
    #[serde(default)]
    pub(crate) format: Format,
    #[serde(default, deserialize_with = "streams")]
    pub(crate) streams: Vec<Stream>,
}

/// Of the container.
#[derive(Deserialize, Debug, Default)]
pub(crate) struct Format {
    #[serde(default)]
    format_name: String,
    start_time: Option<String>,
    duration: Option<String>,
    size: Option<String>,
}

/// Of a track. Numbers are text where ffprobe has them so.
#[derive(Deserialize)]
struct Written {
    index: usize,
    #[serde(default)]
    codec_type: String,
    codec_name: Option<String>,
    profile: Option<String>,
    level: Option<i64>,
    width: Option<u32>,
    height: Option<u32>,
    pix_fmt: Option<String>,
    r_frame_rate: Option<String>,
    sample_rate: Option<String>,
    channels: Option<u32>,
}

/// How much is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Seconds of a live stream; `None`: to the end.
    pub(crate) seconds: Option<f64>,
}

/// ffprobe's answer on streams is not longer, in bytes.
const LONGEST_ANSWER: u64 = 4 * 1024 * 1024;
/// What is kept of its complaints, in bytes.
const COMPLAINTS: u64 = 4 * 1024;
/// A line about a packet is not longer, in bytes.
const LONGEST_LINE: u64 = 4 * 1024;
/// Without anything for so long there will be nothing.
const STALL: Duration = Duration::from_secs(20);
/// Beyond the time of a live stream that was asked for; time stamps may stand still while packets come.
const GRACE: Duration = Duration::from_secs(10);

/// What is there. `source`: how ffprobe is to open it.
pub(crate) async fn describe(ffprobe: &Path, source: &[OsString]) -> Result<Description, Error> {
    let mut child = spawn(ffprobe, &["-show_format", "-show_streams", "-of", "json"], source)?;
    let (answer, complaints) = timeout(STALL, async {
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        tokio::join!(read(stdout, LONGEST_ANSWER), read(stderr, COMPLAINTS))
    })
    .await
    .map_err(|_| Error::Stalled(STALL))?;
    let status = timeout(STALL, child.wait()).await.map_err(|_| Error::Stalled(STALL))??;
    if !status.success() {
        return Err(unreadable(&complaints));
    }
    serde_json::from_slice(&answer).map_err(|error| Error::Answer(error.to_string()))
}

/// Each packet, in the order of the file.
pub(crate) async fn packets(
    ffprobe: &Path,
    source: &[OsString],
    limits: Limits,
    mut packet: impl FnMut(Packet),
) -> Result<(), Error> {
    let options = ["-show_packets", "-show_entries", packet::ENTRIES, "-of", "compact=p=0"];
    let mut child = spawn(ffprobe, &options, source)?;
    let complaints = tokio::spawn(read(child.stderr.take(), COMPLAINTS));
    let Some(stdout) = child.stdout.take() else { return Ok(()) };
    let mut lines = BufReader::new(stdout);
    let mut line = Vec::new();
    let mut window = Window { limit: limits.seconds, ..Window::default() };
    let mut until = None;
    loop {
        line.clear();
        let stall = Instant::now() + STALL;
        let mut lines = (&mut lines).take(LONGEST_LINE);
        let read = lines.read_until(b'\n', &mut line);
        match timeout_at(until.map_or(stall, |until: Instant| until.min(stall)), read).await {
            Ok(Ok(0)) => break,
            Ok(read) => _ = read?,
            Err(_) if until.is_some_and(|until| until < stall) => return Ok(()),
            Err(_) => return Err(Error::Stalled(STALL)),
        }
        let Some(read) = str::from_utf8(&line).ok().and_then(|line| Packet::parse(line.trim_end())) else {
            continue;
        };
        if let Some(seconds) = limits.seconds {
            until.get_or_insert_with(|| Instant::now() + Duration::from_secs_f64(seconds) + GRACE);
        }
        packet(read);
        if window.is_over(&read) {
            // Dropping the child ends it.
            return Ok(());
        }
    }
    let status = timeout(STALL, child.wait()).await.map_err(|_| Error::Stalled(STALL))??;
    // What ends early, such as a file that was cut off, has been read up to there.
    if status.success() || window.last.is_some() {
        return Ok(());
    }
    Err(unreadable(&complaints.await.unwrap_or_default()))
}

/// How far the time stamps have come.
#[derive(Default)]
struct Window {
    limit: Option<f64>,
    first: Option<f64>,
    last: Option<f64>,
}

impl Window {
    fn is_over(&mut self, packet: &Packet) -> bool {
        let Some(time) = packet.dts.or(packet.pts) else { return false };
        let first = *self.first.get_or_insert(time);
        self.last = Some(time);
        self.limit.is_some_and(|limit| time - first >= limit)
    }
}

impl Format {
    pub(crate) fn name(&self) -> &str {
        &self.format_name
    }

    pub(crate) fn start_time(&self) -> Option<f64> {
        number(self.start_time.as_deref())
    }

    pub(crate) fn duration(&self) -> Option<f64> {
        number(self.duration.as_deref()).filter(|seconds| *seconds > 0.0)
    }

    pub(crate) fn size(&self) -> Option<u64> {
        self.size.as_deref()?.parse().ok()
    }
}

impl From<Written> for Stream {
    fn from(written: Written) -> Self {
        Self {
            index: written.index,
            codec_type: written.codec_type,
            codec_name: written.codec_name,
            profile: written.profile,
            level: written.level.filter(|level| *level > 0),
            width: written.width,
            height: written.height,
            pix_fmt: written.pix_fmt,
            r_frame_rate: written.r_frame_rate.filter(|rate| rate != "0/0"),
            sample_rate: written.sample_rate.and_then(|rate| rate.parse().ok()),
            channels: written.channels,
            ..Self::default()
        }
    }
}

fn streams<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Stream>, D::Error> {
    Ok(Vec::<Written>::deserialize(deserializer)?.into_iter().map(Stream::from).collect())
}

fn number(text: Option<&str>) -> Option<f64> {
    text?.parse().ok().filter(|number: &f64| number.is_finite())
}

fn spawn(ffprobe: &Path, options: &[&str], source: &[OsString]) -> Result<Child, Error> {
    Command::new(ffprobe)
        .args(["-hide_banner", "-loglevel", "error"])
        .args(options)
        .args(source)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Error::Program(ffprobe.into(), error))
}

/// The first `most` bytes; the rest is read and forgotten.
async fn read(pipe: Option<impl AsyncRead + Unpin>, most: u64) -> Vec<u8> {
    let mut kept = Vec::new();
    if let Some(mut pipe) = pipe {
        // What cannot be read is not there.
        let _ = (&mut pipe).take(most).read_to_end(&mut kept).await;
        let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    }
    kept
}

fn unreadable(complaints: &[u8]) -> Error {
    let text = String::from_utf8_lossy(complaints);
    Error::Unreadable(text.lines().next_back().unwrap_or("it says nothing").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read() {
        let text = r#"{"streams":[{"index":0,"codec_name":"h264","profile":"High","codec_type":"video","width":640,
            "height":360,"pix_fmt":"yuv420p","level":30,"r_frame_rate":"30/1","tags":{"a":"b"}},
            {"index":1,"codec_type":"audio","codec_name":"aac","sample_rate":"48000","channels":2,"r_frame_rate":"0/0"}],
            "format":{"format_name":"mov,mp4","start_time":"0.000000","duration":"2.500000","size":"123"}}"#;
        let described: Description = serde_json::from_str(text).unwrap();
        assert_eq!((described.format.duration(), described.format.size()), (Some(2.5), Some(123)));
        assert_eq!((described.streams[0].level, described.streams[1].sample_rate), (Some(30), Some(48_000)));
        assert_eq!(described.streams[1].r_frame_rate, None);
        let empty: Description = serde_json::from_str("{}").unwrap();
        assert!(empty.streams.is_empty() && empty.format.duration().is_none());
    }

    #[test]
    fn a_live_stream_is_over_after_its_seconds() {
        let mut window = Window { limit: Some(2.0), ..Window::default() };
        let at = |dts| Packet { dts: Some(dts), ..Packet::default() };
        assert!(!window.is_over(&at(100.0)) && !window.is_over(&at(101.9)) && window.is_over(&at(102.0)));
        let mut endless = Window::default();
        assert!(!endless.is_over(&at(0.0)) && !endless.is_over(&at(1e6)));
    }

    #[tokio::test]
    async fn a_missing_program_is_named_with_what_to_do() {
        let error = describe(Path::new("/nowhere/ffprobe"), &[]).await.unwrap_err().to_string();
        assert!(error.contains("/nowhere/ffprobe") && error.contains("apt install ffmpeg"), "{error}");
    }
}
