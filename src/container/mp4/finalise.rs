//! An ordinary file out of a growing one: in place, or as a copy with the index in front.

use super::boxes::{TooLarge, large_mdat_head};
use super::entry::{Description, without_sets_in_band};
use super::fragment::Fragment;
use super::index::Tables;
use super::movie::{self, MovieError, TrackBox};
use super::scan::{Head, ReadError, Scan, State, walk};
use super::{FREE, SLOT, SLOT_LEN, VIDEO_ID, writer};
use crate::codec::h264::NalKind;
use crate::codec::{Codec, MediaKind, hevc};
use crate::container::Storage;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

/// What became of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finalised {
    /// What was there before.
    pub before: Scan,
    /// Bytes behind the last whole fragment that were cut off.
    pub lost: u64,
}

/// So many NAL units are looked at in front of the first slice: more stand there in no stream.
const MAX_NALS: usize = 16;

impl From<TooLarge> for ReadError {
    fn from(TooLarge: TooLarge) -> Self {
        Self::TooLarge
    }
}

impl From<MovieError> for ReadError {
    fn from(error: MovieError) -> Self {
        match error {
            MovieError::TooLarge => Self::TooLarge,
            MovieError::Box(error) => Self::Box(error),
        }
    }
}

/// Makes an ordinary file of a growing one, whether it came to its end in order or was cut anywhere; a finished one is left
/// as it is. At every instant the file on the disk is a good fragmented one, with a piece of index behind it at worst, or
/// a good finished one: run again, this goes on where it was interrupted.
///
/// In memory are the tables alone, some 12 bytes for a sample.
pub fn finalise<F: Storage>(file: &mut F) -> Result<Finalised, ReadError> {
    let head = Head::read(file)?;
    let mut index = Index::of(&head);
    let scan = walk(file, &head, |file, fragment| index.add(file, fragment, fragment.payload.start))?;
    if scan.state == State::Finalised {
        return Ok(Finalised { before: scan, lost: 0 });
    }
    if head.covered.is_some() {
        // Its index is gone: back to a growing file before anything else is touched.
        write_slot(file, FREE)?;
    }
    if scan.len > scan.whole {
        file.set_len(scan.whole)?;
    }
    let lost = if scan.state == State::Cut { scan.len - scan.whole } else { 0 };
    if scan.fragments == 0 {
        file.sync()?;
        return Ok(Finalised { before: scan, lost });
    }
    let created = head.created;
    let moov = movie::moov(created, false, index.into_tracks(head.descriptions)?)?;
    file.seek(SeekFrom::Start(scan.whole))?;
    for piece in moov.into_pieces() {
        file.write_all(&piece)?;
    }
    file.sync()?;
    write_slot(file, large_mdat_head(scan.whole - SLOT))?;
    Ok(Finalised { before: scan, lost })
}

/// Cuts off what stands behind the last whole fragment of a file that has no index: a piece of one.
pub fn cut<F: Storage>(file: &mut F) -> Result<(), ReadError> {
    let head = Head::read(file)?;
    let scan = walk(file, &head, |_, _| Ok(()))?;
    if scan.state != State::Finalised && head.covered.is_none() && scan.len > scan.whole {
        file.set_len(scan.whole)?;
    }
    Ok(())
}

/// Writes a copy of what is whole in `source`, however far that has come, with the index before the media: it plays while it
/// is fetched. `target` is empty; the caller makes it last.
pub fn faststart(source: &mut (impl Read + Seek), target: &mut impl Write) -> Result<Scan, ReadError> {
    let head = Head::read(source)?;
    let mut index = Index::of(&head);
    let mut places: Vec<Range<u64>> = Vec::new();
    let mut length = 0;
    let scan = walk(source, &head, |source, fragment| {
        index.add(source, fragment, length)?;
        length += fragment.payload.end - fragment.payload.start;
        places.push(fragment.payload.clone());
        Ok(())
    })?;
    if places.is_empty() {
        return Err(ReadError::Empty);
    }
    let file_type = writer::file_type().map_err(ReadError::Box)?;
    // How long the index is does not depend on where it says that the media stand.
    let moov = |index: Index| movie::moov(head.created, false, index.into_tracks(head.descriptions.clone())?);
    let before_media = file_type.len() as u64 + moov(index.clone())?.len() + SLOT_LEN;
    index.video.shift(before_media);
    index.audio.shift(before_media);
    let moov = moov(index)?;
    target.write_all(&file_type)?;
    for piece in moov.into_pieces() {
        target.write_all(&piece)?;
    }
    target.write_all(&large_mdat_head(SLOT_LEN + length))?;
    for place in places {
        source.seek(SeekFrom::Start(place.start))?;
        let mut media = source.by_ref().take(place.end - place.start);
        io::copy(&mut media, target)?;
    }
    Ok(scan)
}

