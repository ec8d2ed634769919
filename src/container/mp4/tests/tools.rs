//! What the tests work with: files as they grow, a disk that dies, and a reader of finished files.

use super::super::*;
use crate::codec::MediaKind;
use crate::codec::aac::AudioSpecificConfig;
use crate::codec::h264::AvcConfig;
use crate::container::{Sample, Storage};
use crate::time::{ClockRate, MediaDuration, Timestamp};
use bytes::Bytes;
use mp4_atom::{Atom, Moov, StszSamples};
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::time::{Duration, UNIX_EPOCH};

/// x264, High, 1280x720 at 30, three B-frames.
const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x6a, 0x02, 0x02, 0x02, 0x80, 0x00,
    0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x1e, 0x07, 0x8c, 0x18, 0xcb,
];

pub(super) fn video() -> VideoEntry {
    let sets = |nal: &'static [u8]| vec![Bytes::from_static(nal)];
    VideoEntry::H264(AvcConfig::new(sets(SPS), sets(&[0x68, 0xeb, 0xe3, 0xcb])).unwrap())
}

pub(super) fn aac(rate: u32) -> AudioEntry {
    AudioEntry::Aac(AudioSpecificConfig::aac_lc(rate, 2).unwrap())
}

/// A file of both kinds as it grows: where it is good, and what is in it then.
pub(super) struct File {
    pub(super) bytes: Vec<u8>,
    /// Where each fragment ends.
    pub(super) ends: Vec<usize>,
    fragments: Vec<Vec<Sample>>,
}

impl File {
    pub(super) fn write(
        video: Option<&VideoEntry>,
        audio: Option<&AudioEntry>,
        fragments: Vec<Vec<Sample>>,
    ) -> Self {
        let created = UNIX_EPOCH + Duration::from_secs(1_795_300_000);
        let (mut writer, head) = Writer::new(video, audio, created).unwrap();
        let mut bytes = head.concat();
        let mut ends = vec![bytes.len()];
        for fragment in &fragments {
            bytes.extend(writer.fragment(fragment).unwrap().concat());
            ends.push(bytes.len());
        }
        Self { bytes, ends, fragments }
    }

    /// What must be in the file when only its first `count` fragments are.
    pub(super) fn expect(&self, count: usize, kind: MediaKind, rate: ClockRate) -> Vec<Read1> {
        let samples = self.fragments.iter().take(count).flatten().filter(|sample| sample.kind == kind);
        let one = |sample: &Sample| Read1 {
            dts: sample.dts.to_ticks(rate),
            pts: sample.pts.to_ticks(rate),
            sync: sample.keyframe,
            bytes: [&sample.prefix[..], &sample.payload].concat(),
        };
        samples.map(one).collect()
    }
}

/// A sample of a finished file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Read1 {
    dts: i64,
    pts: i64,
    sync: bool,
    bytes: Vec<u8>,
}

/// An ordinary file as any player reads it: by its index.
pub(super) struct Ordinary {
    pub(super) moov: Moov,
    pub(super) tracks: Vec<(u32, Vec<Read1>)>,
}

impl Ordinary {
    pub(super) fn read(file: &[u8]) -> Self {
        let mut at = 0;
        let mut moov = None;
        while at < file.len() {
            let word = |at: usize| u32::from_be_bytes(file[at..at + 4].try_into().unwrap());
            let size = match word(at) {
                1 => u64::from_be_bytes(file[at + 8..at + 16].try_into().unwrap()) as usize,
                size => size as usize,
            };
            if &file[at + 4..at + 8] == b"moov" {
                assert!(moov.is_none(), "one index");
                moov = Some(Moov::decode_body(&mut &file[at + 8..at + size]).unwrap());
            }
            at += size;
        }
        assert_eq!(at, file.len(), "boxes and nothing else");
        let moov = moov.expect("an index");
        assert!(moov.mvex.is_none(), "no fragments to be expected");
        let tracks = moov.trak.iter().map(|trak| (trak.tkhd.track_id, samples(trak, file))).collect();
        Self { moov, tracks }
    }

    pub(super) fn track(&self, id: u32) -> &[Read1] {
        self.tracks.iter().find(|(track, _)| *track == id).map_or(&[], |(_, samples)| samples)
    }
}

