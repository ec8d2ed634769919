//! How the tone sounds and when the beeps begin.

use crate::signal::{BEEP_RAMP, BEEPS, TONE};
use std::f64::consts::{PI, TAU};

/// Sound as it was played: samples, and the instants at which some of them were.
pub(crate) struct Track {
    /// Samples a second.
    pub(crate) rate: f64,
    /// One channel.
    pub(crate) samples: Vec<f32>,
    /// Where the samples lie in time, in order; the first piece starts at sample 0.
    pub(crate) pieces: Vec<Piece>,
}

/// From this sample on, time counts from this instant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    /// Index of the sample.
    pub(crate) first: usize,
    /// When it was played, in seconds.
    pub(crate) at: f64,
}

/// One beep.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beep {
    /// When it began, in seconds.
    pub(crate) at: f64,
    /// Which of the five pitches.
    pub(crate) class: usize,
}

/// What is to be said about a track.
pub(crate) struct Sound {
    /// Its length, in seconds.
    pub(crate) seconds: f64,
    /// The beeps in order.
    pub(crate) beeps: Vec<Beep>,
    /// The level of the tone: the amplitude, of full scale.
    pub(crate) level: f64,
    /// Tone against everything else, in decibels: the middle of the windows of 50 ms outside the beeps.
    pub(crate) snr: f64,
    /// The same for the worst twentieth of the windows.
    pub(crate) worst_snr: f64,
    /// Silences of 5 ms and more between the first sound and the last: when, and how long, in seconds.
    pub(crate) gaps: Vec<(f64, f64)>,
    /// Instants, in seconds, at which the phase of the tone jumped: something was cut out or put in.
    pub(crate) jumps: Vec<f64>,
    /// The largest step in the time stamps beyond the samples between them, in seconds.
    pub(crate) largest_step: f64,
}

impl Track {
    /// When a sample was played, in seconds; samples between two lie between.
    fn time(&self, sample: f64) -> f64 {
        let next = self.pieces.partition_point(|piece| piece.first as f64 <= sample);
        let piece = self.pieces[next.saturating_sub(1)];
        piece.at + (sample - piece.first as f64) / self.rate
    }

    /// The amplitude at `pitch` over time, as the mean of a sliding window of `window` samples around each sample.
    fn envelope(&self, pitch: f64, window: usize) -> Vec<f64> {
        let turn = TAU * pitch / self.rate;
        let mut sums = Vec::with_capacity(self.samples.len() + 1);
        let mut sum = (0.0, 0.0);
        sums.push(sum);
        for (index, &sample) in self.samples.iter().enumerate() {
            let (sin, cos) = (turn * index as f64).sin_cos();
            sum = (sum.0 + f64::from(sample) * cos, sum.1 + f64::from(sample) * sin);
            sums.push(sum);
        }
        (0..self.samples.len())
            .map(|index| {
                let (from, to) =
                    (index.saturating_sub(window / 2), (index + window / 2).min(self.samples.len()));
                let (re, im) = (sums[to].0 - sums[from].0, sums[to].1 - sums[from].1);
                2.0 * re.hypot(im) / window as f64
            })
            .collect()
    }

    /// Beeps of one class: where the envelope of its pitch stays up for as long as a beep does.
    fn beeps(&self, class: usize, tone: f64) -> Vec<(usize, f64)> {
        // Over 4 ms the tone and the other pitches, multiples of 250 Hz away, cancel out.
        let window = (self.rate * 0.004).round() as usize;
        let envelope = self.envelope(BEEPS[class], window);
        let mut beeps = Vec::new();
        let mut at = 0;
        while at < envelope.len() {
            let Some(start) = envelope[at..].iter().position(|&level| level > tone).map(|found| at + found)
            else {
                break;
            };
            let end = envelope[start..]
                .iter()
                .position(|&level| level < tone)
                .map_or(envelope.len(), |found| start + found);
            let length = (end - start) as f64 / self.rate;
            at = end + 1;
            if !(0.03..0.12).contains(&length) {
                continue;
            }
            let level = envelope[(start + end) / 2];
            let half =
                envelope[start.saturating_sub(window)..end].iter().position(|&value| value > level / 2.0);
            let crossing = start.saturating_sub(window) + half.unwrap_or(0);
            // The beep reaches half its level in the middle of its ramp; so does the window's mean.
            beeps.push((end, crossing as f64 - self.rate * BEEP_RAMP / 2.0));
        }
        beeps
    }
}

