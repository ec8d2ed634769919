//! Several participants, whose files lie on one clock.

use super::{PICTURE, Session, Studio, Take, assert_clean, duration};
use crate::analysis::{Beep, Report};
use crate::client::{Client, ended};
use crate::ffmpeg::{self, scratch};
use crate::patience;
use crate::signal::FPS;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How far the files of a session may be apart, in seconds.
const APART: f64 = 0.020;

/// The merge that everybody knows: two pictures side by side, both sounds.
const MERGE: &str = "[0:v]pad=iw*2:ih[int];[int][1:v]overlay=W/2:0[vid];[0:a][1:a]amerge[a]";

/// Merges two files as people do.
fn merge(takes: [&Take; 2], into: &Path) {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y", "-i"]).arg(&takes[0].path).arg("-i").arg(&takes[1].path);
    command.args(["-filter_complex", MERGE, "-map", "[vid]", "-map", "[a]", "-ac", "2"]).arg(into);
    ffmpeg::run(&mut command);
}

/// When the signal's own zero is in a file, by its beeps, whose pitches say which second they are of modulo five.
#[track_caller]
fn zero_by_sound(beeps: &[Beep]) -> f64 {
    let &Beep { at, class } = beeps.first().expect("it beeps");
    at - class as f64
}

/// The same by its pictures.
#[track_caller]
fn zero_by_picture(report: &Report) -> f64 {
    // The first flash is picture 0 of its second.
    (0..5)
        .find_map(|second| Some(report.picture().shown_at(f64::from(second))? - f64::from(second)))
        .expect("pictures")
}

/// Luma of a part of the picture at a time of a file: the least and the most.
pub(super) fn luma(file: &Path, at: f64, crop: &str) -> (u8, u8) {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-ss", &at.to_string(), "-i"]).arg(file);
    command.args([
        "-map",
        "0:v",
        "-frames:v",
        "1",
        "-vf",
        crop,
        "-pix_fmt",
        "yuv420p",
        "-f",
        "rawvideo",
        "-",
    ]);
    let plane = ffmpeg::run(&mut command).stdout;
    let plane = &plane[..plane.len() * 2 / 3];
    (*plane.iter().min().expect("a picture"), *plane.iter().max().expect("a picture"))
}

/// The loudest sample of a file before a time.
fn loudest(file: &Path, channel: &str, until: f64) -> f32 {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(file).args(["-map", "0:a", "-t", &until.to_string()]);
    command.args(["-af", &format!("pan=mono|c0={channel}"), "-f", "f32le", "-"]);
    let samples = ffmpeg::run(&mut command).stdout;
    samples.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes).abs()).fold(0.0, f32::max)
}

#[test]
fn who_comes_later_is_black_and_silent_until_then() {
    let studio = Studio::start("lead-in", &["recording.align=\"lead-in\""]);
    let clip = ffmpeg::baseline_clip(20);
    let early =
        Client::publish_with(&clip, &["-c", "copy", "-t", "14"], &studio.gateway.url("studio", "early"));
    studio.gateway.wait_for("studio", "early", &["h264", "aac"]);
    patience::pass(Duration::from_secs(8));
    let late = Client::publish_with(&clip, &["-c", "copy", "-t", "6"], &studio.gateway.url("studio", "late"));
    early.finish(Duration::from_secs(15));
    late.finish(Duration::from_secs(15));
    let session = studio.finished("studio");
    let (early, late) = (session.take("early"), session.take("late"));
    for take in [&early, &late] {
        take.check();
        assert_eq!(take.number("start"), 0.0);
    }
    let began = late.told["streams"][0]["start"].as_f64().expect("a time");
    assert!((8.0..10.0).contains(&began), "{began}");
    for track in ["audio", "video"] {
        let gaps = late.gaps(track);
        let [(0.0, end, cause)] = &gaps[..] else { panic!("{gaps:?}") };
        assert!((end - began).abs() < 0.05 && cause == "lead_in", "{gaps:?}");
    }
    // Sound begins with what its encoder needs before the first sample that counts, which is the picture's time.
    let zero = late.gaps("video")[0].1;
    assert!((0.0..0.03).contains(&(zero - began)), "{zero} for {began}");
    for at in [0.0, 4.0, began - 0.1] {
        assert_eq!(luma(&late.path, at, "null"), (16, 16), "at {at} s");
    }
    assert!(loudest(&late.path, "c0", began - 0.03) < 0.001);
    let report = late.analyse();
    assert_eq!((report.picture().dropped, report.picture().backwards), (0, 0), "{report:#?}");
    let (sound, picture) = (zero_by_sound(&report.sound().beeps), zero_by_picture(&report));
    println!("begins at {zero}: sound {sound}, picture {picture}");
    assert!(
        (sound - zero).abs() < APART && (picture - zero).abs() < APART,
        "{sound} and {picture}, not {zero}"
    );

    let film = scratch("recordings-lead-in.mp4");
    merge([&early, &late], &film);
    assert_clean(&film);
    // What an encoder smears over the seam belongs to the other half.
    let (half, inner) = ("crop=iw/2:ih:iw/2:0", "crop=iw/2-32:ih:iw/2+32:0");
    for at in [0.0, 4.0, began - 2.0 * PICTURE] {
        let (least, most) = luma(&film, at, inner);
        assert!(least >= 14 && most <= 18, "{least} to {most} at {at} s");
    }
    let part = scratch("recordings-lead-in-right.mkv");
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y", "-i"]).arg(&film).args(["-vf", half, "-af", "pan=mono|c0=c0"]);
    ffmpeg::run(
        command
            .args(["-c:v", "libx264", "-qp", "10", "-preset", "ultrafast", "-c:a", "pcm_s16le"])
            .arg(&part),
    );
    // Sound of both is in there: only the picture of the second tells by itself.
    let report = ffmpeg::read(&part).analyse();
    println!("the film: {report:#?}");
    let picture = zero_by_picture(&report);
    assert!((picture - zero).abs() < PICTURE, "{picture}, not {zero}");
    assert!(report.picture().longest_freeze < 2.5 * PICTURE, "{report:#?}");
}

