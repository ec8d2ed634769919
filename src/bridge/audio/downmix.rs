//! More than two channels -> two (ITU-R BS.775, annex 4): the centre and the surrounds 3 dB lower on both sides or their own,
//! all of it scaled so that the loudest sound cannot clip. The low-frequency channel is left out, as everywhere.

use std::f32::consts::FRAC_1_SQRT_2 as LOWER;

/// What of each channel goes to the left and to the right.
type Matrix = [(f32, f32)];

const LEFT: (f32, f32) = (1.0, 0.0);
const RIGHT: (f32, f32) = (0.0, 1.0);
const CENTRE: (f32, f32) = (LOWER, LOWER);
const LEFT_BEHIND: (f32, f32) = (LOWER, 0.0);
const RIGHT_BEHIND: (f32, f32) = (0.0, LOWER);
/// A single one behind is on both sides, and so lower still.
const BEHIND: (f32, f32) = (0.5, 0.5);
const NOWHERE: (f32, f32) = (0.0, 0.0);

/// The common arrangement of so many channels, in the order of FFmpeg and WAVE: in front left, right and centre, low, behind
/// left and right, beside left and right.
const fn matrix(channels: usize) -> &'static Matrix {
    match channels {
        3 => &[LEFT, RIGHT, CENTRE],
        4 => &[LEFT, RIGHT, CENTRE, BEHIND],
        5 => &[LEFT, RIGHT, CENTRE, LEFT_BEHIND, RIGHT_BEHIND],
        6 => &[LEFT, RIGHT, CENTRE, NOWHERE, LEFT_BEHIND, RIGHT_BEHIND],
        7 => &[LEFT, RIGHT, CENTRE, NOWHERE, BEHIND, LEFT_BEHIND, RIGHT_BEHIND],
        8 => &[LEFT, RIGHT, CENTRE, NOWHERE, LEFT_BEHIND, RIGHT_BEHIND, LEFT_BEHIND, RIGHT_BEHIND],
        _ => &[LEFT, RIGHT],
    }
}

/// Mixes interleaved samples of three to eight channels down, behind the end of `out`.
pub(super) fn to_stereo(pcm: &[f32], channels: usize, out: &mut Vec<f32>) {
    let matrix = matrix(channels);
    let scale = 1.0 / matrix.iter().map(|(left, _)| left).sum::<f32>();
    out.extend(pcm.chunks_exact(channels).flat_map(|samples| {
        let mixed =
            samples.iter().zip(matrix).fold((0.0, 0.0), |(left, right), (sample, (to_left, to_right))| {
                (left + sample * to_left, right + sample * to_right)
            });
        [mixed.0 * scale, mixed.1 * scale]
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixed(pcm: &[f32]) -> [f32; 2] {
        let mut out = Vec::new();
        to_stereo(pcm, pcm.len(), &mut out);
        [out[0], out[1]]
    }

    #[test]
    fn every_arrangement_is_even_and_does_not_clip() {
        for channels in 3..=8 {
            let [left, right] = mixed(&vec![1.0; channels]);
            assert!((left - 1.0).abs() < 1e-6 && (right - 1.0).abs() < 1e-6, "{channels}: {left} {right}");
        }
    }

    #[test]
    fn centre_and_surrounds_are_three_decibels_lower() {
        let decibels = |a: f32, b: f32| 20.0 * (a / b).log10();
        let [front, none] = mixed(&[1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        let [centre, other] = mixed(&[0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
        let [behind, _] = mixed(&[0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        assert!((decibels(centre, front) + 3.01).abs() < 0.01 && centre == other && none == 0.0);
        assert!((decibels(behind, front) + 3.01).abs() < 0.01);
        assert_eq!(mixed(&[0.0, 0.0, 0.0, 1.0, 0.0, 0.0]), [0.0, 0.0], "low");
    }
}
