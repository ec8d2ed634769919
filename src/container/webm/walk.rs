//! Reads clusters, without their payloads.

use super::ebml::{self, Head};
use super::head::track_number;
use super::source::Source;
use super::writer::KEYFRAME;
use super::{id, scan::Layout};
use crate::codec::vp8::Size;
use crate::codec::{MediaKind, opus};
use crate::time::{MediaDuration, Timestamp};
use std::io::{self, Read, Seek};

/// A cluster that is there as a whole: all its blocks are where they should be.
#[derive(Debug)]
pub(super) struct Cluster {
    /// Where it begins.
    pub(super) at: u64,
    /// Where the next one would.
    pub(super) end: u64,
    /// Its blocks of each kind.
    pub(super) pictures: u64,
    pub(super) packets: u64,
    /// Where its last sample ends.
    pub(super) until: Timestamp,
    /// Its first key picture or, where it has none, its first block.
    pub(super) entry: Option<Entry>,
    /// The size of its first key picture.
    pub(super) size: Option<Size>,
}

/// Where a player may begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    /// In milliseconds.
    pub(super) time: u64,
    pub(super) kind: MediaKind,
    pub(super) key_picture: bool,
}

/// The four bytes before each payload, and as many of it as tell the size of a picture.
const BLOCK_HEAD: usize = 4 + 10;
/// A group says three small things beside its block.
const MAX_GROUP_HEAD: usize = 64;
/// Times beyond, some 8,900 years, are rubbish.
const MAX_TIME: u64 = 1 << 48;

/// The cluster at `at`; `None` where there is none, or not a whole one.
pub(super) fn cluster<F: Read + Seek>(
    source: &mut Source<'_, F>,
    layout: &Layout,
    at: u64,
) -> io::Result<Option<Cluster>> {
    let Some(Head { id: id::CLUSTER, size: Some(size), len }) = source.head(at)? else { return Ok(None) };
    let mut place = at + len as u64;
    let Some(end) = place.checked_add(size).filter(|end| *end <= source.len()) else { return Ok(None) };
    let mut cluster =
        Cluster { at, end, pictures: 0, packets: 0, until: Timestamp::ZERO, entry: None, size: None };
    let mut start = None;
    while place < end {
        let Some(Head { id, size: Some(size), len }) = source.head(place)? else { return Ok(None) };
        let data = place + len as u64;
        let Some(next) = data.checked_add(size).filter(|next| *next <= end) else { return Ok(None) };
        let block = match (id, start) {
            (id::TIMESTAMP, None) => {
                let bytes = source.bytes(data, usize::try_from(size).unwrap_or(usize::MAX).min(9))?;
                start = ebml::uint(bytes).ok().filter(|start| *start < MAX_TIME);
                place = next;
                continue;
            }
            (id::SIMPLE_BLOCK, Some(start)) => simple_block(source, start, data, size)?,
            (id::BLOCK_GROUP, Some(start)) => group(source, start, data, next)?,
            (id::VOID, _) => {
                place = next;
                continue;
            }
            _ => None,
        };
        let Some(block) = block.filter(|block| layout.has(block.kind)) else { return Ok(None) };
        cluster.add(&block);
        place = next;
    }
    Ok(start.map(|_| cluster))
}

impl Cluster {
    fn add(&mut self, block: &Block) {
        match block.kind {
            MediaKind::Video => self.pictures += 1,
            MediaKind::Audio => self.packets += 1,
        }
        let time = i64::try_from(block.time).unwrap_or(i64::MAX);
        self.until = self.until.max(Timestamp::from_millis(time) + block.duration);
        self.size = self.size.or(block.picture);
        let key_picture = block.kind == MediaKind::Video && block.keyframe;
        if self.entry.is_none_or(|entry| key_picture && !entry.key_picture) {
            self.entry = Some(Entry { time: block.time, kind: block.kind, key_picture });
        }
    }
}

/// What stands before a payload.
struct Block {
    kind: MediaKind,
    /// In milliseconds.
    time: u64,
    keyframe: bool,
    /// Zero where it is not known; then another one of the same track follows in the same cluster.
    duration: MediaDuration,
    /// The size of a key picture.
    picture: Option<Size>,
}

fn simple_block<F: Read + Seek>(
    source: &mut Source<'_, F>,
    start: u64,
    at: u64,
    size: u64,
) -> io::Result<Option<Block>> {
    let size = usize::try_from(size).unwrap_or(usize::MAX).min(BLOCK_HEAD);
    Ok(block(source.bytes(at, size)?, start))
}

/// A block whose duration is told, as it is written here: the block comes last.
fn group<F: Read + Seek>(
    source: &mut Source<'_, F>,
    start: u64,
    mut at: u64,
    end: u64,
) -> io::Result<Option<Block>> {
    let (limit, mut duration, mut keyframe) = (at + MAX_GROUP_HEAD as u64, None, true);
    while at < end.min(limit) {
        let Some(Head { id, size: Some(size), len }) = source.head(at)? else { return Ok(None) };
        let data = at + len as u64;
        let Some(next) = data.checked_add(size).filter(|next| *next <= end) else { return Ok(None) };
        match id {
            id::BLOCK_DURATION => {
                let bytes = source.bytes(data, usize::try_from(size).unwrap_or(usize::MAX).min(9))?;
                duration = ebml::uint(bytes).ok().filter(|duration| *duration < MAX_TIME);
            }
            id::REFERENCE_BLOCK => keyframe = false,
            id::BLOCK if next == end => {
                let Some(mut block) = simple_block(source, start, data, size)? else { return Ok(None) };
                if let Some(ms) = duration.and_then(|ms| i64::try_from(ms).ok()) {
                    block.duration = MediaDuration::from_millis(ms);
                }
                return Ok(Some(Block { keyframe, ..block }));
            }
            _ => return Ok(None),
        }
        at = next;
    }
    Ok(None)
}

/// Reads the head of a block and as much of the payload as tells how long it plays.
fn block(bytes: &[u8], start: u64) -> Option<Block> {
    let (&[track, high, low, flags], payload) = bytes.split_first_chunk()?;
    let kind =
        [MediaKind::Video, MediaKind::Audio].into_iter().find(|kind| track == 0x80 | track_number(*kind))?;
    let time = start.checked_add_signed(i16::from_be_bytes([high, low]).into())?;
    let duration = match kind {
        MediaKind::Audio => opus::duration(payload).unwrap_or_default(),
        MediaKind::Video => MediaDuration::ZERO,
    };
    let picture = (kind == MediaKind::Video).then(|| Size::of_keyframe(payload)).flatten();
    Some(Block { kind, time, keyframe: flags & KEYFRAME != 0, duration, picture })
}
