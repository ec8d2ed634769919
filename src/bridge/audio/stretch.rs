//! Makes sound a little longer or shorter, by interpolation between its samples.
//!
//! Straight lines between samples would dull the treble and beat against it; a windowed sinc leaves both alone. At its
//! natural length sound passes untouched, whatever went before: stretching ends on a whole sample.

use std::f64::consts::PI;
use std::sync::LazyLock;

/// Samples on either side of a point that have a say in its value.
const HALF: usize = 16;
const TAPS: usize = 2 * HALF;
/// Points between two samples for which the filter is tabulated; between them it is drawn with straight lines.
const PHASES: usize = 128;
/// Shape of the Kaiser window: ripples lie 80 dB below the sound.
const KAISER_BETA: f64 = 8.0;

/// A stream of interleaved samples whose length changes on the way.
#[derive(Debug)]
pub(super) struct Stretch {
    channels: usize,
    /// Samples that still have a say, oldest first. The next point lies `fraction` behind number `HALF - 1` of them.
    held: Vec<f32>,
    /// From 0 to below 1.
    fraction: f64,
    /// By how much `fraction` changes with each point: less than nothing makes the sound longer.
    slide: f64,
    /// To come to rest on the next whole sample, or at rest already.
    resting: bool,
}

impl Stretch {
    /// The first sample that goes in is the first that comes out.
    pub(super) fn new(channels: usize) -> Self {
        Self { channels, held: vec![0.0; (HALF - 1) * channels], fraction: 0.0, slide: 0.0, resting: true }
    }

    /// From now on the sound gets longer by this share of itself, far below 1; shorter by less than nothing.
    pub(super) fn set(&mut self, longer: f64) {
        self.resting = longer == 0.0;
        if !self.resting {
            self.slide = -longer;
        }
    }

    /// The samples that still wait for others behind them: none come.
    pub(super) fn finish(&mut self) -> Vec<f32> {
        let mut rest = vec![0.0; HALF * self.channels];
        self.set(0.0);
        self.process(&mut rest);
        rest
    }

    /// Replaces a block by what has become of it; some samples wait for those behind them. Gives how many samples a
    /// channel the sound has gained.
    pub(super) fn process(&mut self, pcm: &mut Vec<f32>) -> i64 {
        let channels = self.channels;
        let before = (self.held.len() + pcm.len()) / channels;
        self.held.extend_from_slice(pcm);
        pcm.clear();
        // The first sample that has a say in the next point.
        let mut first = 0;
        loop {
            let from = first + HALF - 1;
            if self.resting && self.fraction == 0.0 {
                let to = (self.held.len() / channels).saturating_sub(HALF).max(from);
                pcm.extend_from_slice(self.held.get(from * channels..to * channels).unwrap_or_default());
                first += to - from;
                break;
            }
            let Some(around) = self.held.get(first * channels..(first + TAPS) * channels) else { break };
            interpolate(around, channels, self.fraction, pcm);
            let next = self.fraction + self.slide;
            (first, self.fraction) = match next {
                ..0.0 if self.resting => (first + 1, 0.0),
                ..0.0 => (first, next + 1.0),
                1.0.. if self.resting => (first + 2, 0.0),
                1.0.. => (first + 2, next - 1.0),
                _ => (first + 1, next),
            };
        }
        // The last step may have gone beyond what is there.
        self.held.drain(..(first * channels).min(self.held.len()));
        let behind = (self.held.len() + pcm.len()) / channels;
        behind as i64 - before as i64 // some thousand samples each
    }
}

/// The value that lies `fraction` behind the middle one of [`TAPS`] samples.
fn interpolate(around: &[f32], channels: usize, fraction: f64, out: &mut Vec<f32>) {
    let phase = fraction * PHASES as f64;
    let row = (phase as usize).min(PHASES - 1); // truncation is the point
    let part = (phase - row as f64) as f32;
    let (before, behind) = (&FILTER[row], &FILTER[row + 1]);
    let mut sums = [0.0; 2];
    for ((samples, a), b) in around.chunks_exact(channels).zip(before).zip(behind) {
        let weight = a + (b - a) * part;
        sums.iter_mut().zip(samples).for_each(|(sum, sample)| *sum += weight * sample);
    }
    out.extend_from_slice(sums.get(..channels).unwrap_or_default());
}

