//! The bytes of a file that grows.

use super::boxes::{TooLarge, box_head};
use super::entry::Description;
use super::movie::{self, MovieError, NOT_SYNC, SYNC, TrackBox};
use super::{AUDIO_ID, AudioEntry, FREE, MAX_MOOV, MAX_SAMPLES, VIDEO_ID, VideoEntry};
use crate::codec::MediaKind;
use crate::codec::h264::HeaderError;
use crate::container::Sample;
use crate::time::{ClockRate, Timestamp};
use bytes::Bytes;
use mp4_atom::{Encode, Ftyp, Mfhd, Moof, Tfdt, Tfhd, Traf, Trun, TrunEntry};
use std::time::SystemTime;
use thiserror::Error;

/// Makes the bytes of one growing file, and keeps nothing of what it made but where each track stands.
#[derive(Debug)]
pub struct Writer {
    sequence: u32,
    video: Option<Place>,
    audio: Option<Place>,
}

/// Where a track stands.
#[derive(Debug)]
struct Place {
    rate: ClockRate,
    /// Decode time of its last sample.
    last: Option<u64>,
}

/// What cannot be written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// A file has a track at least.
    #[error("neither pictures nor sound")]
    NoTracks,
    /// A sample of a kind that was not announced.
    #[error("no {0} track")]
    NoTrack(MediaKind),
    /// The parameter sets cannot be read, or describe pictures of more than 65,535 rows or columns.
    #[error("parameter sets")]
    Parameters(#[from] HeaderError),
    /// A decode time before the one before it, or a time below 0.
    #[error("a time that goes back, or below zero")]
    OutOfOrder,
    /// Two samples, or a picture's decoding and showing, lie more than 32 bits of ticks apart.
    #[error("a step in time that is too long")]
    TooLong,
    /// More than 4 GiB, or more than 2 GiB of pictures before sound.
    #[error("a fragment that is too large")]
    TooLarge,
    /// More than 16,384.
    #[error("more than {MAX_SAMPLES} samples in one fragment")]
    TooManySamples,
    /// The library of boxes refuses one.
    #[error("a box that cannot be written")]
    Box(#[from] mp4_atom::Error),
}

impl From<TooLarge> for WriteError {
    fn from(TooLarge: TooLarge) -> Self {
        Self::TooLarge
    }
}

impl From<MovieError> for WriteError {
    fn from(error: MovieError) -> Self {
        match error {
            MovieError::TooLarge => Self::TooLarge,
            MovieError::Box(error) => Self::Box(error),
        }
    }
}

impl Writer {
    /// A writer and the head of its file, made at `created`: a good file without a fragment.
    pub fn new(
        video: Option<&VideoEntry>,
        audio: Option<&AudioEntry>,
        created: SystemTime,
    ) -> Result<(Self, Vec<Bytes>), WriteError> {
        let video = video.map(VideoEntry::describe).transpose()?;
        let audio = audio.map(AudioEntry::describe);
        let place = |track: &Description| Place { rate: track.timescale, last: None };
        let writer = Self { sequence: 0, video: video.as_ref().map(place), audio: audio.as_ref().map(place) };
        let tracks = video.into_iter().chain(audio).map(|description| {
            Ok(TrackBox { description, start: 0, duration: 0, tables: movie::empty_tables()? })
        });
        let tracks = tracks.collect::<Result<Vec<_>, TooLarge>>()?;
        if tracks.is_empty() {
            return Err(WriteError::NoTracks);
        }
        let mut head = file_type()?;
        head.extend(FREE);
        let mut pieces = vec![head.into()];
        let moov = movie::moov(movie::mp4_time(created), true, tracks)?;
        if moov.len() > MAX_MOOV {
            return Err(WriteError::Parameters(HeaderError::OutOfRange));
        }
        pieces.extend(moov.into_pieces());
        Ok((writer, pieces))
    }

    /// One `moof` and `mdat` of these samples, each track's in decode order: pieces that stand one behind the other in the
    /// file, the payloads among them not copied. Of no samples, nothing. After an error the file goes on as if these had
    /// not been there.
    pub fn fragment(&mut self, samples: &[Sample]) -> Result<Vec<Bytes>, WriteError> {
        if samples.is_empty() {
            return Ok(Vec::new());
        }
        if samples.len() > MAX_SAMPLES {
            return Err(WriteError::TooManySamples);
        }
        let video = Run::of(MediaKind::Video, self.video.as_ref(), samples)?;
        let audio = Run::of(MediaKind::Audio, self.audio.as_ref(), samples)?;
        let sequence = self.sequence.wrapping_add(1);
        let runs = || video.iter().chain(&audio);

        // Offsets count from the start of the `moof`, whose length does not depend on them.
        let mut moof = Moof {
            mfhd: Mfhd { sequence_number: sequence },
            traf: runs().map(|run| run.traf.clone()).collect(),
        };
        let mut head = Vec::new();
        moof.encode(&mut head)?;
        let mut offset = head.len() as u64 + 8;
        for (traf, run) in moof.traf.iter_mut().zip(runs()) {
            let at = i32::try_from(offset).map_err(|_| WriteError::TooLarge)?;
            traf.trun.iter_mut().for_each(|trun| trun.data_offset = Some(at));
            offset += run.bytes;
        }
        head.clear();
        moof.encode(&mut head)?;
        head.extend(box_head(*b"mdat", runs().map(|run| run.bytes).sum())?);

        let mut pieces = vec![Bytes::from(head)];
        for run in runs() {
            let of_run = samples.iter().filter(|sample| sample.kind == run.kind);
            let bytes = of_run.flat_map(|sample| [&sample.prefix, &sample.payload]);
            pieces.extend(bytes.filter(|piece| !piece.is_empty()).cloned());
        }
        self.sequence = sequence;
        for (place, run) in [(&mut self.video, &video), (&mut self.audio, &audio)] {
            if let (Some(place), Some(run)) = (place, run) {
                place.last = Some(run.last);
            }
        }
        Ok(pieces)
    }
}

/// `ftyp`, [`SLOT`](super::SLOT) bytes long. `iso6`: offsets in fragments count from their `moof`.
pub(super) fn file_type() -> Result<Vec<u8>, mp4_atom::Error> {
    let compatible_brands = [b"isom", b"iso6", b"mp41"].map(Into::into).to_vec();
    let mut bytes = Vec::new();
    Ftyp { major_brand: b"isom".into(), minor_version: 512, compatible_brands }.encode(&mut bytes)?;
    Ok(bytes)
}

/// The samples of one track in a fragment.
struct Run {
    kind: MediaKind,
    traf: Traf,
    bytes: u64,
    /// Decode time of the last one.
    last: u64,
}

impl Run {
    fn of(kind: MediaKind, place: Option<&Place>, samples: &[Sample]) -> Result<Option<Self>, WriteError> {
        let of_kind = || samples.iter().filter(|sample| sample.kind == kind);
        let Some(first) = of_kind().next() else { return Ok(None) };
        let place = place.ok_or(WriteError::NoTrack(kind))?;
        let ticks =
            |time: Timestamp| u64::try_from(time.to_ticks(place.rate)).map_err(|_| WriteError::OutOfOrder);
        let video = kind == MediaKind::Video;
        let mut entries = Vec::new();
        let (mut bytes, mut last) = (0, place.last);
        let nexts = of_kind().skip(1).map(Some).chain([None]);
        for (sample, next) in of_kind().zip(nexts) {
            let (dts, pts) = (ticks(sample.dts)?, ticks(sample.pts)?);
            let step = dts.checked_sub(last.unwrap_or(dts)).ok_or(WriteError::OutOfOrder)?;
            u32::try_from(step).map_err(|_| WriteError::TooLong)?;
            // From absolute times: rounded steps would add up.
            let end = ticks(next.map_or(sample.dts + sample.duration, |next| next.dts))?;
            let duration = end.checked_sub(dts).ok_or(WriteError::OutOfOrder)?;
            let size = sample.prefix.len() as u64 + sample.payload.len() as u64;
            let cts = i128::from(pts) - i128::from(dts);
            entries.push(TrunEntry {
                duration: Some(u32::try_from(duration).map_err(|_| WriteError::TooLong)?),
                size: Some(u32::try_from(size).map_err(|_| WriteError::TooLarge)?),
                flags: video.then_some(if sample.keyframe { SYNC } else { NOT_SYNC }),
                cts: video.then_some(i32::try_from(cts).map_err(|_| WriteError::TooLong)?.into()),
            });
            bytes += size;
            last = Some(dts);
        }
        let id = if video { VIDEO_ID } else { AUDIO_ID };
        let traf = Traf {
            tfhd: Tfhd { track_id: id, default_base_is_moof: true, ..Tfhd::default() },
            tfdt: Some(Tfdt { base_media_decode_time: ticks(first.dts)? }),
            trun: vec![Trun { data_offset: Some(0), samples: entries.into() }],
            ..Traf::default()
        };
        Ok(Some(Self { kind, traf, bytes, last: last.unwrap_or(0) }))
    }
}
