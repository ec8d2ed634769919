//! Keeps a stream of decoded samples on its source's clock.

use super::Format;
use super::stretch::Stretch;
use crate::time::{MediaDuration, Timestamp};

/// A longer gap than this is not filled with silence: time starts anew behind it.
const MAX_FILL: MediaDuration = MediaDuration::from_millis(2_000);
/// A lasting offset beyond this is a gap however slowly it has grown: the other track is waiting.
const MAX_LAG: MediaDuration = MediaDuration::from_millis(60);
/// A mean offset beyond this is worn off, and until it is below the second.
const DRIFT_START: MediaDuration = MediaDuration::from_millis(5);
const DRIFT_END: MediaDuration = MediaDuration::from_millis(1);
/// Blocks over which the offset is averaged: some 0.7 s, which evens out millisecond stamps and bursts.
const DRIFT_BLOCKS: i64 = 32;
/// By what share sound is made longer or shorter to wear an offset off: less than half a hundredth of a semitone, which
/// nobody hears, and more than sound cards are off by.
const GENTLE: f64 = 0.000_25;
/// From this offset on the picture is out of step for too long at that pace, and it grows; at the second it is faster than
/// a stream's clock ever slides (5 ms a second), so that no slide grows into a gap.
const HURRY_START: MediaDuration = MediaDuration::from_millis(15);
const HURRY_END: MediaDuration = MediaDuration::from_millis(30);
const HURRY: f64 = 0.006;

/// Counts samples from an anchor and compares them with the times of the source's packets.
///
/// A source's stamps jitter by its clock's resolution and its encoder's mood, and slide while its clock is being found;
/// its samples do neither. So samples are taken to follow one another, a lasting offset is worn off too slowly to be heard,
/// and only where the stamps leave their mean by more than the threshold is there a gap or an overlap, mended at once
/// by silence or by leaving samples out.
#[derive(Debug)]
pub(super) struct Aligner {
    format: Format,
    threshold: MediaDuration,
    anchor: Timestamp,
    /// Samples a channel since the anchor.
    count: i64,
    /// Mean of source time minus counted time.
    offset: MediaDuration,
    wearing_off: bool,
    /// Whether the next block begins something new, so that what it is off by is mended at once.
    begins: bool,
    stretch: Stretch,
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
    /// `anchor` is the time of the first sample; `threshold` the step of the stamps at which a gap is a gap.
    pub(super) fn new(format: Format, anchor: Timestamp, threshold: MediaDuration) -> Self {
        let stretch = Stretch::new(format.channels);
        Self {
            format,
            threshold,
            anchor,
            count: 0,
            offset: MediaDuration::ZERO,
            wearing_off: false,
            begins: false,
            stretch,
        }
    }

    /// Counts anew from `anchor`.
    pub(super) fn restart(&mut self, anchor: Timestamp) {
        *self = Self::new(self.format, anchor, self.threshold);
    }

    /// One for samples of another format, the first of which follows at `end`.
    pub(super) fn followed_by(&self, format: Format, end: Timestamp) -> Self {
        Self { begins: true, ..Self::new(format, end, self.threshold) }
    }

    /// The next block begins something new.
    pub(super) const fn begin(&mut self) {
        self.begins = true;
    }

    /// The samples that were passed and have not come out yet; none may be passed after them.
    pub(super) fn rest(&mut self) -> Vec<f32> {
        self.stretch.finish()
    }

    /// Where the next sample falls.
    pub(super) fn position(&self) -> Timestamp {
        self.anchor + MediaDuration::from_ticks(self.count, self.format.rate)
    }

    /// How much is missing before a block whose time is `time`; less than nothing where it overlaps what was before.
    pub(super) fn gap(&self, time: Timestamp) -> MediaDuration {
        time - self.position() - self.offset
    }

    /// Compares the time of a block with the count.
    pub(super) fn step(&mut self, time: Timestamp) -> Step {
        let (lag, mut gap) = (time - self.position(), self.gap(time));
        if lag.abs() > MAX_LAG || std::mem::take(&mut self.begins) {
            (self.offset, self.wearing_off) = (MediaDuration::ZERO, false);
            gap = lag;
        } else if gap.abs() <= self.threshold {
            self.offset += gap / DRIFT_BLOCKS;
            return Step::Follow;
        }
        if gap > MAX_FILL {
            return Step::Restart;
        }
        let samples = usize::try_from(gap.abs().to_ticks(self.format.rate)).unwrap_or(0);
        match samples {
            0 => Step::Follow,
            _ if gap > MediaDuration::ZERO => Step::Silence(samples),
            _ => Step::Skip(samples),
        }
    }

