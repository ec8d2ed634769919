//! What a file holds, by its own word but never further than its bytes go.

use super::entry::Description;
use super::fragment::{Fragment, Run, box_at, content, fragment_at, kind_of};
use super::{FREE, MAX_MOOV, SLOT, SLOT_LEN};
use crate::codec::{Codec, MediaKind};
use crate::time::{ClockRate, Timestamp};
use mp4_atom::{Atom, Moov, Trak};
use std::io::{self, Read, Seek, SeekFrom};
use thiserror::Error;

/// What a file of ours holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scan {
    /// Pictures before sound.
    pub tracks: Vec<Track>,
    /// How far the file has come.
    pub state: State,
    /// Whole fragments.
    pub fragments: u64,
    /// Where the last whole fragment ends; all before it is sound.
    pub whole: u64,
    /// Bytes of the file.
    pub len: u64,
}

/// One track.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Track {
    /// Its codec, and so its kind.
    pub codec: Codec,
    /// Ticks a second of its times.
    pub timescale: ClockRate,
    /// Samples in whole fragments.
    pub samples: u64,
    /// When the first is decoded, on the file's clock.
    pub start: Timestamp,
    /// When the last ends.
    pub end: Timestamp,
    /// Columns and lines, as the head of the file says; 0 by 0 for sound.
    pub size: (u16, u16),
    /// Channels, as the head of the file says; 0 for pictures.
    pub channels: u8,
}

/// How far a file has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Fragments, and nothing behind them.
    Growing,
    /// Behind the last whole fragment stands what is none: a piece of one, or bytes that make no sense.
    Cut,
    /// [`finalise`](super::finalise()) was not allowed to end.
    HalfFinalised,
    /// An ordinary file with its index.
    Finalised,
}

