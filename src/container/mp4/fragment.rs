//! Fragments read back. Only what [`Writer`](super::Writer) writes counts as one: everything else ends the file there.

use super::{AUDIO_ID, MAX_MOOF, MAX_SAMPLES, VIDEO_ID};
use crate::codec::MediaKind;
use mp4_atom::{Atom, Moof, Traf, TrunEntry, TrunSamples};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

/// The head of a box in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct BoxHead {
    pub(super) kind: [u8; 4],
    /// Where its content begins and ends. It may end behind the file.
    pub(super) content: (u64, u64),
}

/// A `moof` with all of its `mdat`.
#[derive(Debug)]
pub(super) struct Fragment {
    /// Content of the `mdat`; its end is the fragment's.
    pub(super) payload: Range<u64>,
    pub(super) runs: Vec<Run>,
}

/// The samples of one track in a fragment: one behind the other.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) kind: MediaKind,
    /// When the first is decoded, in ticks.
    pub(super) start: u64,
    /// Where the first stands in the file.
    pub(super) offset: u64,
    pub(super) samples: Vec<RunSample>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct RunSample {
    pub(super) duration: u32,
    pub(super) size: u32,
    /// From decoding to showing, in ticks.
    pub(super) cts: i32,
    pub(super) sync: bool,
}

/// `sample_is_non_sync_sample` (ISO/IEC 14496-12, section 8.8.3.1).
const NON_SYNC: u32 = 0x0001_0000;

/// The box at `at`; `None` where its head does not fit before `end`, or makes no sense.
pub(super) fn box_at(file: &mut (impl Read + Seek), at: u64, end: u64) -> io::Result<Option<BoxHead>> {
    if end.saturating_sub(at) < 8 {
        return Ok(None);
    }
    let mut head = [0; 8];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut head)?;
    let [a, b, c, d, kind @ ..] = head;
    let mut start = at + 8;
    let size = match u32::from_be_bytes([a, b, c, d]) {
        1 if end - at >= 16 => {
            let mut large = [0; 8];
            file.read_exact(&mut large)?;
            start += 8;
            u64::from_be_bytes(large)
        }
        size => size.into(),
    };
    let stop = at.checked_add(size).filter(|stop| *stop >= start);
    Ok(stop.map(|stop| BoxHead { kind, content: (start, stop) }))
}

/// What a box holds, when it is whole and has no more than `most` bytes.
pub(super) fn content(
    file: &mut (impl Read + Seek),
    head: BoxHead,
    end: u64,
    most: u64,
) -> io::Result<Option<Vec<u8>>> {
    let (start, stop) = head.content;
    let length = stop - start;
    if stop > end || length > most {
        return Ok(None);
    }
    let mut bytes = vec![0; length as usize]; // at most `most`
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

/// The fragment at `at`; `None` where no whole and sound one stands before `end`.
pub(super) fn fragment_at(file: &mut (impl Read + Seek), at: u64, end: u64) -> io::Result<Option<Fragment>> {
    let Some(head) = box_at(file, at, end)?.filter(|head| head.kind == *b"moof") else { return Ok(None) };
    let Some(body) = content(file, head, end, MAX_MOOF)? else { return Ok(None) };
    let mdat = box_at(file, head.content.1, end)?;
    let Some(mdat) = mdat.filter(|mdat| mdat.kind == *b"mdat" && mdat.content.1 <= end) else {
        return Ok(None);
    };
    let Ok(moof) = Moof::decode_body(&mut &body[..]) else { return Ok(None) };
    let payload = mdat.content.0..mdat.content.1;
    let runs = moof.traf.into_iter().map(|traf| Run::read(traf, at, &payload)).collect::<Option<Vec<_>>>();
    let sound = |runs: &Vec<Run>| {
        let twice =
            runs.iter().enumerate().any(|(i, run)| runs.iter().skip(i + 1).any(|r| r.kind == run.kind));
        !runs.is_empty() && !twice && runs.iter().map(|run| run.samples.len()).sum::<usize>() <= MAX_SAMPLES
    };
    Ok(runs.filter(sound).map(|runs| Fragment { payload, runs }))
}

impl Run {
    fn read(traf: Traf, moof: u64, payload: &Range<u64>) -> Option<Self> {
        let tfhd = &traf.tfhd;
        let kind = kind_of(tfhd.track_id)?;
        let [trun] = &traf.trun[..] else { return None };
        let TrunSamples::Explicit(entries) = &trun.samples else { return None };
        if !tfhd.default_base_is_moof || tfhd.base_data_offset.is_some() || entries.len() > MAX_SAMPLES {
            return None;
        }
        let offset = moof.checked_add_signed(trun.data_offset?.into())?;
        let samples = entries.iter().map(RunSample::read).collect::<Option<Vec<_>>>()?;
        let bytes = samples.iter().map(|sample| u64::from(sample.size)).sum::<u64>();
        let within = offset >= payload.start && offset.checked_add(bytes)? <= payload.end;
        let start = traf.tfdt?.base_media_decode_time;
        // Nothing lasts until the end of 64 bits, so that no sum of what is in the fragment needs care.
        (within && !samples.is_empty() && start < 1 << 62).then_some(Self { kind, start, offset, samples })
    }

    /// Decode time of the last sample, in ticks, and how long that lasts.
    pub(super) fn last(&self) -> (u64, u32) {
        let total: u64 = self.samples.iter().map(|sample| u64::from(sample.duration)).sum();
        let last = self.samples.last().map_or(0, |sample| sample.duration);
        (self.start + total - u64::from(last), last)
    }

    /// Where the samples stand at which a decoder can start.
    pub(super) fn sync_samples(&self) -> impl Iterator<Item = Range<u64>> {
        let mut at = self.offset;
        let places = self.samples.iter().map(move |sample| {
            let start = at;
            at += u64::from(sample.size);
            (sample.sync, start..at)
        });
        places.filter_map(|(sync, place)| sync.then_some(place))
    }
}

impl RunSample {
    fn read(entry: &TrunEntry) -> Option<Self> {
        Some(Self {
            duration: entry.duration?,
            size: entry.size?,
            cts: i32::try_from(entry.cts.unwrap_or(0)).ok()?,
            sync: entry.flags.unwrap_or(0) & NON_SYNC == 0,
        })
    }
}

/// What the number of a track says.
pub(super) const fn kind_of(track: u32) -> Option<MediaKind> {
    match track {
        VIDEO_ID => Some(MediaKind::Video),
        AUDIO_ID => Some(MediaKind::Audio),
        _ => None,
    }
}
