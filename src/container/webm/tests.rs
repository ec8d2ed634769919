//! Files that are written, cut, killed in the middle of being finished, and finished again.

use super::*;
use crate::codec::MediaKind;
use crate::codec::opus::{OpusConfig, silence};
use crate::codec::vp8::{self, Size};
use crate::container::{Sample, Storage};
use crate::time::{ClockRate, MediaDuration, Timestamp};
use bytes::Bytes;
use proptest::prelude::*;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::time::{Duration, UNIX_EPOCH};

const STEREO: OpusConfig = OpusConfig { channels: 2 };

/// A file in memory whose power fails at some point: from there on nothing is written.
struct Disk {
    bytes: Cursor<Vec<u8>>,
    /// Changes until then, and how much of the last one still gets through.
    left: usize,
    torn: usize,
    changes: usize,
}

impl Disk {
    fn new(bytes: Vec<u8>) -> Self {
        Self { bytes: Cursor::new(bytes), left: usize::MAX, torn: 0, changes: 0 }
    }

    fn change(&mut self) -> io::Result<()> {
        self.left = self.left.checked_sub(1).ok_or(io::ErrorKind::Other)?;
        self.changes += 1;
        Ok(())
    }
}

impl Read for Disk {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(into)
    }
}

impl Seek for Disk {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.change() {
            let torn = self.torn.min(bytes.len());
            self.bytes.write_all(&bytes[..torn])?;
            return Err(error);
        }
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Storage for Disk {
    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.change()?;
        self.bytes.get_mut().resize(len as usize, 0);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn size() -> Size {
    Size::new(320, 180).unwrap()
}

fn picture(ms: i64, keyframe: bool) -> Sample {
    let time = Timestamp::from_millis(ms);
    let payload = if keyframe { vp8::black(size()) } else { vp8::repeat(size()) };
    let duration = MediaDuration::from_millis(40);
    Sample { kind: MediaKind::Video, dts: time, pts: time, duration, keyframe, prefix: Bytes::new(), payload }
}

fn packet(number: i64) -> Sample {
    let time = Timestamp::from_ticks(number * 960, ClockRate::OPUS);
    let duration = MediaDuration::from_millis(20);
    let payload = Bytes::from_static(silence(STEREO));
    let prefix = Bytes::new();
    Sample { kind: MediaKind::Audio, dts: time, pts: time, duration, keyframe: true, prefix, payload }
}

/// One second from `second` on, its first picture a key picture every other second.
fn second(second: i64) -> Vec<Sample> {
    let pictures = (0..25).map(|at| picture(second * 1_000 + at * 40, at == 0 && second % 2 == 0));
    pictures.chain((0..50).map(|at| packet(second * 50 + at))).collect()
}

fn writer() -> (Writer, Vec<u8>) {
    let created = UNIX_EPOCH + Duration::from_secs(1_795_000_000);
    let (video, audio) = (VideoEntry::Vp8(size()), AudioEntry::Opus(STEREO));
    let (writer, head) = Writer::new(Some(&video), Some(&audio), created).unwrap();
    (writer, head.to_vec())
}

/// A file of so many seconds, and where its head and each of its clusters end.
fn file(seconds: i64) -> (Vec<u8>, Vec<usize>) {
    let (mut writer, mut file) = writer();
    let mut ends = vec![file.len()];
    for at in 0..seconds {
        file.extend(writer.clusters(&second(at)).unwrap().concat());
        ends.push(file.len());
    }
    (file, ends)
}

fn finished(bytes: &[u8]) -> Vec<u8> {
    let mut disk = Disk::new(bytes.to_vec());
    assert!(finalise(&mut disk).unwrap().finished);
    disk.bytes.into_inner()
}

#[test]
fn what_is_written_is_found() {
    let (open, ends) = file(3);
    let found = scan(&mut Cursor::new(&open)).unwrap();
    let wanted = Summary {
        video: Some(VideoEntry::Vp8(size())),
        audio: Some(AudioEntry::Opus(STEREO)),
        clusters: 3,
        pictures: 75,
        packets: 150,
        end: Timestamp::from_millis(3_000),
        usable: open.len() as u64,
        len: open.len() as u64,
        finished: false,
    };
    assert_eq!(found, wanted);
    let done = finished(&open);
    assert_eq!(
        scan(&mut Cursor::new(&done)).unwrap(),
        Summary { len: done.len() as u64, finished: true, ..wanted }
    );
    assert_eq!(done[ends[0]..open.len()], open[ends[0]..], "the clusters stay as they are");
}

#[test]
fn payloads_are_shared() {
    let (mut writer, _) = writer();
    let samples = second(0);
    let pieces = writer.clusters(&samples).unwrap();
    for sample in &samples {
        assert!(pieces.iter().any(|piece| piece.as_ptr() == sample.payload.as_ptr()), "copied");
    }
    assert_eq!(pieces.len(), 2 * samples.len(), "a head before each");
}

#[test]
fn key_pictures_and_long_gaps_begin_clusters() {
    let (mut writer, mut file) = writer();
    let samples = [picture(0, true), picture(500, true), picture(540, false), picture(33_308, false)];
    file.extend(writer.clusters(&samples).unwrap().concat());
    let found = scan(&mut Cursor::new(&file)).unwrap();
    assert_eq!((found.clusters, found.pictures), (3, 4), "32.8 s do not fit 16 bits");
    assert_eq!(found.end, Timestamp::from_millis(33_348), "the duration of the last picture counts");

    file.truncate(file.len() - 1);
    let found = scan(&mut Cursor::new(&file)).unwrap();
    assert_eq!((found.clusters, found.end), (2, Timestamp::from_millis(580)));
}

#[test]
fn times_are_rounded_once() {
    let (mut writer, mut file) = writer();
    // 2.5 ms each: 0, 2.5, 5, 7.5 become 0, 3, 5, 8.
    let samples: Vec<Sample> = (0..4)
        .map(|at| {
            let time = Timestamp::from_ticks(at * 120, ClockRate::OPUS);
            let mut sample = packet(0);
            (sample.dts, sample.pts, sample.payload) = (time, time, Bytes::from_static(&[0xe0, 0]));
            sample
        })
        .collect();
    let clusters = writer.clusters(&samples).unwrap();
    let times: Vec<u8> = clusters.iter().step_by(2).map(|head| head[head.len() - 2]).collect();
    assert_eq!(times, [0, 3, 5, 8]);
    file.extend(clusters.concat());
    assert_eq!(scan(&mut Cursor::new(&file)).unwrap().end.to_ticks(ClockRate::OPUS), 8 * 48 + 120);
}

#[test]
fn what_cannot_be_written_changes_nothing() {
    assert_eq!(Writer::new(None, None, UNIX_EPOCH).unwrap_err(), WriteError::NoTracks);
    let (mut writer, _) = Writer::new(Some(&VideoEntry::Vp8(size())), None, UNIX_EPOCH).unwrap();
    assert_eq!(writer.clusters(&[packet(0)]), Err(WriteError::NoTrack(MediaKind::Audio)));
    assert_eq!(writer.clusters(&[picture(-1, true)]), Err(WriteError::OutOfOrder));
    assert_eq!(writer.clusters(&[picture(80, true), picture(40, false)]), Err(WriteError::OutOfOrder));
    assert!(writer.clusters(&[picture(40, true)]).is_ok(), "80 ms was not taken");
    assert_eq!(writer.clusters(&[]), Ok(Vec::new()));
}

#[test]
fn a_file_without_clusters_is_finished_too() {
    let (_, head) = writer();
    let done = finished(&head);
    assert_eq!(done.len(), head.len());
    let mut disk = Disk::new(done);
    assert!(finalise(&mut disk).unwrap().finished);
    assert_eq!(disk.changes, 0);
}

#[test]
fn damage_in_a_finished_file_is_told_and_left_alone() {
    let (open, ends) = file(3);
    let mut done = finished(&open);
    done[ends[1]] ^= 0x80;
    let mut disk = Disk::new(done);
    let error = finalise(&mut disk).unwrap_err();
    assert!(matches!(error, ScanError::Damaged { at } if at == ends[1] as u64), "{error}");
    assert_eq!(disk.changes, 0);
}

#[test]
fn other_files_are_refused() {
    let refused = |bytes: &[u8]| scan(&mut Cursor::new(bytes)).unwrap_err().to_string();
    assert_eq!(refused(b"\0\0\0\x18ftypisom"), "not a WebM file");
    let (_, head) = writer();
    for end in 0..head.len() {
        let mut disk = Disk::new(head[..end].to_vec());
        assert!(finalise(&mut disk).is_err(), "{end}");
        assert_eq!(disk.changes, 0);
    }
    let matroska = String::from_utf8_lossy(&head).replace("webm", "mkvx").into_bytes();
    assert!(scan(&mut Cursor::new(matroska)).is_err());
}

/// A file is good at every moment: what it says of its end is true or not said.
fn is_sound(bytes: &[u8], ends: &[usize]) {
    let found = scan(&mut Cursor::new(bytes)).unwrap();
    assert_eq!(found.clusters as usize, ends.len() - 1);
    let size_at = bytes.windows(4).position(|window| window == id::SEGMENT.to_be_bytes()).unwrap() + 4;
    let size: [u8; 8] = bytes[size_at..size_at + 8].try_into().unwrap();
    assert!(size == ebml::UNKNOWN_SIZE || found.finished, "a size that is not that of the file");
}

#[test]
fn power_may_fail_between_any_two_writes() {
    let (open, ends) = file(3);
    let done = finished(&open);
    let mut partial = open.clone();
    partial.extend(&open[ends[0]..ends[1] - 1]); // a cluster of which the end is missing
    let mut appended = done.clone();
    appended.push(0);
    for (start, sound) in [(&open, true), (&partial, true), (&appended, false)] {
        for torn in [0, 1, 7] {
            for left in 0.. {
                let mut disk = Disk { left, torn, ..Disk::new(start.clone()) };
                let outcome = finalise(&mut disk);
                let bytes = disk.bytes.into_inner();
                if torn == 0 && sound {
                    is_sound(&bytes, &ends);
                }
                assert_eq!(finished(&bytes), done, "{left} writes, {torn} bytes of the next");
                if outcome.is_ok() {
                    assert!(left > 3, "there was something to interrupt");
                    break;
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn a_cut_file_keeps_its_whole_clusters(seconds in 1i64..4, cut in any::<prop::sample::Index>(), of_finished: bool) {
        let (open, ends) = file(seconds);
        let whole = if of_finished { finished(&open) } else { open.clone() };
        let cut = ends[0] + cut.index(whole.len() - ends[0]);
        let last = *ends.iter().rfind(|end| **end <= cut).unwrap();

        let mut disk = Disk::new(whole[..cut].to_vec());
        let summary = finalise(&mut disk).unwrap();
        prop_assert_eq!(summary.usable, last as u64);
        let bytes = disk.bytes.into_inner();
        prop_assert_eq!(&bytes, &finished(&open[..last]));

        let mut again = Disk::new(bytes);
        prop_assert_eq!(finalise(&mut again).unwrap(), summary);
        prop_assert_eq!(again.changes, 0);
    }
}
