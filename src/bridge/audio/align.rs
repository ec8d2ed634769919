//! Keeps a stream of decoded samples on its source's clock.

use super::Format;
use crate::time::{MediaDuration, Timestamp};

/// A longer gap than this is not filled with silence: time starts anew behind it.
const MAX_FILL: MediaDuration = MediaDuration::from_millis(2_000);
/// A mean offset beyond this is worn off, and until it is below the second.
const DRIFT_START: f64 = 0.005;
const DRIFT_END: f64 = 0.001;
/// Blocks over which the offset is averaged: some 0.7 s, which evens out millisecond stamps and bursts.
const DRIFT_BLOCKS: f64 = 32.0;
/// While an offset is worn off, one sample in this many is added or left out: 0.8 %, an eighth of a semitone. Faster than
/// a stream's clock slides (5 ms a second), so that a slide never grows into a gap.
const STRETCH: usize = 128;

/// Counts samples from an anchor and compares them with the times of the source's packets.
///
/// A source's stamps jitter by its clock's resolution and its encoder's mood; its samples do not. So samples are taken
/// to follow one another, a lasting offset is worn off slowly, and only a gap or an overlap beyond the threshold is
/// mended at once, by silence or by leaving samples out.
#[derive(Debug)]
pub(super) struct Aligner {
    format: Format,
    threshold: MediaDuration,
    anchor: Timestamp,
    /// Samples a channel since the anchor.
    count: i64,
    /// Mean of source time minus counted time, in seconds.
    offset: f64,
    wearing_off: bool,
}

/// What to do before the samples of a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// They follow.
    Follow,
    /// So many samples of silence stand before them.
    Silence(usize),
    /// So many of them, from the front, have had their time.
    Skip(usize),
    /// The gap is too long to be filled: close what is open; an aligner anchored anew takes over.
    Restart,
}

impl Aligner {
    /// `anchor` is the time of the first sample; `threshold` the offset at which a gap is a gap.
    pub(super) const fn new(format: Format, anchor: Timestamp, threshold: MediaDuration) -> Self {
        Self { format, threshold, anchor, count: 0, offset: 0.0, wearing_off: false }
    }

    /// Counts anew from `anchor`.
    pub(super) const fn restart(&mut self, anchor: Timestamp) {
        (self.anchor, self.count, self.offset, self.wearing_off) = (anchor, 0, 0.0, false);
    }

    /// Where the next sample falls.
    pub(super) fn position(&self) -> Timestamp {
        self.anchor + MediaDuration::from_ticks(self.count, self.format.rate)
    }

    /// Compares the time of a block with the count.
    pub(super) fn step(&mut self, time: Timestamp) -> Step {
        let offset = time - self.position();
        if offset.abs() <= self.threshold {
            self.offset += (offset.as_secs_f64() - self.offset) / DRIFT_BLOCKS;
            return Step::Follow;
        }
        (self.offset, self.wearing_off) = (0.0, false);
        if offset > MAX_FILL {
            return Step::Restart;
        }
        let samples = usize::try_from(offset.abs().to_ticks(self.format.rate)).unwrap_or(0);
        if offset > MediaDuration::ZERO { Step::Silence(samples) } else { Step::Skip(samples) }
    }

    /// Counts samples that were passed on, and adds or leaves out a few of them while an offset is worn off.
    pub(super) fn pass(&mut self, pcm: &mut Vec<f32>) {
        let channels = self.format.channels;
        let samples = pcm.len() / channels;
        if self.offset.abs() > DRIFT_START {
            self.wearing_off = true;
        } else if self.offset.abs() < DRIFT_END {
            self.wearing_off = false;
        }
        let mut passed = samples;
        if self.wearing_off && samples > STRETCH {
            let target =
                if self.offset > 0.0 { samples + samples / STRETCH } else { samples - samples / STRETCH };
            stretch(pcm, channels, target);
            let gained = target as f64 - samples as f64; // a handful
            self.offset -= gained / f64::from(self.format.rate.get());
            passed = target;
        }
        self.count += passed as i64; // a block is short
    }
}

