//! `commonroom compose DIR`: a recorded session as one film, by FFmpeg as a child process.
//!
//! The manifest says who was there when; from that a plan is made (`plan`, pure), which is then run or printed.

mod chapters;
mod font;
mod graph;
mod layout;
mod plan;
mod progress;
mod run;
mod scene;
mod session;
mod span;

pub use layout::{Dimensions, Layout};
pub use progress::Progress;

use crate::probe;
use crate::recording::manifest::{self, Manifest};
use clap::Args;
use graph::Picture;
use plan::Plan;
use session::Session;
use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

/// What to make of which session.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// The folder of the session, with session.json and the recordings.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// How those who are recorded share the picture.
    #[arg(long, value_enum, default_value_t = Layout::Grid)]
    pub layout: Layout,
    /// The MP4 file to write [default: DIR/composed.mp4].
    #[arg(short, long, value_name = "FILE", value_parser = output)]
    pub output: Option<PathBuf>,
    /// Columns and lines of the picture, both even.
    #[arg(long, value_name = "WIDTHxHEIGHT", default_value = "1280x720", value_parser = dimensions)]
    pub size: Dimensions,
    /// Pictures a second.
    #[arg(long, value_name = "NUMBER", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=120))]
    pub fps: u32,
    /// Replaces the file if there is one.
    #[arg(long)]
    pub overwrite: bool,
    /// Prints the command for FFmpeg, for a shell, and does nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// FFmpeg's program, where it is not found by itself; ffprobe is taken from the same folder.
    #[arg(long, value_name = "PROGRAM", default_value = "ffmpeg")]
    pub ffmpeg: PathBuf,
    /// The font of the names (TTF or OTF), where DejaVu Sans or what fontconfig has will not do.
    #[arg(long, value_name = "FILE")]
    pub font: Option<PathBuf>,
}

/// What is told meanwhile.
#[derive(Clone, PartialEq, Debug)]
pub enum Note {
    /// Something is left out, or not as it should be.
    Warning(String),
    /// It begins, and the film will be as long, in seconds.
    Begun(f64),
    /// So many seconds of the film are there.
    Progress(f64),
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The film is there.
    Composed(PathBuf),
    /// The command that would make it.
    Command(String),
}

