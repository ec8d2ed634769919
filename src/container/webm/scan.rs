//! Says what is in a file, finished or not.

use super::ebml::{self, Head, Malformed};
use super::source::Source;
use super::walk::{self, Cluster};
use super::{AudioEntry, VideoEntry, head, id};
use crate::codec::MediaKind;
use crate::time::Timestamp;
use std::io::{self, Read, Seek};
use thiserror::Error;

/// What is in a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Summary {
    /// The pictures, if there are to be any.
    pub video: Option<VideoEntry>,
    /// The sound, if there is to be any.
    pub audio: Option<AudioEntry>,
    /// Clusters that are there as a whole; nothing else counts here.
    pub clusters: u64,
    /// Pictures in them.
    pub pictures: u64,
    /// Packets of sound in them.
    pub packets: u64,
    /// Where the last sample ends, on the file's own clock.
    pub end: Timestamp,
    /// Bytes up to the end of the last of them.
    pub usable: u64,
    /// Bytes of the file.
    pub len: u64,
    /// Whether the file is finished: it has its index, if there is something to find, and its size.
    pub finished: bool,
}

/// A file that is not, or no longer, one of those that are written here.
#[derive(Debug, Error)]
pub enum ScanError {
    /// The file cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It does not begin as WebM does.
    #[error("not a WebM file")]
    NotWebm,
    /// It is WebM, but its head was cut, or another program wrote it.
    #[error("the head of the file is cut, or another program's")]
    Head,
    /// It was finished, and some of it was changed since. What is behind that place is not touched.
    #[error("the finished file is damaged at byte {at}")]
    Damaged {
        /// Where the first damaged cluster begins.
        at: u64,
    },
}

impl From<Malformed> for ScanError {
    fn from(Malformed: Malformed) -> Self {
        Self::Head
    }
}

/// Reads the head of each block, and no payload: some seconds for a recording of half a day.
pub fn scan<F: Read + Seek>(file: &mut F) -> Result<Summary, ScanError> {
    scan_with(file, |_| ()).map(|(summary, _)| summary)
}

/// The same, and shows each cluster.
pub(super) fn scan_with<F: Read + Seek>(
    file: &mut F,
    mut each: impl FnMut(&Cluster),
) -> Result<(Summary, Layout), ScanError> {
    let mut source = Source::new(file)?;
    let layout = Layout::read(&mut source)?;
    let mut summary = Summary {
        video: layout.video,
        audio: layout.audio,
        clusters: 0,
        pictures: 0,
        packets: 0,
        end: Timestamp::ZERO,
        usable: layout.first_cluster,
        len: source.len(),
        finished: false,
    };
    while let Some(cluster) = walk::cluster(&mut source, &layout, summary.usable)? {
        summary.clusters += 1;
        summary.pictures += cluster.pictures;
        summary.packets += cluster.packets;
        summary.end = summary.end.max(cluster.until);
        summary.usable = cluster.end;
        each(&cluster);
    }
    if layout.segment_end == Some(summary.len) {
        match layout.index {
            None => summary.finished = summary.clusters == 0 && summary.usable == summary.len,
            // It was finished and still has its end, so what is missing in between was not cut off.
            Some(index) if layout.whole_index(&mut source, index)? => {
                if index != summary.usable {
                    return Err(ScanError::Damaged { at: summary.usable });
                }
                summary.finished = true;
            }
            Some(_) => {}
        }
    }
    Ok((summary, layout))
}

/// Where the parts of a file stand, and what its end has told so far.
#[derive(Debug)]
pub(super) struct Layout {
    video: Option<VideoEntry>,
    audio: Option<AudioEntry>,
    /// Where the size of the segment stands, in eight bytes.
    pub(super) size_at: u64,
    /// Where positions in the segment count from.
    pub(super) segment: u64,
    /// Where the segment says that it ends.
    pub(super) segment_end: Option<u64>,
    /// Where the place of the index is told.
    pub(super) seek_at: u64,
    /// The place of the index.
    pub(super) index: Option<u64>,
    /// Whether the bytes at `seek_at` and `duration_at` are still free.
    pub(super) untouched: bool,
    /// Where the duration is told.
    pub(super) duration_at: u64,
    /// Where the tracks are described.
    pub(super) tracks_at: u64,
    /// Where the first cluster begins.
    pub(super) first_cluster: u64,
}

