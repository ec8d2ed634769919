//! The tables of a finished file, gathered fragment by fragment and kept as the bytes that will be written: 4 for a sample,
//! 8 more wherever a duration or an offset differs from the one before.

use super::boxes::{Rope, TooLarge};
use super::fragment::Run;
use bytes::Bytes;

/// The tables of one track.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    samples: u32,
    start: u64,
    duration: u64,
    /// The last sample so far: its decode time, and for how long it would last if no other came.
    last: Option<(u64, u32)>,
    durations: Runs,
    offsets: Runs,
    negative: bool,
    reordered: bool,
    sync: Vec<u8>,
    sizes: Vec<u8>,
    chunks: Vec<u8>,
    chunk_count: u32,
    chunk_sizes: Vec<u8>,
    last_chunk_size: u32,
}

/// A run-length table.
#[derive(Clone, Debug, Default)]
struct Runs {
    done: Vec<u8>,
    current: Option<(u32, u32)>,
}

impl Tables {
    /// Adds the samples of one fragment, which stand at `offset` in the finished file: one chunk.
    pub(super) fn add(&mut self, run: &Run, offset: u64) -> Result<(), TooLarge> {
        match self.last.take() {
            // Until the next one, whatever its own fragment thought.
            Some((at, _)) => self.lasts(run.start.saturating_sub(at))?,
            None => self.start = run.start,
        }
        let mut at = run.start;
        let count = run.samples.len();
        for (index, sample) in run.samples.iter().enumerate() {
            self.samples = self.samples.checked_add(1).ok_or(TooLarge)?;
            self.sizes.extend(sample.size.to_be_bytes());
            self.offsets.push(sample.cts.cast_unsigned());
            self.negative |= sample.cts < 0;
            self.reordered |= sample.cts != 0;
            if sample.sync {
                self.sync.extend(self.samples.to_be_bytes());
            }
            if index + 1 == count {
                self.last = Some((at, sample.duration));
            } else {
                self.lasts(sample.duration.into())?;
            }
            at += u64::from(sample.duration);
        }
        self.chunk_count += 1; // never more than samples
        self.chunks.extend(offset.to_be_bytes());
        let size = u32::try_from(count).map_err(|_| TooLarge)?;
        if size != self.last_chunk_size {
            self.last_chunk_size = size;
            // Every chunk by the one sample entry that there is.
            self.chunk_sizes.extend([self.chunk_count, size, 1].into_iter().flat_map(u32::to_be_bytes));
        }
        Ok(())
    }

    fn lasts(&mut self, ticks: u64) -> Result<(), TooLarge> {
        self.durations.push(u32::try_from(ticks).map_err(|_| TooLarge)?);
        self.duration += ticks;
        Ok(())
    }

    /// The last sample lasts as its fragment said.
    pub(super) fn end(&mut self) -> Result<(), TooLarge> {
        self.last.take().map_or(Ok(()), |(_, duration)| self.lasts(duration.into()))
    }

    /// Moves every chunk behind `by` more bytes.
    pub(super) fn shift(&mut self, by: u64) {
        for chunk in self.chunks.as_chunks_mut().0 {
            *chunk = u64::from_be_bytes(*chunk).saturating_add(by).to_be_bytes();
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.samples == 0
    }

    /// When the first sample is decoded, in ticks.
    pub(super) const fn start(&self) -> u64 {
        self.start
    }

    /// Sum of all samples, in ticks.
    pub(super) const fn duration(&self) -> u64 {
        self.duration
    }

    /// The boxes behind `stsd`.
    pub(super) fn into_boxes(self) -> Result<Vec<Rope>, TooLarge> {
        let table = |kind: &[u8; 4], version, entry: usize, bytes: Vec<u8>| {
            let count = u32::try_from(bytes.len() / entry).map_err(|_| TooLarge)?;
            Rope::table(*kind, version, &[count], bytes.into())
        };
        let mut boxes = vec![table(b"stts", 0, 8, self.durations.into_bytes())?];
        if self.reordered {
            // Version 1 reads the offsets as signed.
            boxes.push(table(b"ctts", u8::from(self.negative), 8, self.offsets.into_bytes())?);
        }
        if self.sync.len() != self.sizes.len() {
            // Without this table every sample is one to start at.
            boxes.push(table(b"stss", 0, 4, self.sync)?);
        }
        boxes.push(table(b"stsc", 0, 12, self.chunk_sizes)?);
        boxes.push(Rope::table(*b"stsz", 0, &[0, self.samples], Bytes::from(self.sizes))?);
        boxes.push(table(b"co64", 0, 8, self.chunks)?);
        Ok(boxes)
    }
}

impl Runs {
    fn push(&mut self, value: u32) {
        match &mut self.current {
            Some((count, current)) if *current == value => *count += 1, // never more than samples
            current => {
                if let Some(run) = current.replace((1, value)) {
                    self.put(run);
                }
            }
        }
    }

    fn put(&mut self, (count, value): (u32, u32)) {
        self.done.extend(count.to_be_bytes());
        self.done.extend(value.to_be_bytes());
    }

    fn into_bytes(mut self) -> Vec<u8> {
        if let Some(run) = self.current.take() {
            self.put(run);
        }
        self.done
    }
}