impl Sound {
    /// Measures a track; nothing when it has no sound at all.
    pub(crate) fn measure(track: &Track) -> Option<Self> {
        let hop = (track.rate * 0.010) as usize;
        let tone = track.envelope(TONE, hop);
        let hops: Vec<f64> = tone.iter().skip(hop / 2).step_by(hop).copied().collect();
        let sounding: Vec<f64> = hops.iter().copied().filter(|&level| level > 1e-3).collect();
        let level = (!sounding.is_empty()).then(|| super::median(&sounding))?;

        let mut busy = vec![false; track.samples.len()];
        let margin = (track.rate * 0.02) as usize;
        let mut beeps = Vec::new();
        for class in 0..BEEPS.len() {
            for (end, start) in track.beeps(class, level) {
                beeps.push(Beep { at: track.time(start), class });
                let (from, to) = ((start as usize).saturating_sub(margin), (end + margin).min(busy.len()));
                busy[from..to].fill(true);
            }
        }
        beeps.sort_by(|a, b| a.at.total_cmp(&b.at));

        let first = hops.iter().position(|&value| value > level / 2.0)? * hop;
        let last = hops.iter().rposition(|&value| value > level / 2.0)? * hop;
        let ratios = ratios(&track.samples[first..last], &busy[first..last], track.rate);
        let at = |share: f64| {
            ratios.get((ratios.len() as f64 * share) as usize).copied().unwrap_or(f64::NEG_INFINITY)
        };
        Some(Self {
            seconds: track.samples.len() as f64 / track.rate,
            beeps,
            level,
            snr: at(0.5),
            worst_snr: at(0.05),
            gaps: gaps(track, first..last, level),
            jumps: jumps(track, first..last, &busy),
            largest_step: track
                .pieces
                .windows(2)
                .map(|pair| {
                    (pair[1].at - pair[0].at - (pair[1].first - pair[0].first) as f64 / track.rate).abs()
                })
                .fold(0.0, f64::max),
        })
    }

    /// The longest silence, in seconds.
    pub(crate) fn longest_gap(&self) -> f64 {
        self.gaps.iter().map(|gap| gap.1).fold(0.0, f64::max)
    }
}

/// Tone against the rest, in decibels, in windows of 50 ms outside the beeps, the worst first.
fn ratios(samples: &[f32], busy: &[bool], rate: f64) -> Vec<f64> {
    let window = (rate * 0.05) as usize;
    let mut ratios: Vec<f64> = samples
        .chunks_exact(window)
        .zip(busy.chunks_exact(window))
        .filter(|(_, busy)| !busy.contains(&true))
        .map(|(samples, _)| fit(samples, rate))
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios
}

/// Fits `a sin + b cos + c` at the tone's pitch by least squares and compares it with what is left, in decibels.
fn fit(samples: &[f32], rate: f64) -> f64 {
    // Normal equations of three unknowns, solved by elimination.
    let mut rows = [[0.0; 4]; 3];
    for (index, &sample) in samples.iter().enumerate() {
        let (sin, cos) = (TAU * TONE * index as f64 / rate).sin_cos();
        let basis = [sin, cos, 1.0];
        for (row, left) in rows.iter_mut().zip(basis) {
            for (cell, right) in row.iter_mut().zip(basis) {
                *cell += left * right;
            }
            row[3] += left * f64::from(sample);
        }
    }
    for pivot in 0..3 {
        let lead = rows[pivot];
        for (index, row) in rows.iter_mut().enumerate() {
            if index != pivot {
                let factor = row[pivot] / lead[pivot];
                row.iter_mut().zip(lead).for_each(|(cell, lead)| *cell -= factor * lead);
            }
        }
    }
    let [a, b, c] = [0, 1, 2].map(|index| rows[index][3] / rows[index][index]);
    let (mut tone, mut rest) = (0.0, 0.0);
    for (index, &sample) in samples.iter().enumerate() {
        let (sin, cos) = (TAU * TONE * index as f64 / rate).sin_cos();
        let fitted = a * sin + b * cos;
        tone += fitted * fitted;
        rest += (f64::from(sample) - fitted - c).powi(2);
    }
    10.0 * (tone.max(1e-12) / rest.max(1e-12)).log10()
}