/// Why a file cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The file itself.
    #[error("the file cannot be read or written")]
    Io(#[from] io::Error),
    /// It does not begin as [`Writer`](super::Writer) begins one: cut before its first fragment, or another's.
    #[error("not the beginning of a recorded MP4")]
    Foreign,
    /// More samples than 32 bits count, or more than 4 GiB of index.
    #[error("too much for one index")]
    TooLarge,
    /// There is nothing in it that could be played.
    #[error("no whole fragment")]
    Empty,
    /// The library of boxes refuses one.
    #[error("a box that cannot be written")]
    Box(#[source] mp4_atom::Error),
}

/// Says what a file holds. Reads the head of every fragment but not the media; in memory is one head at a time.
pub fn scan(file: &mut (impl Read + Seek)) -> Result<Scan, ReadError> {
    let head = Head::read(file)?;
    walk(file, &head, |_, _| Ok(()))
}

/// What stands before the first fragment.
pub(super) struct Head {
    pub(super) descriptions: Vec<Description>,
    /// When the file was begun, in seconds since 1904.
    pub(super) created: u64,
    /// What the `mdat` over everything, where it is there, says of its size.
    pub(super) covered: Option<u64>,
    /// Where the first fragment begins.
    first: u64,
    /// Bytes of the file.
    len: u64,
}

impl Head {
    pub(super) fn read(file: &mut (impl Read + Seek)) -> Result<Self, ReadError> {
        let len = file.seek(SeekFrom::End(0))?;
        let ftyp = box_at(file, 0, len)?;
        let begins = ftyp.is_some_and(|ftyp| ftyp.kind == *b"ftyp" && ftyp.content.1 == SLOT);
        if !begins || len < SLOT + SLOT_LEN {
            return Err(ReadError::Foreign);
        }
        let mut slot = [0; SLOT_LEN as usize];
        file.seek(SeekFrom::Start(SLOT))?;
        file.read_exact(&mut slot)?;
        let covered = match slot {
            FREE => None,
            [0, 0, 0, 1, b'm', b'd', b'a', b't', size @ ..] => Some(u64::from_be_bytes(size)),
            _ => return Err(ReadError::Foreign),
        };
        let moov = box_at(file, SLOT + SLOT_LEN, len)?.filter(|moov| moov.kind == *b"moov");
        let moov = moov.ok_or(ReadError::Foreign)?;
        let body = content(file, moov, len, MAX_MOOV)?.ok_or(ReadError::Foreign)?;
        let decoded = Moov::decode_body(&mut &body[..]).map_err(|_| ReadError::Foreign)?;
        let descriptions = decoded.trak.into_iter().map(Description::read).collect::<Option<Vec<_>>>();
        let descriptions = descriptions.ok_or(ReadError::Foreign)?;
        let ids: Vec<_> = descriptions.iter().map(|description| description.id).collect();
        if decoded.mvex.is_none() || ids.is_empty() || !ids.is_sorted_by(|a, b| a < b) {
            return Err(ReadError::Foreign);
        }
        Ok(Self { descriptions, created: decoded.mvhd.creation_time, covered, first: moov.content.1, len })
    }
}

impl Description {
    fn read(trak: Trak) -> Option<Self> {
        let codec = trak.mdia.minf.stbl.stsd.codecs.into_iter().next()?;
        let id = trak.tkhd.track_id;
        let size = codec.visual().map_or((0, 0), |visual| (visual.width, visual.height));
        let description = Self { id, timescale: ClockRate::new(trak.mdia.mdhd.timescale)?, size, codec };
        (description.codec()?.kind() == kind_of(id)?).then_some(description)
    }

    /// The codec as the rest of the program names it; `None` for what no writer of ours makes.
    pub(super) fn codec(&self) -> Option<Codec> {
        match self.codec {
            mp4_atom::Codec::Avc1(_) | mp4_atom::Codec::Avc3(_) => Some(Codec::H264),
            mp4_atom::Codec::Hvc1(_) | mp4_atom::Codec::Hev1(_) => Some(Codec::Hevc),
            mp4_atom::Codec::Av01(_) => Some(Codec::Av1),
            mp4_atom::Codec::Vp09(_) => Some(Codec::Vp9),
            mp4_atom::Codec::Mp4a(_) => Some(Codec::Aac),
            mp4_atom::Codec::Opus(_) => Some(Codec::Opus),
            _ => None,
        }
    }
}

/// Shows every whole fragment in order to `visit`, and says what there was.
pub(super) fn walk<F: Read + Seek>(
    file: &mut F,
    head: &Head,
    mut visit: impl FnMut(&mut F, &Fragment) -> Result<(), ReadError>,
) -> Result<Scan, ReadError> {
    let mut lines: Vec<_> = head.descriptions.iter().filter_map(Line::of).collect();
    let (mut whole, mut fragments) = (head.first, 0);
    while let Some(fragment) = fragment_at(file, whole, head.len)? {
        // A fragment that does not follow those before it is no fragment of this file.
        let follows =
            |run: &Run| lines.iter().any(|line| line.codec.kind() == run.kind && line.is_followed_by(run));
        if !fragment.runs.iter().all(follows) {
            break;
        }
        for run in &fragment.runs {
            lines.iter_mut().filter(|line| line.codec.kind() == run.kind).for_each(|line| line.add(run));
        }
        visit(file, &fragment)?;
        whole = fragment.payload.end;
        fragments += 1;
    }
    let state = state(file, head, whole)?;
    let tracks = lines.iter().map(Line::track).collect();
    Ok(Scan { tracks, state, fragments, whole, len: head.len })
}

fn state(file: &mut (impl Read + Seek), head: &Head, whole: u64) -> io::Result<State> {
    let is_moov = |found: &super::fragment::BoxHead| found.kind == *b"moov";
    if let Some(covered) = head.covered {
        // The index was on the disk before this head was: if it stands there whole, it is good, and whatever became of
        // the media since is not made better by another.
        let at = SLOT.saturating_add(covered);
        let index = box_at(file, at, head.len)?.filter(is_moov);
        let finished = index.is_some_and(|index| index.content.1 == head.len);
        return Ok(if finished { State::Finalised } else { State::HalfFinalised });
    }
    if whole == head.len {
        return Ok(State::Growing);
    }
    let index = box_at(file, whole, head.len)?.filter(is_moov);
    Ok(if index.is_some() { State::HalfFinalised } else { State::Cut })
}

/// A track's times as the walk goes on.
struct Line {
    codec: Codec,
    timescale: ClockRate,
    size: (u16, u16),
    channels: u8,
    samples: u64,
    start: u64,
    /// When the last sample is decoded, and how long it lasts.
    last: (u64, u32),
}

impl Line {
    fn of(description: &Description) -> Option<Self> {
        let codec = description.codec()?;
        let Description { timescale, size, .. } = *description;
        let channels = match &description.codec {
            mp4_atom::Codec::Mp4a(entry) => entry.audio.channel_count,
            mp4_atom::Codec::Opus(entry) => entry.audio.channel_count,
            _ => 0,
        };
        let channels = u8::try_from(channels).unwrap_or(u8::MAX);
        Some(Self { codec, timescale, size, channels, samples: 0, start: 0, last: (0, 0) })
    }

    /// The last sample lasts until the next, in 32 bits.
    fn is_followed_by(&self, run: &Run) -> bool {
        let step = run.start.checked_sub(self.last.0);
        self.samples == 0 || step.is_some_and(|step| u32::try_from(step).is_ok())
    }

    fn add(&mut self, run: &Run) {
        if self.samples == 0 {
            self.start = run.start;
        }
        self.samples += run.samples.len() as u64;
        self.last = run.last();
    }

    fn track(&self) -> Track {
        let time =
            |ticks: u64| Timestamp::from_ticks(i64::try_from(ticks).unwrap_or(i64::MAX), self.timescale);
        let end = self.last.0.saturating_add(self.last.1.into());
        Track {
            codec: self.codec,
            timescale: self.timescale,
            samples: self.samples,
            start: time(self.start),
            end: time(end),
            size: self.size,
            channels: self.channels,
        }
    }
}

impl Scan {
    /// The track of a kind.
    pub fn track(&self, kind: MediaKind) -> Option<&Track> {
        self.tracks.iter().find(|track| track.codec.kind() == kind)
    }
}