fn samples(trak: &mp4_atom::Trak, file: &[u8]) -> Vec<Read1> {
    let stbl = &trak.mdia.minf.stbl;
    let StszSamples::Different { sizes } = &stbl.stsz.samples else { panic!("sizes one by one") };
    let durations = stbl.stts.entries.iter();
    let durations: Vec<_> = durations
        .flat_map(|e| std::iter::repeat_n(i64::from(e.sample_delta), e.sample_count as usize))
        .collect();
    let offsets: Vec<i64> = match &stbl.ctts {
        Some(ctts) => {
            let entries = ctts.entries.iter();
            entries.flat_map(|e| std::iter::repeat_n(e.sample_offset, e.sample_count as usize)).collect()
        }
        None => vec![0; sizes.len()],
    };
    assert_eq!((durations.len(), offsets.len()), (sizes.len(), sizes.len()));
    assert_eq!(durations.iter().sum::<i64>(), trak.mdia.mdhd.duration as i64);
    let chunks = &stbl.co64.as_ref().expect("64-bit offsets").entries;
    let mut places = Vec::new();
    for (number, chunk) in (1..).zip(chunks) {
        let entry = stbl.stsc.entries.iter().rev().find(|entry| entry.first_chunk <= number).unwrap();
        let mut at = *chunk as usize;
        for _ in 0..entry.samples_per_chunk {
            let size = sizes[places.len()] as usize;
            places.push(at..at + size);
            at += size;
        }
    }
    assert_eq!(places.len(), sizes.len());
    let rate = u64::from(trak.mdia.mdhd.timescale);
    let start = trak.edts.as_ref().map_or(0, |edts| {
        let edits = &edts.elst.as_ref().unwrap().entries;
        assert_eq!((edits.len(), edits[0].media_time, edits[1].media_time), (2, None, Some(0)));
        (edits[0].segment_duration * rate + u64::from(MOVIE_SCALE) / 2) / u64::from(MOVIE_SCALE)
    });
    let mut dts = start as i64;
    let one = |index: usize| {
        let at = dts;
        dts += durations[index];
        Read1 {
            dts: at,
            pts: at + offsets[index],
            sync: stbl.stss.as_ref().is_none_or(|stss| stss.entries.contains(&(index as u32 + 1))),
            bytes: file[places[index].clone()].to_vec(),
        }
    };
    (0..sizes.len()).map(one).collect()
}

/// A disk in memory. After so many steps it does nothing more: a write of many bytes may be half done by then.
pub(super) struct Disk {
    file: Cursor<Vec<u8>>,
    steps: usize,
    pub(super) changes: usize,
}

impl Disk {
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self::dying(bytes, usize::MAX)
    }

    pub(super) fn dying(bytes: &[u8], steps: usize) -> Self {
        Self { file: Cursor::new(bytes.to_vec()), steps, changes: 0 }
    }

    fn step(&mut self, most: usize) -> io::Result<usize> {
        let done = most.min(self.steps);
        self.steps -= done;
        self.changes += done;
        if done == 0 && most > 0 { Err(io::Error::other("killed")) } else { Ok(done) }
    }

    pub(super) fn held(&self) -> &[u8] {
        self.file.get_ref()
    }
}

impl Read for Disk {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Write for Disk {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        // 16 bytes in one sector are written whole or not at all.
        let done = if buffer.len() == SLOT_LEN as usize && self.file.position() == SLOT {
            self.step(1)?;
            buffer.len()
        } else {
            self.step(buffer.len())?
        };
        self.file.write(&buffer[..done])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Disk {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl Storage for Disk {
    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.step(1)?;
        self.file.get_mut().resize(len as usize, 0);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.step(1).map(drop)
    }
}

pub(super) fn picture(ms: i64, later: i64, keyframe: bool, payload: impl Into<Bytes>) -> Sample {
    Sample {
        kind: MediaKind::Video,
        dts: Timestamp::from_millis(ms),
        pts: Timestamp::from_millis(ms + later),
        duration: MediaDuration::from_millis(40),
        keyframe,
        prefix: Bytes::new(),
        payload: payload.into(),
    }
}

pub(super) fn sound(packet: i64, rate: ClockRate, payload: impl Into<Bytes>) -> Sample {
    let time = Timestamp::from_ticks(packet * 1_024, rate);
    Sample {
        kind: MediaKind::Audio,
        dts: time,
        pts: time,
        duration: MediaDuration::from_ticks(1_024, rate),
        keyframe: true,
        prefix: Bytes::new(),
        payload: payload.into(),
    }
}