    /// Takes samples that follow; what is left is passed on, a little more or less of it while an offset is worn off.
    pub(super) fn pass(&mut self, pcm: &mut Vec<f32>) {
        if self.offset.abs() > DRIFT_START {
            self.wearing_off = true;
        } else if self.offset.abs() < DRIFT_END {
            self.wearing_off = false;
        }
        self.stretch.set(if self.wearing_off { pace(self.offset) } else { 0.0 });
        let samples = (pcm.len() / self.format.channels) as i64; // a block is short
        let gained = self.stretch.process(pcm);
        self.count += samples + gained;
        self.offset -= MediaDuration::from_ticks(gained, self.format.rate);
    }
}

/// By what share sound gets longer to wear an offset off; shorter by less than nothing.
fn pace(offset: MediaDuration) -> f64 {
    let beyond = (offset.abs() - HURRY_START).as_secs_f64() / (HURRY_END - HURRY_START).as_secs_f64();
    let pace = GENTLE + (HURRY - GENTLE) * beyond.clamp(0.0, 1.0);
    if offset < MediaDuration::ZERO { -pace } else { pace }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::ClockRate;

    const STEREO: Format = Format { rate: ClockRate::OPUS, channels: 2 };

    fn aligner() -> Aligner {
        Aligner::new(STEREO, Timestamp::from_millis(100), MediaDuration::from_millis(60))
    }

    fn pass(aligner: &mut Aligner, samples: usize) {
        aligner.pass(&mut vec![0.0; samples * 2]);
    }

    #[test]
    fn jitter_changes_nothing() {
        let mut aligner = aligner();
        for block in 0..1_000i64 {
            let jitter = [0, 40, -40, 15][block as usize % 4];
            assert_eq!(aligner.step(Timestamp::from_millis(100 + block * 20 + jitter)), Step::Follow);
            pass(&mut aligner, 960);
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
        for block in 0..2_000 {
            let time = Timestamp::from_ticks(4_800 + block * 960 + source as i64, ClockRate::OPUS);
            assert_eq!(aligner.step(time), Step::Follow);
            pass(&mut aligner, 960);
            source += 0.96;
            worst = worst.max((time - aligner.position()).as_secs_f64().abs());
        }
        assert!(worst < 0.030, "{worst}");
    }

    #[test]
    fn a_sliding_clock_is_followed_without_a_cut() {
        for slide in [0.005, -0.005] {
            let mut aligner = Aligner::new(STEREO, Timestamp::ZERO, MediaDuration::from_millis(15));
            for block in 0..800 {
                let slid = 960.0 * f64::from(block) * (1.0 + slide);
                let time = Timestamp::from_ticks(slid as i64, ClockRate::OPUS);
                assert_eq!(aligner.step(time), Step::Follow);
                let lag = (time - aligner.position()).abs();
                assert!(lag < MediaDuration::from_millis(32), "{lag:?}");
                pass(&mut aligner, 960);
            }
        }
    }

    #[test]
    fn a_small_offset_is_worn_off_gently() {
        let mut aligner = Aligner::new(STEREO, Timestamp::ZERO, MediaDuration::from_millis(15));
        for block in 0..1_000 {
            // Ten milliseconds to and fro, at the pace of a stream's clock that is being found.
            let slide = [0, 240, 480, 240][block as usize / 100 % 4];
            let before = aligner.count;
            aligner.step(Timestamp::from_ticks(block * 960 + slide, ClockRate::OPUS));
            pass(&mut aligner, 960);
            assert!((aligner.count - before - 960).abs() <= 1, "a quarter of a sample, in whole ones");
        }
    }

    #[test]
    fn a_step_counts_as_such_however_far_the_clock_has_slid() {
        let mut aligner = Aligner::new(STEREO, Timestamp::ZERO, MediaDuration::from_millis(15));
        let slid = |block: i64| Timestamp::from_ticks(block * 960 + block * 4, ClockRate::OPUS);
        for block in 0..150 {
            assert_eq!(aligner.step(slid(block)), Step::Follow);
            pass(&mut aligner, 960);
        }
        let lag = (slid(150) - aligner.position()).as_millis();
        assert!((10..13).contains(&lag), "{lag} ms");
        // One packet is missing, and no more than that is filled in.
        let Step::Silence(samples) = aligner.step(slid(151)) else { panic!("no gap seen") };
        assert!((960..1_100).contains(&samples), "{samples}");
    }
}