/// A session of one that stays, one that leaves early and one that is interrupted, all with the same clip.
fn full_session(studio: &Studio) -> Session {
    let clip = ffmpeg::baseline_clip(20);
    let url = |login: &str| studio.gateway.url("studio", login);
    let publish =
        |login: &str, length: &str| Client::publish_with(&clip, &["-c", "copy", "-t", length], &url(login));
    let (steady, leaver, mut broken) =
        (publish("steady", "16"), publish("leaver", "5"), publish("broken", "16"));
    studio.gateway.wait_for("studio", "broken", &["h264", "aac"]);
    patience::pass(Duration::from_secs(5));
    broken.signal("KILL");
    ended(&mut broken, Duration::from_secs(5));
    studio.gateway.wait_until_gone("studio", "broken", Duration::from_secs(5));
    patience::pass(Duration::from_secs(2));
    let again = publish("broken", "5");
    for client in [leaver, again, steady] {
        client.finish(Duration::from_secs(20));
    }
    studio.finished("studio")
}

#[test]
fn everything_is_filled_and_lasts_equally_long() {
    let studio = Studio::start("full", &["recording.align=\"full\""]);
    let session = full_session(&studio);
    let takes = ["steady", "leaver", "broken"].map(|login| session.take(login));
    let lengths: Vec<f64> = takes.iter().map(|take| duration(&take.path)).collect();
    println!("{lengths:?}");
    for take in &takes {
        take.check();
        assert_eq!(take.number("start"), 0.0);
    }
    let (least, most) =
        (lengths.iter().copied().fold(f64::MAX, f64::min), lengths.iter().copied().fold(0.0, f64::max));
    assert!(most - least <= PICTURE, "{lengths:?}");
    let [_, leaver, broken] = &takes;
    assert!(leaver.gaps("video").last().is_some_and(|gap| gap.2 == "tail"), "{:#}", leaver.told);
    let gap = broken.gaps("video").into_iter().find(|gap| gap.2 == "reconnect");
    let (start, end, _) = gap.unwrap_or_else(|| panic!("{:#}", broken.told));
    assert!(end - start > 1.5, "{start} to {end}");
    assert_eq!(luma(&broken.path, (start + end) / 2.0, "null"), (16, 16));
    assert_eq!(luma(&leaver.path, most - 1.0, "null"), (16, 16));
    assert!(takes.iter().all(|take| {
        take.told["gaps"].as_array().is_some_and(|gaps| gaps.iter().all(|gap| gap["filled"] != false))
    }));
}

#[test]
fn files_lie_where_their_streams_did() {
    // One encoder, two streams of the same pictures and sound: what is apart in the files has been put apart here.
    let studio = Studio::start("together", &["recording.align=\"full\""]);
    let clip = ffmpeg::baseline_clip(10);
    let (one, other) = (studio.gateway.url("studio", "one"), studio.gateway.url("studio", "other"));
    let mut command = Command::new("ffmpeg");
    command
        .args(["-nostdin", "-v", "warning", "-re", "-i"])
        .arg(&clip)
        .args(["-map", "0", "-c", "copy", "-f", "tee"]);
    let outputs =
        format!("[f=flv:flvflags=no_duration_filesize]{one}|[f=flv:flvflags=no_duration_filesize]{other}");
    Client::spawn("publisher", command.arg(outputs)).finish(Duration::from_secs(20));
    let session = studio.finished("studio");
    let takes = ["one", "other"].map(|login| session.take(login));
    takes.iter().for_each(Take::check);
    let [one, other] = [takes[0].analyse(), takes[1].analyse()];
    let pairs = one.sound().beeps.iter().zip(&other.sound().beeps);
    let apart: Vec<f64> = pairs.map(|(one, other)| (one.at - other.at).abs()).collect();
    println!("sound is apart by {apart:.4?}");
    assert!(apart.len() >= 8 && apart.iter().all(|apart| *apart <= APART), "{apart:?}");
    for second in 2..8 {
        let at = |report: &Report| report.picture().shown_at(f64::from(second)).expect("it was shown");
        assert!((at(&one) - at(&other)).abs() <= APART, "second {second}");
    }
    assert!((duration(&takes[0].path) - duration(&takes[1].path)).abs() < 1.0 / FPS as f64);
}