fn write_slot<F: Storage>(file: &mut F, bytes: [u8; SLOT_LEN as usize]) -> io::Result<()> {
    file.seek(SeekFrom::Start(SLOT))?;
    file.write_all(&bytes)?;
    file.sync()
}

/// The index of a whole file.
#[derive(Clone, Default)]
struct Index {
    video: Tables,
    audio: Tables,
    sets_in_band: bool,
    /// How parameter sets are known in a picture, where there are some.
    sets: Option<Sets>,
}

/// Where a NAL unit of these first two bytes stands among those of a picture.
type Sets = fn(&[u8]) -> Place;

/// What a NAL unit means for those who look for parameter sets.
enum Place {
    Set,
    /// Behind the first slice no more of them come.
    Slice,
    Other,
}

impl Index {
    fn of(head: &Head) -> Self {
        let video = head.descriptions.iter().find(|description| description.id == VIDEO_ID);
        let sets: Option<Sets> = match video.and_then(Description::codec) {
            Some(Codec::H264) => Some(h264_place),
            Some(Codec::Hevc) => Some(hevc_place),
            _ => None,
        };
        Self { sets, ..Self::default() }
    }

    /// Adds a fragment whose media begin at `place` in the finished file.
    fn add(
        &mut self,
        file: &mut (impl Read + Seek),
        fragment: &Fragment,
        place: u64,
    ) -> Result<(), ReadError> {
        for run in &fragment.runs {
            let offset = place + (run.offset - fragment.payload.start);
            match run.kind {
                MediaKind::Audio => self.audio.add(run, offset)?,
                MediaKind::Video => {
                    self.video.add(run, offset)?;
                    let Some(sets) = self.sets else { continue };
                    for sample in run.sync_samples() {
                        self.sets_in_band = self.sets_in_band || has_sets(file, sample, sets)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Index {
    /// The tracks that have samples.
    fn into_tracks(self, descriptions: Vec<Description>) -> Result<Vec<TrackBox>, TooLarge> {
        let [mut video, mut audio] = [Some(self.video), Some(self.audio)];
        let mut tracks = Vec::new();
        for mut description in descriptions {
            let tables = if description.id == VIDEO_ID { video.take() } else { audio.take() };
            let Some(mut tables) = tables.filter(|tables| !tables.is_empty()) else { continue };
            tables.end()?;
            if !self.sets_in_band {
                description.codec = without_sets_in_band(description.codec);
            }
            let (start, duration) = (tables.start(), tables.duration());
            tracks.push(TrackBox { description, start, duration, tables: tables.into_boxes()? });
        }
        Ok(tracks)
    }
}

/// Whether parameter sets stand in front of the first slice of a sample.
fn has_sets(file: &mut (impl Read + Seek), sample: Range<u64>, sets: Sets) -> io::Result<bool> {
    let mut at = sample.start;
    for _ in 0..MAX_NALS {
        if sample.end.saturating_sub(at) < 6 {
            break;
        }
        let mut head = [0; 6];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut head)?;
        let [a, b, c, d, nal @ ..] = head;
        match sets(&nal) {
            Place::Set => return Ok(true),
            Place::Slice => break,
            Place::Other => {}
        }
        at += 4 + u64::from(u32::from_be_bytes([a, b, c, d]));
    }
    Ok(false)
}

fn h264_place(nal: &[u8]) -> Place {
    match NalKind::of(nal) {
        Some(NalKind::Sps | NalKind::Pps) => Place::Set,
        Some(NalKind::Slice | NalKind::IdrSlice) => Place::Slice,
        _ => Place::Other,
    }
}

fn hevc_place(nal: &[u8]) -> Place {
    match hevc::NalKind::of(nal) {
        Some(kind) if kind.is_set() => Place::Set,
        Some(hevc::NalKind::Slice | hevc::NalKind::RandomAccess) => Place::Slice,
        _ => Place::Other,
    }
}