/// Weights of the samples around, for points from one sample to the next.
static FILTER: LazyLock<Vec<[f32; TAPS]>> = LazyLock::new(|| {
    (0..=PHASES)
        .map(|phase| {
            let fraction = phase as f64 / PHASES as f64;
            let weights: [f64; TAPS] = std::array::from_fn(|tap| {
                let distance = tap as f64 - (HALF - 1) as f64 - fraction;
                let reach = 1.0 - (distance / HALF as f64).powi(2);
                sinc(distance) * bessel(KAISER_BETA * reach.max(0.0).sqrt())
            });
            let sum: f64 = weights.iter().sum();
            weights.map(|weight| (weight / sum) as f32)
        })
        .collect()
});

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

/// The modified Bessel function of the first kind and order 0, by its power series.
fn bessel(x: f64) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0;
    for k in 1..40 {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    fn sine(hertz: f64, at: f64) -> f64 {
        0.5 * (TAU * hertz * at / 48_000.0).sin()
    }

    fn tone(hertz: f64, samples: usize) -> Vec<f32> {
        (0..samples).flat_map(|n| [sine(hertz, n as f64) as f32, 0.25]).collect()
    }

    #[test]
    fn at_its_length_sound_passes_untouched() {
        let sound = tone(997.0, 4_800);
        let (mut stretch, mut out) = (Stretch::new(2), Vec::new());
        for block in sound.chunks(2 * 7) {
            let mut block = block.to_vec();
            stretch.process(&mut block);
            out.extend(block);
        }
        assert_eq!(out.len() / 2, 4_800 - HALF);
        assert_eq!(out, sound[..out.len()]);
    }

    #[test]
    fn a_stretched_tone_stays_clean() {
        for hertz in [100.0, 1_000.0, 4_500.0, 10_000.0, 18_000.0] {
            for longer in [0.006, 0.000_25, -0.000_25, -0.006] {
                let mut stretch = Stretch::new(2);
                stretch.set(longer);
                let (mut out, mut gained) = (Vec::new(), 0);
                for block in tone(hertz, 48_000).chunks(2 * 960) {
                    let mut block = block.to_vec();
                    gained += stretch.process(&mut block);
                    out.extend(block);
                }
                let expected = 48_000.0 / (1.0 - longer) - 48_000.0;
                assert!((gained as f64 - expected).abs() < 2.0, "{longer}: {gained}");
                let error = |(n, x): (usize, &[f32])| {
                    let wanted = sine(hertz, n as f64 * (1.0 - longer));
                    (f64::from(x[0]) - wanted).abs().max((f64::from(x[1]) - 0.25).abs())
                };
                let worst = out.chunks(2).enumerate().skip(HALF).map(error).fold(0.0, f64::max);
                assert!(worst < 5e-4, "{hertz} Hz, {longer}: off by {worst}");
            }
        }
    }

    #[test]
    fn stretching_ends_on_a_whole_sample() {
        for longer in [0.004, -0.004] {
            let sound = tone(440.0, 9_600);
            let (mut stretch, mut out) = (Stretch::new(2), Vec::new());
            for (index, block) in sound.chunks(2 * 480).enumerate() {
                stretch.set(if (5..8).contains(&index) { longer } else { 0.0 });
                let mut block = block.to_vec();
                stretch.process(&mut block);
                out.extend(block);
            }
            let gained = (out.len() / 2 + HALF) as i64 - 9_600;
            // 5.8 samples, and what it took to the next whole one.
            assert_eq!(gained, if longer > 0.0 { 6 } else { -6 });
            let tail = 2 * 1_000;
            assert_eq!(out[out.len() - tail..], sound[sound.len() - 2 * HALF - tail..][..tail], "bit by bit");
        }
    }
}