/// Resamples a block to `target` samples a channel by straight lines between neighbours, ends kept in place.
fn stretch(pcm: &mut Vec<f32>, channels: usize, target: usize) {
    let samples = pcm.len() / channels;
    if samples < 2 || target < 2 {
        return;
    }
    let ratio = (samples - 1) as f64 / (target - 1) as f64;
    let out = (0..target * channels)
        .map(|index| {
            let (frame, channel) = (index / channels, index % channels);
            let position = frame as f64 * ratio;
            let before = (position as usize).min(samples - 2); // truncation is the point
            let part = (position - before as f64) as f32;
            let (a, b) = (pcm[before * channels + channel], pcm[(before + 1) * channels + channel]);
            a + (b - a) * part
        })
        .collect();
    *pcm = out;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::ClockRate;

    const STEREO: Format = Format { rate: ClockRate::OPUS, channels: 2 };

    fn aligner() -> Aligner {
        Aligner::new(STEREO, Timestamp::from_millis(100), MediaDuration::from_millis(60))
    }

    fn pass(aligner: &mut Aligner, samples: usize) -> usize {
        let mut pcm = vec![0.0; samples * 2];
        aligner.pass(&mut pcm);
        pcm.len() / 2
    }

    #[test]
    fn jitter_changes_nothing() {
        let mut aligner = aligner();
        for block in 0..1_000i64 {
            let jitter = [0, 40, -40, 15][block as usize % 4];
            assert_eq!(aligner.step(Timestamp::from_millis(100 + block * 20 + jitter)), Step::Follow);
            assert_eq!(pass(&mut aligner, 960), 960);
        }
        assert_eq!(aligner.position(), Timestamp::from_millis(20_100));
    }

    #[test]
    fn gaps_are_filled_and_overlaps_left_out() {
        let mut aligner = aligner();
        pass(&mut aligner, 960);
        assert_eq!(aligner.step(Timestamp::from_millis(220)), Step::Silence(4_800));
        assert_eq!(aligner.step(Timestamp::from_millis(40)), Step::Skip(3_840));
        assert_eq!(aligner.step(Timestamp::from_millis(2_121)), Step::Restart);
    }

    #[test]
    fn a_lasting_offset_is_worn_off_and_not_cut() {
        let mut aligner = aligner();
        // The source's samples come 0.1 % too slowly for its stamps: a sound card's clock.
        let (mut source, mut worst) = (0.0, 0.0f64);
        for block in 0..5_000 {
            let time = Timestamp::from_ticks(4_800 + block * 960 + source as i64, ClockRate::OPUS);
            assert_eq!(aligner.step(time), Step::Follow);
            let passed = pass(&mut aligner, 960);
            assert!((953..=967).contains(&passed), "{passed}");
            source += 0.96;
            worst = worst.max((time - aligner.position()).as_secs_f64().abs());
        }
        assert!(worst < 0.030, "{worst}");
    }

    #[test]
    fn a_sliding_clock_is_followed_without_a_cut() {
        for slide in [0.005, -0.005] {
            let mut aligner = Aligner::new(STEREO, Timestamp::ZERO, MediaDuration::from_millis(15));
            for block in 0..2_000 {
                let slid = 960.0 * f64::from(block) * (1.0 + slide);
                assert_eq!(aligner.step(Timestamp::from_ticks(slid as i64, ClockRate::OPUS)), Step::Follow);
                pass(&mut aligner, 960);
            }
        }
    }

    #[test]
    fn stretching_keeps_the_ends() {
        let mut pcm: Vec<_> = (0..512).flat_map(|n| [n as f32, -(n as f32)]).collect();
        stretch(&mut pcm, 2, 514);
        assert_eq!((pcm.len(), pcm[0], pcm[1_026], pcm[1_027]), (1_028, 0.0, 511.0, -511.0));
        assert!(pcm.chunks(2).zip(pcm.chunks(2).skip(1)).all(|(a, b)| b[0] > a[0]));
    }
}
