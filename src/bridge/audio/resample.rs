//! Any rate -> 48 kHz, with the filter's delay removed to the sample.

use super::{CodecError, Format};
use crate::time::{ClockRate, MediaDuration};
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler as _};

/// Samples a channel the filter aims to work on at a time: its delay is half of that.
const CHUNK: usize = 512;

/// Those of all codecs and of sound cards, in Hz; Flash calls 11,025 / 2 a rate of 5,512 or 5,513.
const RATES: [u32; 18] = [
    5_512, 5_513, 7_350, 8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 37_800, 44_100, 48_000,
    64_000, 88_200, 96_000, 176_400, 192_000,
];

/// Resamples blocks of any size. Without effect at 48 kHz.
pub(super) struct Resampler {
    filter: Option<Filter>,
}

struct Filter {
    fft: Fft<f32>,
    rate: ClockRate,
    channels: usize,
    /// Samples a channel so far.
    taken: i64,
    given: i64,
    /// What does not fill a chunk yet.
    pending: Vec<f32>,
    scratch: Vec<f32>,
    /// Samples, all channels together, that stand for the time before the first.
    skip: usize,
}

impl Resampler {
    /// From `format` to 48 kHz; fails for a rate that no audio codec has. Any other would take a filter as long as a second.
    pub(super) fn new(format: Format) -> Result<Self, CodecError> {
        if format.rate == ClockRate::OPUS {
            return Ok(Self { filter: None });
        }
        if !RATES.contains(&format.rate.get()) {
            return Err(CodecError(format!("sound at {} Hz", format.rate.get())));
        }
        let rate = |rate: ClockRate| rate.get() as usize; // 32 bits fit
        let fft = Fft::new_custom(
            rate(format.rate),
            rate(ClockRate::OPUS),
            CHUNK,
            1,
            format.channels,
            rubato::WindowFunction::BlackmanHarris2,
            FixedSync::Both,
        )
        .map_err(|error| CodecError(error.to_string()))?;
        let scratch = vec![0.0; fft.output_frames_max() * format.channels];
        let skip = fft.output_delay() * format.channels;
        Ok(Self {
            filter: Some(Filter {
                fft,
                rate: format.rate,
                channels: format.channels,
                taken: 0,
                given: 0,
                pending: Vec::new(),
                scratch,
                skip,
            }),
        })
    }

    /// Gives what it still holds of the samples that it took, behind the end of `out`: what comes next is of another rate.
    pub(super) fn finish(mut self, out: &mut Vec<f32>) -> Result<(), CodecError> {
        let Some(filter) = &self.filter else { return Ok(()) };
        let (taken, given) = (filter.taken, filter.given);
        // All of it is worth so much at 48 kHz; the filter holds no more than its delay and a chunk.
        let worth = MediaDuration::from_ticks(taken, filter.rate).to_ticks(ClockRate::OPUS);
        let channels = filter.channels;
        let missing = usize::try_from(worth - given).unwrap_or(0) * channels;
        let silence = vec![0.0; 2 * filter.fft.input_frames_max() * channels];
        let mut rest = Vec::new();
        self.process(&silence, &mut rest)?;
        rest.truncate(missing);
        out.append(&mut rest);
        Ok(())
    }

    /// Takes a block; gives what it makes complete behind the end of `out`.
    pub(super) fn process(&mut self, pcm: &[f32], out: &mut Vec<f32>) -> Result<(), CodecError> {
        let Some(filter) = &mut self.filter else {
            out.extend_from_slice(pcm);
            return Ok(());
        };
        filter.pending.extend_from_slice(pcm);
        filter.taken += (pcm.len() / filter.channels) as i64; // a block is short
        let chunk = filter.fft.input_frames_next() * filter.channels;
        let mut taken = 0;
        while let Some(input) = filter.pending.get(taken..taken + chunk) {
            let written = filter.run(chunk / filter.channels, taken, input.len())?;
            let from = filter.skip.min(written);
            filter.skip -= from;
            out.extend_from_slice(&filter.scratch[from..written]);
            filter.given += ((written - from) / filter.channels) as i64; // likewise
            taken += chunk;
        }
        filter.pending.drain(..taken);
        Ok(())
    }
}

impl Filter {
    /// Resamples one chunk of the pending samples into the scratch buffer; gives how many were written.
    fn run(&mut self, frames: usize, from: usize, len: usize) -> Result<usize, CodecError> {
        let fail = |error: &dyn std::fmt::Display| CodecError(error.to_string());
        let input = InterleavedSlice::new(&self.pending[from..from + len], self.channels, frames)
            .map_err(|error| fail(&error))?;
        let capacity = self.scratch.len() / self.channels;
        let mut output = InterleavedSlice::new_mut(&mut self.scratch, self.channels, capacity)
            .map_err(|error| fail(&error))?;
        let (_, written) =
            self.fft.process_into_buffer(&input, &mut output, None).map_err(|error| fail(&error))?;
        Ok(written * self.channels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_holds_comes_out_at_its_end() {
        for rate in [5_512, 8_000, 11_025, 16_000, 44_100, 48_000] {
            for samples in [1, 500, 12_345] {
                let format = Format { rate: ClockRate::new(rate).unwrap(), channels: 2 };
                let (mut resampler, mut out) = (Resampler::new(format).unwrap(), Vec::new());
                resampler.process(&vec![0.5; samples * 2], &mut out).unwrap();
                resampler.finish(&mut out).unwrap();
                let wanted = samples * 48_000 / rate as usize;
                assert!((out.len() / 2).abs_diff(wanted) <= 1, "{rate}: {} of {wanted}", out.len() / 2);
                assert!(samples == 1 || (out[out.len() / 2] - 0.5).abs() < 0.01, "{rate}");
            }
        }
    }

    #[test]
    fn an_impulse_stays_where_it_is() {
        for rate in [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000] {
            let format = Format { rate: ClockRate::new(rate).unwrap(), channels: 2 };
            let mut resampler = Resampler::new(format).unwrap();
            // A short bump in the second half of a second, 1024 samples at a time.
            let at = rate as usize * 6 / 10;
            let signal: Vec<f32> = (0..rate as usize)
                .flat_map(|n| {
                    let x = (n as f32 - at as f32) / rate as f32 * 1_000.0;
                    [(-x * x).exp(), 0.0]
                })
                .collect();
            let mut out = Vec::new();
            signal.chunks(2_048).for_each(|block| resampler.process(block, &mut out).unwrap());
            let peak = (0..out.len() / 2).max_by(|a, b| out[a * 2].total_cmp(&out[b * 2])).unwrap();
            assert!(peak.abs_diff(28_800) <= 1, "{rate}: {peak}");
            assert!((out[peak * 2] - 1.0).abs() < 0.02, "{rate}: {}", out[peak * 2]);
        }
    }
}
