//! ffmpeg as encoder of the signal and as decoder of what came out.

use crate::analysis::{Piece, Recording, Shown, Track};
use crate::signal::{self, FPS, HEIGHT, RATE, WIDTH};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::{fs, process};

/// Folder for what the cases write. It is below `target/`.
pub(crate) fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// The signal, `seconds` long, encoded with these arguments; made once and kept, because encoding beside a case would
/// take the processor from it.
pub(crate) fn clip(seconds: usize, arguments: &[&str]) -> PathBuf {
    static MAKING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    // The name stands for all that the file depends on.
    let signal = digest(include_str!("signal.rs"));
    let clip = scratch(&format!("clip-{:016x}.mkv", digest((signal, seconds, arguments))));
    if clip.exists() {
        return clip;
    }
    let raw = scratch(&format!("signal-{:016x}.nut", digest((signal, seconds))));
    if !raw.exists() {
        write_raw(&raw, seconds);
    }
    let half_done = clip.with_extension("part.mkv");
    run(Command::new("ffmpeg").args(["-v", "error", "-y", "-i"]).arg(&raw).args(arguments).arg(&half_done));
    fs::rename(&half_done, &clip).expect("rename within one folder");
    clip
}

/// H.264 without B-frames, a keyframe a second, and AAC at 48 kHz in stereo: what a careful publisher sends.
pub(crate) fn baseline_clip(seconds: usize) -> PathBuf {
    clip(seconds, &[&BASELINE[..], &AAC[..]].concat())
}

fn digest(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// H.264 arguments of the baseline clip.
pub(crate) const BASELINE: [&str; 12] = [
    "-c:v",
    "libx264",
    "-profile:v",
    "baseline",
    "-preset",
    "veryfast",
    "-g",
    "30",
    "-sc_threshold",
    "0",
    "-crf",
    "23",
];
/// AAC arguments of the baseline clip.
pub(crate) const AAC: [&str; 8] = ["-c:a", "aac", "-b:a", "128k", "-ac", "2", "-ar", "48000"];

fn write_raw(path: &Path, seconds: usize) {
    let sound = path.with_extension("f32");
    let mut file = BufWriter::new(fs::File::create(&sound).expect("the scratch folder is writable"));
    for sample in signal::sound(seconds) {
        file.write_all(&sample.to_le_bytes()).expect("the disk has room");
    }
    file.into_inner().expect("the disk has room");
    let half_done = path.with_extension("part.nut");
    let mut ffmpeg = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "gray"])
        .args(["-s", &format!("{WIDTH}x{HEIGHT}"), "-r", &FPS.to_string(), "-i", "-"])
        .args(["-f", "f32le", "-ar", &RATE.to_string(), "-ac", "1", "-i"])
        .arg(&sound)
        .args(["-pix_fmt", "yuv420p", "-c:v", "ffv1", "-c:a", "pcm_s16le"])
        .arg(&half_done)
        .stdin(Stdio::piped())
        .spawn()
        .expect("ffmpeg is installed");
    let mut pipe = ffmpeg.stdin.take().expect("piped");
    let mut plane = vec![0; WIDTH * HEIGHT];
    for number in 0..seconds * FPS {
        signal::paint(u16::try_from(number).expect("clips are shorter than half an hour"), &mut plane);
        pipe.write_all(&plane).expect("ffmpeg reads on");
    }
    drop(pipe);
    assert!(ffmpeg.wait().expect("a child can be awaited").success(), "ffmpeg could not write the signal");
    fs::remove_file(&sound).expect("our own file");
    fs::rename(&half_done, path).expect("rename within one folder");
}

/// Decodes a file and reads the signal from it, on the file's own time stamps.
pub(crate) fn read(file: &Path) -> Recording {
    let kinds = tracks(file);
    let (video, audio) = (kinds.contains("video"), kinds.contains("audio"));
    let part = |extension: &str| file.with_extension(extension);
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-y", "-copyts", "-i"]).arg(file);
    let passthrough = ["-fps_mode", "passthrough", "-enc_time_base", "1:90000"];
    let picture = ["-map", "0:v:0", "-vf", &format!("scale={WIDTH}:{HEIGHT}"), "-pix_fmt", "gray"];
    let sound = ["-map", "0:a:0", "-ac", "1", "-c:a", "pcm_f32le"];
    if video {
        ffmpeg.args(picture).args(passthrough).args(["-f", "rawvideo"]).arg(part("planes"));
        ffmpeg.args(picture).args(passthrough).args(["-f", "framecrc"]).arg(part("planes.times"));
    }
    if audio {
        ffmpeg.args(sound).args(["-f", "f32le"]).arg(part("samples"));
        ffmpeg.args(sound).args(["-f", "framecrc"]).arg(part("samples.times"));
    }
    run(&mut ffmpeg);

    let mut recording = Recording::default();
    if video {
        let planes = fs::read(part("planes")).expect("ffmpeg wrote it");
        let times = times(&part("planes.times"));
        assert_eq!(planes.len(), times.len() * WIDTH * HEIGHT, "a time stamp for each picture");
        recording.shown = planes
            .chunks_exact(WIDTH * HEIGHT)
            .zip(times)
            .map(|(plane, (at, _))| Shown { at, number: signal::read(plane) })
            .collect();
        fs::remove_file(part("planes")).expect("our own file");
    }
    if audio {
        let bytes = fs::read(part("samples")).expect("ffmpeg wrote it");
        let samples = bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        let mut first = 0;
        let pieces = times(&part("samples.times"))
            .into_iter()
            .map(|(at, bytes)| {
                let piece = Piece { first, at };
                first += bytes / 4;
                piece
            })
            .collect();
        recording.track = Some(Track { rate: sample_rate(file), samples, pieces });
    }
    recording
}

