//! Finishes a file where it is.
//!
//! The same at an orderly end and after a crash, and however often: what the end of a file tells is read from the file. Each
//! step is on the disk before the next begins, and after each of them the file plays: first the index behind the last
//! whole cluster, which nothing names yet; then its place and the duration; at last the size of the segment. A file in which
//! that stopped half-way, or that was cut later, is brought back to where it began, in the opposite order.

use super::VideoEntry;
use super::ebml::{self, put, put_head, put_uint, put_wide_head};
use super::head::{self, track_number};
use super::id;
use super::scan::{self, Layout, ScanError, Summary};
use super::walk::{Cluster, Entry};
use crate::container::Storage;
use crate::time::ClockRate;
use std::io::{self, SeekFrom};

/// Cuts a file behind its last whole cluster and gives it its index, duration and size. A finished one is left as it is.
pub fn finalise<F: Storage>(file: &mut F) -> Result<Summary, ScanError> {
    let mut index = Index::default();
    let mut size = None;
    let (mut summary, layout) = scan::scan_with(file, |cluster| {
        index.add(cluster);
        size = size.or(cluster.size);
    })?;
    if summary.finished {
        return Ok(summary);
    }
    undo(file, &layout)?;
    if summary.len > summary.usable {
        file.set_len(summary.usable)?;
    }
    summary.len = summary.usable;
    if summary.clusters > 0 {
        let cues = index.write(layout.segment);
        write_at(file, summary.usable, &cues)?;
        summary.len += cues.len() as u64;
        file.sync()?;
        let shown = size.filter(|_| summary.video.is_some()).map(VideoEntry::Vp8);
        if shown.is_some() && shown != summary.video {
            // The head was written before the first picture came.
            let tracks = head::tracks(shown.as_ref(), summary.audio.as_ref());
            if layout.tracks_at + tracks.len() as u64 == layout.first_cluster {
                write_at(file, layout.tracks_at, &tracks)?;
                summary.video = shown;
            }
        }
        let ms = summary.end.to_ticks(ClockRate::OPUS) as f64 / 48.0; // to be read by people: 53 bits are plenty
        write_at(file, layout.duration_at, &head::duration(ms))?;
        write_at(file, layout.seek_at, &head::seek(id::CUES, summary.usable - layout.segment))?;
    }
    file.sync()?;
    write_at(file, layout.size_at, &ebml::wide_size(summary.len - layout.segment))?;
    file.sync()?;
    summary.finished = true;
    Ok(summary)
}

/// Takes back what an earlier attempt has told, so that nothing names what is about to be cut off.
fn undo<F: Storage>(file: &mut F, layout: &Layout) -> io::Result<()> {
    if layout.segment_end.is_some() {
        write_at(file, layout.size_at, &ebml::UNKNOWN_SIZE)?;
        file.sync()?;
    }
    if !layout.untouched {
        write_at(file, layout.seek_at, &ebml::void(head::SEEK_LEN))?;
        write_at(file, layout.duration_at, &ebml::void(head::DURATION_LEN))?;
        file.sync()?;
    }
    Ok(())
}

fn write_at<F: Storage>(file: &mut F, at: u64, bytes: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(at))?;
    file.write_all(bytes)
}

/// Where players may begin, gathered cluster by cluster: at key pictures or, where there are none, at sound.
#[derive(Debug)]
struct Index {
    entries: Vec<(Entry, u64)>,
    /// At least so many milliseconds lie between two of them.
    step: u64,
}

/// So many fit in 2 MB. Whenever more come every second one goes, as it does after nine hours at the earliest.
const MAX_ENTRIES: usize = 1 << 16;
/// Between key pictures of an encoder that makes nothing else.
const MIN_STEP: u64 = 500;
/// Between entries where there are no pictures.
const SOUND_STEP: u64 = 5_000;

impl Default for Index {
    fn default() -> Self {
        Self { entries: Vec::new(), step: MIN_STEP }
    }
}

impl Index {
    fn add(&mut self, cluster: &Cluster) {
        let Some(entry) = cluster.entry else { return };
        if let Some((last, _)) = self.entries.last() {
            let step = if entry.key_picture { self.step } else { self.step.max(SOUND_STEP) };
            let near = entry.time < last.time.saturating_add(step);
            // Sound before the first picture stays; behind it players look for pictures.
            if (last.key_picture && !entry.key_picture) || (last.key_picture == entry.key_picture && near) {
                return;
            }
        }
        if self.entries.len() == MAX_ENTRIES {
            let mut number = 0_usize;
            self.entries.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            // What follows is to lie as far apart as what is left.
            if let [(first, _), .., (last, _)] = self.entries[..] {
                let between = self.entries.len() as u64 - 1;
                self.step = self.step.max(last.time.saturating_sub(first.time) / between);
            }
        }
        self.entries.push((entry, cluster.at));
    }

    /// The index of a segment that begins at `segment`.
    fn write(&self, segment: u64) -> Vec<u8> {
        let mut points = Vec::new();
        for (entry, at) in &self.entries {
            let mut positions = Vec::new();
            put_uint(&mut positions, id::CUE_TRACK, track_number(entry.kind).into());
            put_uint(&mut positions, id::CUE_CLUSTER_POSITION, at - segment);
            let mut point = Vec::new();
            put_uint(&mut point, id::CUE_TIME, entry.time);
            put(&mut point, id::CUE_TRACK_POSITIONS, &positions);
            put_head(&mut points, id::CUE_POINT, point.len() as u64);
            points.extend(point);
        }
        let mut cues = Vec::with_capacity(ebml::MAX_HEAD + points.len());
        put_wide_head(&mut cues, id::CUES, points.len() as u64);
        cues.extend(points);
        cues
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::MediaKind;
    use crate::time::Timestamp;

    fn cluster(time: u64, key_picture: bool) -> Cluster {
        let kind = if key_picture { MediaKind::Video } else { MediaKind::Audio };
        let entry = Some(Entry { time, kind, key_picture });
        Cluster {
            at: 1_000 + time,
            end: 0,
            pictures: 0,
            packets: 0,
            until: Timestamp::ZERO,
            entry,
            size: None,
        }
    }

    fn times(clusters: impl IntoIterator<Item = (u64, bool)>) -> Vec<u64> {
        let mut index = Index::default();
        clusters.into_iter().for_each(|(time, key)| index.add(&cluster(time, key)));
        assert!(index.entries.iter().all(|(entry, at)| *at == 1_000 + entry.time));
        index.entries.iter().map(|(entry, _)| entry.time).collect()
    }

    #[test]
    fn pictures_are_entered_where_there_are_any() {
        assert_eq!(times([(0, false), (90, true), (900, false), (1_000, true)]), [0, 90, 1_000]);
        assert_eq!(
            times((0..100).map(|at| (at * 40, true))),
            [0, 520, 1_040, 1_560, 2_080, 2_600, 3_120, 3_640]
        );
        assert_eq!(times((0..12).map(|second| (second * 1_000, false))), [0, 5_000, 10_000]);
    }

    #[test]
    fn the_index_of_a_long_file_thins_out() {
        let seconds = 3 * MAX_ENTRIES as u64;
        let times = times((0..seconds).map(|second| (second * 1_000, true)));
        assert!((MAX_ENTRIES / 2..=MAX_ENTRIES).contains(&times.len()), "{}", times.len());
        assert!(times.windows(2).all(|pair| (1_000..=4_000).contains(&(pair[1] - pair[0]))));
        assert!(times.last().unwrap() + 4_000 >= seconds * 1_000);
    }
}
