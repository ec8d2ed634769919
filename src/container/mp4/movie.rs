//! The `moov`: the same for a file that grows, where its tables are empty, and for a finished one.

use super::boxes::{Rope, TooLarge};
use super::entry::Description;
use super::{MOVIE_SCALE, VIDEO_ID};
use crate::time::ClockRate;
use mp4_atom::{
    Codec, Dinf, Dref, DrefEntry, Edts, Elst, ElstEntry, Hdlr, Mdhd, Mvex, Mvhd, Smhd, Stsd, Tkhd, Trex, Url,
    Vmhd,
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use thiserror::Error;

/// From 1904, where the clock of MP4 begins, to 1970.
const EPOCH: Duration = Duration::from_secs(2_082_844_800);
/// `sample_depends_on` 2: the sample needs no other (ISO/IEC 14496-12, section 8.8.3.1).
pub(super) const SYNC: u32 = 0x0200_0000;
/// `sample_depends_on` 1, and `sample_is_non_sync_sample`.
pub(super) const NOT_SYNC: u32 = 0x0101_0000;

/// A track of a `moov`.
pub(super) struct TrackBox {
    pub(super) description: Description,
    /// When its first sample is decoded, in ticks of its own; an empty edit goes before it.
    pub(super) start: u64,
    /// Sum of its samples, in ticks of its own.
    pub(super) duration: u64,
    /// Everything in `stbl` behind `stsd`.
    pub(super) tables: Vec<Rope>,
}

/// A `moov` that cannot be written.
#[derive(Debug, Error)]
pub(super) enum MovieError {
    #[error("more than 4 GiB of index")]
    TooLarge,
    #[error(transparent)]
    Box(#[from] mp4_atom::Error),
}

impl From<TooLarge> for MovieError {
    fn from(TooLarge: TooLarge) -> Self {
        Self::TooLarge
    }
}

/// Seconds since 1904.
pub(super) fn mp4_time(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| (since + EPOCH).as_secs())
}

/// A `moov` of these tracks; `growing` announces that fragments follow.
pub(super) fn moov(created: u64, growing: bool, tracks: Vec<TrackBox>) -> Result<Rope, MovieError> {
    let next_track_id = tracks.iter().map(|track| track.description.id).max().unwrap_or(0).saturating_add(1);
    let duration = tracks.iter().map(TrackBox::movie_duration).max().unwrap_or(0);
    let mvhd = Mvhd {
        creation_time: created,
        modification_time: created,
        timescale: MOVIE_SCALE,
        duration,
        rate: 1.into(),
        volume: 1.into(),
        next_track_id,
        ..Mvhd::default()
    };
    let defaults = |track: &TrackBox| Trex {
        track_id: track.description.id,
        default_sample_description_index: 1,
        default_sample_flags: SYNC,
        ..Trex::default()
    };
    let mvex = growing.then(|| Mvex { mehd: None, trex: tracks.iter().map(defaults).collect() });
    let mut children = vec![Rope::leaf(&mvhd)?];
    for track in tracks {
        children.push(track.into_box(created)?);
    }
    if let Some(mvex) = mvex {
        children.push(Rope::leaf(&mvex)?);
    }
    Ok(Rope::container(*b"moov", children)?)
}

/// The tables that a growing file has: all of them are there, and empty.
pub(super) fn empty_tables() -> Result<Vec<Rope>, TooLarge> {
    [(*b"stts", &[0][..]), (*b"stsc", &[0]), (*b"stsz", &[0, 0]), (*b"stco", &[0])]
        .into_iter()
        .map(|(kind, fields)| Rope::table(kind, 0, fields, bytes::Bytes::new()))
        .collect()
}

impl TrackBox {
    /// Until its last sample ends, in ticks of the movie.
    fn movie_duration(&self) -> u64 {
        let rate = self.description.timescale;
        if self.duration == 0 { 0 } else { movie_ticks(self.start.saturating_add(self.duration), rate) }
    }

    fn into_box(self, created: u64) -> Result<Rope, MovieError> {
        let duration = self.movie_duration();
        let Description { id, timescale, size: (width, height), codec } = self.description;
        let video = id == VIDEO_ID;
        let tkhd = Tkhd {
            creation_time: created,
            modification_time: created,
            track_id: id,
            duration,
            enabled: true,
            in_movie: true,
            volume: u8::from(!video).into(),
            width: width.into(),
            height: height.into(),
            ..Tkhd::default()
        };
        let mdhd = Mdhd {
            creation_time: created,
            modification_time: created,
            timescale: timescale.get(),
            duration: self.duration,
            language: "und".into(),
        };
        let (handler, name) = if video { (b"vide", "Video") } else { (b"soun", "Audio") };
        let hdlr = Hdlr { handler: handler.into(), name: name.into() };
        let media_header = if video { Rope::leaf(&Vmhd::default())? } else { Rope::leaf(&Smhd::default())? };
        let dinf = Dinf { dref: Dref { entries: vec![DrefEntry::Url(Url::default())] } };

        let mut stbl = vec![stsd(codec)?];
        stbl.extend(self.tables);
        let stbl = Rope::container(*b"stbl", stbl)?;
        let minf = Rope::container(*b"minf", [media_header, Rope::leaf(&dinf)?, stbl])?;
        let mdia = Rope::container(*b"mdia", [Rope::leaf(&mdhd)?, Rope::leaf(&hdlr)?, minf])?;
        let mut trak = vec![Rope::leaf(&tkhd)?];
        if self.start > 0 {
            let before = movie_ticks(self.start, timescale);
            trak.push(Rope::leaf(&edits(before, duration.saturating_sub(before)))?);
        }
        trak.push(mdia);
        Ok(Rope::container(*b"trak", trak)?)
    }
}

fn stsd(codec: Codec) -> Result<Rope, mp4_atom::Error> {
    Rope::leaf(&Stsd { codecs: vec![codec] })
}

/// Nothing for a while, then the track from its beginning.
fn edits(before: u64, duration: u64) -> Edts {
    let edit =
        |segment_duration, media_time| ElstEntry { segment_duration, media_time, media_rate: 1.into() };
    Edts { elst: Some(Elst { entries: vec![edit(before, None), edit(duration, Some(0))] }) }
}

/// To the nearest tick of the movie.
fn movie_ticks(ticks: u64, rate: ClockRate) -> u64 {
    let rate = u128::from(rate.get());
    let ticks = (u128::from(ticks) * u128::from(MOVIE_SCALE) + rate / 2) / rate;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}