/// The heights of a file's pictures, in the order in which they change.
pub(crate) fn heights(path: &Path) -> Vec<u32> {
    let text = probe(path, "frame=height");
    let mut heights: Vec<u32> = text.split_whitespace().filter_map(|line| line.parse().ok()).collect();
    heights.dedup();
    heights
}

/// The kinds of track in a file, by ffprobe.
fn tracks(file: &Path) -> String {
    probe(file, "stream=codec_type")
}

fn sample_rate(file: &Path) -> f64 {
    probe(file, "stream=sample_rate")
        .split_whitespace()
        .find_map(|word| word.parse().ok())
        .expect("audio has a rate")
}

/// One answer of ffprobe, bare values.
pub(crate) fn probe(file: &Path, entries: &str) -> String {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-of", "default=nw=1:nk=1", "-show_entries", entries])
        .arg(file)
        .output()
        .expect("ffprobe is installed");
    assert!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("ffprobe prints text")
}

/// Time stamp in seconds and size in bytes of each frame, from a `framecrc` listing.
fn times(listing: &Path) -> Vec<(f64, usize)> {
    let text = fs::read_to_string(listing).expect("ffmpeg wrote it");
    let mut unit = 1.0;
    let mut times = Vec::new();
    for line in text.lines() {
        if let Some(base) = line.strip_prefix("#tb 0: ") {
            let (numerator, denominator) = base.split_once('/').expect("a fraction");
            unit =
                numerator.parse::<f64>().expect("a number") / denominator.parse::<f64>().expect("a number");
        } else if !line.starts_with('#') {
            let fields: Vec<&str> = line.split(',').map(str::trim).collect();
            times
                .push((fields[2].parse::<f64>().expect("a time") * unit, fields[4].parse().expect("a size")));
        }
    }
    times
}

/// Expects a file to be a piece of another: the same packets without one missing, and all of them moved by the same time.
#[track_caller]
pub(crate) fn assert_cut_of(file: &Path, original: &Path) {
    for kind in ["v", "a"] {
        let (part, whole) = (packets(file, kind), packets(original, kind));
        assert!(part.len() > 60, "{} packets of {kind}", part.len());
        let start = whole
            .iter()
            .position(|packet| packet.2 == part[0].2)
            .expect("the first packet is one of the original");
        let moved = part[0].0 - whole[start].0;
        for (packet, original) in part.iter().zip(&whole[start..]) {
            assert_eq!(
                (packet.0 - moved, packet.1 - moved, &packet.2),
                (original.0, original.1, &original.2)
            );
        }
    }
}

/// Decoding and presentation time in milliseconds, and checksum, of each packet of a kind.
fn packets(file: &Path, kind: &str) -> Vec<(i64, i64, String)> {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-copyts", "-i"]).arg(file);
    let output = run(ffmpeg.args(["-map", &format!("0:{kind}:0"), "-c", "copy", "-f", "framecrc", "-"]));
    let text = String::from_utf8(output.stdout).expect("ffmpeg prints text");
    assert!(text.contains("#tb 0: 1/1000"), "FLV counts milliseconds");
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let fields: Vec<&str> = line.split(',').map(str::trim).collect();
            let number = |index: usize| fields[index].parse().expect("a time");
            (number(1), number(2), fields[5].to_owned())
        })
        .collect()
}

/// Runs a command to its end and expects it to succeed.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> process::Output {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The clip with ffmpeg's own faults put in, analysed.
    fn faulty(name: &str, arguments: &[&str]) -> crate::analysis::Report {
        let clip = baseline_clip(8);
        let path = scratch(name);
        run(Command::new("ffmpeg").args(["-v", "error", "-y", "-i"]).arg(&clip).args(arguments).arg(&path));
        read(&path).analyse()
    }

    #[test]
    fn the_encoded_signal_is_read_back_whole() {
        let report = read(&baseline_clip(8)).analyse();
        let picture = report.picture();
        assert_eq!((picture.frames, picture.illegible, picture.dropped, picture.backwards), (240, 0, 0, 0));
        let sound = report.sound();
        assert!(sound.snr > 40.0 && sound.gaps.is_empty() && sound.jumps.is_empty(), "{report:#?}");
        assert!(
            report.offsets.len() >= 7 && report.offsets.iter().all(|offset| offset.abs() < 1.5),
            "{report:#?}"
        );
    }

    #[test]
    fn an_offset_is_measured() {
        let clip = baseline_clip(8);
        let clip = clip.to_str().expect("an ordinary path");
        let report = faulty(
            "late.mkv",
            &["-itsoffset", "0.08", "-i", clip, "-map", "0:v", "-map", "1:a", "-c", "copy"],
        );
        assert!((report.offset() - 80.0).abs() < 1.5, "{report:#?}");
        let report = faulty(
            "early.flv",
            &["-itsoffset", "0.45", "-i", clip, "-map", "1:v", "-map", "0:a", "-c", "copy"],
        );
        assert!((report.offset() + 450.0).abs() < 2.5, "{report:#?}");
    }

    #[test]
    fn dropped_pictures_are_counted() {
        let report = faulty(
            "drop.mkv",
            &[
                "-vf",
                "select='not(between(n,100,107))'",
                "-fps_mode",
                "vfr",
                "-c:v",
                "libx264",
                "-preset",
                "ultrafast",
                "-an",
            ],
        );
        assert_eq!(report.picture().dropped, 8, "{report:#?}");
        assert!(report.sound.is_none());
        assert!((report.picture().longest_freeze - 0.3).abs() < 0.002, "{report:#?}");
    }
}