/// Why there is no film.
#[derive(Error, Debug)]
pub enum Error {
    /// The folder has no session, or the manifest cannot be read.
    #[error("{0} does not describe a recorded session: {1}")]
    Manifest(PathBuf, #[source] io::Error),
    /// The version is another one.
    #[error("{0} is of version {1}, and this program knows version {known}", known = manifest::VERSION)]
    Version(PathBuf, u32),
    /// No file can be used.
    #[error("none of the session's recordings can be used")]
    Nothing,
    /// The output is there.
    #[error("{0} is there already; --overwrite replaces it")]
    Exists(PathBuf),
    /// The output is a recording of this session.
    #[error("{0} is one of the recordings; choose another name with --output")]
    IsRecording(PathBuf),
    /// The output cannot be written.
    #[error("{0} cannot be written: {1}")]
    Output(PathBuf, #[source] io::Error),
    /// A program is missing or does not start.
    #[error(transparent)]
    Program(#[from] probe::Error),
    /// FFmpeg gave up.
    #[error("FFmpeg failed ({status}): {complaints}")]
    Ffmpeg {
        /// How it ended.
        status: String,
        /// What it said, in as far as it is kept.
        complaints: String,
    },
    /// There are more recordings than can be put together; the others are.
    #[error(
        "{film} is not whole: {beyond} of the session's recordings are left out, as no more than {most} are put together",
        most = session::MOST_FILES
    )]
    Incomplete {
        /// What is there.
        film: PathBuf,
        /// How many are left out.
        beyond: usize,
    },
    /// FFmpeg stood still.
    #[error("FFmpeg stands still; it was ended")]
    Stalled,
    /// Somebody wished it.
    #[error("stopped; nothing was written")]
    Stopped,
    /// Pipes do not work.
    #[error("FFmpeg cannot be talked to: {0}")]
    Pipe(#[from] io::Error),
}

/// A manifest is not longer.
const LONGEST_MANIFEST: u64 = 64 * 1024 * 1024;

/// Composes a session, or says how. `stop` ends it without a trace.
pub async fn run(
    options: &Options,
    stop: &CancellationToken,
    mut note: impl FnMut(Note),
) -> Result<Outcome, Error> {
    let manifest = read(&options.folder.join(manifest::FILE_NAME))?;
    let output = options.output.clone().unwrap_or_else(|| options.folder.join(manifest::FILM_NAME));
    check_output(&output, options, &manifest)?;
    let contents = tokio::select! {
        contents = look(options, &manifest) => contents?,
        () = stop.cancelled() => return Err(Error::Stopped),
    };
    let found = |name: &str| contents.get(name).cloned().unwrap_or_else(|| Err("it is not there".into()));
    let session = Session::new(&manifest, found, |text| note(Note::Warning(text)));
    if session.sources.is_empty() || session.duration <= 0.0 {
        return Err(Error::Nothing);
    }
    let font = match &options.font {
        Some(font) => Some(font.clone()),
        None => font::find().await,
    };
    if font.is_none() {
        note(Note::Warning(
            "names are left out: there is no font (Debian: apt install fonts-dejavu-core)".into(),
        ));
    }
    let picture = Picture { size: options.size, rate: options.fps };
    let plan = Plan::new(&session, &options.folder, options.layout, picture, font.as_deref());
    if options.dry_run {
        return Ok(Outcome::Command(plan.command(&options.ffmpeg, &output, options.overwrite)));
    }
    note(Note::Begun(session.duration));
    run::run(&plan, &options.ffmpeg, &output, stop, note).await?;
    if session.beyond > 0 {
        return Err(Error::Incomplete { film: output, beyond: session.beyond });
    }
    Ok(Outcome::Composed(output))
}

impl Error {
    fn program(program: &Path, error: io::Error) -> Self {
        Self::Program(probe::Error::Program(program.into(), error))
    }
}

fn read(path: &Path) -> Result<Manifest, Error> {
    let failed = |error: io::Error| Error::Manifest(path.into(), error);
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(LONGEST_MANIFEST).read_to_string(&mut text).map_err(failed)?;
    let manifest: Manifest = serde_json::from_str(&text).map_err(|error| failed(error.into()))?;
    if manifest.version == manifest::VERSION {
        Ok(manifest)
    } else {
        Err(Error::Version(path.into(), manifest.version))
    }
}

fn check_output(output: &Path, options: &Options, manifest: &Manifest) -> Result<(), Error> {
    // By what they are, as paths may look different and lead to the same file.
    if let Ok(there) = output.canonicalize() {
        let names = manifest.files.iter().map(|file| file.name.as_str()).chain([manifest::FILE_NAME]);
        if names.filter_map(|name| options.folder.join(name).canonicalize().ok()).any(|file| file == there) {
            return Err(Error::IsRecording(output.into()));
        }
        if !options.overwrite {
            return Err(Error::Exists(output.into()));
        }
    }
    Ok(())
}

/// What is in the files that can be put together at all.
async fn look(
    options: &Options,
    manifest: &Manifest,
) -> Result<HashMap<String, Result<probe::Contents, String>>, Error> {
    let ffprobe = options.ffmpeg.with_file_name("ffprobe");
    let mut contents = HashMap::new();
    for file in manifest.files.iter().take(session::MOST_LISTED) {
        let Ok(container) = session::container(file) else { continue };
        let path = options.folder.join(&file.name);
        let looked = match std::fs::symlink_metadata(&path) {
            Err(error) => Err(error.to_string()),
            Ok(metadata) if !metadata.is_file() => Err("it is not an ordinary file".into()),
            Ok(_) => match probe::contents(&ffprobe, &path, container.demuxer()).await {
                // Without the program nothing goes on.
                Err(error @ probe::Error::Program(..)) => return Err(error.into()),
                other => other.map_err(|error| error.to_string()),
            },
        };
        contents.insert(file.name.clone(), looked);
    }
    Ok(contents)
}

fn dimensions(text: &str) -> Result<Dimensions, String> {
    let number = |text: &str| text.parse::<u32>().ok().filter(|number| number % 2 == 0);
    let size = text.split_once('x').and_then(|(width, height)| Some((number(width)?, number(height)?)));
    match size {
        Some((width @ 320..=7680, height @ 180..=4320)) => Ok(Dimensions { width, height }),
        _ => Err("two even numbers such as 1280x720, from 320x180 to 7680x4320".into()),
    }
}

fn output(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension() {
        Some(extension) if extension.eq_ignore_ascii_case("mp4") => Ok(path),
        _ => Err("the film is an MP4 file: its name ends in .mp4".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_even_and_within_bounds() {
        assert_eq!(dimensions("1920x1080"), Ok(Dimensions { width: 1920, height: 1080 }));
        for wrong in [
            "",
            "x",
            "1280",
            "1281x720",
            "1280x721",
            "0x0",
            "-2x2",
            "1280x720x2",
            "99999999999x2",
            "8000x720",
        ] {
            assert!(dimensions(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_output_is_mp4() {
        assert!(output("film.mp4").is_ok() && output("a/-b.MP4").is_ok());
        assert!(output("film.webm").is_err() && output("mp4").is_err());
    }
}
