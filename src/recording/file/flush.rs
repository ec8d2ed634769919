//! What is complete goes to the disk, fragment by fragment.
//!
//! Media of a second makes a fragment. What fills hours is made piece by piece, no faster than the disk takes it, while what comes
//! meanwhile waits behind it in the timeline, within the same bound as what waits for the disk.

use super::Recording;
use crate::media::MediaKind;
use crate::recording::format::FormatError;
use crate::recording::intake::Intake;
use crate::recording::manifest::Cause;
use crate::time::Timestamp;
use std::io;
use std::time::Duration;
use thiserror::Error;
use tokio::time::Instant;

/// What has come is handed to the disk this often, so that a second is what a crash may take.
const FRAGMENT: Duration = Duration::from_millis(900);
/// Samples of a fragment: with more it comes at once. Other tasks wait a millisecond or two for one of them.
const MAX_SAMPLES: usize = 2_048;
/// Bytes that wait for the disk while more could be made.
const AHEAD: usize = 2 << 20;

/// Why not all of a recording is in its file.
#[derive(Debug, Error)]
pub(super) enum FlushError {
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error(transparent)]
    Disk(#[from] io::Error),
}

impl Recording {
    /// Hands what is complete to the disk, if it is time.
    pub(super) fn flush(&mut self) -> Result<(), FormatError> {
        self.collect();
        let is_due = self.flushed.elapsed() >= FRAGMENT || self.samples.len() >= MAX_SAMPLES;
        if !is_due {
            return Ok(());
        }
        if self.disk.is_behind(self.timeline.waiting()) {
            self.fall_behind();
        }
        if self.timeline.has_samples() {
            if self.disk.waiting() < AHEAD {
                self.write()?;
            }
            return Ok(());
        }
        if self.disk.is_behind(0) {
            return Ok(());
        }
        self.write()?;
        if std::mem::take(&mut self.is_behind) {
            self.intake.iter().for_each(Intake::request_keyframe);
        }
        self.tell();
        Ok(())
    }

    /// Whether more than one fragment can be written at once.
    pub(super) fn has_more(&self) -> bool {
        self.samples.len() >= MAX_SAMPLES && self.disk.waiting() < AHEAD && !self.disk.is_behind(0)
    }

    /// Writes all there is, and waits for the disk where it has to.
    pub(super) async fn drain(&mut self) -> Result<(), FlushError> {
        loop {
            self.collect();
            if self.samples.is_empty() {
                return Ok(());
            }
            while self.disk.waiting() >= AHEAD {
                self.disk.written().await?;
            }
            self.write()?;
            tokio::task::yield_now().await;
        }
    }

    fn collect(&mut self) {
        let room = MAX_SAMPLES.saturating_sub(self.samples.len());
        self.samples.append(&mut self.timeline.take(room));
    }

    fn write(&mut self) -> Result<(), FormatError> {
        self.flushed = Instant::now();
        let fragment = self.writer.chunk(&self.samples)?;
        self.samples.clear();
        self.disk.write(fragment);
        self.collect();
        Ok(())
    }

    fn fall_behind(&mut self) {
        if !std::mem::replace(&mut self.is_behind, true) {
            tracing::warn!(stream = %self.stream.name(), "the disk is too slow; media is left out of the recording");
            metrics::counter!("commonroom_recording_slow_disk_total").increment(1);
            self.timeline.torn(MediaKind::Audio, Cause::SlowDisk);
            self.timeline.torn(MediaKind::Video, Cause::SlowDisk);
        }
    }

    /// Tells how far it is.
    pub(super) fn tell(&self) {
        let clock = &self.setting.clock;
        let end = self.timeline.end().map(|end| clock.seconds(end));
        let points = self.intake.as_ref().map(|intake| {
            let began = clock.at(self.stream.began());
            let point = |(stream, session): &(Timestamp, Timestamp)| {
                (stream.since_origin().as_secs_f64(), clock.seconds(*session))
            };
            let points: Vec<_> = intake.map().points().iter().map(point).collect();
            if points.is_empty() { vec![(0.0, clock.seconds(began))] } else { points }
        });
        let (gaps, size) = (self.timeline.gaps(), self.disk.total());
        self.told.send_modify(|told| {
            told.end = end.unwrap_or(told.end);
            told.size = size;
            if told.gaps != gaps {
                told.gaps = gaps.to_vec();
            }
            let has_part = self.has_part;
            if let Some(part) = told.streams.last_mut().filter(|_| has_part) {
                part.end = told.end;
                part.clock = points.unwrap_or_else(|| std::mem::take(&mut part.clock));
            }
        });
    }
}
