//! RTMP in, RTMP out: what one ffmpeg sends, another and rtmpdump receive.

use crate::browser::Browser;
use crate::client::{Client, ended};
use crate::ffmpeg::{self, scratch};
use crate::gateway::Gateway;
use crate::patience;
use crate::signal::HEIGHT;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

#[test]
fn rtmp_to_rtmp_is_bit_exact() {
    let gateway = Gateway::start();
    let clip = ffmpeg::baseline_clip(20);
    let url = gateway.url("studio", "camera");
    let _publisher = Client::publish(&clip, &url);
    gateway.wait_for("studio", "camera", &["h264", "aac"]);
    let [played, dumped] = ["played.flv", "dumped.flv"].map(scratch);
    let mut dump = Client::dump(&url, &dumped);
    Client::play(&url, 6, &played).finish(Duration::from_secs(20));
    dump.signal("INT");
    ended(&mut dump, Duration::from_secs(5));

    // The same clip as a file is what it was before it travelled.
    let original = scratch("original.flv");
    let mut copy = Command::new("ffmpeg");
    ffmpeg::run(copy.args(["-v", "error", "-y", "-i"]).arg(&clip).args(["-c", "copy"]).arg(&original));
    for file in [&played, &dumped] {
        let report = ffmpeg::read(file).analyse();
        assert!(report.picture().dropped == 0 && report.picture().backwards == 0, "{report:#?}");
        assert!(report.picture().seconds() > 5.0 && report.sound().snr > 30.0, "{report:#?}");
        assert!(report.offset().abs() < 2.5, "{report:#?}");
        ffmpeg::assert_cut_of(file, &original);
    }
}

/// A file whose picture is another one in its second half: a new sequence header in the middle, another size and another profile.
fn of_two_sizes(seconds: usize, height: usize) -> PathBuf {
    let clip = ffmpeg::baseline_clip(2 * seconds);
    let half = |name: &str, from: usize, arguments: &[&str]| {
        let (path, at, length) = (scratch(name), from.to_string(), seconds.to_string());
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-y", "-ss", &at, "-t", &length, "-i"]).arg(&clip).args(arguments);
        // The bytes of the second are appended to the first, so its times go on.
        ffmpeg::run(command.args(["-c:a", "copy", "-output_ts_offset", &at, "-f", "flv"]).arg(&path));
        fs::read(path).expect("ffmpeg wrote it")
    };
    let scale = format!("scale=-2:{height}");
    let other = [
        "-vf",
        &scale,
        "-c:v",
        "libx264",
        "-profile:v",
        "main",
        "-bf",
        "0",
        "-preset",
        "veryfast",
        "-g",
        "30",
    ];
    let mut file = half("first-size.flv", 0, &["-c:v", "copy"]);
    // Behind the header of the file.
    file.extend(&half("second-size.flv", seconds, &other)[13..]);
    let path = scratch("two-sizes.flv");
    fs::write(&path, file).expect("the disk has room");
    path
}

#[test]
fn another_size_reaches_players_of_both_kinds() {
    const OTHER: usize = 360;
    let gateway = Gateway::start();
    let url = gateway.url("studio", "camera");
    let _publisher = Client::publish(&of_two_sizes(6, OTHER), &url);
    gateway.wait_for("studio", "camera", &["h264", "aac"]);
    let file = scratch("played-two-sizes.flv");
    let player = Client::play(&url, 9, &file);
    let mut browser = Browser::start();
    browser.play(&gateway, "studio", "camera", "H264");
    let shows = |height| {
        format!(
            "rig.peer.getStats().then((all) => [...all.values()].some((entry) => entry.frameHeight === {height}))"
        )
    };
    browser.wait_for("the first size", 3, &shows(HEIGHT));
    browser.wait_for("the second size", 8, &shows(OTHER));
    player.finish(Duration::from_secs(15));
    assert_eq!(ffmpeg::heights(&file), [HEIGHT as u32, OTHER as u32]);
    let report = ffmpeg::read(&file).analyse();
    assert!(report.picture().dropped == 0 && report.picture().illegible == 0, "{report:#?}");
    assert!(report.sound().snr > 30.0, "{report:#?}");
}

#[test]
fn rtmps_is_served_on_the_same_port_and_bit_exact() {
    let state = scratch("rtmps-state");
    let gateway =
        Gateway::start_with(&["http.tls.self_signed=true", &format!("http.tls.state={}", state.display())]);
    let clip = ffmpeg::baseline_clip(20);
    let plain = gateway.url("studio", "camera");
    let secure = plain.replace("rtmp://", "rtmps://");
    let _publisher = Client::publish(&clip, &secure);
    gateway.wait_for("studio", "camera", &["h264", "aac"]);
    let [over_tls, without] = ["secure.flv", "plain.flv"].map(scratch);
    let other = Client::play(&plain, 6, &without);
    Client::play(&secure, 6, &over_tls).finish(Duration::from_secs(20));
    other.finish(Duration::from_secs(5));

    let original = scratch("original.flv");
    let mut copy = Command::new("ffmpeg");
    ffmpeg::run(copy.args(["-v", "error", "-y", "-i"]).arg(&clip).args(["-c", "copy"]).arg(&original));
    for file in [&over_tls, &without] {
        let report = ffmpeg::read(file).analyse();
        assert!(report.picture().dropped == 0 && report.picture().backwards == 0, "{report:#?}");
        assert!(report.picture().seconds() > 5.0 && report.sound().snr > 30.0, "{report:#?}");
        ffmpeg::assert_cut_of(file, &original);
    }
    fs::remove_dir_all(state).expect("our own folder");
}