/// Runs of 5 ms and more in which next to nothing sounds.
fn gaps(track: &Track, range: std::ops::Range<usize>, level: f64) -> Vec<(f64, f64)> {
    let hop = (track.rate * 0.0025) as usize;
    let silent = |chunk: &[f32]| {
        let power = chunk.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / chunk.len() as f64;
        power.sqrt() < level * 0.07
    };
    let mut gaps: Vec<(f64, f64)> = Vec::new();
    let mut run = 0;
    for (index, chunk) in track.samples[range.clone()].chunks_exact(hop).enumerate() {
        if silent(chunk) {
            run += 1;
            let length = (run * hop) as f64 / track.rate;
            match run {
                1 => {}
                2 => gaps.push((track.time((range.start + (index - 1) * hop) as f64), length)),
                _ => gaps.iter_mut().last().expect("pushed at two").1 = length,
            }
        } else {
            run = 0;
        }
    }
    gaps
}

/// Where the phase of the tone, looked at every 10 ms, moves by more than a twelfth of a turn beyond its steady drift.
fn jumps(track: &Track, range: std::ops::Range<usize>, busy: &[bool]) -> Vec<f64> {
    let hop = (track.rate * 0.010) as usize;
    let phases: Vec<(usize, f64)> = range
        .clone()
        .step_by(hop)
        .filter(|&start| start + hop <= range.end && !busy[start..start + hop].contains(&true))
        .map(|start| {
            let (mut re, mut im) = (0.0, 0.0);
            for (index, &sample) in track.samples[start..start + hop].iter().enumerate() {
                let (sin, cos) = (TAU * TONE * (start + index) as f64 / track.rate).sin_cos();
                re += f64::from(sample) * cos;
                im -= f64::from(sample) * sin;
            }
            (start, im.atan2(re))
        })
        .collect();
    let turn = |angle: f64| (angle + PI).rem_euclid(TAU) - PI;
    let mut jumps: Vec<f64> = Vec::new();
    for pair in phases.windows(2) {
        let at = track.time(pair[1].0 as f64);
        if turn(pair[1].1 - pair[0].1).abs() > TAU / 12.0 && jumps.last().is_none_or(|last| at - last > 0.05)
        {
            jumps.push(at);
        }
    }
    jumps
}

impl std::fmt::Debug for Sound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:.2} s, {} beeps, tone {:.3} at {:.1} dB (worst {:.1}), gaps {:.3?}, phase jumps {:.3?}, largest step {:.1} ms",
            self.seconds,
            self.beeps.len(),
            self.level,
            self.snr,
            self.worst_snr,
            self.gaps,
            self.jumps,
            self.largest_step * 1000.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal;

    fn track(samples: Vec<f32>) -> Track {
        Track { rate: signal::RATE as f64, samples, pieces: vec![Piece { first: 0, at: 5.0 }] }
    }

    #[test]
    fn a_clean_signal_is_clean() {
        let sound = Sound::measure(&track(signal::sound(6).collect())).unwrap();
        assert!(sound.snr > 90.0 && sound.gaps.is_empty() && sound.jumps.is_empty(), "{sound:?}");
        assert_eq!(sound.beeps.len(), 6);
        for (second, beep) in sound.beeps.iter().enumerate() {
            assert!((beep.at - 5.0 - second as f64).abs() < 0.0006, "{beep:?}");
            assert_eq!(beep.class, second % 5);
        }
    }

    #[test]
    fn noise_is_measured() {
        let mut state = 1u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 8) / f64::from(1 << 24) * 2.0 - 1.0
        };
        // Uniform noise of peak p has a power of p * p / 3; the tone of 0.1, 0.005: 30 dB.
        let peak = (3.0 * 0.005 / 1000.0f64).sqrt();
        let samples = signal::sound(6).map(|sample| sample + (peak * noise()) as f32).collect();
        let sound = Sound::measure(&track(samples)).unwrap();
        assert!((sound.snr - 30.0).abs() < 1.0, "{sound:?}");
    }

    #[test]
    fn a_silence_and_a_splice_are_found() {
        let mut samples: Vec<f32> = signal::sound(6).collect();
        samples[100_000..102_400].fill(0.0);
        // 7.3 ms are cut out: the tone goes on at another phase.
        samples.drain(200_000..200_350);
        let sound = Sound::measure(&track(samples)).unwrap();
        let [(at, length)] = sound.gaps[..] else { panic!("{sound:?}") };
        assert!(
            (at - 5.0 - 100_000.0 / 48_000.0).abs() < 0.003 && (length - 0.05).abs() < 0.006,
            "{sound:?}"
        );
        let splice = 5.0 + 200_000.0 / 48_000.0;
        assert!(sound.jumps.iter().any(|jump| (jump - splice).abs() < 0.02), "{sound:?}");
    }
}
