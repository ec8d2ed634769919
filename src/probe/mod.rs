//! `commonroom probe FILE|URL`: what one asks of an unknown file or live stream, by ffprobe as a child process.
//!
//! ffprobe says what the streams are, then lists their packets, which are looked at one by one (`track`, pure): a
//! recording of many hours takes no more memory than a short one, and nothing is decoded.

mod boxes;
mod child;
mod notes;
mod packet;
mod report;
mod spread;
mod table;
mod track;

pub use report::{Gap, Gop, Offset, Report, Stream};

use boxes::Structure;
use child::{Description, Limits};
use clap::Args;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use track::Track;

/// What to look at.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// A file, or an address that ffprobe reads: rtmp://, http://, https:// (HLS, too), ...
    #[arg(value_name = "FILE|URL", value_parser = source)]
    pub source: String,
    /// Prints JSON; its schema is src/probe/report.schema.json.
    #[arg(long)]
    pub json: bool,
    /// How long a live stream is looked at, in seconds.
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub seconds: u32,
    /// FFmpeg's ffprobe, where it is not found by itself.
    #[arg(long, value_name = "PROGRAM", default_value = "ffprobe")]
    pub ffprobe: PathBuf,
}

/// Why there is no report.
#[derive(Error, Debug)]
pub enum Error {
    /// The program is missing or does not start.
    #[error("{0} does not start ({1}); Debian: apt install ffmpeg")]
    Program(PathBuf, #[source] io::Error),
    /// The file cannot be read.
    #[error("{0}: {1}")]
    File(String, #[source] io::Error),
    /// It is a folder, a pipe or a device.
    #[error("{0} is not an ordinary file")]
    NoFile(String),
    /// It is none of what FFmpeg reads.
    #[error("ffprobe cannot read it: {0}")]
    Unreadable(String),
    /// Nothing comes.
    #[error("nothing came for {} s; is somebody publishing there?", .0.as_secs())]
    Stalled(Duration),
    /// Its words were not understood.
    #[error("ffprobe's answer is not understood: {0}")]
    Answer(String),
    /// Somebody wished it.
    #[error("stopped")]
    Stopped,
    /// Pipes do not work.
    #[error("ffprobe cannot be talked to: {0}")]
    Pipe(#[from] io::Error),
}

/// What a file has, in short.
#[derive(Clone, PartialEq, Debug)]
pub struct Contents {
    /// Whether there is a picture.
    pub has_video: bool,
    /// Channels of the sound; `None` without sound.
    pub channels: Option<u32>,
    /// From its own zero to its end in seconds, if that is written in it.
    pub duration: Option<f64>,
}

/// More tracks are left out.
const MOST_TRACKS: usize = 64;

/// Looks at a file or a live stream.
pub async fn run(options: &Options, stop: &CancellationToken) -> Result<Report, Error> {
    tokio::select! {
        report = look(options) => report,
        () = stop.cancelled() => Err(Error::Stopped),
    }
}

/// What is in a local file of a container (by the name of FFmpeg's demuxer for it).
pub async fn contents(ffprobe: &Path, file: &Path, demuxer: &str) -> Result<Contents, Error> {
    let source = ["-f", demuxer, "-protocol_whitelist", "file"].map(Into::into).into_iter();
    let mut path = std::ffi::OsString::from("file:");
    path.push(file);
    let arguments: Vec<_> = source.chain([path]).collect();
    let described = child::describe(ffprobe, &arguments).await?;
    let audio = described.streams.iter().find(|stream| stream.codec_type == "audio");
    let start = described.format.start_time().unwrap_or(0.0);
    Ok(Contents {
        has_video: described.streams.iter().any(|stream| stream.codec_type == "video"),
        channels: audio.map(|stream| stream.channels.unwrap_or(2)),
        duration: described.format.duration().map(|duration| start + duration),
    })
}

async fn look(options: &Options) -> Result<Report, Error> {
    let source = &options.source;
    let is_local = !source.contains("://");
    let mut arguments = Vec::new();
    let mut structure = None;
    if is_local {
        let failed = |error| Error::File(source.clone(), error);
        // A pipe would be waited for until somebody writes to it.
        if !std::fs::metadata(source).map_err(failed)?.is_file() {
            return Err(Error::NoFile(source.clone()));
        }
        let mut file = std::fs::File::open(source).map_err(failed)?;
        structure = Structure::read(&mut file).ok();
        // A playlist may lead to other files and to no other place.
        arguments.extend(["-protocol_whitelist".into(), "file,crypto,data".into()]);
        arguments.push(format!("file:{source}").into());
    } else {
        arguments.push(source.into());
    }
    let described = child::describe(&options.ffprobe, &arguments).await?;
    let live = !is_local && (described.format.duration().is_none() || source.starts_with("rtmp"));
    let mut tracks: Vec<Option<Track>> = Vec::new();
    for stream in described.streams.iter().take(MOST_TRACKS) {
        let track = match stream.codec_type.as_str() {
            "video" => Some(Track::new(true)),
            "audio" => Some(Track::new(false)),
            _ => None,
        };
        // Their numbers count from zero without a hole; a stream that says another one is not measured.
        tracks.push(track.filter(|_| stream.index == tracks.len()));
    }
    let limits = Limits { seconds: live.then(|| f64::from(options.seconds)) };
    child::packets(&options.ffprobe, &arguments, limits, |packet| {
        if let Some(Some(track)) = tracks.get_mut(packet.stream) {
            track.add(&packet);
        }
    })
    .await?;
    let is_mp4 = described.format.name().split(',').any(|name| name == "mp4");
    Ok(report(options, &described, tracks, structure.filter(|_| is_mp4), live))
}

fn report(
    options: &Options,
    described: &Description,
    tracks: Vec<Option<Track>>,
    structure: Option<Structure>,
    live: bool,
) -> Report {
    let mut bytes = 0;
    let mut streams = Vec::new();
    for (stream, track) in described.streams.iter().zip(tracks) {
        let mut stream = stream.clone();
        if let Some(measured) = track.map(Track::finish) {
            bytes += measured.bytes;
            let seconds = measured.end.zip(measured.start).map(|(end, start)| end - start);
            stream.bit_rate = seconds.and_then(|seconds| bit_rate(measured.bytes, seconds));
            stream.packets = measured.packets;
            stream.start_time = measured.start;
            stream.end_time = measured.end;
            if stream.codec_type == "video" {
                stream.frame_rate = measured.rate;
                stream.frame_rate_varies = Some(measured.varies);
                stream.b_frames = Some(measured.b_frames);
                stream.gop = measured.gop;
            }
            stream.gaps = measured.gaps;
            stream.gaps_left_out = measured.gaps_left_out;
            stream.backward = measured.backward;
        }
        streams.push(stream);
    }
    let starts = streams.iter().filter_map(|stream| stream.start_time).reduce(f64::min);
    let ends = streams.iter().filter_map(|stream| stream.end_time).reduce(f64::max);
    let duration = ends.zip(starts).map(|(end, start)| track::rounded(end - start));
    let mut report = Report {
        filename: options.source.clone(),
        format_name: described.format.name().to_owned(),
        live,
        duration,
        size: described.format.size(),
        bit_rate: duration.and_then(|seconds| bit_rate(described.format.size().unwrap_or(bytes), seconds)),
        index_at_front: structure.and_then(|structure| structure.index_at_front),
        fragments: structure.map(|structure| structure.fragments),
        streams,
        av_offset: None,
        notes: Vec::new(),
    };
    report.av_offset = report.offset();
    report.notes = notes::notes(&report);
    let said = described.format.duration().filter(|_| !live);
    report.notes.extend(notes::cut(said, report.duration));
    report
}

/// `as` saturates, which a rate may as well.
fn bit_rate(bytes: u64, seconds: f64) -> Option<u64> {
    (seconds > 0.0).then(|| (bytes as f64 * 8.0 / seconds) as u64)
}

/// Whatever begins with a dash would be an option to ffprobe, or was meant as one of ours.
fn source(text: &str) -> Result<String, String> {
    if text.is_empty() || text.starts_with('-') {
        return Err("a file or an address; ./-name for a file whose name begins with a dash".into());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pipe_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        for source in [pipe.as_path(), dir.path()] {
            let options = Options {
                source: source.to_str().unwrap().to_owned(),
                json: false,
                seconds: 1,
                ffprobe: "ffprobe".into(),
            };
            let stop = CancellationToken::new();
            let looked = run(&options, &stop);
            let error =
                tokio::time::timeout(Duration::from_secs(10), looked).await.expect("in time").unwrap_err();
            assert!(matches!(error, Error::NoFile(_)), "{error}");
        }
    }

    #[test]
    fn options_are_no_sources() {
        assert!(source("-i").is_err() && source("").is_err());
        assert!(source("./-i").is_ok() && source("rtmp://host/room/name").is_ok());
    }
}