#[test]
fn a_player_gets_the_picture_at_once() {
    let gateway = Gateway::start();
    // A keyframe in ten seconds: only the kept pictures can be shown before the next.
    let rare =
        ["-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-g", "300", "-sc_threshold", "0"];
    let clip = ffmpeg::clip(20, &[&rare[..], &ffmpeg::AAC[..]].concat());
    let url = gateway.url("studio", "camera");
    let _publisher = Client::publish(&clip, &url);
    gateway.wait_for("studio", "camera", &["h264", "aac"]);
    patience::pass(Duration::from_secs(3));
    let file = scratch("late.flv");
    Client::play(&url, 3, &file).finish(Duration::from_secs(8));
    let report = ffmpeg::read(&file).analyse();
    assert!(report.picture().illegible == 0 && report.picture().dropped == 0, "{report:#?}");
}

#[test]
fn players_are_told_when_a_publisher_ends_and_when_it_vanishes() {
    let gateway = Gateway::start();
    let clip = ffmpeg::baseline_clip(20);
    for (room, signal) in [("ends", "INT"), ("vanishes", "KILL")] {
        let url = gateway.url(room, "camera");
        let publisher = Client::publish(&clip, &url);
        gateway.wait_for(room, "camera", &["h264", "aac"]);
        let mut player = Client::play(&url, 60, &scratch("told.flv"));
        patience::pass(Duration::from_secs(2));
        assert!(player.try_wait().is_none(), "{}", player.output());
        publisher.signal(signal);
        // A player that is told the end closes its file and goes.
        let (_, took) = ended(&mut player, Duration::from_secs(5));
        println!("{signal}: the player was gone {took:?} later");
        gateway.wait_until_gone(room, "camera", Duration::from_secs(1));
    }
}

#[test]
fn a_second_publisher_is_refused_and_told_why() {
    let gateway = Gateway::start();
    let clip = ffmpeg::baseline_clip(20);
    let url = gateway.url("studio", "camera");
    let _first = Client::publish(&clip, &url);
    gateway.wait_for("studio", "camera", &["h264", "aac"]);
    let mut second = Client::publish(&clip, &url);
    let (status, _) = ended(&mut second, Duration::from_secs(5));
    assert!(!status.success());
    assert!(second.output().contains("camera is already in studio"), "{}", second.output());
    // The first one does not notice.
    let file = scratch("undisturbed.flv");
    Client::play(&url, 4, &file).finish(Duration::from_secs(10));
    let report = ffmpeg::read(&file).analyse();
    assert!(report.picture().dropped == 0 && report.sound().gaps.is_empty(), "{report:#?}");
}

#[test]
fn a_player_that_stops_reading_disturbs_nobody() {
    let gateway = Gateway::start();
    let clip = ffmpeg::baseline_clip(20);
    let url = gateway.url("studio", "camera");
    let _publisher = Client::publish(&clip, &url);
    gateway.wait_for("studio", "camera", &["h264", "aac"]);
    let stuck = Client::play(&url, 60, &scratch("stuck.flv"));
    patience::pass(Duration::from_secs(1));
    stuck.signal("STOP");
    let file = scratch("beside-stuck.flv");
    Client::play(&url, 8, &file).finish(Duration::from_secs(15));
    stuck.signal("CONT");
    let report = ffmpeg::read(&file).analyse();
    assert!(report.picture().dropped == 0 && report.sound().gaps.is_empty(), "{report:#?}");
    assert!(report.picture().seconds() > 7.0, "{report:#?}");
}

#[test]
fn sound_alone_and_picture_alone_are_played() {
    let gateway = Gateway::start();
    let clip = ffmpeg::baseline_clip(20);
    for (room, dropped, codec) in [("sound", "-vn", "aac"), ("picture", "-an", "h264")] {
        let url = gateway.url(room, "camera");
        let _publisher = Client::publish_with(&clip, &[dropped, "-c", "copy"], &url);
        gateway.wait_for(room, "camera", &[codec]);
        let file = scratch("alone.flv");
        Client::play(&url, 3, &file).finish(Duration::from_secs(15));
        let report = ffmpeg::read(&file).analyse();
        if room == "sound" {
            assert!(report.picture.is_none() && report.sound().snr > 30.0, "{report:#?}");
        } else {
            assert!(report.sound.is_none() && report.picture().dropped == 0, "{report:#?}");
        }
    }
}

#[test]
fn shutting_down_ends_everything_in_time() {
    let mut gateway = Gateway::start();
    let clip = ffmpeg::baseline_clip(20);
    let url = gateway.url("studio", "camera");
    let mut publisher = Client::publish(&clip, &url);
    gateway.wait_for("studio", "camera", &["h264", "aac"]);
    let mut player = Client::play(&url, 60, &scratch("shut-down.flv"));
    patience::pass(Duration::from_secs(2));
    let (status, took) = gateway.terminate();
    assert!(status.success() && took < Duration::from_secs(5), "{status} after {took:?}: {}", gateway.log());
    ended(&mut publisher, Duration::from_secs(5));
    ended(&mut player, Duration::from_secs(5));
}
