//! The boxes of MP4 files, looked at by MP4Box.js, and its tables held against each other (`check.js`).

use crate::{ffmpeg, npm};
use std::path::Path;
use std::process::Command;
use std::{env, fs};

const WANTED: &str = include_str!("package.json");
const LOCKED: &str = include_str!("package-lock.json");

/// Expects that a file is right.
#[track_caller]
pub(crate) fn assert_right(file: &Path) {
    assert_eq!(faults(file), "", "{}", file.display());
}

/// What is wrong with a file, line by line.
pub(crate) fn faults(file: &Path) -> String {
    let modules = npm::installed("boxes", WANTED, LOCKED);
    let check = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/boxes/check.js");
    let output = ffmpeg::run(Command::new("node").arg(check).arg(modules).arg(file));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What is wrong with a copy of a file in whose index the first box of this kind has been changed, from its size on.
fn spoil(file: &Path, kind: &[u8; 4], change: impl Fn(&mut [u8])) -> String {
    let mut bytes = fs::read(file).expect("it is there");
    // The index is behind the media, in which chance might have written the same.
    let index = bytes.windows(4).rposition(|window| window == b"moov").expect("it has an index");
    let found = bytes[index..].windows(4).position(|window| window == kind);
    let at = index + found.expect("it has one");
    change(&mut bytes[at - 4..]);
    let spoilt = ffmpeg::scratch("boxes-spoilt.mp4");
    fs::write(&spoilt, bytes).expect("the scratch folder is writable");
    let faults = faults(&spoilt);
    println!("{}: {faults}", String::from_utf8_lossy(kind));
    faults
}

#[test]
fn what_is_broken_is_found() {
    // The index behind the media, as we write it.
    let clip = ffmpeg::clip(2, &[&ffmpeg::BASELINE[..], &ffmpeg::AAC[..]].concat());
    let right = ffmpeg::scratch("boxes-right.mp4");
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y", "-i"]).arg(&clip).args(["-c", "copy", "-use_editlist", "0"]);
    ffmpeg::run(command.arg(&right));
    assert_right(&right);
    let flip = |at: usize| move |bytes: &mut [u8]| bytes[at] ^= 1;
    for (kind, at) in [
        (b"moov", 3),
        (b"trak", 3),
        (b"stsz", 3),
        (b"stsz", 23),
        (b"stco", 17),
        (b"stts", 19),
        (b"stsc", 23),
        (b"mvhd", 27),
    ] {
        assert_ne!(spoil(&right, kind, flip(at)), "", "{kind:?} at {at}");
    }
    // The table that says where one may begin becomes something that nobody reads.
    assert!(spoil(&right, b"stss", |bytes| bytes[4..8].copy_from_slice(b"free")).contains("has no stss"));
}
