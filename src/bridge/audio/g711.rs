//! Samples at 48 kHz -> G.711 at 8 kHz behind [`Encoder`].

use super::{CodecError, Encoder};
use crate::codec::Codec;
use crate::codec::g711::Law;
use crate::codec::sound::SoundConfig;
use crate::media::CodecParams;
use bytes::Bytes;
use std::f64::consts::PI;

/// 48 kHz : 8 kHz.
const RATIO: usize = 6;
/// 20 ms (RFC 3551, section 4.2).
const FRAME: usize = 960;
/// Samples on either side of a point that have a say in its value.
const HALF: usize = 144;
const TAPS: usize = 2 * HALF + 1;
/// Where the filter is half-way down: 3.35 kHz pass, and what folds over lies 60 dB below from 3.95 kHz on.
const CUTOFF: f64 = 3_650.0;
const KAISER_BETA: f64 = 5.65;

/// One channel of 48 kHz into 8 kHz.
pub(super) struct G711Encoder {
    law: Law,
    filter: Vec<f32>,
    /// The samples before the next block that still have a say.
    held: Vec<f32>,
}

impl G711Encoder {
    pub(super) fn new(law: Law) -> Self {
        Self { law, filter: low_pass(), held: vec![0.0; TAPS - 1] }
    }
}

impl Encoder for G711Encoder {
    fn frame_samples(&self) -> usize {
        FRAME
    }

    fn delay(&self) -> usize {
        HALF
    }

    fn encode(&mut self, pcm: &[f32]) -> Result<Bytes, CodecError> {
        self.held.extend_from_slice(pcm);
        let points = self.held.windows(TAPS).step_by(RATIO);
        let coded = points.map(|around| {
            let sample: f32 = around.iter().zip(&self.filter).map(|(sample, weight)| sample * weight).sum();
            self.law.encode((sample * 32_768.0).round() as i16) // saturates, which is what clipping is
        });
        let coded = coded.collect();
        self.held.drain(..pcm.len());
        Ok(coded)
    }

    fn params(&self) -> CodecParams {
        let codec = match self.law {
            Law::A => Codec::Pcma,
            Law::Mu => Codec::Pcmu,
        };
        CodecParams::Sound(SoundConfig::telephone(codec))
    }
}

/// A windowed sinc that adds up to 1.
fn low_pass() -> Vec<f32> {
    let tap = |index: usize| {
        let at = index as f64 - HALF as f64;
        let x = 2.0 * CUTOFF / 48_000.0;
        let sinc = if at == 0.0 { x } else { (PI * x * at).sin() / (PI * at) };
        let edge = at / HALF as f64;
        sinc * bessel(KAISER_BETA * (1.0 - edge * edge).max(0.0).sqrt())
    };
    let taps: Vec<f64> = (0..TAPS).map(tap).collect();
    let sum: f64 = taps.iter().sum();
    taps.into_iter().map(|tap| (tap / sum) as f32).collect()
}

/// The modified Bessel function of the first kind and order 0, by its series.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for n in 1..32 {
        term *= (x / 2.0 / f64::from(n)).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    /// The level of what comes out for a sine of amplitude 0.5, in decibels below it.
    fn loss(hertz: f64) -> f64 {
        let mut encoder = G711Encoder::new(Law::Mu);
        let pcm: Vec<f32> =
            (0..48_000).map(|n| (0.5 * (TAU * hertz * f64::from(n) / 48_000.0).sin()) as f32).collect();
        let coded: Vec<u8> =
            pcm.chunks_exact(FRAME).flat_map(|block| encoder.encode(block).unwrap()).collect();
        assert_eq!(coded.len(), 8_000);
        let power: f64 = coded[1_000..7_000]
            .iter()
            .map(|byte| (f64::from(Law::Mu.decode(*byte)) / 32_768.0).powi(2))
            .sum();
        -10.0 * (power / 6_000.0 / 0.125).log10()
    }

    #[test]
    fn a_voice_passes_and_what_would_fold_over_does_not() {
        for hertz in [300.0, 1_000.0, 3_300.0] {
            assert!(loss(hertz).abs() < 0.5, "{hertz} Hz: {}", loss(hertz));
        }
        for hertz in [4_200.0, 7_000.0, 15_000.0] {
            assert!(loss(hertz) > 45.0, "{hertz} Hz: {}", loss(hertz));
        }
    }
}
