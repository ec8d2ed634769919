//! The bytes of a file that grows.

use super::ebml::{put_head, put_int, put_uint, put_wide_head};
use super::head::{self, track_number};
use super::{AudioEntry, VideoEntry, id};
use crate::codec::MediaKind;
use crate::container::Sample;
use crate::time::{ClockRate, Timestamp};
use bytes::Bytes;
use std::time::SystemTime;
use thiserror::Error;

/// Makes the bytes of one growing file, and keeps nothing of what it made but where each track stands.
#[derive(Debug)]
pub struct Writer {
    /// The decode time of the last sample of each track that the file has.
    video: Option<Timestamp>,
    audio: Option<Timestamp>,
}

/// What cannot be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum WriteError {
    /// A file has a track at least.
    #[error("neither pictures nor sound")]
    NoTracks,
    /// A sample of a kind that was not announced.
    #[error("no {0} track")]
    NoTrack(MediaKind),
    /// A decode time before the one before it, or a time below 0.
    #[error("a time that goes back, or below zero")]
    OutOfOrder,
}

impl Writer {
    /// A writer and the head of its file, made at `created`: a good file without a cluster.
    pub fn new(
        video: Option<&VideoEntry>,
        audio: Option<&AudioEntry>,
        created: SystemTime,
    ) -> Result<(Self, Bytes), WriteError> {
        if video.is_none() && audio.is_none() {
            return Err(WriteError::NoTracks);
        }
        let writer = Self { video: video.map(|_| Timestamp::ZERO), audio: audio.map(|_| Timestamp::ZERO) };
        Ok((writer, head::write(video, audio, created).into()))
    }

    /// The clusters of these samples, each track's in decode order: pieces that stand one behind the other in the file, the
    /// payloads among them not copied. Of no samples, nothing. Blocks are put in the order of their times; a key picture
    /// begins a cluster, where players look for it, and so does what lies more than 32 s behind the cluster's start. The last
    /// picture of a cluster is written with its duration, so that the end of a file is known from the file.
    ///
    /// After an error the file goes on as if these had not been there.
    pub fn clusters(&mut self, samples: &[Sample]) -> Result<Vec<Bytes>, WriteError> {
        let places = self.follow(samples)?;
        let mut ordered: Vec<Block<'_>> = samples.iter().map(Block::new).collect();
        // Of what begins at the same time the picture comes first: it may have to begin a cluster.
        ordered.sort_by_key(|block| (block.time, block.sample.kind == MediaKind::Audio));
        let mut pieces = Pieces::default();
        let mut rest = &mut ordered[..];
        while let Some(first) = rest.first() {
            let start = first.time;
            let begins =
                |block: &Block<'_>| block.begins_cluster() || block.time - start > i64::from(i16::MAX);
            let len = rest.iter().skip(1).position(begins).map_or(rest.len(), |at| at + 1);
            let (cluster, after) = rest.split_at_mut(len);
            if let Some(last) = cluster.iter_mut().rfind(|block| block.sample.kind == MediaKind::Video) {
                last.timed = true;
            }
            pieces.cluster(cluster);
            rest = after;
        }
        (self.video, self.audio) = places;
        Ok(pieces.finish())
    }

    /// Where the tracks stand behind these samples.
    fn follow(&self, samples: &[Sample]) -> Result<(Option<Timestamp>, Option<Timestamp>), WriteError> {
        let (mut video, mut audio) = (self.video, self.audio);
        for sample in samples {
            let place = match sample.kind {
                MediaKind::Video => &mut video,
                MediaKind::Audio => &mut audio,
            };
            let last = place.as_mut().ok_or(WriteError::NoTrack(sample.kind))?;
            if sample.dts < *last || sample.pts < Timestamp::ZERO {
                return Err(WriteError::OutOfOrder);
            }
            *last = sample.dts;
        }
        Ok((video, audio))
    }
}

/// A sample as it is written.
struct Block<'a> {
    sample: &'a Sample,
    /// In milliseconds.
    time: i64,
    /// Whether its duration is written.
    timed: bool,
}

impl<'a> Block<'a> {
    fn new(sample: &'a Sample) -> Self {
        Self { sample, time: sample.pts.to_ticks(ClockRate::MILLISECONDS), timed: false }
    }

    fn begins_cluster(&self) -> bool {
        self.sample.kind == MediaKind::Video && self.sample.keyframe
    }

    /// What stands before the payload, in a cluster that begins at `start`.
    fn head(&self, start: i64) -> Vec<u8> {
        let Sample { kind, keyframe, prefix, payload, .. } = self.sample;
        let size = 4 + (prefix.len() + payload.len()) as u64;
        let mut head = Vec::with_capacity(32);
        let mut flags = 0;
        if self.timed {
            let end = (self.sample.pts + self.sample.duration).to_ticks(ClockRate::MILLISECONDS);
            let mut group = Vec::with_capacity(24);
            put_uint(&mut group, id::BLOCK_DURATION, u64::try_from(end - self.time).unwrap_or(0));
            if !keyframe {
                // Which picture it refers to nobody asks; that it does says that it is no key picture.
                put_int(&mut group, id::REFERENCE_BLOCK, -1);
            }
            put_head(&mut group, id::BLOCK, size);
            put_head(&mut head, id::BLOCK_GROUP, group.len() as u64 + size);
            head.extend(group);
        } else {
            put_head(&mut head, id::SIMPLE_BLOCK, size);
            flags = if *keyframe { KEYFRAME } else { 0 };
        }
        head.push(0x80 | track_number(*kind));
        // Between 0 and `i16::MAX`: later blocks begin a cluster of their own.
        head.extend(((self.time - start) as i16).to_be_bytes());
        head.push(flags);
        head
    }
}

/// In the flags of a simple block.
pub(super) const KEYFRAME: u8 = 0x80;

/// Payloads and what stands between them.
#[derive(Default)]
struct Pieces {
    /// What stands between all of them, in one allocation.
    heads: Vec<u8>,
    /// Each payload, and where in `heads` it stands.
    payloads: Vec<(usize, Bytes)>,
}

impl Pieces {
    /// Adds a cluster: at least one block, in order.
    fn cluster(&mut self, blocks: &[Block<'_>]) {
        let start = blocks.first().map_or(0, |block| block.time);
        let mut timestamp = Vec::with_capacity(10);
        put_uint(&mut timestamp, id::TIMESTAMP, u64::try_from(start).unwrap_or(0)); // never below 0
        let heads: Vec<Vec<u8>> = blocks.iter().map(|block| block.head(start)).collect();
        let payloads = blocks.iter().map(|block| block.sample.prefix.len() + block.sample.payload.len());
        let size = timestamp.len() + heads.iter().map(Vec::len).sum::<usize>() + payloads.sum::<usize>();
        put_wide_head(&mut self.heads, id::CLUSTER, size as u64);
        self.heads.extend(timestamp);
        for (head, block) in heads.iter().zip(blocks) {
            self.heads.extend(head);
            for part in [&block.sample.prefix, &block.sample.payload] {
                if !part.is_empty() {
                    self.payloads.push((self.heads.len(), part.clone()));
                }
            }
        }
    }

    fn finish(self) -> Vec<Bytes> {
        let heads = Bytes::from(self.heads);
        let mut pieces = Vec::with_capacity(2 * self.payloads.len() + 1);
        let mut from = 0;
        for (at, payload) in self.payloads {
            if at > from {
                pieces.push(heads.slice(from..at));
            }
            from = at;
            pieces.push(payload);
        }
        if heads.len() > from {
            pieces.push(heads.slice(from..));
        }
        pieces
    }
}
