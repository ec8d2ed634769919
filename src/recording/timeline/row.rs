//! What of a track has its place, and is not yet taken: media as it came, and fillers, which are made when they are taken.
//!
//! Somebody who comes hours late begins with a million packets of silence and as many black pictures. As a run they take no more
//! room than one of them.

use super::video::BlackRun;
use crate::container::Sample;
use crate::media::MediaKind;
use crate::time::{ClockRate, Timestamp};
use bytes::Bytes;
use std::collections::VecDeque;

/// The samples of one track, in order.
#[derive(Debug, Default)]
pub(super) struct Row {
    pieces: VecDeque<Piece>,
    /// Bytes of media in it.
    bytes: usize,
}

#[derive(Debug)]
enum Piece {
    Media(Sample),
    Silence(SilenceRun),
    Black(BlackRun),
}

/// Packets of silence, one behind the other: at least one.
#[derive(Debug)]
pub(super) struct SilenceRun {
    pub(super) rate: ClockRate,
    /// Where the next one lies, and how long each is, in ticks.
    pub(super) at: i64,
    pub(super) ticks: i64,
    pub(super) left: u64,
    pub(super) packet: Bytes,
}

impl Row {
    pub(super) fn push(&mut self, sample: Sample) {
        self.bytes += sample.payload.len();
        self.pieces.push_back(Piece::Media(sample));
    }

    pub(super) fn push_silence(&mut self, run: SilenceRun) {
        if run.left > 0 {
            self.pieces.push_back(Piece::Silence(run));
        }
    }

    pub(super) fn push_black(&mut self, run: BlackRun) {
        if run.left > 0 {
            self.pieces.push_back(Piece::Black(run));
        }
    }

    /// When the next sample is decoded; `None`: there is none.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        Some(match self.pieces.front()? {
            Piece::Media(sample) => sample.dts,
            Piece::Silence(run) => Timestamp::from_ticks(run.at, run.rate),
            Piece::Black(run) => run.at,
        })
    }

    /// The next sample.
    pub(super) fn pop(&mut self) -> Option<Sample> {
        let (sample, left) = match self.pieces.front_mut()? {
            Piece::Media(_) => {
                let Some(Piece::Media(sample)) = self.pieces.pop_front() else { return None };
                self.bytes -= sample.payload.len();
                return Some(sample);
            }
            Piece::Silence(run) => (run.next(), run.left),
            Piece::Black(run) => (run.next(), run.left),
        };
        if left == 0 {
            self.pieces.pop_front();
        }
        Some(sample)
    }

    /// Bytes of media that wait.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    #[cfg(test)]
    pub(super) fn pieces(&self) -> usize {
        self.pieces.len()
    }
}

impl SilenceRun {
    fn next(&mut self) -> Sample {
        let at = Timestamp::from_ticks(self.at, self.rate);
        self.at += self.ticks;
        self.left = self.left.saturating_sub(1);
        Sample {
            kind: MediaKind::Audio,
            dts: at,
            pts: at,
            duration: Timestamp::from_ticks(self.at, self.rate) - at,
            keyframe: true,
            prefix: Bytes::new(),
            payload: self.packet.clone(),
        }
    }
}

impl BlackRun {
    fn next(&mut self) -> Sample {
        let at = self.at;
        let (keyframe, payload) = self.cursor.picture(at, &*self.black);
        self.at += self.step;
        self.left = self.left.saturating_sub(1);
        Sample {
            kind: MediaKind::Video,
            dts: at,
            pts: at,
            duration: self.step,
            keyframe,
            prefix: if keyframe { self.prefix.clone() } else { Bytes::new() },
            payload,
        }
    }
}