/// The parts of the head are smaller by far.
const MAX_PART: u64 = 64 << 10;

impl Layout {
    fn read<F: Read + Seek>(source: &mut Source<'_, F>) -> Result<Self, ScanError> {
        let (ebml, size_at) = match part(source, 0, id::EBML) {
            Err(ScanError::Head) if !source.bytes(0, 4)?.is_empty() => return Err(ScanError::NotWebm),
            part => part?,
        };
        if !ebml::children(&ebml).flatten().any(|child| child == (id::DOC_TYPE, b"webm")) {
            return Err(ScanError::NotWebm);
        }
        let Some(Head { id: id::SEGMENT, size, len: 12 }) = source.head(size_at)? else {
            return Err(ScanError::Head);
        };
        let (size_at, segment) = (size_at + 4, size_at + 12);
        let segment_end = size.and_then(|size| segment.checked_add(size));

        let (seeks, info_at) = part(source, segment, id::SEEK_HEAD)?;
        // The third of three places of equal size.
        let Some((_, seek)) = seeks.split_at_checked(2 * head::SEEK_LEN) else { return Err(ScanError::Head) };
        if seek.len() != head::SEEK_LEN {
            return Err(ScanError::Head);
        }
        let seek_at = info_at - head::SEEK_LEN as u64;
        let index = index_position(seek).and_then(|position| segment.checked_add(position));

        let (info, tracks_at) = part(source, info_at, id::INFO)?;
        // The duration stands behind the unit of time.
        let (first, rest) = ebml::children(&info)
            .next()
            .and_then(Result::ok)
            .map(|(id, data)| ((id, data), 4 + data.len()))
            .ok_or(ScanError::Head)?;
        if first.0 != id::TIMESTAMP_SCALE || ebml::uint(first.1) != Ok(head::TIMESTAMP_SCALE) {
            return Err(ScanError::Head);
        }
        let duration = info.get(rest..rest + head::DURATION_LEN).ok_or(ScanError::Head)?;
        let duration_at = tracks_at - (info.len() - rest) as u64;
        let untouched = seek == ebml::void(head::SEEK_LEN) && duration == ebml::void(head::DURATION_LEN);

        let (tracks, first_cluster) = part(source, tracks_at, id::TRACKS)?;
        let (video, audio) = head::read_tracks(&tracks)?;
        Ok(Self {
            video,
            audio,
            size_at,
            segment,
            segment_end,
            seek_at,
            index,
            untouched,
            duration_at,
            tracks_at,
            first_cluster,
        })
    }

    /// Whether there is a track of this kind.
    pub(super) const fn has(&self, kind: MediaKind) -> bool {
        match kind {
            MediaKind::Video => self.video.is_some(),
            MediaKind::Audio => self.audio.is_some(),
        }
    }

    /// Whether an index stands at `at` that ends where the file does.
    fn whole_index<F: Read + Seek>(&self, source: &mut Source<'_, F>, at: u64) -> io::Result<bool> {
        Ok(match source.head(at)? {
            Some(Head { id: id::CUES, size: Some(size), len }) => {
                (at + len as u64).checked_add(size) == Some(source.len())
            }
            _ => false,
        })
    }
}

/// The data of the element at `at`, which is to be of this kind, and where the next one stands.
fn part<F: Read + Seek>(
    source: &mut Source<'_, F>,
    at: u64,
    wanted: u32,
) -> Result<(Vec<u8>, u64), ScanError> {
    let Some(Head { id, size: Some(size @ 0..=MAX_PART), len }) = source.head(at)? else {
        return Err(ScanError::Head);
    };
    let data = source.bytes(at + len as u64, size as usize)?; // 64 KB at most
    if id != wanted || data.len() as u64 != size {
        return Err(ScanError::Head);
    }
    Ok((data.to_vec(), at + len as u64 + size))
}

/// Where in the segment the index stands, if these bytes tell it.
fn index_position(seek: &[u8]) -> Option<u64> {
    let (id::SEEK, data) = ebml::children(seek).next()?.ok()? else { return None };
    let mut children = ebml::children(data).flatten();
    let (id::SEEK_ID, wanted) = children.next()? else { return None };
    let (id::SEEK_POSITION, position) = children.next()? else { return None };
    (wanted == id::CUES.to_be_bytes()).then_some(())?;
    ebml::uint(position).ok()
}
